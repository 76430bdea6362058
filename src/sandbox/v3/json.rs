//! JSON as the stack writes it (V3 2.4): what is zero is left out, bytes are base64.

use std::fmt::Write as _;
use std::io;

use jiff::Timestamp;
use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::Formatter;

use crate::dialect::lorawan::base64;
use crate::rpc::json;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object {
    text: String,
    gap: &'static str,
}

impl Object {
    /// By the stack's own writer.
    pub(super) fn new() -> Self {
        Self { text: "{".to_owned(), gap: "," }
    }

    /// By that of Protocol Buffers, which writes the messages without fields of a special form.
    pub(super) fn spaced() -> Self {
        Self { text: "{".to_owned(), gap: ", " }
    }

    /// A member as it is.
    pub(super) fn put(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let gap = if self.text.len() > 1 { self.gap } else { "" };
        // Writing to a text does not fail.
        let _written = write!(self.text, "{gap}\"{name}\":{value}");
        self
    }

    /// A member that may be left out.
    pub(super) fn maybe(self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        if let Some(value) = value { self.put(name, value) } else { self }
    }

    pub(super) fn number<N: Default + PartialEq + std::fmt::Display>(self, name: &str, number: N) -> Self {
        if number == N::default() { self } else { self.put(name, number) }
    }

    /// A number that may be none that JSON has: a text then.
    pub(super) fn float(self, name: &str, number: f64) -> Self {
        match number {
            0.0 => self,
            _ if number.is_nan() => self.put(name, "\"NaN\""),
            f64::INFINITY => self.put(name, "\"Infinity\""),
            f64::NEG_INFINITY => self.put(name, "\"-Infinity\""),
            _ => self.put(name, number),
        }
    }

    pub(super) fn flag(self, name: &str, flag: bool) -> Self {
        if flag { self.put(name, flag) } else { self }
    }

    pub(super) fn text(self, name: &str, text: &str) -> Self {
        if text.is_empty() { self } else { self.put(name, quoted(text)) }
    }

    pub(super) fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        self.text(name, &base64::encode(bytes))
    }

    pub(super) fn texts(self, name: &str, texts: &[String]) -> Self {
        if texts.is_empty() { self } else { self.put(name, list(texts.iter().map(|text| quoted(text)))) }
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A list of what is written already.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A free object, by Protocol Buffers' writer: names sorted, a blank after each comma.
pub(super) fn free(value: &Value) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail, and the names are texts.
    let _written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced));
    String::from_utf8(text).unwrap_or_default()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    /// All numbers are doubles there; whole ones have no fraction.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(json::double(value).as_bytes())
    }
}

/// An instant with 0, 3, 6 or 9 digits after the second.
pub(super) fn instant(at: Timestamp) -> String {
    let digits = match at.subsec_nanosecond() {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1_000 == 0 => 6,
        _ => 9,
    };
    format!("\"{at:.digits$}\"")
}

/// A duration in nanoseconds, likewise.
pub(super) fn duration(nanos: u64) -> String {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match fraction {
        0 => format!("\"{seconds}s\""),
        _ if fraction % 1_000_000 == 0 => format!("\"{seconds}.{:03}s\"", fraction / 1_000_000),
        _ if fraction % 1_000 == 0 => format!("\"{seconds}.{:06}s\"", fraction / 1_000),
        _ => format!("\"{seconds}.{fraction:09}s\""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zeros_are_left_out() {
        let object = Object::new().text("a", "").number("b", 0).flag("c", false).bytes("d", &[]).texts("e", &[]);
        assert_eq!(object.number("f", 1.5).text("g", "\"ü").end(), r#"{"f":1.5,"g":"\"ü"}"#);
        assert_eq!(Object::spaced().number("a", 1).flag("b", true).end(), r#"{"a":1, "b":true}"#);
    }

    #[test]
    fn numbers_that_json_does_not_have_are_texts() {
        let object = Object::new().float("a", f64::NAN).float("b", 0.0).float("c", 1.5).float("d", f64::NEG_INFINITY);
        assert_eq!(object.end(), r#"{"a":"NaN","c":1.5,"d":"-Infinity"}"#);
    }

    #[test]
    fn free_objects_are_written_as_protocol_buffers_does() {
        let value = json!({"port": 2, "hex": 4.0, "level": null, "list": [1, 2.5], "big": 1e300, "small": 1e-7});
        assert_eq!(free(&value), r#"{"big":1e+300, "hex":4, "level":null, "list":[1, 2.5], "port":2, "small":1e-7}"#);
    }

    #[test]
    fn times_have_digits_in_threes() {
        let at = |text: &str| instant(text.parse().unwrap());
        assert_eq!(at("2030-01-01T00:00:00Z"), "\"2030-01-01T00:00:00Z\"");
        assert_eq!(at("2030-01-01T00:00:00.1+01:00"), "\"2029-12-31T23:00:00.100Z\"");
        assert_eq!(at("2030-01-01T00:00:00.000001Z"), "\"2030-01-01T00:00:00.000001Z\"");
        assert_eq!(at("2030-01-01T00:00:00.0000001Z"), "\"2030-01-01T00:00:00.000000100Z\"");
        assert_eq!([51_456_000, 1_000_000_000, 1].map(duration), ["\"0.051456s\"", "\"1s\"", "\"0.000000001s\""]);
    }
}
