//! Values as the server keeps them (TB 1.3): texts of digits become numbers, and numbers that it cannot hold become texts.

use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::json::Json;

/// Most digits after the point of what is kept as a number.
const FINEST: i64 = 16;

/// The values of an object; those that are null are left out.
pub(super) fn kept(values: &[(String, Json)]) -> Map<String, Value> {
    values.iter().filter_map(|(name, value)| Some((name.clone(), keep(value)?))).collect()
}

fn keep(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(text) => number(text),
        Json::Text(text) if is_cast(text) => number(text),
        // Its database has no zeros in texts.
        Json::Text(text) => Value::String(text.replace('\0', "")),
        Json::Array(_) | Json::Object(_) => without_nulls(value.to_value()),
    })
}

/// Inside of objects and arrays nothing is cast; objects lose their nulls.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

/// Whether a text is read as a number: digits, with a minus before and one point between them at most.
fn is_cast(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let points = digits.matches('.').count();
    points <= 1
        && digits.ends_with(|mark: char| mark.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The server writes what it has read, and reads that once more before it keeps it.
fn number(text: &str) -> Value {
    match read(text) {
        Some(Number::Float(float)) => match read(&written(float)) {
            Some(Number::Float(float)) => Value::from(float),
            Some(Number::Integer(integer)) => Value::from(integer),
            Some(Number::Digits(digits)) => Value::from(digits),
            None => Value::from(text),
        },
        Some(Number::Integer(integer)) => Value::from(integer),
        Some(Number::Digits(digits)) => Value::from(digits),
        None => Value::from(text),
    }
}

enum Number {
    Integer(i64),
    Float(f64),
    Digits(String),
}

fn read(text: &str) -> Option<Number> {
    let number = Decimal::parse(text)?;
    // With a point and without an exponent it is meant as a decimal, be it whole or not.
    let decimal = text.contains('.') && !text.contains(['e', 'E']);
    let float = || text.parse().ok().filter(|float: &f64| float.is_finite());
    Some(if number.is_whole() && !decimal {
        number.exact().map_or_else(|| Number::Digits(number.plain()), Number::Integer)
    } else if let (true, Some(float)) = (number.scale() <= FINEST, float()) {
        // There is no zero below zero.
        Number::Float(if float == 0.0 { 0.0 } else { float })
    } else {
        Number::Digits(number.plain())
    })
}

/// As Java writes it: with an exponent below 0.001 and from ten million on, with one digit after the point at least.
fn written(float: f64) -> String {
    if float == 0.0 || (1e-3..1e7).contains(&float.abs()) {
        return format!("{float:?}");
    }
    let text = format!("{float:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_texts_are_kept_as_the_server_keeps_them() {
        for (text, expected) in [
            ("0.30000000000000004", json!("0.30000000000000004")),
            ("1e-17", json!("0.00000000000000001")),
            ("1e-16", json!("0.00000000000000010")),
            ("1e-12", json!(1e-12)),
            ("1e22", json!("10000000000000000000000")),
            ("42.0", json!(42.0)),
            ("42000000.0", json!(42_000_000)),
            ("-0.0", json!(0.0)),
            ("9223372036854775807", json!(i64::MAX)),
            ("18446744073709551615", json!("18446744073709551615")),
            ("0.1234567890123456", json!(0.123_456_789_012_345_6)),
            ("\"007\"", json!(7)),
            ("\"3.50\"", json!(3.5)),
            ("\".5\"", json!(0.5)),
            ("\"5.\"", json!("5.")),
            ("\"1e5\"", json!("1e5")),
            ("\"+5\"", json!("+5")),
            ("\"-\"", json!("-")),
            ("\"a\\u0000b\"", json!("ab")),
            ("[null,1,{\"a\":null,\"b\":\"12\"}]", json!([null, 1, {"b": "12"}])),
        ] {
            let Some(Json::Object(values)) = Json::read(format!("{{\"k\":{text}}}").as_bytes()) else {
                panic!("{text}")
            };
            assert_eq!(Value::Object(kept(&values)), json!({"k": expected}), "{text}");
        }
    }

    #[test]
    fn nulls_are_left_out() {
        assert!(kept(&[("a".to_owned(), Json::Null)]).is_empty());
    }
}
