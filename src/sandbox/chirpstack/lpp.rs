//! Cayenne LPP under ChirpStack's names: an object by kind, then by channel.

use serde_json::{Map, Value};

use crate::sandbox::cayenne::{self, KINDS, Kind};

/// The names of the types, in the order of their codes.
const NAMES: [&str; 12] = [
    "digitalInput",
    "digitalOutput",
    "analogInput",
    "analogOutput",
    "illuminanceSensor",
    "presenceSensor",
    "temperatureSensor",
    "humiditySensor",
    "accelerometer",
    "barometer",
    "gyrometer",
    "gpsLocation",
];

fn name(kind: &Kind) -> &'static str {
    NAMES.into_iter().zip(&KINDS).find(|(_, known)| known.code == kind.code).map_or("", |(name, _)| name)
}

/// The object of an uplink.
///
/// # Errors
/// What is wrong with the payload.
pub(super) fn decode(payload: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    for entry in cayenne::read(payload)? {
        let of_kind = object.entry(name(entry.0)).or_insert_with(|| Value::Object(Map::new()));
        of_kind[entry.1.to_string()] = cayenne::value(&entry);
    }
    Ok(Value::Object(object))
}

/// The bytes of a downlink.
///
/// # Errors
/// The server's words.
pub(super) fn encode(object: &Value) -> Result<Vec<u8>, String> {
    let fail = |what: String| Err(format!("CayenneLpp encode: Encode Cayenne LPP payload: {what}"));
    let mut bytes = Vec::new();
    for (given, channels) in object.as_object().into_iter().flatten() {
        let Some((_, kind)) = NAMES.into_iter().zip(&KINDS).find(|(name, _)| name == given) else {
            return fail(format!("Unexpected key '{given}' in payload"));
        };
        for (channel, value) in channels.as_object().into_iter().flatten() {
            let Ok(channel) = channel.parse::<u8>() else { return fail(format!("Unexpected channel '{channel}'")) };
            bytes.extend([channel, kind.code]);
            for (part, size, scale) in kind.parts {
                let number = if part.is_empty() { value.as_f64() } else { value[*part].as_f64() };
                let Some(number) = number else { return fail(format!("Unexpected value of '{given}'")) };
                #[expect(clippy::cast_possible_truncation, reason = "the format has no more bytes")]
                let whole = (number * scale).round() as i64;
                bytes.extend(&whole.to_be_bytes()[8 - size..]);
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_have_the_servers_names() {
        let object = json!({"temperatureSensor": {"1": 22.5}});
        assert_eq!(decode(&[1, 0x67, 0, 0xE1]), Ok(object.clone()));
        assert_eq!(encode(&object), Ok(vec![1, 0x67, 0, 0xE1]));
        assert_eq!(encode(&json!({"digitalOutput": {"3": 1}})), Ok(vec![3, 1, 1]));
        let words = "CayenneLpp encode: Encode Cayenne LPP payload: Unexpected key 'value' in payload";
        assert_eq!(encode(&json!({"value": 7})), Err(words.to_owned()));
    }
}
