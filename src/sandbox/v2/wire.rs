//! The JSON that the network publishes (V2 1.4, 1.7–1.10), key by key in its order.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn off(flag: &bool) -> bool {
    !flag
}

/// An uplink.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Uplink<'a> {
    pub(super) app_id: &'a str,
    pub(super) dev_id: &'a str,
    pub(super) hardware_serial: String,
    pub(super) port: u8,
    pub(super) counter: u32,
    #[serde(skip_serializing_if = "off")]
    pub(super) confirmed: bool,
    #[serde(skip_serializing_if = "off")]
    pub(super) is_retry: bool,
    /// `null` for a frame without application payload.
    pub(super) payload_raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload_fields: Option<&'a RawValue>,
    pub(super) metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attributes: Option<BTreeMap<String, String>>,
}

/// How a frame was heard.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Metadata {
    pub(super) time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frequency: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) modulation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data_rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) airtime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coding_rate: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) gateways: Vec<Gateway>,
    #[serde(flatten)]
    pub(super) location: Option<Location>,
}

/// How one gateway heard it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Gateway {
    pub(super) gtw_id: String,
    #[serde(skip_serializing_if = "off")]
    pub(super) gtw_trusted: bool,
    pub(super) timestamp: u32,
    pub(super) time: String,
    pub(super) channel: u8,
    pub(super) rssi: i32,
    pub(super) snr: f64,
    pub(super) rf_chain: u8,
    #[serde(flatten)]
    pub(super) location: Option<Location>,
}

/// Where something stands.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Location {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) latitude: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) longitude: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) altitude: i32,
    #[serde(rename = "location_source")]
    pub(super) source: &'static str,
}

/// `events/activations`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Activation {
    pub(super) app_eui: String,
    pub(super) dev_eui: String,
    pub(super) dev_addr: String,
    pub(super) metadata: Metadata,
}

/// `events/create`, `events/update`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Registration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) longitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) altitude: Option<i32>,
    pub(super) update_at: String,
}

/// `events/up/errors`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UplinkError<'a> {
    pub(super) error: &'a str,
}

/// `events/down/…`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct DownlinkEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<DownlinkBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gateway_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<DownlinkConfig>,
}

/// The downlink that an event is about.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DownlinkBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dev_id: Option<&'a str>,
    pub(super) port: u8,
    #[serde(skip_serializing_if = "off")]
    pub(super) confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload_raw: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload_fields: Option<&'a serde_json::Value>,
}

/// How a downlink was sent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DownlinkConfig {
    pub(super) modulation: &'static str,
    pub(super) data_rate: String,
    pub(super) airtime: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) counter: u32,
    pub(super) frequency: u64,
    pub(super) power: i32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The JSON text of one of these.
pub(super) fn to_json(value: &impl Serialize) -> Bytes {
    // Cannot fail: the types have text keys and numbers that JSON can express.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}
