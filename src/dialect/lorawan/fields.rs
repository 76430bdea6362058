//! What the library itself reads in an uplink: payload, port and time. Where they stand is each network's own.

use jiff::Timestamp;

use super::base64;
use crate::dialect::json::{Kind, Value};

/// Keys from the outermost object down to a value.
type Path = &'static [&'static str];

/// Where the values stand.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    pub(super) payload: Path,
    pub(super) port: Path,
    pub(super) received_at: Path,
}

/// A field that is there, and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Something else than a text.
    #[error("{field} is not text but {found}")]
    NotText {
        /// Key of the field.
        field: &'static str,
        /// What is there instead, as JSON.
        found: String,
    },
    /// A text that is no base64.
    #[error("{field} is not base64: {source}")]
    NotBase64 {
        /// Key of the field.
        field: &'static str,
        /// Where it goes wrong.
        source: base64::DecodeError,
    },
}

impl Fields {
    /// The payload of an uplink as bytes.
    ///
    /// `Ok(None)` when there is none: the key is missing or `null`, as for a frame without application payload.
    ///
    /// # Errors
    /// [`Unreadable`], naming the field.
    pub fn payload(&self, uplink: Value<'_>) -> Result<Option<Vec<u8>>, Unreadable> {
        let field = self.payload.last().copied().unwrap_or_default();
        match find(uplink, self.payload).filter(|value| value.kind() != Kind::Null) {
            None => Ok(None),
            Some(value) => {
                let text =
                    value.as_str().ok_or_else(|| Unreadable::NotText { field, found: value.raw().to_owned() })?;
                base64::decode(&text).map(Some).map_err(|source| Unreadable::NotBase64 { field, source })
            }
        }
    }

    /// The FPort of an uplink; `None` when there is none, or something else than a number from 0 to 255.
    #[must_use]
    pub fn port(&self, uplink: Value<'_>) -> Option<u8> {
        find(uplink, self.port)?.as_i64()?.try_into().ok()
    }

    /// The text of the time at which the network received the uplink: see [`timestamp`].
    #[must_use]
    pub fn received_at<'a>(&self, uplink: Value<'a>) -> Option<Value<'a>> {
        find(uplink, self.received_at)
    }
}

fn find(message: Value<'_>, path: Path) -> Option<Value<'_>> {
    path.iter().try_fold(message, |value, key| value.get(key))
}

/// What Go, in which the networks are written, has for a time that is not known: 0001-01-01T00:00:00Z, in Unix seconds.
const GO_ZERO_TIME: i64 = -62_135_596_800;

/// A time text of a network: RFC 3339, up to nanoseconds. `None` when it is empty, unreadable or Go's zero time.
#[must_use]
pub fn timestamp(value: Value<'_>) -> Option<Timestamp> {
    let instant: Timestamp = value.as_str()?.parse().ok()?;
    (instant.as_second() != GO_ZERO_TIME || instant.subsec_nanosecond() != 0).then_some(instant)
}

#[cfg(test)]
mod tests {
    use super::super::Network;
    use super::*;
    use crate::dialect::json::Document;

    /// A place as deep as that of a network which keeps the uplink in an envelope.
    const ENVELOPE: Fields =
        Fields { payload: &["up", "data"], port: &["up", "f_port"], received_at: &["received_at"] };

    fn document(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn payloads_are_decoded_or_the_reason_is_told() {
        let payload = |text: &str| Network::V2.fields().payload(document(text).root());
        assert_eq!(payload(r#"{"payload_raw":"AWcA6wJoXQ=="}"#), Ok(Some(vec![1, 103, 0, 235, 2, 104, 93])));
        assert_eq!(payload(r#"{"payload_raw":null}"#), Ok(None));
        assert_eq!(payload("{}"), Ok(None));
        let text = |message| payload(message).unwrap_err().to_string();
        assert!(text(r#"{"payload_raw":"A"}"#).starts_with("payload_raw is not base64: "));
        assert_eq!(text(r#"{"payload_raw":7}"#), "payload_raw is not text but 7");
    }

    #[test]
    fn times_are_instants() {
        let time = |text: &str| Network::V2.fields().received_at(document(text).root()).and_then(timestamp);
        let received = time(r#"{"metadata":{"time":"2019-05-14T06:31:07.482913345Z"}}"#).unwrap();
        assert_eq!(received.as_nanosecond(), 1_557_815_467_482_913_345);
        assert_eq!(time(r#"{"metadata":{"time":""}}"#), None);
        for unknown in ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "0001-01-01T01:00:00+01:00"] {
            assert_eq!(time(&format!(r#"{{"metadata":{{"time":"{unknown}"}}}}"#)), None, "{unknown}");
        }
        assert!(time(r#"{"metadata":{"time":"0001-01-01T00:00:01Z"}}"#).is_some());
        assert_eq!(time(r#"{"metadata":7}"#), None);
    }

    #[test]
    fn ports_are_numbers_of_one_byte() {
        for (text, port) in [("{\"port\":223}", Some(223)), ("{\"port\":\"1\"}", None), ("{\"port\":256}", None)] {
            assert_eq!(Network::V2.fields().port(document(text).root()), port, "{text}");
        }
    }

    #[test]
    fn values_are_found_inside_an_envelope() {
        let uplink = document(r#"{"received_at":"2025-03-14T09:26:53+00:00","up":{"f_port":2,"data":"AQ=="}}"#);
        assert_eq!(ENVELOPE.payload(uplink.root()), Ok(Some(vec![1])));
        assert_eq!(ENVELOPE.port(uplink.root()), Some(2));
        assert!(ENVELOPE.received_at(uplink.root()).and_then(timestamp).is_some());
        assert_eq!(
            ENVELOPE.payload(document(r#"{"up":{"data":7}}"#).root()).unwrap_err().to_string(),
            "data is not text but 7"
        );
    }
}
