//! Device dictionaries: any spelling of the keys, hex in any form, checked before anything is sent.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::py::arguments::wrong_type;
use crate::py::convert::exact_bytes;
use crate::py::error::OrRaise as _;
use crate::py::leaving;
use crate::py::proto::{PyMessage, set_from_py};
use crate::rpc::message::{descriptor, encode, merge as merge_message};

const LORAWAN: &str = "lorawan_device";
/// What a device may be activated by and where; any of them, comma separated.
const CONSTRAINTS: [&str; 6] = ["otaa", "abp", "world", "local", "private", "testing"];

/// Natural lengths of what is bytes on the wire; the network refuses all others.
pub(super) fn byte_length(name: &str) -> Option<usize> {
    match name {
        "app_eui" | "dev_eui" => Some(8),
        "dev_addr" => Some(4),
        "nwk_s_key" | "app_s_key" | "app_key" => Some(16),
        "used_dev_nonces" => Some(2),
        "used_app_nonces" => Some(3),
        _ => None,
    }
}

/// Merge what is given, a dictionary or a `Device`, into a device. `attributes` are merged, too. Gives the names of the
/// fields that are given.
pub(super) fn merge(
    device: &mut DynamicMessage,
    argument: &str,
    given: &Bound<'_, PyAny>,
) -> PyResult<BTreeSet<String>> {
    if let Ok(message) = given.cast::<PyMessage>() {
        message.get().place().complete(given.py())?;
        let other = message.get().place().copy();
        if other.descriptor().full_name() != "handler.Device" {
            return Err(wrong_type(argument, "a dict or a Device", given));
        }
        check_lengths(&other)?;
        merge_message(device, &encode(&other)).or_raise(given.py())?;
        let mut names = names(&other);
        let lorawan = other.get_field_by_name(LORAWAN);
        names.extend(lorawan.and_then(|lorawan| lorawan.as_message().map(self::names)).unwrap_or_default());
        return Ok(names);
    }
    let mut seen = BTreeSet::new();
    leaving::within(given.py(), || {
        items(argument, given)?.iter().try_for_each(|(key, value)| merge_item(device, key, value, &mut seen))
    })?;
    Ok(seen)
}

/// The fields that are set.
fn names(message: &DynamicMessage) -> BTreeSet<String> {
    message.fields().map(|(field, _)| field.name().to_owned()).collect()
}

/// Key and value of each item of a mapping.
fn items<'py>(name: &str, given: &Bound<'py, PyAny>) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    let wrong = || wrong_type(name, "a dict or a Device", given);
    let items = given.call_method0("items").map_err(|_| wrong())?;
    items
        .try_iter()?
        .map(|item| {
            let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item?.extract()?;
            let key = key.cast::<PyString>().map_err(|_| wrong_type("a key of the device", "str", &key))?;
            Ok((key.to_str()?.to_owned(), value))
        })
        .collect()
}

fn find(of: &str, key: &str) -> Option<FieldDescriptor> {
    descriptor(of).fields().find(|field| field.name() == key || field.json_name() == key)
}

fn merge_item(
    device: &mut DynamicMessage,
    key: &str,
    value: &Bound<'_, PyAny>,
    seen: &mut BTreeSet<String>,
) -> PyResult<()> {
    let top = find("handler.Device", key);
    let lorawan = find("lorawan.Device", key);
    if matches!(&top, Some(field) if field.name() == LORAWAN) {
        if let Ok(message) = value.cast::<PyMessage>() {
            let mut part = DynamicMessage::new(descriptor("handler.Device"));
            let other = message.get().place().copy();
            if other.descriptor().full_name() != "lorawan.Device" {
                return Err(wrong_type(key, "a dict or a LorawanDevice", value));
            }
            part.set_field_by_name(LORAWAN, Value::Message(other));
            check_lengths(&part)?;
            seen.extend(
                part.get_field_by_name(LORAWAN).and_then(|part| part.as_message().map(names)).unwrap_or_default(),
            );
            return merge_message(device, &encode(&part)).or_raise(value.py());
        }
        // Set even when empty: without it the network refuses the device.
        lorawan_part(device);
        for (key, value) in items(key, value)? {
            let Some(field) = find("lorawan.Device", &key) else { return Err(unknown(value.py(), &key)) };
            once(seen, &field)?;
            set(lorawan_part(device), &field, &value)?;
        }
        return Ok(());
    }
    let Some(field) = top.as_ref().or(lorawan.as_ref()) else { return Err(unknown(value.py(), key)) };
    // The IDs are arguments of their own.
    if matches!(field.name(), "app_id" | "dev_id") {
        return Ok(());
    }
    once(seen, field)?;
    if top.is_some() { set(device, field, value) } else { set(lorawan_part(device), field, value) }
}

