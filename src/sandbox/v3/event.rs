//! Messages to applications (V3 2.5).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::downlink::Downlink;
use super::failure::Failure;
use super::formatter::Decoded;
use super::json::{self, Object, list};
use super::record::Server;
use super::registry::Device;
use crate::rpc::proto::v3::{Location, LocationSource};
use crate::sandbox::air::{ALTITUDE, Reception};

/// A device as events name it.
#[derive(Clone, Debug)]
pub(super) struct DeviceIds(String);

impl DeviceIds {
    /// With the address only where the stack has looked it up.
    pub(super) fn new(app_id: &str, dev_id: &str, device: &Device, with_address: bool) -> Self {
        let session = device.session.as_ref().filter(|_| with_address);
        let text = Object::new()
            .text("device_id", dev_id)
            .put("application_ids", Object::new().text("application_id", app_id).end())
            .text("dev_eui", &hex::encode_upper(device.records.dev_eui()))
            .text("join_eui", &hex::encode_upper(device.records.join_eui()))
            .text("dev_addr", &session.map(|session| hex::encode_upper(session.dev_addr)).unwrap_or_default());
        Self(text.end())
    }
}

/// Something that happened, with what it is about; its IDs come sorted, whatever order they were made in.
pub(super) fn event(
    ids: &DeviceIds,
    mut correlation_ids: Vec<String>,
    at: Timestamp,
    name: &str,
    body: &str,
) -> String {
    correlation_ids.sort_unstable();
    Object::new()
        .put("end_device_ids", &ids.0)
        .texts("correlation_ids", &correlation_ids)
        .put("received_at", json::instant(at))
        .put(name, body)
        .end()
}

/// A downlink that has failed, and why.
pub(super) fn failed(failure: &Failure, downlink: &Downlink, correlation_id: u128) -> String {
    Object::new().put("downlink", downlink.to_json()).put("error", failure.to_json(correlation_id)).end()
}

/// The same of what was never on the air.
pub(super) fn simulated(mut event: String) -> String {
    event.pop();
    event + ",\"simulated\":true}"
}

/// What an uplink says. Members that may be absent are JSON already.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub(super) device: &'a Device,
    pub(super) session_key_id: &'a [u8],
    pub(super) f_port: u32,
    pub(super) f_cnt: u32,
    pub(super) frm_payload: &'a [u8],
    pub(super) rx_metadata: Option<String>,
    pub(super) settings: String,
    pub(super) received_at: Option<String>,
    pub(super) confirmed: bool,
    pub(super) consumed_airtime: Option<String>,
    pub(super) packet_error_rate: f32,
    /// Where the device is; empty for what the Identity Server knows of that.
    pub(super) locations: Vec<(&'a str, &'a Location)>,
    pub(super) version_ids: Option<String>,
    pub(super) network_ids: Option<String>,
}

