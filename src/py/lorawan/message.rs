//! `UplinkMessage`: a JSON object that behaves as the original's named tuples did, and better where they failed.
//!
//! The object holds the indexed text; Python values are made of the fields that are read. Containers are kept once they
//! are made, so that `msg.metadata.gateways` is the same list every time, as it was in the original.

use std::sync::{Arc, OnceLock};

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple};

use crate::dialect::json::{Document, Kind, Value};
use crate::dialect::lorawan::{Network, timestamp};
use crate::py::error::decode_error;
use crate::py::leaving;
use crate::py::value::{Objects, fields, string, to_dict, to_hashable, to_py};
use crate::session::Receipt;
use crate::sync::Mutex;

/// A JSON object from the network: fields as attributes, tuple behaviour in the order of the wire, item access.
#[pyclass(frozen, sequence, name = "UplinkMessage", module = "thingslink.ttn", weakref)]
pub(in crate::py) struct PyUplinkMessage {
    document: Arc<Document>,
    index: u32,
    made: Made,
    /// To acknowledge it with, if it came at QoS 1 and is a whole message.
    receipt: Option<Receipt>,
}

/// Containers that were read, by their index. Most messages have one at most that anybody reads: that one costs neither a
/// lock nor memory of its own.
#[derive(Default)]
struct Made {
    first: OnceLock<(u32, Py<PyAny>)>,
    /// In use only when there is a first one.
    others: Mutex<Vec<(u32, Py<PyAny>)>>,
}

impl Made {
    fn find(&self, index: u32, py: Python<'_>) -> Option<Py<PyAny>> {
        let (known, object) = self.first.get()?;
        if *known == index {
            return Some(object.clone_ref(py));
        }
        let others = self.others.lock();
        others.iter().find(|(known, _)| *known == index).map(|(_, object)| object.clone_ref(py))
    }

    /// Keep an object that was not found before; gives the one that is kept. Another thread may have made one in between:
    /// everybody must get the same.
    fn keep(&self, index: u32, object: Py<PyAny>, py: Python<'_>) -> Py<PyAny> {
        let kept = object.clone_ref(py);
        let Err((_, object)) = self.first.set((index, object)) else { return kept };
        if let Some((known, first)) = self.first.get()
            && *known == index
        {
            return first.clone_ref(py);
        }
        let mut others = self.others.lock();
        if let Some((_, known)) = others.iter().find(|(known, _)| *known == index) {
            return known.clone_ref(py);
        }
        others.push((index, object));
        kept
    }
}

impl PyUplinkMessage {
    pub(in crate::py) fn new(document: Arc<Document>, index: u32) -> Self {
        Self { document, index, made: Made::default(), receipt: None }
    }

    /// What to acknowledge the message with, if there is anything; an error for a part of a message.
    pub(super) fn receipt(&self) -> PyResult<Option<Receipt>> {
        if self.index == self.document.root().index() {
            return Ok(self.receipt);
        }
        Err(PyValueError::new_err("msg is a part of a message: expected what a callback got"))
    }

    pub(in crate::py) fn value(&self) -> Value<'_> {
        self.document.value(self.index)
    }

    /// A member's value as Python sees it.
    fn member<'py>(&self, py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
        if !matches!(value.kind(), Kind::Array | Kind::Object) {
            return to_py(py, &self.document, value, Objects::Messages);
        }
        if let Some(object) = self.made.find(value.index(), py) {
            return Ok(object.into_bound(py));
        }
        let object = to_py(py, &self.document, value, Objects::Messages)?;
        Ok(self.made.keep(value.index(), object.unbind(), py).into_bound(py))
    }

    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let values =
            fields(self.value()).into_iter().map(|(_, value)| self.member(py, value)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, values)
    }

    fn names<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        fields(self.value()).into_iter().map(|(name, _)| string(py, name)).collect()
    }

    /// `object.__getattribute__`, for what is no field.
    fn own_attribute<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().get_type::<PyAny>().call_method1("__getattribute__", (slf, name))
    }

    fn time<'py>(&self, py: Python<'py>, value: Option<Value<'_>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        value.and_then(timestamp).map(|instant| datetime(py, instant.as_nanosecond())).transpose()
    }
}

/// Why an uplink may have no fields.
const NO_FIELDS: &str = ": the network decodes a payload only where the application has a payload format and its functions \
                         run without an error, of which the event 'up/errors' tells; payload has the bytes";