fn once(seen: &mut BTreeSet<String>, field: &FieldDescriptor) -> PyResult<()> {
    if seen.insert(field.name().to_owned()) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("{} is given twice, in two spellings", field.name())))
}

/// The LoRaWAN part, set now if need be.
pub(super) fn lorawan_part(device: &mut DynamicMessage) -> &mut DynamicMessage {
    let value = device.get_field_by_name_mut(LORAWAN).expect("a field of handler.Device");
    value.as_message_mut().expect("a message field")
}

fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = field.name();
    match (name, byte_length(name)) {
        (_, Some(length)) if field.is_list() => {
            let elements = value
                .try_iter()
                .map_err(|_| wrong_type(name, "a list", value))?
                .map(|element| Ok(Value::Bytes(exact_bytes(name, &element?, length)?.into())))
                .collect::<PyResult<_>>()?;
            message.set_field(field, Value::List(elements));
            Ok(())
        }
        (_, Some(_)) if is_empty(value) => {
            message.clear_field(field);
            Ok(())
        }
        (_, Some(length)) => {
            message.set_field(field, Value::Bytes(exact_bytes(name, value, length)?.into()));
            Ok(())
        }
        ("attributes", _) => set_attributes(message, field, value),
        ("activation_constraints", _) => {
            let text = constraints(value)?;
            message.set_field(field, Value::String(text));
            Ok(())
        }
        // The messages take `True` for a number, as ever; a dictionary is ours.
        _ if value.is_instance_of::<PyBool>() && field.kind() != Kind::Bool => Err(wrong_type(name, "a number", value)),
        _ => set_from_py(message, field, value),
    }
}

/// An empty text: as with the original, the field is left out.
fn is_empty(value: &Bound<'_, PyAny>) -> bool {
    value.len().is_ok_and(|length| length == 0)
}

fn set_attributes(message: &mut DynamicMessage, field: &FieldDescriptor, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let kept = PyDict::new(value.py());
    for (key, value) in items("attributes", value).map_err(|_| wrong_type("attributes", "a dict of str", value))? {
        if value.is_none() {
            if let Some(map) = message.get_field_mut(field).as_map_mut() {
                map.remove(&MapKey::String(key));
            }
        } else {
            kept.set_item(key, value)?;
        }
    }
    set_from_py(message, field, kept.as_any())
}

/// Activation constraints as text or as a list.
pub(super) fn constraints(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let words: Vec<String> = match value.cast::<PyString>() {
        Ok(text) => {
            let text = text.to_str()?;
            text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
        }
        Err(_) => value.extract().map_err(|_| wrong_type("activation_constraints", "str or a list of str", value))?,
    };
    match words.iter().find(|word| !CONSTRAINTS.contains(&word.as_str())) {
        Some(word) => Err(PyValueError::new_err(format!(
            "activation_constraints {word:?} is not valid: expected some of {}",
            CONSTRAINTS.join(", ")
        ))),
        None => Ok(words.join(",")),
    }
}

fn unknown(py: Python<'_>, key: &str) -> PyErr {
    let names: Vec<String> = ["handler.Device", "lorawan.Device"]
        .iter()
        .flat_map(|of| descriptor(of).fields().map(|field| field.name().to_owned()).collect::<Vec<_>>())
        .collect();
    // Compared as snake_case, which is what the keys are called.
    let snake: String = key
        .chars()
        .flat_map(|letter| {
            if letter.is_uppercase() { format!("_{}", letter.to_lowercase()) } else { letter.into() }.into_bytes()
        })
        .map(char::from)
        .collect();
    let near = || py.import("difflib")?.call_method1("get_close_matches", (snake, names.clone(), 1, 0.5));
    let nearest = leaving::within(py, near).and_then(|matches| matches.extract::<Vec<String>>());
    match nearest {
        Ok(nearest) => {
            let hint = nearest.first().map_or_else(
                || format!("expected some of {}", names.join(", ")),
                |nearest| format!("did you mean '{nearest}'?"),
            );
            PyValueError::new_err(format!("unknown key {key:?} of a device: {hint}"))
        }
        Err(failure) => failure,
    }
}

/// Whether everything that is bytes has its natural length.
fn check_lengths(device: &DynamicMessage) -> PyResult<()> {
    let Some(lorawan) = device.get_field_by_name(LORAWAN) else { return Ok(()) };
    let Some(lorawan) = lorawan.as_message() else { return Ok(()) };
    for (field, value) in lorawan.fields() {
        let Some(length) = byte_length(field.name()) else { continue };
        let single = std::slice::from_ref(value);
        for value in value.as_list().unwrap_or(single) {
            let given = value.as_bytes().map_or(0, bytes::Bytes::len);
            if given != length {
                let text = format!("{} is not valid: expected {length} bytes, got {given}", field.name());
                return Err(PyValueError::new_err(text));
            }
        }
    }
    Ok(())
}
