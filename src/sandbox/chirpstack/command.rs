//! Commands as applications publish them (CS 3.5), read as the server reads them, with its words for those that it cannot.

use std::fmt;

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::rpc::proto::chirpstack::integration::DownlinkCommand;
use crate::sandbox::structure;

/// Read a command; JSON or protobuf, as the server was told.
///
/// # Errors
/// What the server writes to its log.
pub(super) fn read(payload: &[u8], is_json: bool) -> Result<DownlinkCommand, String> {
    if !is_json {
        return prost::Message::decode(payload).map_err(|error| error.to_string());
    }
    let Map(read) = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    Ok(DownlinkCommand {
        id: read.id,
        dev_eui: read.dev_eui,
        confirmed: read.confirmed,
        f_port: read.f_port.0,
        data: read.data.0,
        object: read.object.map(|object| structure::from_json(&object.0)),
        expires_at: read.expires_at.map(|time| time.0),
    })
}

/// The keys, each by two names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    #[serde(default)]
    id: String,
    #[serde(default, alias = "dev_eui")]
    dev_eui: String,
    #[serde(default)]
    confirmed: bool,
    #[serde(default, alias = "f_port")]
    f_port: Whole,
    #[serde(default)]
    data: Bytes,
    #[serde(default)]
    object: Option<Object>,
    #[serde(default, alias = "expires_at")]
    expires_at: Option<Instant>,
}

/// The same, and no list of its values.
struct Map(Json);

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Map;

            fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
                words.write_str("struct integration.DownlinkCommand")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Map, A::Error> {
                Json::deserialize(MapAccessDeserializer::new(map)).map(Map)
            }
        }

        deserializer.deserialize_struct("integration.DownlinkCommand", &[], Keys)
    }
}

/// A number of 32 bits, or its decimal text.
#[derive(Default)]
struct Whole(u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if let Some(text) = value.as_str() {
            return text.parse().map(Self).map_err(D::Error::custom);
        }
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.map(Self).ok_or_else(|| D::Error::custom("data did not match any variant of untagged enum Content"))
    }
}

/// Base64, padded or not, in either alphabet.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Bytes;

            fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
                words.write_str("a base64 string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let config = GeneralPurposeConfig::new()
                    .with_decode_allow_trailing_bits(true)
                    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
                let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
                GeneralPurpose::new(alphabet, config).decode(text).map(Bytes).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A free object.
struct Object(serde_json::Value);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
                words.write_str("google.protobuf.Struct")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = serde_json::Map::new();
                while let Some((name, value)) = map.next_entry()? {
                    object.insert(name, value);
                }
                Ok(Object(object.into()))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A time with its zone, kept to microseconds.
struct Instant(prost_types::Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Instant;

            fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
                words.write_str("a date string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Instant, E> {
                // The same words for whatever is missing of it.
                let time: Timestamp = text.parse().map_err(|_| E::custom("premature end of input"))?;
                Ok(Instant(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_a_time_counts() {
        let read = |text: &str| read(format!("{{\"expiresAt\":\"{text}\"}}").as_bytes(), true);
        let seconds = |text| read(text).unwrap().expires_at.unwrap().seconds;
        assert_eq!(seconds("2030-01-01T02:00:00+02:00"), seconds("2030-01-01T00:00:00Z"));
        assert!(read("2030-01-01T00:00:00").is_err());
    }

    #[test]
    fn what_is_no_command_is_told() {
        for (text, words) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[]", "invalid type: sequence, expected struct integration.DownlinkCommand at line 1 column 2"),
            (r#"{"fPort":1,"fPort":2}"#, "duplicate field `fPort` at line 1 column 18"),
            (r#"{"id":null}"#, "invalid type: null, expected a string at line 1 column 10"),
            (r#"{"data":[1]}"#, "invalid type: sequence, expected a base64 string at line 1 column 8"),
        ] {
            assert_eq!(read(text.as_bytes(), true).unwrap_err(), words, "{text}");
        }
    }
}
