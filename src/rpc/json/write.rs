//! From a message to JSON: what is zero is left out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};

use super::form::{hex_length, is_numeric, wrapped};
use super::time;
use crate::rpc::message::pool;

/// What fields of a type that is written by itself hold.
fn parts(message: &DynamicMessage) -> (i64, i32) {
    let number = |name: &str| message.get_field_by_name(name);
    let seconds = number("seconds").and_then(|value| value.as_i64());
    (seconds.unwrap_or(0), number("nanos").and_then(|value| value.as_i32()).unwrap_or(0))
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number as JavaScript writes it: whole ones without a fraction. What JSON does not have is a text.
#[must_use]
pub fn double(number: f64) -> String {
    let size = number.abs();
    match number {
        _ if number.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        _ if size != 0.0 && size < 1e-6 => format!("{number:e}"),
        _ if size >= 1e21 => format!("{number:e}").replace('e', "e+"),
        _ => format!("{number}"),
    }
}

/// Write a message.
#[must_use]
pub fn write(message: &DynamicMessage) -> String {
    let mut out = String::new();
    put_message(&mut out, message);
    out
}

fn put_message(out: &mut String, message: &DynamicMessage) {
    let descriptor = message.descriptor();
    if let Some(field) = wrapped(&descriptor) {
        return put_value(out, &field, &message.get_field(&field));
    }
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let (seconds, nanos) = parts(message);
            *out += &quoted(&time::instant(seconds, nanos));
        }
        "google.protobuf.Duration" => {
            let (seconds, nanos) = parts(message);
            *out += &quoted(&time::duration(seconds, nanos));
        }
        "google.protobuf.Struct" | "google.protobuf.ListValue" => {
            let content = message.fields().next().map(|(field, value)| (field, value.clone()));
            match content {
                Some((field, value)) => put_field(out, &field, &value),
                None => *out += if descriptor.name() == "Struct" { "{}" } else { "[]" },
            }
        }
        "google.protobuf.Value" => match message.fields().next() {
            Some((field, value)) if field.name() != "null_value" => put_value(out, &field, value),
            _ => *out += "null",
        },
        "google.protobuf.Any" => put_any(out, message),
        _ => put_members(out, message, None),
    }
}

fn put_members(out: &mut String, message: &DynamicMessage, type_url: Option<&str>) {
    out.push('{');
    let mut gap = "";
    if let Some(type_url) = type_url {
        // Writing to a text does not fail.
        let _written = write!(out, "\"@type\":{}", quoted(type_url));
        gap = ",";
    }
    for (field, value) in message.fields() {
        let _written = write!(out, "{gap}\"{}\":", field.name());
        put_field(out, &field, value);
        gap = ",";
    }
    out.push('}');
}

/// A message of any type, with the name of it. Of types that are not known here nothing but the name.
fn put_any(out: &mut String, any: &DynamicMessage) {
    let (type_url, bytes) = (any.get_field_by_name("type_url"), any.get_field_by_name("value"));
    let type_url = type_url.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
    let descriptor = pool().get_message_by_name(type_url.rsplit('/').next().unwrap_or_default());
    let decode = |descriptor: MessageDescriptor| {
        let bytes = bytes.as_ref().and_then(|value| value.as_bytes()).cloned().unwrap_or_default();
        DynamicMessage::decode(descriptor, bytes).ok()
    };
    match descriptor.and_then(decode) {
        Some(message) => put_members(out, &message, Some(type_url)),
        None => put_members(out, &DynamicMessage::new(any.descriptor()), Some(type_url)),
    }
}

fn put_field(out: &mut String, field: &FieldDescriptor, value: &Value) {
    match value {
        Value::List(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                *out += if at > 0 { "," } else { "" };
                put_value(out, field, value);
            }
            out.push(']');
        }
        Value::Map(values) => {
            let Kind::Message(entry) = field.kind() else { return };
            let inner = entry.map_entry_value_field();
            let name = |key: &MapKey| match key {
                MapKey::String(text) => text.clone(),
                MapKey::Bool(flag) => flag.to_string(),
                MapKey::I32(number) => number.to_string(),
                MapKey::I64(number) => number.to_string(),
                MapKey::U32(number) => number.to_string(),
                MapKey::U64(number) => number.to_string(),
            };
            let mut sorted: Vec<_> = values.iter().map(|(key, value)| (name(key), value)).collect();
            sorted.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            out.push('{');
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                *out += if at > 0 { "," } else { "" };
                *out += &quoted(&name);
                out.push(':');
                put_value(out, &inner, value);
            }
            out.push('}');
        }
        value => put_value(out, field, value),
    }
}

fn put_value(out: &mut String, field: &FieldDescriptor, value: &Value) {
    match value {
        Value::Bool(flag) => *out += &flag.to_string(),
        Value::I32(number) => *out += &number.to_string(),
        Value::U32(number) => *out += &number.to_string(),
        Value::I64(number) => *out += &quoted(&number.to_string()),
        Value::U64(number) => *out += &quoted(&number.to_string()),
        // As shortly as the one of less precision.
        Value::F32(number) => *out += &double(number.to_string().parse().unwrap_or_else(|_| f64::from(*number))),
        Value::F64(number) => *out += &double(*number),
        Value::String(text) => *out += &quoted(text),
        Value::Bytes(bytes) if hex_length(field).is_some() => *out += &quoted(&hex::encode_upper(bytes)),
        Value::Bytes(bytes) => *out += &quoted(&STANDARD.encode(bytes)),
        Value::EnumNumber(number) => {
            let Kind::Enum(members) = field.kind() else { return };
            let name = members.get_value(*number).filter(|_| !is_numeric(&members));
            *out += &name.map_or_else(|| number.to_string(), |name| quoted(name.name()));
        }
        Value::Message(message) => put_message(out, message),
        Value::List(_) | Value::Map(_) => put_field(out, field, value),
    }
}
