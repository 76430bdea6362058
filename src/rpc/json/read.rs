//! From JSON to a message: names in both spellings, what is unknown is passed over.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde_json::Value as Json;

use super::form::{hex_length, member, wrapped};
use super::time;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why JSON is no message, in the stack's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where in a message: the messages on the way, and a field that is written in a form of its own.
#[derive(Clone, Debug, Default)]
struct Path(Vec<String>);

impl Path {
    fn with(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    fn fail<T>(&self, why: impl std::fmt::Display) -> Result<T, Unreadable> {
        let place = self.0.join(".");
        let place = if place.is_empty() { String::new() } else { format!(" at path \"{place}\"") };
        Err(Unreadable(format!("unmarshal error{place}: {why}")))
    }
}

/// The JSON of these bytes; nothing at all is an empty object.
///
/// # Errors
/// In the words of Go's reader.
pub fn parse(bytes: &[u8]) -> Result<Json, Unreadable> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Json::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_eof() {
            return Unreadable("unexpected EOF".to_owned());
        }
        let line = bytes.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        let byte = line.get(error.column().saturating_sub(1)).or(line.last()).copied().unwrap_or(b' ');
        let text = error.to_string();
        let sought = match text.as_str() {
            _ if text.starts_with("key must be a string") => "looking for beginning of object key string",
            _ if text.starts_with("expected value") => "looking for beginning of value",
            _ if text.starts_with("expected `:`") => "after object key",
            _ if text.starts_with("expected `,` or `}`") => "after object key:value pair",
            _ if text.starts_with("expected `,` or `]`") => "after array element",
            _ if text.starts_with("trailing characters") => "after top-level value",
            _ => "in literal",
        };
        Unreadable(format!("invalid character '{}' {sought}", byte.escape_ascii()))
    })
}

/// Read a message.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(descriptor: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Unreadable> {
    message(descriptor, json, &Path::default())
}

/// Set the field at a path of names, from a text as it stands in an address; of a list one more element.
///
/// # Errors
/// As [`read`].
pub fn set(target: &mut DynamicMessage, path: &str, text: &str) -> Result<(), Unreadable> {
    use prost_reflect::ReflectMessage as _;
    let (name, below) = path.split_once('.').map_or((path, None), |(name, below)| (name, Some(below)));
    // As the gateway does: what it does not know it passes over.
    let Some(field) = find(&target.descriptor(), name) else { return Ok(()) };
    match (below, field.kind()) {
        (Some(below), Kind::Message(_)) if !field.is_list() && !field.is_map() => match target.get_field_mut(&field) {
            Value::Message(inner) => set(inner, below, text),
            _ => Ok(()),
        },
        (Some(_), _) => Ok(()),
        (None, kind) => {
            let path = Path::default();
            let value = match kind {
                Kind::Bool => match text {
                    "true" | "1" => Value::Bool(true),
                    "false" | "0" => Value::Bool(false),
                    _ => return path.fail(format_args!("invalid value {text:?} of {name}")),
                },
                // Hexadecimal digits are base64, too, and there nothing else.
                Kind::Bytes => Value::Bytes(
                    BASE64
                        .decode(standard(text))
                        .map(Bytes::from)
                        .or_else(|_| path.fail(format_args!("invalid value of {name}: illegal base64 data")))?,
                ),
                _ => value(&field, &Json::from(text), &path)?,
            };
            if field.is_list() {
                if let Value::List(values) = target.get_field_mut(&field) {
                    values.push(value);
                }
            } else if !field.is_map() {
                target.set_field(&field, value);
            }
            Ok(())
        }
    }
}

/// A field by its name, in both spellings.
fn find(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name))
}

