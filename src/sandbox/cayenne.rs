//! Cayenne Low Power Payload: channel, type and value, one after the other (V2 1.4; the field names are the network's).

use serde_json::{Map, Number, Value, json};

/// A type of the format: its code, the network's name for it, the size of each number in bytes, whether numbers are
/// signed, what one step is worth, and the names of several numbers.
pub(super) struct Kind {
    pub(super) code: u8,
    name: &'static str,
    pub(super) parts: &'static [(&'static str, usize, f64)],
    signed: bool,
}

pub(super) const KINDS: [Kind; 12] = [
    Kind { code: 0, name: "digital_in", parts: &[("", 1, 1.0)], signed: false },
    Kind { code: 1, name: "digital_out", parts: &[("", 1, 1.0)], signed: false },
    Kind { code: 2, name: "analog_in", parts: &[("", 2, 100.0)], signed: true },
    Kind { code: 3, name: "analog_out", parts: &[("", 2, 100.0)], signed: true },
    Kind { code: 101, name: "luminosity", parts: &[("", 2, 1.0)], signed: false },
    Kind { code: 102, name: "presence", parts: &[("", 1, 1.0)], signed: false },
    Kind { code: 103, name: "temperature", parts: &[("", 2, 10.0)], signed: true },
    Kind { code: 104, name: "relative_humidity", parts: &[("", 1, 2.0)], signed: false },
    Kind {
        code: 113,
        name: "accelerometer",
        parts: &[("x", 2, 1000.0), ("y", 2, 1000.0), ("z", 2, 1000.0)],
        signed: true,
    },
    Kind { code: 115, name: "barometric_pressure", parts: &[("", 2, 10.0)], signed: false },
    Kind { code: 134, name: "gyrometer", parts: &[("x", 2, 100.0), ("y", 2, 100.0), ("z", 2, 100.0)], signed: true },
    Kind {
        code: 136,
        name: "gps",
        parts: &[("latitude", 3, 10_000.0), ("longitude", 3, 10_000.0), ("altitude", 3, 100.0)],
        signed: true,
    },
];

/// A big-endian number of up to four bytes.
fn number(bytes: &[u8], signed: bool) -> f64 {
    let mut whole = [if signed && bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xFF } else { 0 }; 8];
    whole[8 - bytes.len()..].copy_from_slice(bytes);
    #[expect(clippy::cast_precision_loss, reason = "three bytes at most")]
    let number = i64::from_be_bytes(whole) as f64;
    number
}

/// The number as JSON: whole ones without a fraction.
fn to_json(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return json!(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A value of a payload: its type, its channel, and its numbers.
pub(super) type Entry = (&'static Kind, u8, Vec<f64>);

/// The values of an uplink.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut rest = payload;
    while let [channel, code, data @ ..] = rest {
        let kind = KINDS
            .iter()
            .find(|kind| kind.code == *code)
            .ok_or_else(|| format!("Unable to decode payload fields: unknown Cayenne LPP type {code}"))?;
        let mut data = data;
        let mut numbers = Vec::with_capacity(kind.parts.len());
        for (_, size, scale) in kind.parts {
            let (value, after) =
                data.split_at_checked(*size).ok_or("Unable to decode payload fields: unexpected EOF")?;
            numbers.push(number(value, kind.signed) / scale);
            data = after;
        }
        entries.push((kind, *channel, numbers));
        rest = data;
    }
    match rest {
        [] => Ok(entries),
        _ => Err("Unable to decode payload fields: unexpected EOF".to_owned()),
    }
}

/// What stands for the numbers of a value.
pub(super) fn value((kind, _, numbers): &Entry) -> Value {
    match numbers.as_slice() {
        [number] => to_json(*number),
        _ => {
            kind.parts.iter().zip(numbers).map(|((name, ..), number)| ((*name).to_owned(), to_json(*number))).collect()
        }
    }
}

/// The fields of an uplink.
pub(super) fn decode(payload: &[u8]) -> Result<Value, String> {
    let entries = read(payload)?;
    let fields = entries.iter().map(|entry| (format!("{}_{}", entry.0.name, entry.1), value(entry)));
    Ok(Value::Object(fields.collect::<Map<_, _>>()))
}

/// The payload of a downlink: for each `value_<channel>` the channel and hundredths in two bytes, by channel.
pub(super) fn encode(fields: &Value) -> Result<Vec<u8>, String> {
    let mut values = Vec::new();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let fail = |why: &str| format!("Unable to encode payload fields: {name}: {why}");
        let channel = name.strip_prefix("value_").and_then(|channel| channel.parse::<u8>().ok());
        let channel = channel.ok_or_else(|| fail("expected value_ and a channel, 0 to 255"))?;
        let hundredths = (value.as_f64().ok_or_else(|| fail("expected a number"))? * 100.0).round();
        if !(f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&hundredths) {
            return Err(fail("expected a number, -327.68 to 327.67"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        values.push((channel, hundredths as i16));
    }
    values.sort_unstable();
    Ok(values.into_iter().flat_map(|(channel, value)| [vec![channel], value.to_be_bytes().to_vec()].concat()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_format_are_read() {
        // From the format's own documentation: two temperatures, then an accelerometer; and a GPS position.
        for (payload, fields) in [
            ("03670110056700FF", json!({"temperature_3": 27.2, "temperature_5": 25.5})),
            (
                "0167FFD706710 4D2FB2E0000",
                json!({"temperature_1": -4.1, "accelerometer_6": {"x": 1.234, "y": -1.234, "z": 0}}),
            ),
            ("018806765FF2960A0003E8", json!({"gps_1": {"latitude": 42.3519, "longitude": -87.9094, "altitude": 10}})),
            ("", json!({})),
        ] {
            assert_eq!(decode(&hex::decode(payload.replace(' ', "")).unwrap()), Ok(fields), "{payload}");
        }
    }

    #[test]
    fn what_ends_early_or_is_unknown_is_told() {
        assert!(decode(&[1]).is_err() && decode(&[1, 0x67, 0]).is_err() && decode(&[1, 77, 0]).is_err());
    }

    #[test]
    fn numbers_are_written() {
        assert_eq!(encode(&json!({"value_2": -1.5, "value_1": 50})), Ok(vec![1, 0x13, 0x88, 2, 0xFF, 0x6A]));
        for bad in [json!({"led": true}), json!({"value_x": 1}), json!({"value_1": "1"}), json!({"value_1": 400})] {
            assert!(encode(&bad).is_err(), "{bad}");
        }
    }
}
