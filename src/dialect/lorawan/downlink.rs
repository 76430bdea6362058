//! Downlinks (V2 1.6), written byte for byte as the `ttn` package wrote them.

use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

/// Where a downlink enters the device's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// It becomes the only entry.
    #[default]
    Replace,
    /// In front of all others.
    First,
    /// Behind all others.
    Last,
}

impl Schedule {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "replace" => Ok(Self::Replace),
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            other => Err(Error::invalid("schedule", other, "\"replace\", \"first\" or \"last\"")),
        }
    }
}

/// What a downlink carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Bytes, as base64 text.
    Raw(String),
    /// Fields for the application's encoder, as JSON text.
    Fields(String),
}

impl Payload {
    /// A payload of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::Raw(STANDARD.encode(bytes))
    }
}

/// The payload that a text means: base64 stays as it is, hex that is no base64 is converted (V2 5, row 21).
///
/// # Errors
/// [`Error::Invalid`] when it is neither.
pub fn payload_from_text(text: &str) -> Result<Payload> {
    // Padding bits that are not zero are accepted: the network's decoder does, too.
    let lenient = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    if lenient.decode(text).is_ok() {
        return Ok(Payload::Raw(text.to_owned()));
    }
    match hex::decode(text) {
        Ok(bytes) => Ok(Payload::from_bytes(&bytes)),
        Err(_) => Err(Error::invalid("payload", text, "base64 such as \"AQ==\" or hex such as \"01\"")),
    }
}

/// A downlink as the application gives it to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downlink {
    /// LoRaWAN FPort, 1–223.
    pub port: u8,
    /// Whether the device must acknowledge it.
    pub confirmed: bool,
    /// Place in the queue.
    pub schedule: Schedule,
    /// What it carries.
    pub payload: Payload,
}

impl Downlink {
    /// The JSON text, with the key order and spacing of the original.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (key, value) = match &self.payload {
            // Base64 needs no escaping.
            Payload::Raw(text) => ("payload_raw", format!("\"{text}\"")),
            Payload::Fields(json) => ("payload_fields", json.clone()),
        };
        let mut json = String::with_capacity(80 + value.len());
        write!(
            json,
            "{{\"port\": {}, \"confirmed\": {}, \"schedule\": \"{}\", \"{key}\": {value}}}",
            self.port,
            self.confirmed,
            self.schedule.as_str()
        )
        .expect("writing to a String cannot fail");
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_observed_bytes_are_written() {
        let downlink =
            Downlink { port: 1, confirmed: false, schedule: Schedule::Replace, payload: Payload::Raw("AQ==".into()) };
        assert_eq!(
            downlink.to_json(),
            r#"{"port": 1, "confirmed": false, "schedule": "replace", "payload_raw": "AQ=="}"#
        );
    }

    #[test]
    fn texts_are_base64_first_and_hex_second() {
        for (text, raw) in
            [("AQ==", "AQ=="), ("01ff", "01ff"), ("01", "AQ=="), ("0A0b0c", "CgsM"), ("", ""), ("AR==", "AR==")]
        {
            assert_eq!(payload_from_text(text).unwrap(), Payload::Raw(raw.into()), "{text}");
        }
        for bad in ["AQ=", "0x1", "hello world", "1"] {
            assert!(payload_from_text(bad).is_err(), "{bad}");
        }
    }
}
