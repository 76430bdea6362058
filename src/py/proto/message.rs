//! What all messages have in common.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

use super::classes::wrap;
use super::descriptor::{PyDescriptor, PyFieldDescriptor};
use super::place::Place;
use super::value::{field_to_py, fill, scalar_from_py, scalar_to_py};
use crate::py::convert::hex_bytes;
use crate::py::error::OrRaise as _;
use crate::py::leaving;
use crate::rpc::message::{decode, descriptor, encode, merge, same};
use crate::rpc::to_text;

#[doc = stub!("Message")]
#[pyclass(frozen, subclass, name = "Message", module = "thingslink.ttn", weakref)]
pub(in crate::py) struct PyMessage {
    place: Place,
}

impl PyMessage {
    pub(super) fn at(place: Place) -> Self {
        Self { place }
    }

    /// A new message of this type, with these fields.
    pub(super) fn with(full_name: &str, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut message = DynamicMessage::new(descriptor(full_name));
        if let Some(fields) = fields {
            fill(&mut message, fields)?;
        }
        Ok(Self::at(Place::new(message)))
    }

    pub(in crate::py) fn place(&self) -> &Place {
        &self.place
    }

    fn descriptor(&self) -> MessageDescriptor {
        self.place.descriptor()
    }

    fn field(&self, name: &str) -> Option<FieldDescriptor> {
        self.descriptor().get_field_by_name(name)
    }

    /// The field of bytes behind a name such as `dev_eui_hex`.
    fn hex_field(&self, name: &str) -> Option<FieldDescriptor> {
        let field = self.field(name.strip_suffix("_hex")?)?;
        (matches!(field.kind(), Kind::Bytes) && !field.is_list()).then_some(field)
    }

    fn merge_bytes(&self, py: Python<'_>, data: &Bound<'_, PyAny>, clear: bool) -> PyResult<usize> {
        let bytes = encoded(data)?;
        let length = bytes.len();
        // Read before anything changes.
        decode(&self.descriptor(), bytes.clone()).or_raise(py)?;
        let merged = self.place.write(|message| {
            if clear {
                message.clear();
            }
            merge(message, &bytes)
        });
        merged.or_raise(py)?;
        Ok(length)
    }

    /// The value of a field, with all of it there.
    fn look<'py>(&self, py: Python<'py>, field: &FieldDescriptor) -> PyResult<Bound<'py, PyAny>> {
        if matches!(field.kind(), Kind::Message(_)) && !field.is_map() {
            self.place.complete(py)?;
        }
        field_to_py(py, &self.place, field)
    }

    fn expect_same(&self, other: &Bound<'_, PyAny>) -> PyResult<DynamicMessage> {
        let other_message = other.cast::<Self>().ok().map(|other| other.get().place.copy());
        other_message.filter(|other| other.descriptor() == self.descriptor()).ok_or_else(|| {
            let given = other.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
            let own = self.descriptor();
            PyTypeError::new_err(format!("expected a message of the same class: {} got {given}", own.name()))
        })
    }

    /// The content as a dict that JSON can express.
    pub(in crate::py) fn to_plain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.place.complete(py)?;
        plain(py, &self.place.copy())
    }
}

/// Bytes of any kind.
fn encoded(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if data.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("a bytes-like object is required, not 'str'"));
    }
    let bytes = leaving::within(data.py(), || data.py().get_type::<PyBytes>().call1((data,)))?;
    Ok(Bytes::copy_from_slice(bytes.cast::<PyBytes>()?.as_bytes()))
}

/// What is set, by names; bytes as upper-case hex.
fn plain<'py>(py: Python<'py>, message: &DynamicMessage) -> PyResult<Bound<'py, PyDict>> {
    fn single<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
        match value {
            Value::Bytes(bytes) => hex::encode_upper(bytes).into_bound_py_any(py),
            Value::Message(message) => Ok(plain(py, message)?.into_any()),
            other => scalar_to_py(py, other),
        }
    }
    let dict = PyDict::new(py);
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    for (field, value) in fields {
        let value = match value {
            Value::List(list) => {
                let list = list.iter().map(|value| single(py, value)).collect::<PyResult<Vec<_>>>()?;
                PyList::new(py, list)?.into_any()
            }
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|(one, _), (other, _)| one.as_str().cmp(&other.as_str()));
                let inner = PyDict::new(py);
                for (key, value) in entries {
                    inner.set_item(key.as_str().unwrap_or_default(), single(py, value)?)?;
                }
                inner.into_any()
            }
            value => single(py, value)?,
        };
        dict.set_item(field.name(), value)?;
    }
    Ok(dict)
}