fn message(descriptor: &MessageDescriptor, json: &Json, path: &Path) -> Result<DynamicMessage, Unreadable> {
    let mut read = DynamicMessage::new(descriptor.clone());
    let mut set = |name: &str, value: Value| read.set_field_by_name(name, value);
    let full_name = descriptor.full_name();
    match (full_name, json) {
        ("google.protobuf.Timestamp" | "google.protobuf.Duration", json) => {
            let text = json.as_str().unwrap_or_default();
            let is_time = full_name.ends_with("Timestamp");
            let parts = if is_time { time::read_instant(text) } else { time::read_duration(text) };
            let Some((seconds, nanos)) = parts else {
                let what = if is_time { "time" } else { "duration" };
                return path.fail(format_args!("invalid {what} {json}"));
            };
            set("seconds", Value::I64(seconds));
            set("nanos", Value::I32(nanos));
        }
        ("google.protobuf.FieldMask", Json::String(paths)) => {
            let paths = paths.split(',').map(str::trim).filter(|path| !path.is_empty());
            set("paths", Value::List(paths.map(|path| Value::String(path.to_owned())).collect()));
        }
        ("google.protobuf.Struct", Json::Object(_)) => {
            let field = descriptor.get_field_by_name("fields");
            let content = field.map(|field| content(&field, json, path)).transpose()?;
            set("fields", content.unwrap_or_else(|| Value::Map(HashMap::new())));
        }
        ("google.protobuf.ListValue", Json::Array(_)) => {
            let field = descriptor.get_field_by_name("values");
            let content = field.map(|field| content(&field, json, path)).transpose()?;
            set("values", content.unwrap_or_else(|| Value::List(Vec::new())));
        }
        ("google.protobuf.Value", json) => free(descriptor, &mut read, json, path)?,
        (_, json) => match (wrapped(descriptor), json) {
            (Some(field), json) if !json.is_object() => {
                let value = value(&field, json, path)?;
                read.set_field(&field, value);
            }
            (_, Json::Object(members)) => {
                for (name, json) in members {
                    let Some(field) = find(descriptor, name).filter(|_| !json.is_null()) else { continue };
                    let value = content(&field, json, path)?;
                    read.set_field(&field, value);
                }
            }
            _ => return path.fail(format_args!("expected an object, got {}", kind_of(json))),
        },
    }
    Ok(read)
}

/// A free value.
fn free(
    descriptor: &MessageDescriptor,
    target: &mut DynamicMessage,
    json: &Json,
    path: &Path,
) -> Result<(), Unreadable> {
    let name = match json {
        Json::Null => "null_value",
        Json::Bool(_) => "bool_value",
        Json::Number(_) => "number_value",
        Json::String(_) => "string_value",
        Json::Array(_) => "list_value",
        Json::Object(_) => "struct_value",
    };
    let Some(field) = descriptor.get_field_by_name(name) else { return Ok(()) };
    let read = if json.is_null() { Value::EnumNumber(0) } else { value(&field, json, path)? };
    target.set_field(&field, read);
    Ok(())
}

/// What a field holds, of which there may be many.
fn content(field: &FieldDescriptor, json: &Json, path: &Path) -> Result<Value, Unreadable> {
    let is_message = matches!(field.kind(), Kind::Message(_));
    let path = if is_message || hex_length(field).is_some() { &path.with(field.name()) } else { path };
    match json {
        Json::Array(values) if field.is_list() => {
            let read = values.iter().map(|json| value(field, json, path)).collect::<Result<_, _>>()?;
            Ok(Value::List(read))
        }
        Json::Object(members) if field.is_map() => {
            let Kind::Message(entry) = field.kind() else { return path.fail("no map") };
            let inner = entry.map_entry_value_field();
            let read =
                members.iter().map(|(name, json)| Ok((MapKey::String(name.clone()), value(&inner, json, path)?)));
            Ok(Value::Map(read.collect::<Result<_, _>>()?))
        }
        _ if field.is_list() => path.fail(format_args!("expected a list, got {}", kind_of(json))),
        _ if field.is_map() => path.fail(format_args!("expected an object, got {}", kind_of(json))),
        json => value(field, json, path),
    }
}

