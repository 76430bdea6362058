//! `UplinkMessage`: a JSON object that behaves as the original's named tuples did, and better where they failed.
//!
//! A message of a network with another shape is read in its own, field by field; it is turned into that of the original when
//! the whole of it is asked for.
//! The object holds the indexed text; Python values are made of the fields that are read. Containers are kept once they
//! are made, so that `msg.metadata.gateways` is the same list every time, as it was in the original.

use std::sync::{Arc, OnceLock};

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple};

use super::made::Made;
use super::parse::from_python;
use crate::dialect::json::{Document, Kind, Value};
use crate::dialect::lorawan::{Direct, Network, Part, anew};
use crate::py::acknowledging::Acknowledgement;
use crate::py::error::decode_error;
use crate::py::value::{Objects, fields, instant, single, string, to_dict, to_hashable, to_py};
use crate::session::Receipt;

#[doc = stub!("UplinkMessage")]
#[pyclass(frozen, sequence, name = "UplinkMessage", module = "thingslink.ttn", weakref)]
pub(in crate::py) struct PyUplinkMessage {
    /// Whose shape the document has.
    network: Network,
    /// Which part of the original's uplink this object is, where the network has another shape.
    part: Part,
    /// As it came.
    document: Arc<Document>,
    index: u32,
    /// In the original's shape, where that is another one; made when it is needed.
    shaped: OnceLock<Arc<Document>>,
    made: Made,
    /// To acknowledge it with, if it is a whole message.
    acknowledgement: Acknowledgement,
}

/// Marks the index of what is made of a container, in place of the container itself.
const MADE_OF: u32 = 1 << 31;

impl PyUplinkMessage {
    /// An object in the original's shape, or of any.
    pub(in crate::py) fn new(document: Arc<Document>, index: u32) -> Self {
        let (shaped, made) = (OnceLock::new(), Made::default());
        let (network, part, acknowledgement) = (Network::V2, Part::Uplink, Acknowledgement::default());
        Self { network, part, document, index, shaped, made, acknowledgement }
    }

    /// A whole uplink, as it came from this network.
    pub(super) fn from_network(network: Network, document: Arc<Document>, acknowledgement: Acknowledgement) -> Self {
        let index = document.root().index();
        Self { network, acknowledgement, ..Self::new(document, index) }
    }

    /// What to acknowledge the message with, if there is anything; an error for a part of a message.
    pub(super) fn receipt(&self) -> PyResult<Option<Receipt>> {
        if self.part == Part::Uplink && self.index == self.document.root().index() {
            return Ok(self.acknowledgement.receipt());
        }
        Err(PyValueError::new_err("msg is a part of a message: expected what a callback got"))
    }

    /// The whole uplink, in the original's shape; an error for a part of one.
    pub(in crate::py) fn uplink(&self) -> PyResult<Value<'_>> {
        self.receipt().map(|_| self.value())
    }

    /// The object as it came.
    fn came(&self) -> Value<'_> {
        self.document.value(self.index)
    }

    /// The document in the original's shape.
    fn document(&self) -> &Arc<Document> {
        if self.network == Network::V2 {
            return &self.document;
        }
        self.shaped.get_or_init(|| {
            let text = self.network.in_v2_shape(self.part, self.came());
            let shaped = text.and_then(|text| Document::parse(text.as_bytes()).ok());
            shaped.map_or_else(|| self.document.clone(), Arc::new)
        })
    }

    /// The object in the original's shape.
    pub(in crate::py) fn value(&self) -> Value<'_> {
        if self.network == Network::V2 { self.came() } else { self.document().root() }
    }

    /// The object with the shape that it has: the original's for all but whole uplinks of another network.
    fn whole(&self) -> (Network, Value<'_>) {
        match self.part {
            Part::Uplink => (self.network, self.came()),
            _ => (Network::V2, self.value()),
        }
    }

    /// The whole message as it came, if it came from this network.
    fn as_from<'py>(&self, py: Python<'py>, wanted: Network) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (network, came) = self.whole();
        (network == wanted).then(|| self.kept(py, came)).transpose()
    }

    /// A value of the document as Python sees it, made once if it is a container.
    fn kept<'py>(&self, py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
        if !matches!(value.kind(), Kind::Array | Kind::Object) {
            return to_py(py, &self.document, value, Objects::Messages);
        }
        self.once(py, value.index(), || to_py(py, &self.document, value, Objects::Messages))
    }

    /// What was made under this index before, or is now.
    fn once<'py>(
        &self,
        py: Python<'py>,
        index: u32,
        make: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(object) = self.made.find(index, py) {
            return Ok(object.into_bound(py));
        }
        Ok(self.made.keep(index, make()?.unbind(), py).into_bound(py))
    }

    /// A part of the uplink that is made of this value of the document.
    fn part<'py>(&self, py: Python<'py>, part: Part, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
        let message = Self { network: self.network, part, ..Self::new(self.document.clone(), value.index()) };
        Ok(Bound::new(py, message)?.into_any())
    }

    /// The field of this name as Python sees it.
    fn field<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.network == Network::V2 {
            return self.came().get(name).map(|value| self.kept(py, value)).transpose();
        }
        let field = match self.network.direct(self.part, self.came(), name) {
            Direct::Absent => return Ok(None),
            Direct::There(value) => self.kept(py, value),
            Direct::Text(text) => single(py, &text),
            Direct::Anew(value) => self.once(py, value.index() | MADE_OF, || single(py, &anew(value))),
            Direct::Part(part, value) => self.once(py, value.index() | MADE_OF, || self.part(py, part, value)),
            Direct::Parts(part, list) => self.once(py, list.index() | MADE_OF, || {
                let parts: PyResult<Vec<_>> = list.elements().map(|element| self.part(py, part, element)).collect();
                Ok(PyList::new(py, parts?)?.into_any())
            }),
        };
        field.map(Some)
    }

    /// All fields, in order: their names, and their values as Python sees them.
    pub(super) fn each<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Value<'_>, Bound<'py, PyAny>)>> {
        let each = |(name, value): (Value<'_>, Value<'_>)| match self.network {
            Network::V2 => self.kept(py, value),
            _ => Ok(self.field(py, name.raw())?.unwrap_or_else(|| py.None().into_bound(py))),
        };
        fields(self.value()).into_iter().map(|(name, value)| Ok((name, each((name, value))?))).collect()
    }

    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.each(py)?.into_iter().map(|(_, value)| value))
    }

    pub(super) fn names<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        fields(self.value()).into_iter().map(|(name, _)| string(py, name)).collect()
    }

    /// `object.__getattribute__`, for what is no field.
    fn own_attribute<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().get_type::<PyAny>().call_method1("__getattribute__", (slf, name))
    }
}