impl Content<'_> {
    /// The messages that come of it: end of the topic, member of the event, and its body. One for the uplink, and one for
    /// each measurement; none where there is no JSON for what a formatter has made.
    pub(super) fn messages(&self, decoded: &Decoded) -> Vec<(&'static str, &'static str, String)> {
        if decoded.has_dates {
            return Vec::new();
        }
        let uplink = self.begin().maybe("decoded_payload", decoded.data.as_ref().map(json::free));
        let uplink = uplink.texts("decoded_payload_warnings", &decoded.warnings);
        let all = list(decoded.normalized.iter().map(json::free));
        let uplink = uplink.maybe("normalized_payload", (!decoded.normalized.is_empty()).then_some(all));
        let mut messages = vec![("up", "uplink_message", self.end(uplink, decoded, self.packet_error_rate))];
        messages.extend(decoded.normalized.iter().map(|measurement| {
            let body = self.begin().put("normalized_payload", json::free(measurement));
            ("up/normalized", "uplink_normalized", self.end(body, decoded, 0.0))
        }));
        messages
    }

    fn begin(&self) -> Object {
        Object::new()
            .bytes("session_key_id", self.session_key_id)
            .number("f_port", self.f_port)
            .number("f_cnt", self.f_cnt)
            .bytes("frm_payload", self.frm_payload)
    }

    fn end(&self, object: Object, decoded: &Decoded, packet_error_rate: f32) -> String {
        let record = self.device.records.of(Server::Identity);
        let mut locations = self.locations.clone();
        if locations.is_empty() {
            locations.extend(record.and_then(|record| record.locations.get("user")).map(|user| ("user", user)));
        }
        locations.sort_unstable_by_key(|(name, _)| *name);
        let places = locations.iter().fold(Object::new(), |object, (name, at)| object.put(name, location(at)));
        let locations = (!locations.is_empty()).then(|| places.end());
        let attributes: BTreeMap<_, _> = record.into_iter().flat_map(|record| &record.attributes).collect();
        let attributes = attributes.into_iter().fold(Object::new(), |object, (name, text)| object.text(name, text));
        object
            .texts("normalized_payload_warnings", &decoded.normalized_warnings)
            .maybe("rx_metadata", self.rx_metadata.as_ref())
            .put("settings", &self.settings)
            .maybe("received_at", self.received_at.as_ref())
            .flag("confirmed", self.confirmed)
            .maybe("consumed_airtime", self.consumed_airtime.as_ref())
            .float("packet_error_rate", shortest(packet_error_rate))
            .maybe("locations", locations)
            .maybe("attributes", Some(attributes.end()).filter(|text| text != "{}"))
            .maybe("version_ids", self.version_ids.as_ref())
            .maybe("network_ids", self.network_ids.as_ref())
            .end()
    }
}

/// How a frame was sent, as the network tells it.
pub(super) fn settings(reception: &Reception) -> String {
    let lora = Object::spaced()
        .number("bandwidth", 125_000)
        .number("spreading_factor", reception.spreading)
        .text("coding_rate", "4/5");
    Object::spaced()
        .put("data_rate", Object::spaced().put("lora", lora.end()).end())
        .text("frequency", &reception.frequency_hz.to_string())
        .number("timestamp", reception.gateways[0].timestamp)
        .end()
}

/// How the gateways heard it; `token` is opaque to all but them.
pub(super) fn metadata(reception: &Reception, at: Timestamp, token: u128) -> String {
    list(reception.gateways.iter().map(|heard| {
        let gateway = heard.gateway;
        let ids = Object::new().text("gateway_id", gateway.id).text("eui", &hex::encode_upper(gateway.eui));
        Object::new()
            .put("gateway_ids", ids.end())
            .maybe("time", gateway.has_clock.then(|| json::instant(at)))
            .number("timestamp", heard.timestamp)
            .number("rssi", heard.rssi)
            .number("channel_rssi", heard.rssi)
            .number("snr", heard.snr)
            .put("location", place((gateway.latitude, gateway.longitude, ALTITUDE)))
            .bytes("uplink_token", &(token ^ u128::from(heard.timestamp)).to_be_bytes())
            .number("channel_index", reception.channel)
            .put("received_at", json::instant(at))
            .end()
    }))
}

fn place((latitude, longitude, altitude): (f64, f64, i32)) -> String {
    let source = LocationSource::SourceRegistry.into();
    location(&Location { latitude, longitude, altitude, source, ..Location::default() })
}

/// Where something is.
pub(super) fn location(at: &Location) -> String {
    let source = LocationSource::try_from(at.source).unwrap_or_default();
    Object::new()
        .float("latitude", at.latitude)
        .float("longitude", at.longitude)
        .number("altitude", at.altitude)
        .number("accuracy", at.accuracy)
        .text("source", if source == LocationSource::SourceUnknown { "" } else { source.as_str_name() })
        .end()
}

/// The number that is written as shortly as the one of less precision.
pub(super) fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}
