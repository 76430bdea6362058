//! What all networks have in common: what is listened to, what a message is about, what is sent.

use std::str::FromStr;

use jiff::Timestamp;

use super::base64;
use crate::error::{Error, Result};
use crate::ids::DevId;

/// What a message is about, read off its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// An uplink.
    Uplink {
        /// Its application.
        app_id: &'a str,
        /// Sending device.
        dev_id: &'a str,
    },
    /// One payload field of an uplink.
    Field {
        /// The device's application.
        app_id: &'a str,
        /// Sending device.
        dev_id: &'a str,
        /// Path of the field, its levels joined by `/`.
        field: &'a str,
    },
    /// Something that happened to a device.
    Event {
        /// The device's application.
        app_id: &'a str,
        /// Device concerned.
        dev_id: &'a str,
        /// The event's name, such as `down/sent`.
        name: &'a str,
    },
    /// A downlink on its way to the network.
    Downlink {
        /// The device's application.
        app_id: &'a str,
        /// Receiving device.
        dev_id: &'a str,
    },
}

impl<'a> Topic<'a> {
    /// The application.
    #[must_use]
    pub fn app_id(self) -> &'a str {
        match self {
            Self::Uplink { app_id, .. }
            | Self::Field { app_id, .. }
            | Self::Event { app_id, .. }
            | Self::Downlink { app_id, .. } => app_id,
        }
    }

    /// The device.
    #[must_use]
    pub fn dev_id(self) -> &'a str {
        match self {
            Self::Uplink { dev_id, .. }
            | Self::Field { dev_id, .. }
            | Self::Event { dev_id, .. }
            | Self::Downlink { dev_id, .. } => dev_id,
        }
    }
}

/// What an application can listen to; `None` for the device means all devices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// Uplinks.
    Uplink(Option<DevId>),
    /// One payload field of the uplinks, its levels joined by `/`.
    Field(Option<DevId>, String),
    /// One kind of event, or all of them.
    Event(Option<DevId>, Option<String>),
    /// Whatever this MQTT topic filter takes.
    Any(String),
}

/// What a device event tells, which decides the shape of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A join, or a failed one.
    Activation,
    /// The way of a downlink.
    Downlink,
    /// The device's registration was made, changed or deleted.
    Registration,
    /// An uplink that could not be decoded.
    UplinkError,
    /// A name that this library does not know.
    Other,
}

/// Where a downlink enters the device's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// It becomes the only entry.
    #[default]
    Replace,
    /// In front of all others.
    First,
    /// At the end.
    Last,
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
    /// A text that is base64, and hex as well: sent as base64, as it always was.
    Either(String),
    /// Fields for the application's encoder, as JSON text.
    Fields(String),
}

impl Payload {
    /// A payload of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::Raw(base64::encode(bytes))
    }

    /// The payload that a text means: base64 stays as it is, hex that is no base64 is converted. Blanks and line ends do
    /// not matter, but that pairs of digits with blanks between them are hex.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is neither.
    pub fn from_text(text: &str) -> Result<Self> {
        let is_bare = !text.contains(char::is_whitespace);
        let bare = if is_bare { text.to_owned() } else { text.split_whitespace().collect() };
        let in_pairs = !is_bare && bare.len() > 2 && text.split_whitespace().all(|pair| pair.len() == 2);
        match (base64::decode(&bare), hex::decode(&bare).ok()) {
            (_, Some(bytes)) if in_pairs => Ok(Self::from_bytes(&bytes)),
            (Ok(bytes), Some(_)) if !bytes.is_empty() => Ok(Self::Either(bare)),
            (Ok(_), _) => Ok(Self::Raw(bare)),
            (Err(_), Some(bytes)) => Ok(Self::from_bytes(&bytes)),
            _ => Err(Error::invalid("payload", text, "base64 such as \"AQ==\" or hex such as \"01\"")),
        }
    }
}

/// A downlink as the application gives it to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downlink {
    /// LoRaWAN FPort: see [`Network::port`].
    ///
    /// [`Network::port`]: super::Network::port
    pub port: u8,
    /// Whether the device must acknowledge it.
    pub confirmed: bool,
    /// Place in the queue.
    pub schedule: Schedule,
    /// What it carries.
    pub payload: Payload,
    /// What only some networks can be told of it.
    pub options: Option<Box<Options>>,
}

/// What The Things Stack V3 can be told of a downlink beside that (V3 2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Its priority among what a gateway has to send, by its name.
    pub priority: Option<&'static str>,
    /// What only devices of class B and C need.
    pub class_b_c: Option<ClassBC>,
    /// How often it is sent again that was to be acknowledged and was not.
    pub max_attempts: Option<u32>,
    /// Texts that all events of the downlink have.
    pub correlation_ids: Vec<String>,
}

/// On which way, and when, a downlink goes to a device of class B or C.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassBC {
    /// The gateways that it may go by; empty for all.
    pub gateways: Vec<Antenna>,
    /// When it goes.
    pub absolute_time: Option<Timestamp>,
}

/// An antenna of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Antenna {
    /// The gateway.
    pub gateway_id: String,
    /// Which of its antennas.
    pub antenna_index: u32,
    /// Which of its groups.
    pub group_index: u32,
}

/// What a network tells of a downlink's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is in the device's queue.
    Queued,
    /// A gateway has sent it.
    Sent,
    /// The device has acknowledged it.
    Acked,
    /// The device has not acknowledged it.
    Nacked,
    /// It will not be sent.
    Failed,
}

impl Step {
    /// From the name of an event, as callbacks have it.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "down/scheduled" => Self::Queued,
            "down/sent" => Self::Sent,
            "down/acks" => Self::Acked,
            "down/nack" => Self::Nacked,
            "down/errors" => Self::Failed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_base64_first_and_hex_second() {
        for (text, raw) in
            [("AQ==", "AQ=="), ("01", "AQ=="), ("0A0b0c", "CgsM"), ("", ""), ("AR==", "AR=="), ("hello1==", "hello1==")]
        {
            assert_eq!(Payload::from_text(text).unwrap(), Payload::Raw(raw.into()), "{text}");
        }
        for both in ["01ff", "BEEF", "00000000"] {
            assert_eq!(Payload::from_text(both).unwrap(), Payload::Either(both.into()), "{both}");
        }
        for bad in ["AQ=", "0x1", "hello world", "1"] {
            assert!(Payload::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn blanks_and_line_ends_do_not_matter() {
        for (text, raw) in [
            ("AQ==\n", "AQ=="),
            (" qg = =\r\n", "qg=="),
            ("01\n", "AQ=="),
            ("01 02\t0a", "AQIK"),
            ("\n0102\n03", "AQID"),
        ] {
            assert_eq!(Payload::from_text(text).unwrap(), Payload::Raw(raw.into()), "{text:?}");
        }
        // Nobody writes base64 in pairs.
        assert_eq!(Payload::from_text("01 02").unwrap(), Payload::Raw("AQI=".into()));
        assert_eq!(Payload::from_text(" 01ff\n").unwrap(), Payload::Either("01ff".into()));
    }
}
