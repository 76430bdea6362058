//! Values of a JSON document as Python objects.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::lorawan::PyUplinkMessage;
use crate::dialect::json::{Document, Kind, Value};

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
        Kind::Array => {
            let list = PyList::empty(py);
            for element in value.elements() {
                list.append(to_py(py, document, element, objects)?)?;
            }
            Ok(list.into_any())
        }
        Kind::Object if objects == Objects::Messages => {
            Ok(Bound::new(py, PyUplinkMessage::new(document.clone(), value.index()))?.into_any())
        }
        Kind::Object => Ok(to_dict(py, document, value)?.into_any()),
    }
}

/// An object as a plain dict, its values plain as well.
pub(super) fn to_dict<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    value: Value<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, member) in value.members() {
        dict.set_item(string(py, name)?, to_py(py, document, member, Objects::Dicts)?)?;
    }
    Ok(dict)
}

/// A value in which every container is a tuple, so that it can be hashed.
pub(super) fn to_hashable<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    value: Value<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let children: Vec<Value<'_>> = match value.kind() {
        Kind::Array => value.elements().collect(),
        Kind::Object => fields(value).into_iter().map(|(_, member)| member).collect(),
        _ => return to_py(py, document, value, Objects::Messages),
    };
    let parts = children.into_iter().map(|child| to_hashable(py, document, child)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, parts)?.into_any())
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