/// An aware `datetime` in UTC; what is finer than microseconds is cut off.
fn datetime(py: Python<'_>, nanoseconds: i128) -> PyResult<Bound<'_, PyAny>> {
    let module = py.import("datetime")?;
    let utc = module.getattr("timezone")?.getattr("utc")?;
    let epoch = module.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
    let options = PyDict::new(py);
    options.set_item("microseconds", nanoseconds.div_euclid(1000))?;
    epoch.add(module.getattr("timedelta")?.call((), Some(&options))?)
}

/// A comparison partner as a tuple, if it is one.
fn as_tuple<'py>(other: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyTuple>>> {
    if let Ok(message) = other.cast::<PyUplinkMessage>() {
        return Some(message.get().tuple(other.py()));
    }
    other.cast::<PyTuple>().ok().map(|tuple| Ok(tuple.clone()))
}

#[pymethods]
impl PyUplinkMessage {
    fn __getattribute__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        // A lone surrogate in the name cannot be in a field's name that is looked up as text.
        if let Ok(text) = name.to_str()
            && !text.starts_with("__")
            && let Some(value) = this.value().get(text)
        {
            return this.member(slf.py(), value);
        }
        Self::own_attribute(slf, name)
    }

    /// Asked for what is neither a field nor an attribute.
    fn __getattr__(&self, name: &Bound<'_, PyString>) -> PyResult<()> {
        let hint = if name == "payload_fields" { NO_FIELDS } else { "" };
        Err(PyAttributeError::new_err(format!("'MSG' object has no attribute '{name}'{hint}")))
    }

    fn __setattr__(&self, _name: &Bound<'_, PyAny>, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err("can't set attribute"))
    }

    fn __delattr__(&self, _name: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err("can't delete attribute"))
    }

    fn __dir__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let names = slf.py().get_type::<PyAny>().call_method1("__dir__", (slf,))?.cast_into::<PyList>()?;
        for name in slf.get().names(slf.py())? {
            if name.call_method0("isidentifier")?.extract()? {
                names.append(name)?;
            }
        }
        Ok(names)
    }

    fn __len__(&self) -> usize {
        fields(self.value()).len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(name) = key.cast::<PyString>() {
            let found = name.to_str().ok().and_then(|name| self.value().get(name));
            return match found {
                Some(value) => self.member(py, value),
                None => Err(PyKeyError::new_err(name.clone().unbind())),
            };
        }
        self.tuple(py)?.as_any().get_item(key)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.tuple(py)?.try_iter()
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let mut values: Vec<_> = self.tuple(py)?.iter().collect();
        values.reverse();
        PyTuple::new(py, values)?.try_iter()
    }

    fn __contains__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.tuple(py)?.contains(value)
    }

    fn __add__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match as_tuple(other) {
            Some(other) => self.tuple(py)?.add(other?),
            None => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    fn __radd__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match as_tuple(other) {
            Some(other) => other?.add(self.tuple(py)?),
            None => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    fn __mul__<'py>(&self, py: Python<'py>, count: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(py)?.mul(count)
    }

    fn __rmul__<'py>(&self, py: Python<'py>, count: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.tuple(py)?.mul(count)
    }

    fn __richcmp__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        match as_tuple(other) {
            Some(other) => self.tuple(py)?.rich_compare(other?, op),
            None => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        to_hashable(py, &self.document, self.value())?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut parts = Vec::new();
        for (name, value) in fields(self.value()) {
            // Containers were made when they were read, and may have been changed since.
            let value = self.member(py, value)?;
            parts.push(format!("{}={}", name.as_str().unwrap_or_default(), value.repr()?.to_str()?));
        }
        Ok(format!("MSG({})", parts.join(", ")))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let restore = py.import("thingslink._native")?.getattr("_parse_message")?;
        Ok((restore, (PyBytes::new(py, self.value().raw().as_bytes()),)))
    }

    fn __copy__(slf: &Bound<'_, Self>) -> Py<Self> {
        slf.clone().unbind()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        Self::new(self.document.clone(), self.index)
    }

    #[getter]
    fn _fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names(py)?)
    }

    #[getter]
    fn _field_defaults<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        PyDict::new(py)
    }

    /// Give the fields as a dict; nested objects stay messages.
    fn _asdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in fields(self.value()) {
            dict.set_item(string(py, name)?, self.member(py, value)?)?;
        }
        Ok(dict)
    }

    /// Give a message with some fields changed.
    #[pyo3(signature = (**changes))]
    fn _replace(&self, py: Python<'_>, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let dict = to_dict(py, &self.document, self.value())?;
        for (name, value) in changes.into_iter().flatten() {
            if !dict.contains(&name)? {
                return Err(PyValueError::new_err(format!("Got unexpected field names: [{}]", name.repr()?)));
            }
            dict.set_item(name, value)?;
        }
        from_python(py, dict.as_any())
    }

    /// Give a message with this one's names and other values.
    fn _make(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<Self> {
        let values: Vec<Bound<'_, PyAny>> = values.try_iter()?.collect::<PyResult<_>>()?;
        let names = self.names(py)?;
        if names.len() != values.len() {
            let text = format!("Expected {} arguments, got {}", names.len(), values.len());
            return Err(PyTypeError::new_err(text));
        }
        let dict = PyDict::new(py);
        for (name, value) in names.into_iter().zip(values) {
            dict.set_item(name, value)?;
        }
        from_python(py, dict.as_any())
    }

    /// Count a value among the fields.
    fn count(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.tuple(py)?.as_any().call_method1("count", (value,))?.extract()
    }

    /// Give the first place of a value among the fields.
    #[pyo3(signature = (value, *range))]
    fn index(&self, py: Python<'_>, value: &Bound<'_, PyAny>, range: &Bound<'_, PyTuple>) -> PyResult<usize> {
        let arguments = PyTuple::new(py, [value.clone()])?.add(range)?.cast_into::<PyTuple>()?;
        self.tuple(py)?.as_any().call_method1("index", arguments)?.extract()
    }

    /// Give a field, or ``default``.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.value().get(name) {
            Some(value) => self.member(py, value).map(Some),
            None => Ok(default),
        }
    }

    /// Give the names of the fields.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.names(py)
    }

    /// Give the values of the fields.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.tuple(py)?.to_list())
    }

    /// Give names and values.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let values = self.tuple(py)?;
        PyList::new(py, self.names(py)?.into_iter().zip(values.iter()))
    }

    /// Give plain dicts and lists all the way down.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_dict(py, &self.document, self.value())
    }

    /// Give the JSON text as it was received.
    fn json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.value().raw().as_bytes())
    }

    /// The bytes of ``payload_raw``; ``None`` if there are none.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        match Network::V2.fields().payload(self.value()) {
            Ok(bytes) => Ok(bytes.map(|bytes| PyBytes::new(py, &bytes))),
            Err(error) => Err(decode_error(py, error.to_string())),
        }
    }

    /// ``metadata.time`` as an aware instant in UTC, to the microsecond; ``None`` if unknown (year 1, too).
    #[getter]
    fn received_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.time(py, Network::V2.fields().received_at(self.value()))
    }

    /// This object's own ``time``, as ``received_at`` has it.
    #[getter]
    fn datetime<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.time(py, self.value().get("time"))
    }

    #[staticmethod]
    fn _json_default<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = object.py();
        if let Ok(message) = object.cast::<Self>() {
            return message.get().to_dict(py);
        }
        let name = object.get_type().name()?;
        Err(PyTypeError::new_err(format!("Object of type {name} is not JSON serializable")))
    }
}