/// Why an uplink may have no fields.
const NO_FIELDS: &str = ": the network decodes a payload only where the application has a payload format whose functions run \
                         without an error, of which the event 'up/errors' tells; payload has the bytes";

/// A comparison partner as a tuple, if it is one.
fn as_tuple<'py>(other: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyTuple>>> {
    if let Ok(message) = other.cast::<PyUplinkMessage>() {
        return Some(message.get().tuple(other.py()));
    }
    other.cast::<PyTuple>().ok().map(|tuple| Ok(tuple.clone()))
}

#[pymethods(crate = "crate::py::named")]
impl PyUplinkMessage {
    fn __getattribute__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        // A lone surrogate in the name cannot be in a field's name that is looked up as text.
        if let Ok(text) = name.to_str()
            && !text.starts_with("__")
            && let Some(value) = this.field(slf.py(), text)?
        {
            return Ok(value);
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
            let found = name.to_str().ok().map(|name| self.field(py, name)).transpose()?.flatten();
            return found.ok_or_else(|| PyKeyError::new_err(name.clone().unbind()));
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
        to_hashable(py, self.document(), self.value())?.hash()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let restore = py.import("thingslink._native")?.getattr("_parse_message")?;
        let (network, value) = self.whole();
        let arguments = (PyBytes::new(py, value.raw().as_bytes()), network.to_string());
        Ok((restore, arguments.into_pyobject(py)?))
    }

    fn __copy__(slf: &Bound<'_, Self>) -> Py<Self> {
        slf.clone().unbind()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        Self { network: self.network, part: self.part, ..Self::new(self.document.clone(), self.index) }
    }

    #[classattr]
    fn _fields(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        super::names::property(py)
    }

    #[getter]
    fn _field_defaults<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        PyDict::new(py)
    }

    /// Give the fields as a dict; nested objects stay messages.
    fn _asdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.each(py)? {
            dict.set_item(string(py, name)?, value)?;
        }
        Ok(dict)
    }

    /// Give a message with some fields changed.
    #[pyo3(signature = (**changes))]
    fn _replace(&self, py: Python<'_>, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let dict = to_dict(py, self.document(), self.value())?;
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
        Ok(self.field(py, name)?.or(default))
    }

    #[doc = stub!("_Object.ack")]
    fn ack(&self) -> PyResult<()> {
        self.receipt().and_then(|_| self.acknowledgement.acknowledge())
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
        to_dict(py, self.document(), self.value())
    }

    /// Give the JSON text of the fields: as received, but for uplinks whose ``v3`` or ``chirpstack`` has that.
    fn json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.value().raw().as_bytes())
    }

    /// The whole message as The Things Stack V3 sent it; ``None`` for those of other networks, and for parts.
    #[getter]
    fn v3<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.as_from(py, Network::V3)
    }

    /// The whole message as ChirpStack sent it; ``None`` for those of other networks, and for parts.
    #[getter]
    fn chirpstack<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.as_from(py, Network::ChirpStack)
    }

    #[doc = stub!("_Object.payload")]
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (network, value) = self.whole();
        match network.payload(value) {
            Ok(bytes) => Ok(bytes.map(|bytes| PyBytes::new(py, &bytes))),
            Err(error) => Err(decode_error(py, error.to_string())),
        }
    }

    /// ``metadata.time`` as an aware instant in UTC, to the microsecond; ``None`` if unknown (year 1, too).
    #[getter]
    fn received_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (network, value) = self.whole();
        instant(py, network.received_at(value))
    }

    /// This object's own ``time``, as ``received_at`` has it.
    #[getter]
    fn datetime<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        instant(py, self.value().get("time"))
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
