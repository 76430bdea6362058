//! What an application asks to be sent to a device, as the network reads it (V2 1.6): as `encoding/json` of Go does.

use serde::de::IgnoredAny;
use serde_json::Map;

use crate::dialect::json::{Document, Kind, Value};
use crate::dialect::lorawan::base64;

/// The fields of Go's `types.DownlinkMessage`, by their names in JSON.
const FIELDS: [&str; 7] = ["app_id", "dev_id", "port", "confirmed", "schedule", "payload_raw", "payload_fields"];

/// What a message says; what it leaves out is zero.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Body {
    pub(super) port: u8,
    pub(super) confirmed: bool,
    pub(super) schedule: String,
    pub(super) payload_raw: Vec<u8>,
    pub(super) payload_fields: Map<String, serde_json::Value>,
}

impl Body {
    /// Read a message; `None` for what the network drops without a word: no JSON, or a value of another type than its
    /// field's.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        // What is no UTF-8 is replaced, not refused.
        let text = String::from_utf8_lossy(message);
        // The index is as lenient as Python, which takes numbers that JSON does not have.
        serde_json::from_str::<IgnoredAny>(&text).ok()?;
        let document = Document::parse(text.as_bytes()).ok()?;
        let root = document.root();
        if !matches!(root.kind(), Kind::Object | Kind::Null) {
            return None;
        }
        let mut body = Self::default();
        // Of a name that stands there twice the last one counts, also where their case differs.
        for (name, value) in root.members() {
            body.set(&name.as_str()?, value)?;
        }
        Some(body)
    }

    fn set(&mut self, name: &str, value: Value<'_>) -> Option<()> {
        let Some(field) = FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name)) else { return Some(()) };
        match (*field, value.kind()) {
            // A null leaves what is there, except in what may be nil.
            ("payload_raw", Kind::Null) => self.payload_raw.clear(),
            ("payload_fields", Kind::Null) => self.payload_fields.clear(),
            (_, Kind::Null) => {}
            ("port", Kind::Int) => self.port = value.raw().parse().ok()?,
            ("confirmed", Kind::True) => self.confirmed = true,
            ("confirmed", Kind::False) => self.confirmed = false,
            ("schedule", _) => self.schedule = value.as_str()?.into_owned(),
            ("app_id" | "dev_id", _) => drop(value.as_str()?),
            // Bytes may be written as numbers, too.
            ("payload_raw", Kind::Array) => self.payload_raw = value.elements().map(octet).collect::<Option<_>>()?,
            ("payload_raw", _) => self.payload_raw = base64::decode(&value.as_str()?).ok()?,
            ("payload_fields", Kind::Object) => self.payload_fields.extend(members(value)?),
            _ => return None,
        }
        Some(())
    }
}

fn octet(value: Value<'_>) -> Option<u8> {
    if value.kind() == Kind::Null { Some(0) } else { value.raw().parse().ok() }
}

fn members(object: Value<'_>) -> Option<Map<String, serde_json::Value>> {
    object.members().map(|(name, value)| Some((name.as_str()?.into_owned(), plain(value)?))).collect()
}

/// A value for the payload functions; `None` for a number out of range. As deep as the index goes, and no deeper.
fn plain(value: Value<'_>) -> Option<serde_json::Value> {
    match value.kind() {
        Kind::Plain | Kind::Escaped => value.as_str().map(Into::into),
        Kind::Array => value.elements().map(plain).collect::<Option<Vec<_>>>().map(Into::into),
        Kind::Object => members(value).map(Into::into),
        _ => serde_json::from_str(value.raw()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_go_takes_is_taken() {
        let aa = || Body { payload_raw: vec![0xAA], ..Body::default() };
        for (message, expected) in [
            (&br#"{"payload_raw":"qg=="}"#[..], aa()),
            (br#"{"payload_raw":"qg==\n"}"#, aa()),
            (br#"{"payload_raw":"q\r\ng=="}"#, aa()),
            (br#"{"payload_raw":"qh=="}"#, aa()),
            (br#"{"payload_raw":[170]}"#, aa()),
            (br#"{"Payload_RAW":"qg==","port":null,"other":[{}]}"#, aa()),
            (br#"{"payload_raw":"AQ==","PAYLOAD_RAW":"qg=="}"#, aa()),
            (br#"{"payload_raw":"AQ==","payload_raw":null}"#, Body::default()),
            (b"null", Body::default()),
            (
                br#"{"port":5,"Port":6,"schedule":"last","confirmed":true}"#,
                Body { port: 6, confirmed: true, schedule: "last".into(), ..Body::default() },
            ),
            (
                b"{\"schedule\":\"\xFF\\ud800\"}",
                Body { schedule: "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}".into(), ..Body::default() },
            ),
        ] {
            assert_eq!(Body::read(message), Some(expected), "{}", String::from_utf8_lossy(message));
        }
        let fields = Body::read(br#"{"payload_fields":{"a":1,"b":{"c":[1.5,"x",null]}},"payload_fields":{"a":2}}"#);
        assert_eq!(json!(fields.unwrap().payload_fields), json!({"a": 2, "b": {"c": [1.5, "x", null]}}));
    }

    #[test]
    fn what_go_refuses_is_dropped() {
        for message in [
            &br#"{"payload_raw":"01"}"#[..],
            br#"{"payload_raw":"q g=="}"#,
            br#"{"payload_raw":[256]}"#,
            br#"{"payload_raw":{}}"#,
            br#"{"port":"1","payload_raw":"AQ=="}"#,
            br#"{"port":256,"payload_raw":"AQ=="}"#,
            br#"{"port":1.0,"payload_raw":"AQ=="}"#,
            br#"{"port":-0,"payload_raw":"AQ=="}"#,
            br#"{"confirmed":1}"#,
            br#"{"schedule":1}"#,
            br#"{"dev_id":1}"#,
            br#"{"payload_fields":[1,2,3]}"#,
            br#"{"payload_fields":{"a":1e400}}"#,
            br#"{"payload_fields":{"a":NaN}}"#,
            br#"{"other":NaN}"#,
            b"\xEF\xBB\xBF{}",
            b"[]",
            b"{",
            b"{} {}",
            b"",
        ] {
            assert_eq!(Body::read(message), None, "{}", String::from_utf8_lossy(message));
        }
    }
}