/// A message of Python values, by way of JSON.
fn from_python(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<PyUplinkMessage> {
    let options = PyDict::new(py);
    options.set_item("default", py.get_type::<PyUplinkMessage>().getattr("_json_default")?)?;
    let text = leaving::within(py, || py.import("json")?.call_method("dumps", (object,), Some(&options)))?;
    let text: String = text.extract()?;
    let document = Document::parse(text.as_bytes()).map_err(|error| decode_error(py, error.to_string()))?;
    Ok(PyUplinkMessage::new(Arc::new(document), 0))
}

/// Read a JSON text as a message callback would get it: objects become messages, anything else the plain value.
#[pyfunction]
#[pyo3(name = "_parse_message")]
pub(in crate::py) fn parse_message<'py>(py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> =
        if let Ok(text) = data.cast::<PyString>() { text.to_str()?.as_bytes().to_vec() } else { data.extract()? };
    let document = Document::parse(&bytes).map_err(|error| decode_error(py, error.to_string()))?;
    let document = Arc::new(document);
    to_py(py, &document, document.root(), Objects::Messages)
}

/// The body of a message as callbacks get it.
pub(super) fn body_to_py<'py>(
    py: Python<'py>,
    document: &Arc<Document>,
    receipt: Option<Receipt>,
) -> PyResult<Bound<'py, PyAny>> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return to_py(py, document, root, Objects::Messages);
    }
    let message = PyUplinkMessage { receipt, ..PyUplinkMessage::new(document.clone(), root.index()) };
    Ok(Bound::new(py, message)?.into_any())
}