/// Give a message back from its type and bytes.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_parse_proto")]
pub(in crate::py) fn parse_proto<'py>(py: Python<'py>, full_name: &str, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let message = decode(&descriptor(full_name), Bytes::copy_from_slice(data)).or_raise(py)?;
    wrap(py, Place::new(message))
}

#[pymethods(crate = "crate::py::named")]
impl PyMessage {
    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if let Some(field) = this.field(name) {
            return this.look(slf.py(), &field);
        }
        if let Some(attribute) = this.place.attribute(slf.py(), name)? {
            return Ok(attribute.into_bound(slf.py()));
        }
        if let Some(field) = this.hex_field(name) {
            let value = this.place.value(&field);
            return value.as_bytes().map(hex::encode_upper).unwrap_or_default().into_bound_py_any(slf.py());
        }
        let class = slf.get_type().name()?;
        Err(PyAttributeError::new_err(format!("'{class}' object has no attribute '{name}'")))
    }

    fn __setattr__(slf: &Bound<'_, Self>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let (field, value) = match (this.field(name), this.hex_field(name)) {
            (Some(field), _) if field.is_list() || field.is_map() => {
                return Err(PyAttributeError::new_err(format!(
                    "Assignment not allowed to repeated field \"{name}\" in protocol message object."
                )));
            }
            (Some(field), _) if matches!(field.kind(), Kind::Message(_)) => {
                return Err(PyAttributeError::new_err(format!(
                    "Assignment not allowed to composite field \"{name}\" in protocol message object."
                )));
            }
            (Some(field), _) => {
                let value = scalar_from_py(&field, value)?;
                (field, value)
            }
            (None, Some(field)) => {
                let value = Value::Bytes(hex_bytes(name, value)?.into());
                (field, value)
            }
            (None, None) => {
                let class = slf.get_type().name()?;
                return Err(PyAttributeError::new_err(format!("'{class}' object has no attribute '{name}'")));
            }
        };
        this.place.write(|message| message.set_field(&field, value));
        Ok(())
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let field = name.extract::<String>().ok().and_then(|name| slf.get().field(&name));
        match field {
            Some(field) => slf.get().look(slf.py(), &field),
            None => Err(PyKeyError::new_err(name.clone().unbind())),
        }
    }

    fn __setitem__(slf: &Bound<'_, Self>, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match name.extract::<String>() {
            Ok(text) if slf.get().field(&text).is_some() => Self::__setattr__(slf, &text, value),
            _ => Err(PyKeyError::new_err(name.clone().unbind())),
        }
    }

    fn __contains__(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    fn __dir__(slf: &Bound<'_, Self>) -> PyResult<Vec<String>> {
        let mut names: Vec<String> = slf.get_type().dir()?.extract()?;
        names.extend(slf.get().descriptor().fields().map(|field| field.name().to_owned()));
        Ok(names)
    }

    /// Names of the fields, so that ``dict(message)`` works.
    fn keys(&self) -> Vec<String> {
        let mut fields: Vec<_> = self.descriptor().fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        fields.into_iter().map(|field| field.name().to_owned()).collect()
    }

    /// Give what is set as a dict that JSON can express; bytes become upper-case hex.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.to_plain(py)
    }

    /// The description of the message type.
    #[getter]
    #[pyo3(name = "DESCRIPTOR")]
    fn describe(&self) -> PyDescriptor {
        PyDescriptor(self.descriptor())
    }

    /// Whether a part is set, or one of a oneof.
    #[pyo3(name = "HasField")]
    fn has_field(&self, name: &str) -> PyResult<bool> {
        let descriptor = self.descriptor();
        if let Some(field) = self.field(name).filter(FieldDescriptor::supports_presence) {
            return Ok(self.place.read(|message| message.has_field(&field)));
        }
        if descriptor.oneofs().any(|oneof| oneof.name() == name) {
            return Ok(self.which_oneof(name)?.is_some());
        }
        Err(PyValueError::new_err(format!(
            "Protocol message {} has no non-repeated submessage field \"{name}\" nor marked as optional",
            descriptor.full_name()
        )))
    }

    /// Give the name of the field of a oneof that is set.
    #[pyo3(name = "WhichOneof")]
    fn which_oneof(&self, name: &str) -> PyResult<Option<String>> {
        let oneof = self.descriptor().oneofs().find(|oneof| oneof.name() == name);
        let oneof =
            oneof.ok_or_else(|| PyValueError::new_err(format!("Protocol message has no oneof \"{name}\" field.")))?;
        let set = |field: &FieldDescriptor| self.place.read(|message| message.has_field(field));
        Ok(oneof.fields().find(set).map(|field| field.name().to_owned()))
    }

    /// List the fields that are set, with their values, in the order of their numbers.
    #[pyo3(name = "ListFields")]
    fn list_fields<'py>(&self, py: Python<'py>) -> PyResult<Vec<(PyFieldDescriptor, Bound<'py, PyAny>)>> {
        self.place.complete(py)?;
        let mut fields: Vec<_> = self.place.read(|message| message.fields().map(|(field, _)| field).collect());
        fields.sort_by_key(FieldDescriptor::number);
        let pair = |field| Ok((field_to_py(py, &self.place, &field)?, field));
        fields.into_iter().map(|field| pair(field).map(|(value, field)| (PyFieldDescriptor(field), value))).collect()
    }

    /// Encode.
    #[pyo3(name = "SerializeToString")]
    fn serialize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.place.complete(py)?;
        Ok(PyBytes::new(py, &self.place.read(encode)))
    }

    /// As ``SerializeToString``.
    #[pyo3(name = "SerializePartialToString")]
    fn serialize_partial<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.serialize(py)
    }

    /// Replace the content by an encoded message; gives the number of bytes.
    #[pyo3(name = "ParseFromString")]
    fn parse(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.merge_bytes(data.py(), data, true)
    }

    /// Merge an encoded message into this one; gives the number of bytes.
    #[pyo3(name = "MergeFromString")]
    fn merge_from_string(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.merge_bytes(data.py(), data, false)
    }

    /// Decode a message of this class.
    #[classmethod]
    #[pyo3(name = "FromString")]
    fn from_string<'py>(class: &Bound<'py, PyType>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let of = class.getattr("DESCRIPTOR")?;
        let of = of.cast::<PyDescriptor>().map_err(|_| PyTypeError::new_err("Message itself has no fields"))?;
        let message = decode(&of.get().0, encoded(data)?).or_raise(class.py())?;
        wrap(class.py(), Place::new(message))
    }

    /// Replace the content by another message's.
    #[pyo3(name = "CopyFrom")]
    fn copy_from(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        let other = self.expect_same(other)?;
        self.place.write(|message| *message = other);
        Ok(())
    }

    /// Merge another message into this one: set fields replace, lists append, maps merge.
    #[pyo3(name = "MergeFrom")]
    fn merge_from(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = encode(&self.expect_same(other)?);
        self.place.write(|message| merge(message, &bytes)).or_raise(other.py())
    }

    /// Make every field empty.
    #[pyo3(name = "Clear")]
    fn clear(&self) {
        self.place.write(prost::Message::clear);
    }

    /// Make one field empty.
    #[pyo3(name = "ClearField")]
    fn clear_field(&self, name: &str) -> PyResult<()> {
        let descriptor = self.descriptor();
        let fields: Vec<_> = match descriptor.oneofs().find(|oneof| oneof.name() == name) {
            Some(oneof) => oneof.fields().collect(),
            None => self.field(name).into_iter().collect(),
        };
        if fields.is_empty() {
            let text = format!("Protocol message {} has no \"{name}\" field.", descriptor.name());
            return Err(PyValueError::new_err(text));
        }
        self.place.write(|message| fields.iter().for_each(|field| message.clear_field(field)));
        Ok(())
    }

    /// Give the encoded size in bytes.
    #[pyo3(name = "ByteSize")]
    fn byte_size(&self) -> usize {
        self.place.read(|message| encode(message).len())
    }

    /// Whether all required fields are set; these messages have none.
    #[pyo3(name = "IsInitialized")]
    fn is_initialized(&self) -> bool {
        true
    }

    /// Set this part in its message, with what it has.
    #[pyo3(name = "SetInParent")]
    fn set_in_parent(&self) {
        self.place.write(|_| ());
    }

    /// Forget what this version of the definitions does not know.
    #[pyo3(name = "DiscardUnknownFields")]
    fn discard_unknown_fields(&self) {
        self.place.write(|message| drop(message.take_unknown_fields().collect::<Vec<_>>()));
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        self.place.complete(other.py())?;
        other.get().place.complete(other.py())?;
        Ok(same(&self.place.copy(), &other.get().place.copy()))
    }

    fn __copy__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.place.complete(py)?;
        wrap(py, Place::new(self.place.copy()))
    }

    fn __deepcopy__<'py>(&self, py: Python<'py>, _memo: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.__copy__(py)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let restore = py.import("thingslink._native")?.getattr("_parse_proto")?;
        let arguments = (self.descriptor().full_name().to_owned(), self.serialize(py)?).into_pyobject(py)?;
        Ok((restore, arguments))
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        self.place.complete(py)?;
        Ok(self.place.read(to_text))
    }
}
