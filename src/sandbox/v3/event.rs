//! Messages to applications (V3 2.5).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::downlink::Downlink;
use super::failure::Failure;
use super::json::{self, Object, list};
use super::record::Server;
use super::registry::Device;
use crate::sandbox::air::{ALTITUDE, Heard, Reception};

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

/// A frame of a device.
#[derive(Debug)]
pub(super) struct Uplink<'a> {
    pub(super) device: &'a Device,
    pub(super) key_id: &'a [u8],
    pub(super) f_port: u8,
    pub(super) f_cnt: u32,
    pub(super) frm_payload: &'a [u8],
    pub(super) decoded_payload: Option<&'a Value>,
    pub(super) confirmed: bool,
    pub(super) reception: &'a Reception,
    pub(super) airtime_ns: u64,
    pub(super) tenant: Option<&'a str>,
    /// When the network got it.
    pub(super) at: Timestamp,
    /// Opaque to all but the gateways.
    pub(super) token: u128,
}

impl Uplink<'_> {
    pub(super) fn to_json(&self) -> String {
        let at = json::instant(self.at);
        let reception = self.reception;
        let lora = Object::spaced()
            .number("bandwidth", 125_000)
            .number("spreading_factor", reception.spreading)
            .text("coding_rate", "4/5");
        let timestamp = reception.gateways[0].timestamp;
        let settings = Object::spaced()
            .put("data_rate", Object::spaced().put("lora", lora.end()).end())
            .text("frequency", &reception.frequency_hz.to_string())
            .number("timestamp", timestamp);
        let record = self.device.records.of(Server::Identity);
        let user = record.and_then(|record| record.locations.get("user"));
        let user = user.map(|user| place((user.latitude, user.longitude, user.altitude)));
        let locations = user.map(|user| Object::new().put("user", user).end());
        let attributes: BTreeMap<_, _> = record.into_iter().flat_map(|record| &record.attributes).collect();
        let attributes = attributes.into_iter().fold(Object::new(), |object, (name, text)| object.text(name, text));
        let network = Object::new().text("net_id", "000013").text("tenant_id", self.tenant.unwrap_or_default());
        Object::new()
            .bytes("session_key_id", self.key_id)
            .number("f_port", self.f_port)
            .number("f_cnt", self.f_cnt)
            .bytes("frm_payload", self.frm_payload)
            .maybe("decoded_payload", self.decoded_payload.map(json::free))
            .put("rx_metadata", list(reception.gateways.iter().map(|heard| self.heard(heard))))
            .put("settings", settings.end())
            .put("received_at", &at)
            .flag("confirmed", self.confirmed)
            .put("consumed_airtime", json::duration(self.airtime_ns))
            .maybe("locations", locations)
            .maybe("attributes", Some(attributes.end()).filter(|text| text != "{}"))
            .put("network_ids", network.end())
            .end()
    }

    fn heard(&self, heard: &Heard) -> String {
        let gateway = heard.gateway;
        let ids = Object::new().text("gateway_id", gateway.id).text("eui", &hex::encode_upper(gateway.eui));
        Object::new()
            .put("gateway_ids", ids.end())
            .maybe("time", gateway.has_clock.then(|| json::instant(self.at)))
            .number("timestamp", heard.timestamp)
            .number("rssi", heard.rssi)
            .number("channel_rssi", heard.rssi)
            .number("snr", heard.snr)
            .put("location", place((gateway.latitude, gateway.longitude, ALTITUDE)))
            .bytes("uplink_token", &(self.token ^ u128::from(heard.timestamp)).to_be_bytes())
            .number("channel_index", self.reception.channel)
            .put("received_at", json::instant(self.at))
            .end()
    }
}

fn place((latitude, longitude, altitude): (f64, f64, i32)) -> String {
    Object::new()
        .number("latitude", latitude)
        .number("longitude", longitude)
        .number("altitude", altitude)
        .text("source", "SOURCE_REGISTRY")
        .end()
}
