//! Protobuf's text format, as Python programs see it when they print a message (V2 3.8).

use std::fmt::Write as _;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, Value};

/// The message as text: fields in the order of their numbers, defaults and unknown fields left out.
#[must_use]
pub fn to_text(message: &DynamicMessage) -> String {
    let mut text = String::new();
    write_message(&mut text, message, 0);
    text
}

fn write_message(text: &mut String, message: &DynamicMessage, depth: usize) {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    for (field, value) in fields {
        match value {
            Value::List(elements) => {
                for element in elements {
                    write_field(text, &field, element, depth);
                }
            }
            Value::Map(entries) => {
                let Kind::Message(entry) = field.kind() else { continue };
                let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key_value(key), value)).collect();
                entries.sort_by(|(one, _), (other, _)| one.as_str().cmp(&other.as_str()));
                for (key, value) in entries {
                    indent(text, depth);
                    writeln!(text, "{} {{", field.name()).unwrap_or_default();
                    write_field(text, &entry.map_entry_key_field(), &key, depth + 1);
                    write_field(text, &entry.map_entry_value_field(), value, depth + 1);
                    indent(text, depth);
                    text.push_str("}\n");
                }
            }
            value => write_field(text, &field, value, depth),
        }
    }
}

fn key_value(key: &MapKey) -> Value {
    Value::from(key.clone())
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

fn write_field(text: &mut String, field: &FieldDescriptor, value: &Value, depth: usize) {
    indent(text, depth);
    text.push_str(field.name());
    if let Value::Message(message) = value {
        text.push_str(" {\n");
        write_message(text, message, depth + 1);
        indent(text, depth);
        text.push_str("}\n");
        return;
    }
    text.push_str(": ");
    match value {
        Value::String(string) => write_quoted(text, string.as_bytes()),
        Value::Bytes(bytes) => write_quoted(text, bytes),
        Value::F32(number) => text.push_str(&float(*number)),
        Value::EnumNumber(number) => match field.kind().as_enum().and_then(|known| known.get_value(*number)) {
            Some(known) => text.push_str(known.name()),
            None => write!(text, "{number}").unwrap_or_default(),
        },
        other => write!(text, "{other}").unwrap_or_default(),
    }
    text.push('\n');
}

fn write_quoted(text: &mut String, bytes: &[u8]) {
    text.push('"');
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'"' | b'\'' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => write!(text, "\\{other:03o}").unwrap_or_default(),
        }
    }
    text.push('"');
}

/// The shortest digits that give this number back, written as Python writes a float.
fn float(number: f32) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => {
            let plain = format!("{number}");
            if plain.contains('.') { plain } else { plain + ".0" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::message::{decode, descriptor};

    #[test]
    fn floats_are_written_as_python_does() {
        // What protobuf 3.20.3 prints in Python for these single-precision values.
        for (number, text) in [
            (52.3736, "52.3736"),
            (1e-7, "1e-07"),
            (1e20, "1e+20"),
            (123_456.79, "123456.79"),
            (1.0 / 3.0, "0.33333334"),
            (-4.5, "-4.5"),
            (16_777_216.0, "16777216.0"),
            (1e16, "1e+16"),
            (123_456_790.0, "123456790.0"),
            (0.0001, "0.0001"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn the_documented_example_is_printed() {
        let mut device = DynamicMessage::new(descriptor("handler.Device"));
        let mut lorawan = DynamicMessage::new(descriptor("lorawan.Device"));
        lorawan.set_field_by_name("f_cnt_up", Value::U32(300));
        let eui = b"\0\x04\xa3\x0b\0\xaa\xbb\xcc".as_slice();
        lorawan.set_field_by_name("dev_eui", Value::Bytes(eui.into()));
        device.set_field_by_name("description", Value::String("attic".into()));
        device.set_field_by_name("lorawan_device", Value::Message(lorawan));
        device.set_field_by_name("latitude", Value::F32(52.25));
        device.set_field_by_name(
            "attributes",
            Value::Map([(MapKey::String("floor".into()), Value::String("2".into()))].into()),
        );
        device.set_field_by_name("dev_id", Value::String("node-1".into()));
        device.set_field_by_name("app_id", Value::String("demo-app".into()));
        let expected = r#"app_id: "demo-app"
dev_id: "node-1"
lorawan_device {
  dev_eui: "\000\004\243\013\000\252\273\314"
  f_cnt_up: 300
}
latitude: 52.25
attributes {
  key: "floor"
  value: "2"
}
description: "attic"
"#;
        assert_eq!(to_text(&device), expected);
        assert_eq!(to_text(&decode(&descriptor("handler.Device"), bytes::Bytes::new()).unwrap()), "");
    }
}
