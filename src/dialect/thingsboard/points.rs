//! How many values a message has that a program wrote by itself.

use super::names;
use crate::dialect::json::{Document, Kind, Value};

/// The values of telemetry or attributes, as the server counts them; 0 for other messages, and for what is no JSON.
#[must_use]
pub fn count_points(topic: &str, payload: &[u8]) -> usize {
    let of_devices = match topic {
        names::TELEMETRY | names::ATTRIBUTES => false,
        names::GATEWAY_TELEMETRY | names::GATEWAY_ATTRIBUTES => true,
        _ => return 0,
    };
    let Ok(document) = Document::parse(payload) else { return 0 };
    if of_devices { document.root().members().map(|(_, values)| of(values)).sum() } else { of(document.root()) }
}

fn of(value: Value<'_>) -> usize {
    match value.kind() {
        Kind::Array => value.elements().map(of).sum(),
        Kind::Object => match (value.get("ts"), value.get("values")) {
            (Some(_), Some(values)) => values.members().count(),
            _ => value.members().count(),
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_in_every_form() {
        for (topic, payload, count) in [
            (names::TELEMETRY, r#"{"a":1,"b":2}"#, 2),
            (names::TELEMETRY, r#"{"ts":1,"values":{"a":1,"b":2,"c":3}}"#, 3),
            (names::TELEMETRY, r#"[{"ts":1,"values":{"a":1}},{"b":2,"ts":3}]"#, 3),
            (names::ATTRIBUTES, r#"{"a":{"b":1,"c":2}}"#, 1),
            (names::GATEWAY_TELEMETRY, r#"{"x":[{"a":1},{"ts":1,"values":{"b":1,"c":2}}],"y":[{"d":1}]}"#, 4),
            (names::GATEWAY_ATTRIBUTES, r#"{"x":{"a":1,"b":2}}"#, 2),
            (names::TELEMETRY, "no json", 0),
            (names::CLAIM, r#"{"a":1}"#, 0),
        ] {
            assert_eq!(count_points(topic, payload.as_bytes()), count, "{payload}");
        }
    }
}
