//! Payload formats: bytes to fields and back, as the network's handler does it (V2 2.7).

mod javascript;

use serde_json::Value;

pub(super) use self::javascript::Log;
use super::Settings;
use crate::sandbox::cayenne;

/// What payload functions make of an uplink.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The fields; `Null` without a decoder.
    pub(super) fields: Value,
    /// What the validator says.
    pub(super) valid: bool,
    /// What the functions printed.
    pub(super) logs: Vec<Log>,
}

/// The fields of an uplink.
///
/// # Errors
/// The network's words for what went wrong.
pub(super) fn decode(settings: &Settings, payload: &[u8], port: u8) -> Result<Decoded, String> {
    match settings.payload_format.as_str() {
        "" | "custom" => javascript::decode(settings, payload, port),
        "cayennelpp" => Ok(Decoded { fields: cayenne::decode(payload)?, valid: true, logs: Vec::new() }),
        _ => Err("App not valid: unknown payload format".to_owned()),
    }
}

/// The payload of a downlink with these fields.
///
/// # Errors
/// The network's words for what went wrong.
pub(super) fn encode(settings: &Settings, fields: &Value, port: u8) -> Result<(Vec<u8>, Vec<Log>), String> {
    match settings.payload_format.as_str() {
        "" | "custom" => javascript::encode(settings, fields, port),
        "cayennelpp" => Ok((cayenne::encode(fields)?, Vec::new())),
        _ => Err("App not valid: unknown payload format".to_owned()),
    }
}

/// Whether the application has anything that reads payloads.
pub(super) fn can_decode(settings: &Settings) -> bool {
    settings.payload_format == "cayennelpp" || (settings.payload_format == "custom" && !settings.decoder.is_empty())
}
