//! An uplink in V2's shape, of networks that have another one.
//!
//! Each network says of each field of each object where its value is ([`Direct`]), so that who reads three of them does not pay
//! for the rest; [`in_v2_shape`] asks it for all of them.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::object::Object;
use crate::dialect::json::{Kind, Value};

/// An object of V2's uplink whose members stand elsewhere on other networks, and under other names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The uplink; elsewhere the whole message.
    Uplink,
    /// Its `metadata`; elsewhere the whole message as well.
    Metadata,
    /// One of `metadata.gateways`; elsewhere an element of a list of its own.
    Gateway,
}

impl Part {
    /// V2's fields, in its order.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Uplink => &[
                "app_id",
                "dev_id",
                "hardware_serial",
                "port",
                "counter",
                "confirmed",
                "payload_raw",
                "payload_fields",
                "metadata",
                "attributes",
            ],
            Self::Metadata => &[
                "time",
                "frequency",
                "modulation",
                "data_rate",
                "bit_rate",
                "airtime",
                "coding_rate",
                "gateways",
                "latitude",
                "longitude",
                "altitude",
                "location_accuracy",
                "location_source",
            ],
            Self::Gateway => &[
                "gtw_id",
                "eui",
                "timestamp",
                "fine_timestamp",
                "fine_timestamp_encrypted",
                "time",
                "antenna",
                "channel",
                "rssi",
                "snr",
                "rf_chain",
                "latitude",
                "longitude",
                "altitude",
                "location_accuracy",
                "location_source",
            ],
        }
    }
}

/// A field of V2, without a look at the rest.
#[derive(Clone, Debug)]
pub enum Direct<'a> {
    /// It stands in the message.
    There(Value<'a>),
    /// It does not, and this JSON text of a single value is what V2 would have.
    Text(Cow<'static, str>),
    /// It stands in the message, with numbers that V2 would write in another way: see [`anew`].
    Anew(Value<'a>),
    /// It is an object whose members are found by [`direct`] in this value.
    Part(Part, Value<'a>),
    /// It is a list of such objects, made of the elements of this value.
    Parts(Part, Value<'a>),
    /// V2 would not have it either.
    Absent,
}

impl<'a> Direct<'a> {
    pub(super) fn or_text(value: Option<Value<'a>>, otherwise: &'static str) -> Self {
        value.map_or(Self::Text(Cow::Borrowed(otherwise)), Self::There)
    }

    pub(super) fn or_absent(value: Option<Value<'a>>) -> Self {
        value.map_or(Self::Absent, Self::There)
    }

    pub(super) fn made(text: Option<String>) -> Self {
        text.map_or(Self::Absent, |text| Self::Text(Cow::Owned(text)))
    }
}

pub(super) fn at<'a>(value: Value<'a>, path: &[&str]) -> Option<Value<'a>> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

pub(super) fn text(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| matches!(value.kind(), Kind::Plain | Kind::Escaped) && !value.raw().is_empty())
}

pub(super) fn integer(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| value.kind() == Kind::Int)
}

pub(super) fn number(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| matches!(value.kind(), Kind::Int | Kind::Float))
}

pub(super) fn object(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| value.kind() == Kind::Object && value.members().next().is_some())
}

/// How a network finds a field of one of V2's objects.
pub(super) type Find = for<'a> fn(Part, Value<'a>, &str) -> Direct<'a>;

/// The whole object as V2 would have written it.
pub(super) fn in_v2_shape(find: Find, part: Part, value: Value<'_>) -> String {
    let mut out = Object::new(String::with_capacity(1024));
    write(find, part, value, &mut out);
    out.end()
}

fn write(find: Find, part: Part, value: Value<'_>, out: &mut Object) {
    for name in part.fields() {
        match find(part, value, name) {
            Direct::There(value) => out.value(name, value),
            Direct::Text(text) => out.raw(name, &text),
            Direct::Anew(value) => out.raw(name, &anew(value)),
            Direct::Part(part, value) => out.with(name, |out| write(find, part, value, out)),
            Direct::Parts(part, list) => {
                out.list(name, list.elements(), |element, out| write(find, part, element, out));
            }
            Direct::Absent => {}
        }
    }
}

/// Whole numbers up to this are the same as integers and as floating-point numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value whose whole numbers are written as such, of networks that write `1.0` for 1.
#[must_use]
pub fn anew(value: Value<'_>) -> String {
    if matches!(value.kind(), Kind::Plain | Kind::Escaped) {
        return format!("\"{}\"", value.raw());
    }
    // Along the text, which is known to be JSON, and not from value to value: how deep these go is for their sender to say.
    let (mut rest, mut out) = (value.raw(), String::with_capacity(value.raw().len()));
    while let Some(at) = rest.find(|letter: char| letter == '"' || letter == '-' || letter.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with('"') { end_of_text(rest) } else { end_of_number(rest) };
        match whole(&rest[..end]) {
            Some(number) => write!(out, "{number}").expect("writing to a String cannot fail"),
            None => out.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn end_of_text(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn end_of_number(text: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len())
}

/// The whole number that a fraction is.
fn whole(text: &str) -> Option<i64> {
    let number: f64 = text.contains(['.', 'e', 'E']).then(|| text.parse().ok()).flatten()?;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of integers")]
    let whole = (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64);
    whole
}

/// A number of Hz in MHz, digit by digit.
pub(super) fn megahertz(hertz: u64) -> String {
    thousandths(hertz, 6)
}

/// A number with its point moved to the left, without zeros at the end.
pub(super) fn thousandths(number: u64, places: u32) -> String {
    let whole = 10_u64.pow(places);
    let mut out = (number / whole).to_string();
    if !number.is_multiple_of(whole) {
        write!(out, ".{:0width$}", number % whole, width = places as usize).expect("writing to a String cannot fail");
        out.truncate(out.trim_end_matches('0').len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    #[test]
    fn whole_numbers_are_written_as_such_and_all_else_as_it_was() {
        for (text, expected) in [
            (r#"{"a":1.0,"b":[2.5,-3.0,4]}"#, r#"{"a":1,"b":[2.5,-3,4]}"#),
            (r#"{"1.0":"2.0 \\\"3.0","x":"é 1.0\\"}"#, r#"{"1.0":"2.0 \\\"3.0","x":"é 1.0\\"}"#),
            ("1e+21", "1e+21"),
            ("9007199254740992.0", "9007199254740992.0"),
            ("9007199254740991.0", "9007199254740991"),
            ("-0.0", "0"),
            ("1.5e1", "15"),
            ("[]", "[]"),
            ("null", "null"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
            (r#""1.0""#, r#""1.0""#),
        ] {
            assert_eq!(anew(Document::parse(text.as_bytes()).unwrap().root()), expected, "{text}");
        }
    }
}
