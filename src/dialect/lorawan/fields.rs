//! What uplinks carry beyond their JSON (V2 1.4): the payload as bytes, times as instants.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::dialect::json::{Document, Kind, Value};

/// The payload of an uplink, decoded from `payload_raw`.
///
/// `Ok(None)` when there is none: the key is missing or `null`, as for a frame without application payload.
///
/// # Errors
/// What is wrong with the base64 text.
pub fn payload_bytes(message: Value<'_>) -> Result<Option<Vec<u8>>, String> {
    match message.get("payload_raw") {
        None => Ok(None),
        Some(value) if value.kind() == Kind::Null => Ok(None),
        Some(value) => {
            let text = value.as_str().ok_or_else(|| format!("payload_raw is not text but {}", value.raw()))?;
            STANDARD.decode(text.as_bytes()).map(Some).map_err(|error| format!("payload_raw is not base64: {error}"))
        }
    }
}

/// A `time` text of the network: RFC 3339, up to nanoseconds. `None` when it is empty or unreadable.
#[must_use]
pub fn timestamp(value: Value<'_>) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

impl Document {
    /// Time at which the network received the uplink, `metadata.time`.
    #[must_use]
    pub fn received_at(&self) -> Option<Timestamp> {
        timestamp(self.root().get("metadata")?.get("time")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn payloads_are_decoded_or_the_reason_is_told() {
        assert_eq!(
            payload_bytes(document(r#"{"payload_raw":"AWcA6wJoXQ=="}"#).root()),
            Ok(Some(vec![1, 103, 0, 235, 2, 104, 93]))
        );
        assert_eq!(payload_bytes(document(r#"{"payload_raw":null}"#).root()), Ok(None));
        assert_eq!(payload_bytes(document("{}").root()), Ok(None));
        assert!(payload_bytes(document(r#"{"payload_raw":"A"}"#).root()).unwrap_err().contains("not base64"));
        assert!(payload_bytes(document(r#"{"payload_raw":7}"#).root()).unwrap_err().contains("not text but 7"));
    }

    #[test]
    fn times_are_instants() {
        let uplink = document(r#"{"metadata":{"time":"2019-05-14T06:31:07.482913345Z"}}"#);
        assert_eq!(uplink.received_at().unwrap().as_nanosecond(), 1_557_815_467_482_913_345);
        assert!(document(r#"{"metadata":{"time":""}}"#).received_at().is_none());
    }
}
