//! Free-form objects of protobuf as JSON, and back.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// An object.
#[must_use]
pub fn from_struct(object: Struct) -> Map<String, Value> {
    object.fields.into_iter().map(|(name, value)| (name, from_value(value))).collect()
}

fn from_value(value: prost_types::Value) -> Value {
    match value.kind {
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(number)) => number_of(number),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::StructValue(object)) => Value::Object(from_struct(object)),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(from_value).collect(),
        Some(Kind::NullValue(_)) | None => Value::Null,
    }
}

/// All numbers are doubles there; whole ones are read as such.
fn number_of(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within what a double holds exactly")]
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { Value::from(number) }
}

/// The object of this JSON.
#[must_use]
pub fn to_struct(object: Map<String, Value>) -> Struct {
    Struct { fields: object.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.into_iter().map(to_value).collect() }),
        Value::Object(object) => Kind::StructValue(to_struct(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_back_as_they_went() {
        let json = r#"{"a":null,"b":[true,1,-2.5,"x"],"c":{"d":{}}}"#;
        let object: Map<String, Value> = serde_json::from_str(json).unwrap();
        assert_eq!(from_struct(to_struct(object.clone())), object);
    }
}
