//! What is shown of messages: their fields without keys.

use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage as _, Value};
use pyo3::prelude::*;

use super::message::PyMessage;
use super::repeated::PyRepeated;
use super::value::is_secret;
use crate::py::shown::{HIDDEN, Pair, ROWS, grid, pairs};
use crate::rpc::to_text;

/// The fields that are set by their dotted names; bytes in hex.
pub(in crate::py) fn rows(message: &DynamicMessage) -> Vec<Pair> {
    let mut found = Vec::new();
    add(message, "", &mut found);
    found
}

fn add(message: &DynamicMessage, before: &str, found: &mut Vec<Pair>) {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    for (field, value) in fields {
        let name = format!("{before}{}", field.name());
        if is_secret(field.name()) && !matches!(value, Value::Message(_)) {
            found.push((name, HIDDEN.to_owned()));
            continue;
        }
        match value {
            Value::Message(part) => add(part, &format!("{name}."), found),
            Value::List(elements) if matches!(field.kind(), Kind::Message(_)) => {
                for (place, part) in elements.iter().filter_map(Value::as_message).enumerate() {
                    add(part, &format!("{name}[{place}]."), found);
                }
            }
            Value::List(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| text(element, &field.kind())).collect();
                found.push((name, elements.join(", ")));
            }
            Value::Map(entries) => {
                let Kind::Message(entry) = field.kind() else { continue };
                let kind = entry.map_entry_value_field().kind();
                let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key_text(key), value)).collect();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                for (key, value) in entries {
                    match value {
                        Value::Message(part) => add(part, &format!("{name}.{key}."), found),
                        value => found.push((format!("{name}.{key}"), text(value, &kind))),
                    }
                }
            }
            value => found.push((name, text(value, &field.kind()))),
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::String(text) => text.clone(),
        MapKey::Bool(value) => value.to_string(),
        MapKey::I32(number) => number.to_string(),
        MapKey::I64(number) => number.to_string(),
        MapKey::U32(number) => number.to_string(),
        MapKey::U64(number) => number.to_string(),
    }
}

fn text(value: &Value, kind: &Kind) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Bytes(bytes) => hex::encode_upper(bytes),
        Value::EnumNumber(number) => kind
            .as_enum()
            .and_then(|known| known.get_value(*number))
            .map_or_else(|| number.to_string(), |known| known.name().to_owned()),
        Value::Message(_) | Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// Put something else in the place of what is secret.
fn hide(message: &mut DynamicMessage) {
    let names: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in names {
        let secret = is_secret(field.name());
        match message.get_field_mut(&field) {
            Value::Message(part) => hide(part),
            Value::List(elements) => elements.iter_mut().filter_map(Value::as_message_mut).for_each(hide),
            Value::Map(entries) if secret => {
                for value in entries.values_mut() {
                    *value = Value::String(HIDDEN.to_owned());
                }
            }
            Value::Map(entries) => entries.values_mut().filter_map(Value::as_message_mut).for_each(hide),
            Value::String(text) if secret => HIDDEN.clone_into(text),
            Value::Bytes(bytes) if secret => *bytes = HIDDEN.as_bytes().into(),
            _ => {}
        }
    }
}

fn html(message: &DynamicMessage) -> String {
    pairs(message.descriptor().name(), &rows(message))
}

#[pymethods(crate = "crate::py::named")]
impl PyMessage {
    /// Of what is known by now, without keys: whoever logs or shows a list asks no server.
    fn __repr__(&self) -> String {
        let mut message = self.place().copy();
        hide(&mut message);
        to_text(&message)
    }

    fn _repr_html_(&self) -> String {
        html(&self.place().copy())
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyRepeated {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.list(py)?.repr()?.to_string())
    }

    /// A row for each message; of single values their text.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let list = self.list(py)?;
        let mut objects = Vec::new();
        for element in list.iter().take(ROWS) {
            let Ok(message) = element.cast::<PyMessage>() else { return Ok(None) };
            let mut row = rows(&message.get().place().copy());
            row.retain(|(_, value)| value != HIDDEN);
            objects.push(row);
        }
        let title = match list.len() {
            1 => "1 entry".to_owned(),
            number => format!("{number} entries"),
        };
        Ok(Some(grid(&title, &objects, list.len())))
    }
}
