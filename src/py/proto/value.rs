//! Field values in both directions, with protobuf's rules about types and ranges.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyString};

use super::classes::wrap;
use super::map::PyMap;
use super::message::PyMessage;
use super::place::{Place, message_type};
use super::repeated::PyRepeated;
use crate::py::leaving;

/// Whether values of this field are never shown: keys, and what `ChirpStack` keeps for codecs and integrations of a device,
/// tokens as a rule.
pub(in crate::py) fn is_secret(name: &str) -> bool {
    (name.ends_with("key") && name != "public_key") || name == "variables"
}

/// The value of a field of the message at `place`: parts are views.
pub(super) fn field_to_py<'py>(py: Python<'py>, place: &Place, field: &FieldDescriptor) -> PyResult<Bound<'py, PyAny>> {
    if field.is_map() {
        return PyMap::new(place.clone(), field.clone()).into_bound_py_any(py);
    }
    if field.is_list() {
        return PyRepeated::field(place.clone(), field.clone()).into_bound_py_any(py);
    }
    if matches!(field.kind(), Kind::Message(_)) {
        return wrap(py, place.part(field.clone(), None));
    }
    scalar_to_py(py, &place.value(field))
}

/// A value that has no parts.
pub(super) fn scalar_to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Bool(value) => value.into_bound_py_any(py),
        Value::I32(value) | Value::EnumNumber(value) => value.into_bound_py_any(py),
        Value::I64(value) => value.into_bound_py_any(py),
        Value::U32(value) => value.into_bound_py_any(py),
        Value::U64(value) => value.into_bound_py_any(py),
        Value::F32(value) => f64::from(*value).into_bound_py_any(py),
        Value::F64(value) => value.into_bound_py_any(py),
        Value::String(value) => value.into_bound_py_any(py),
        Value::Bytes(value) => Ok(PyBytes::new(py, value).into_any()),
        Value::Message(message) => wrap(py, Place::new(message.clone())),
        Value::List(_) | Value::Map(_) => Err(PyTypeError::new_err("not a single value")),
    }
}

fn unfit(field: &FieldDescriptor, value: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    let given = value.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
    let shown = match value.repr() {
        Ok(repr) if !is_secret(field.name()) => format!("{repr} "),
        _ => String::new(),
    };
    PyTypeError::new_err(format!("{}: {shown}has type {given}, but expected one of: {expected}", field.name()))
}

fn integer<T: TryFrom<i128>>(field: &FieldDescriptor, value: &Bound<'_, PyAny>) -> PyResult<T> {
    if !value.is_instance_of::<PyInt>() {
        return Err(unfit(field, value, "int"));
    }
    let number = value.extract::<i128>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| match value.repr() {
        Ok(repr) => PyValueError::new_err(format!("{}: Value out of range: {repr}", field.name())),
        Err(failure) => failure,
    })
}

fn float(field: &FieldDescriptor, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() {
        value.extract()
    } else {
        Err(unfit(field, value, "int, float"))
    }
}

/// One value for a field, or one element of it.
pub(super) fn scalar_from_py(field: &FieldDescriptor, value: &Bound<'_, PyAny>) -> PyResult<Value> {
    match field.kind() {
        Kind::Bool if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyInt>() => {
            Ok(Value::Bool(value.is_truthy()?))
        }
        Kind::Bool => Err(unfit(field, value, "bool, int")),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Ok(Value::I32(integer(field, value)?)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Ok(Value::I64(integer(field, value)?)),
        Kind::Uint32 | Kind::Fixed32 => Ok(Value::U32(integer(field, value)?)),
        Kind::Uint64 | Kind::Fixed64 => Ok(Value::U64(integer(field, value)?)),
        #[expect(clippy::cast_possible_truncation, reason = "the field has single precision")]
        Kind::Float => Ok(Value::F32(float(field, value)? as f32)),
        Kind::Double => Ok(Value::F64(float(field, value)?)),
        Kind::String => {
            if let Ok(text) = value.cast::<PyString>() {
                return Ok(Value::String(text.to_str()?.to_owned()));
            }
            let bytes = value.cast::<PyBytes>().map_err(|_| unfit(field, value, "bytes, str"))?;
            let text = std::str::from_utf8(bytes.as_bytes())
                .map_err(|_| PyValueError::new_err(format!("{}: bytes that are not valid UTF-8", field.name())))?;
            Ok(Value::String(text.to_owned()))
        }
        Kind::Bytes if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() => {
            Ok(Value::Bytes(value.extract::<Vec<u8>>()?.into()))
        }
        Kind::Bytes => Err(unfit(field, value, "bytes")),
        Kind::Message(descriptor) => {
            if let Ok(message) = value.cast::<PyMessage>() {
                let message = message.get().place();
                if message.descriptor() == descriptor {
                    return Ok(Value::Message(message.copy()));
                }
            } else if let Ok(dict) = value.cast::<PyDict>() {
                let mut message = DynamicMessage::new(descriptor);
                fill(&mut message, dict)?;
                return Ok(Value::Message(message));
            }
            Err(unfit(field, value, descriptor.name()))
        }
        Kind::Enum(_) => Err(unfit(field, value, "nothing: the definitions have no enumerations")),
    }
}

/// The key of an entry of a map; all our maps have text keys.
pub(super) fn key_from_py(field: &FieldDescriptor, key: &Bound<'_, PyAny>) -> PyResult<MapKey> {
    let text = key.cast::<PyString>().map_err(|_| unfit(field, key, "str"))?;
    Ok(MapKey::String(text.to_str()?.to_owned()))
}

/// The field that describes the values of a map.
pub(super) fn entry_value(field: &FieldDescriptor) -> FieldDescriptor {
    message_type(field).map_entry_value_field()
}

/// Any value for a field, whole lists and maps included.
pub(in crate::py) fn set_from_py(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    leaving::within(value.py(), || set_any(message, field, value))
}

fn set_any(message: &mut DynamicMessage, field: &FieldDescriptor, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if field.is_map() {
        let entry = entry_value(field);
        let items = value.call_method0("items").map_err(|_| unfit(field, value, "a mapping"))?;
        for item in items.try_iter()? {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
            let (key, value) = (key_from_py(field, &key)?, scalar_from_py(&entry, &value)?);
            if let Some(map) = message.get_field_mut(field).as_map_mut() {
                map.insert(key, value);
            }
        }
        return Ok(());
    }
    if field.is_list() {
        for element in value.try_iter()? {
            let element = scalar_from_py(field, &element?)?;
            if let Some(list) = message.get_field_mut(field).as_list_mut() {
                list.push(element);
            }
        }
        return Ok(());
    }
    message.set_field(field, scalar_from_py(field, value)?);
    Ok(())
}

/// Fill a message from names and values; `None` leaves a field as it is.
pub(super) fn fill(message: &mut DynamicMessage, values: &Bound<'_, PyDict>) -> PyResult<()> {
    for (name, value) in values {
        let name: String = name.extract()?;
        let field = message.descriptor().get_field_by_name(&name).ok_or_else(|| {
            PyValueError::new_err(format!("Protocol message {} has no \"{name}\" field.", message.descriptor().name()))
        })?;
        if !value.is_none() {
            set_from_py(message, &field, &value)?;
        }
    }
    Ok(())
}