fn whole<T: std::str::FromStr>(number: &str, path: &Path) -> Result<T, Unreadable> {
    let of = std::any::type_name::<T>();
    number.parse().or_else(|_| path.fail(format_args!("invalid value: {number:?} is no number of type {of}")))
}

fn value(field: &FieldDescriptor, json: &Json, path: &Path) -> Result<Value, Unreadable> {
    let wrong = |expected: &str| path.fail(format_args!("invalid value: expected {expected}, got {}", kind_of(json)));
    // Numbers may be texts, too.
    let number = match json {
        Json::String(text) => Cow::Borrowed(text.as_str()),
        Json::Number(number) => match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < 9e15 => {
                Cow::Owned(format!("{whole}"))
            }
            _ => Cow::Owned(number.to_string()),
        },
        _ => Cow::Borrowed(""),
    };
    Ok(match field.kind() {
        Kind::Bool => match json {
            Json::Bool(flag) => Value::Bool(*flag),
            _ => return wrong("true or false"),
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(whole(&number, path)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(whole(&number, path)?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(whole(&number, path)?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(whole(&number, path)?),
        Kind::Float => Value::F32(whole(&number, path)?),
        Kind::Double => Value::F64(whole(&number, path)?),
        Kind::String => match json {
            Json::String(text) => Value::String(text.clone()),
            _ => return wrong("a text"),
        },
        Kind::Bytes => match json {
            Json::String(text) => Value::Bytes(bytes(field, text, path)?),
            _ => return wrong("a text"),
        },
        Kind::Enum(members) => match json {
            Json::Number(_) => Value::EnumNumber(whole(&number, path)?),
            Json::String(name) => match member(&members, name).or_else(|| name.parse().ok()) {
                Some(number) => Value::EnumNumber(number),
                None => return path.fail(format_args!("unknown value for enum: {}", Json::from(name.as_str()))),
            },
            _ => return wrong("a name"),
        },
        Kind::Message(inner) => Value::Message(message(&inner, json, path)?),
    })
}

/// Base64 of either alphabet in the usual one.
fn standard(text: &str) -> String {
    text.replace('-', "+").replace('_', "/")
}

/// Bytes as base64, of both alphabets; those of a fixed length in hexadecimal digits as well.
fn bytes(field: &FieldDescriptor, text: &str, path: &Path) -> Result<Bytes, Unreadable> {
    let plain = standard(text);
    if let Some(length) = hex_length(field).filter(|_| !text.is_empty()) {
        if text.len() == 2 * length
            && let Ok(read) = hex::decode(text)
        {
            return Ok(read.into());
        }
        return match BASE64.decode(&plain) {
            Ok(read) if read.len() == length => Ok(read.into()),
            _ => {
                let runes = text.chars().count();
                let words = format!("invalid length: want {length} bytes, got {runes} runes");
                path.fail(format_args!("error:pkg/types:invalid_length ({words})"))
            }
        };
    }
    BASE64.decode(&plain).map(Bytes::from).or_else(|_| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let at = plain.bytes().position(|byte| !is_letter(byte)).unwrap_or(plain.len());
        path.fail(format_args!("invalid value: illegal base64 data at input byte {at}"))
    })
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rpc::json::write;
    use crate::rpc::message::descriptor;

    fn device(json: &Json) -> Result<DynamicMessage, Unreadable> {
        read(&descriptor("ttn.lorawan.v3.SetEndDeviceRequest"), json)
    }

    #[test]
    fn messages_come_back_as_they_went() {
        let whole = json!({
            "end_device": {
                "ids": {"device_id": "abp1", "application_ids": {"application_id": "app1"}, "dev_eui": "70B3D57ED00000B1"},
                "created_at": "2026-11-25T22:54:59.212803Z",
                "attributes": {"room": "b2"},
                "locations": {"user": {"latitude": 52.3702, "altitude": -1, "source": "SOURCE_REGISTRY"}},
                "lorawan_version": "MAC_V1_0_2",
                "mac_settings": {
                    "rx1_delay": 5, "rx2_frequency": "869525000", "factory_preset_frequencies": ["868100000"],
                    "resets_f_cnt": false, "status_time_periodicity": "0.250s", "status_count_periodicity": 0,
                },
                "session": {"dev_addr": "01020304", "keys": {"session_key_id": "AQI=", "app_s_key": {"key": "00".repeat(16)}}},
            },
            "field_mask": {"paths": ["name"]},
        });
        let written: Json = serde_json::from_str(&write(&device(&whole).unwrap())).unwrap();
        assert_eq!(written, whole);
    }

    #[test]
    fn many_spellings_are_taken() {
        let read = |json: Json| write(&device(&json).unwrap());
        let plain =
            read(json!({"end_device": {"ids": {"dev_eui": "70B3D57ED00000B1"}, "lorawan_version": "MAC_V1_0_3"}}));
        for version in [json!("MAC_V1_0_3"), json!("V1_0_3"), json!("1.0.3"), json!(5), json!("5")] {
            for eui in ["70b3d57ed00000b1", "cLPVftAAALE=", "cLPVftAAALE"] {
                assert_eq!(read(json!({"endDevice": {"ids": {"devEui": eui}, "lorawanVersion": version}})), plain);
            }
        }
        assert_eq!(
            read(json!({"field_mask": "name, attributes"})),
            r#"{"field_mask":{"paths":["name","attributes"]}}"#
        );
        let delay = json!({"end_device": {"mac_settings": {"rx1_delay": {"value": 1}, "x": [1]}, "session": null}});
        assert_eq!(read(delay), r#"{"end_device":{"mac_settings":{"rx1_delay":1}}}"#);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let words = |json: Json| device(&json).unwrap_err().to_string();
        assert_eq!(
            words(json!({"end_device": {"ids": {"dev_eui": "70B3D57ED00000"}}})),
            "unmarshal error at path \"end_device.ids.dev_eui\": error:pkg/types:invalid_length (invalid length: want 8 \
             bytes, got 14 runes)"
        );
        let enumeration = words(json!({"end_device": {"lorawan_version": "URGENT"}}));
        assert_eq!(enumeration, "unmarshal error at path \"end_device\": unknown value for enum: \"URGENT\"");
        for wrong in [
            json!([]),
            json!({"end_device": 1}),
            json!({"end_device": {"name": 1}}),
            json!({"end_device": {"supports_join": "true"}}),
            json!({"end_device": {"session": {"last_f_cnt_up": -1}}}),
            json!({"end_device": {"session": {"last_f_cnt_up": 4_294_967_296_u64}}}),
            json!({"end_device": {"used_dev_nonces": 1}}),
            json!({"end_device": {"created_at": "2026-11-25"}}),
            json!({"end_device": {"attributes": []}}),
        ] {
            assert!(words(wrong.clone()).starts_with("unmarshal error"), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_in_the_words_of_go() {
        let words = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(words("{nope"), "invalid character 'n' looking for beginning of object key string");
        assert_eq!(words("nope"), "invalid character 'o' in literal");
        assert_eq!(words("{\"a\""), "unexpected EOF");
        assert_eq!(words("{} x"), "invalid character 'x' after top-level value");
        assert_eq!(parse(b"").unwrap(), json!({}));
    }

    #[test]
    fn fields_are_set_from_texts() {
        let mut request = DynamicMessage::new(descriptor("ttn.lorawan.v3.ListEndDevicesRequest"));
        for (path, text) in [
            ("application_ids.application_id", "app1"),
            ("limit", "2"),
            ("field_mask.paths", "name"),
            ("field_mask.paths", "ids"),
            ("nobody.knows", "x"),
        ] {
            set(&mut request, path, text).unwrap();
        }
        let expected =
            r#"{"application_ids":{"application_id":"app1"},"field_mask":{"paths":["name","ids"]},"limit":2}"#;
        assert_eq!(write(&request), expected);
        assert!(set(&mut request, "limit", "many").is_err());
    }
}
