//! Values of a JSON document as Python objects.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::error::decode_error;
use super::lorawan::PyUplinkMessage;
use crate::dialect::json::{Children, Document, Kind, Value};
use crate::dialect::lorawan::timestamp;

/// What objects become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Objects {
    /// Messages with attributes.
    Messages,
    /// Plain dicts.
    Dicts,
}

/// A string.
pub(super) fn string<'py>(py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    if value.kind() == Kind::Plain {
        return Ok(PyString::new(py, value.raw()).into_any());
    }
    match value.unescaped() {
        Cow::Borrowed(bytes) => decode(py, bytes),
        Cow::Owned(bytes) => decode(py, &bytes),
    }
}

fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        // A lone surrogate: Python's strings can hold it.
        Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogatepass")),
    }
}

/// A value. Containers are made anew.
pub(super) fn to_py<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    value: Value<'_>,
    objects: Objects,
) -> PyResult<Bound<'py, PyAny>> {
    match value.kind() {
        Kind::Null => Ok(py.None().into_bound(py)),
        Kind::True => Ok(PyBool::new(py, true).to_owned().into_any()),
        Kind::False => Ok(PyBool::new(py, false).to_owned().into_any()),
        Kind::Int => match value.as_i64() {
            Some(number) => Ok(PyInt::new(py, number).into_any()),
            // Longer than a machine word, or longer than Python's own limit: then its error says so.
            None => py.get_type::<PyInt>().call1((value.raw(),)),
        },
        Kind::Float | Kind::NotFinite => Ok(PyFloat::new(py, value.as_f64().unwrap_or(f64::NAN)).into_any()),
        Kind::Plain | Kind::Escaped => string(py, value),
        Kind::Object if objects == Objects::Messages => {
            Ok(Bound::new(py, PyUplinkMessage::new(document.clone(), value.index()))?.into_any())
        }
        Kind::Array | Kind::Object => container(py, document, value, objects),
    }
}

/// A JSON text of a single value as Python sees it.
pub(super) fn single<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let document = Document::parse(text.as_bytes()).map_err(|error| decode_error(py, error.to_string()))?;
    let document = Arc::new(document);
    to_py(py, &document, document.root(), Objects::Messages)
}

/// An aware `datetime` in UTC; what is finer than microseconds is cut off.
pub(super) fn datetime(py: Python<'_>, nanoseconds: i128) -> PyResult<Bound<'_, PyAny>> {
    let module = py.import("datetime")?;
    let utc = module.getattr("timezone")?.getattr("utc")?;
    let epoch = module.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
    let options = PyDict::new(py);
    options.set_item("microseconds", nanoseconds.div_euclid(1000))?;
    epoch.add(module.getattr("timedelta")?.call((), Some(&options))?)
}

/// A time text of a network as such a `datetime`; `None` if unknown.
pub(super) fn instant<'py>(py: Python<'py>, value: Option<Value<'_>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    value.and_then(timestamp).map(|instant| datetime(py, instant.as_nanosecond())).transpose()
}

/// An object as a plain dict, its values plain as well.
pub(super) fn to_dict<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    value: Value<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    Ok(container(py, document, value, Objects::Dicts)?.cast_into::<PyDict>()?)
}

/// A container that is being filled.
struct Open<'a, 'py> {
    made: Made<'py>,
    rest: Children<'a>,
}

enum Made<'py> {
    List(Bound<'py, PyList>),
    /// With the name that the next value gets.
    Dict(Bound<'py, PyDict>, Option<Bound<'py, PyAny>>),
}

impl<'a, 'py> Open<'a, 'py> {
    fn new(py: Python<'py>, value: Value<'a>) -> Self {
        let made = match value.kind() {
            Kind::Object => Made::Dict(PyDict::new(py), None),
            _ => Made::List(PyList::empty(py)),
        };
        Self { made, rest: value.children() }
    }

    fn put(&mut self, value: Bound<'py, PyAny>) -> PyResult<()> {
        match &mut self.made {
            Made::List(list) => list.append(value),
            Made::Dict(dict, name) => {
                if let Some(name) = name.take() {
                    return dict.set_item(name, value);
                }
                *name = Some(value);
                Ok(())
            }
        }
    }

    fn end(self) -> Bound<'py, PyAny> {
        match self.made {
            Made::List(list) => list.into_any(),
            Made::Dict(dict, _) => dict.into_any(),
        }
    }
}

/// An array as a list or an object as a dict, with all that is in it. Not by recursion: how deep a message goes is for its
/// sender to say, and how much stack there is for the program that reads it.
fn container<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    value: Value<'_>,
    objects: Objects,
) -> PyResult<Bound<'py, PyAny>> {
    let mut open = Open::new(py, value);
    let mut around = Vec::new();
    loop {
        match open.rest.next() {
            Some(inner) if inner.kind() == Kind::Array || inner.kind() == Kind::Object && objects == Objects::Dicts => {
                around.push(std::mem::replace(&mut open, Open::new(py, inner)));
            }
            Some(single) => open.put(to_py(py, document, single, objects)?)?,
            None => {
                let Some(outer) = around.pop() else { return Ok(open.end()) };
                let full = std::mem::replace(&mut open, outer).end();
                open.put(full)?;
            }
        }
    }
}

/// A value in which every container is a tuple, so that it can be hashed. As `container`, not by recursion.
pub(super) fn to_hashable<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    value: Value<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    fn parts(value: Value<'_>) -> Option<std::vec::IntoIter<Value<'_>>> {
        let parts: Vec<_> = match value.kind() {
            Kind::Array => value.elements().collect(),
            Kind::Object => fields(value).into_iter().map(|(_, member)| member).collect(),
            _ => return None,
        };
        Some(parts.into_iter())
    }
    let Some(outermost) = parts(value) else { return to_py(py, document, value, Objects::Messages) };
    let (mut made, mut rest) = (Vec::new(), outermost);
    let mut around = Vec::new();
    loop {
        match rest.next().map(|part| (part, parts(part))) {
            Some((_, Some(inner))) => {
                around.push((std::mem::take(&mut made), std::mem::replace(&mut rest, inner)));
            }
            Some((single, None)) => made.push(to_py(py, document, single, Objects::Messages)?),
            None => {
                let full = PyTuple::new(py, std::mem::take(&mut made))?.into_any();
                let Some(outer) = around.pop() else { return Ok(full) };
                (made, rest) = outer;
                made.push(full);
            }
        }
    }
}

/// The members of an object as Python sees them: of repeated names the first place and the last value.
pub(super) fn fields(value: Value<'_>) -> Vec<(Value<'_>, Value<'_>)> {
    let mut fields: Vec<(Value<'_>, Value<'_>)> = Vec::new();
    for (name, member) in value.members() {
        match fields.iter_mut().find(|(known, _)| known.unescaped() == name.unescaped()) {
            Some((_, place)) => *place = member,
            None => fields.push((name, member)),
        }
    }
    fields
}
