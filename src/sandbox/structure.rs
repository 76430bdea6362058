//! Free objects of protobuf as JSON, and back.

use prost_types::value::Kind;

/// An object as JSON; all numbers are doubles.
pub(super) fn to_json(object: prost_types::Struct) -> serde_json::Value {
    object.fields.into_iter().map(|(name, value)| (name, json(value))).collect()
}

fn json(value: prost_types::Value) -> serde_json::Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::NumberValue(number)) => number.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(object)) => to_json(object),
    }
}

/// And back; what is no object is an empty one.
pub(super) fn from_json(value: &serde_json::Value) -> prost_types::Struct {
    let fields = value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), free(value)));
    prost_types::Struct { fields: fields.collect() }
}

fn free(value: &serde_json::Value) -> prost_types::Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(*flag),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(list) => {
            Kind::ListValue(prost_types::ListValue { values: list.iter().map(free).collect() })
        }
        serde_json::Value::Object(_) => Kind::StructValue(from_json(value)),
    };
    prost_types::Value { kind: Some(kind) }
}
