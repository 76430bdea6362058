//! Simulated devices: uplinks, joins, and the downlink queue with its class A timing.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use tonic::Status;

use super::network::Network;
use super::wire_v2::{
    Activation, DownlinkBody, DownlinkConfig, DownlinkEvent, Gateway, Location, Metadata, Registration, Uplink,
    UplinkError, to_json,
};
use crate::error::{Error, Result};
use crate::rpc::proto::handler;
use crate::sandbox::grpc::from_wire;
use crate::sandbox::payload;

/// Channels of the European band, in MHz.
const FREQUENCIES: [f64; 8] = [868.1, 868.3, 868.5, 867.1, 867.3, 867.5, 867.7, 867.9];
/// The gateways that hear everything.
const GATEWAYS: [(&str, f64, f64); 2] = [("eui-b827ebfffe0a0b0c", 51.9812, 5.6623), ("barn-roof", 51.9801, 5.6611)];
/// IDs of the gateways.
pub(in crate::sandbox) fn gateway_ids() -> impl Iterator<Item = &'static str> {
    GATEWAYS.iter().map(|(id, _, _)| *id)
}

/// Downlinks that may wait for one device.
const QUEUE: usize = 1000;

/// What one uplink carries.
#[derive(Clone, Debug)]
pub struct UplinkFrame {
    /// Bytes; `None` for a frame without application payload.
    pub payload: Option<Vec<u8>>,
    /// Decoded fields as JSON text.
    pub fields: Option<String>,
    /// LoRaWAN FPort.
    pub port: u8,
    /// Whether the device asks for an acknowledgement.
    pub confirmed: bool,
    /// Whether it repeats the frame before.
    pub is_retry: bool,
}

impl Default for UplinkFrame {
    fn default() -> Self {
        Self { payload: Some(vec![0]), fields: None, port: 1, confirmed: false, is_retry: false }
    }
}

/// A downlink that waits for its device.
#[derive(Clone, Debug)]
struct Waiting {
    port: u8,
    confirmed: bool,
    payload_raw: Option<String>,
    payload_fields: Option<Value>,
}

impl Waiting {
    fn body<'a>(&'a self, ids: Option<(&'a str, &'a str)>) -> DownlinkBody<'a> {
        DownlinkBody {
            app_id: ids.map(|(app_id, _)| app_id),
            dev_id: ids.map(|(_, dev_id)| dev_id),
            port: self.port,
            confirmed: self.confirmed,
            payload_raw: self.payload_raw.as_deref(),
            payload_fields: self.payload_fields.as_ref(),
        }
    }
}

/// The air between devices and gateways.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Radio {
    random: fastrand::Rng,
    queues: HashMap<(String, String), Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// A confirmed downlink that was sent and not acknowledged.
    unacknowledged: Option<Waiting>,
}

impl Radio {
    /// Make what follows repeatable.
    pub(in crate::sandbox) fn seed(&mut self, seed: u64) {
        self.random.seed(seed);
    }

    /// Forget all downlinks.
    pub(in crate::sandbox) fn forget(&mut self) {
        self.queues.clear();
    }

    fn metadata(&mut self, payload: usize, location: Option<Location>) -> Metadata {
        let now = Timestamp::now();
        let random = &mut self.random;
        let spreading = random.u8(7..=12);
        let channel = random.u8(0..8);
        let gateways = GATEWAYS.iter().map(|(gtw_id, latitude, longitude)| Gateway {
            gtw_id: (*gtw_id).to_owned(),
            gtw_trusted: gtw_id.starts_with("eui-"),
            timestamp: random.u32(1..),
            // Only the first gateway has a clock; the other's time is the empty text that the network sends then.
            time: if gtw_id.starts_with("eui-") { now.to_string() } else { String::new() },
            channel,
            rssi: random.i32(-120..-40),
            snr: f64::from(random.i32(-40..50)) / 4.0,
            rf_chain: 0,
            location: Some(Location { latitude: *latitude, longitude: *longitude, altitude: 31, source: "registry" }),
        });
        Metadata {
            time: now.to_string(),
            frequency: Some(FREQUENCIES[usize::from(channel)]),
            modulation: Some("LORA"),
            data_rate: Some(format!("SF{spreading}BW125")),
            airtime: Some(airtime_ns(spreading, payload + 13)),
            coding_rate: Some("4/5"),
            gateways: gateways.collect(),
            location,
        }
    }
}

/// Time on air in nanoseconds of a frame at 125 kHz, coding rate 4/5, explicit header (Semtech AN1200.13, section 4).
fn airtime_ns(spreading: u8, bytes: usize) -> u64 {
    let symbol_us = (1_u64 << spreading) * 8;
    let spreading_bits = u64::from(spreading);
    // With low data rate optimisation at SF11 and SF12.
    let optimised = if spreading >= 11 { 2 } else { 0 };
    let numerator = (8 * bytes as u64 + 28 + 16).saturating_sub(4 * spreading_bits);
    let symbols = 8 + numerator.div_ceil(4 * (spreading_bits - optimised)) * 5;
    // The preamble has 12.25 symbols.
    (symbols * 4 + 49) * symbol_us * 250
}

impl Network {
    fn location_of(&self, app_id: &str, dev_id: &str) -> Option<Location> {
        let (latitude, longitude, altitude) = self.registry().device(app_id, dev_id)?.location?;
        Some(Location { latitude, longitude, altitude, source: "registry" })
    }

    fn event(&self, app_id: &str, dev_id: &str, name: &str, body: Bytes) {
        self.emit(&format!("{app_id}/devices/{dev_id}/events/{name}"), body);
    }

    /// Register a device if it is new; that is an event.
    pub(in crate::sandbox) fn register(&self, app_id: &str, dev_id: &str) -> Result<()> {
        let new = self.registry().register(app_id, dev_id)?.1;
        if new {
            let body = Registration {
                latitude: None,
                longitude: None,
                altitude: None,
                update_at: Timestamp::now().to_string(),
            };
            self.event(app_id, dev_id, "create", to_json(&body));
        }
        Ok(())
    }

    /// Place a device; that is an event.
    pub(in crate::sandbox) fn locate(&self, app_id: &str, dev_id: &str, location: (f64, f64, i32)) -> Result<()> {
        let mut registry = self.registry();
        let device = registry.device(app_id, dev_id).ok_or_else(|| unknown(dev_id))?;
        device.location = Some(location);
        drop(registry);
        let (latitude, longitude, altitude) = location;
        let body = Registration {
            latitude: Some(latitude),
            longitude: Some(longitude),
            altitude: Some(altitude),
            update_at: Timestamp::now().to_string(),
        };
        self.event(app_id, dev_id, "update", to_json(&body));
        Ok(())
    }

    /// Remove a device; that is an event.
    pub(in crate::sandbox) fn delete(&self, app_id: &str, dev_id: &str) -> Result<()> {
        if !self.registry().remove(app_id, dev_id) {
            return Err(unknown(dev_id));
        }
        self.radio().queues.remove(&(app_id.to_owned(), dev_id.to_owned()));
        self.event(app_id, dev_id, "delete", Bytes::from_static(b"null"));
        Ok(())
    }

    /// Put a device's record in place, as the manager is told to; that is an event.
    pub(in crate::sandbox) fn put(&self, wire: &handler::Device) -> std::result::Result<(), Status> {
        let (app_id, dev_id) = (wire.app_id.as_str(), wire.dev_id.as_str());
        let mut registry = self.registry();
        let known = registry.device(app_id, dev_id).cloned();
        let device = from_wire(wire, known.as_ref())?;
        if known.is_none() && registry.has_euis(app_id, dev_id, device.app_eui, device.dev_eui) {
            let eui = hex::encode_upper(device.dev_eui);
            return Err(Status::already_exists(format!("Device with DevEUI {eui} already exists")));
        }
        let changed = |of: fn((f64, f64, i32)) -> f64| {
            let (before, after) = (known.as_ref().and_then(|known| known.location).map(of), device.location.map(of));
            after.filter(|after| before != Some(*after) && *after != 0.0)
        };
        #[expect(clippy::cast_possible_truncation, reason = "made from a whole number just here")]
        let body = Registration {
            latitude: changed(|location| location.0),
            longitude: changed(|location| location.1),
            altitude: changed(|location| f64::from(location.2)).map(|altitude| altitude as i32),
            update_at: Timestamp::now().to_string(),
        };
        registry.put(app_id, dev_id, device);
        drop(registry);
        self.event(app_id, dev_id, if known.is_some() { "update" } else { "create" }, to_json(&body));
        Ok(())
    }

    /// Let a device join.
    pub(in crate::sandbox) fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        let mut registry = self.registry();
        let address = registry.new_address();
        let device = registry.device(app_id, dev_id).ok_or_else(|| unknown(dev_id))?;
        device.dev_addr = address;
        device.uplinks = 0;
        device.downlinks = 0;
        let body = |metadata| Activation {
            app_eui: hex::encode_upper(device.app_eui),
            dev_eui: hex::encode_upper(device.dev_eui),
            dev_addr: hex::encode_upper(device.dev_addr),
            metadata,
        };
        let body = body(self.radio().metadata(10, None));
        drop(registry);
        self.event(app_id, dev_id, "activations", to_json(&body));
        Ok(())
    }

    /// Let a device send; then its window for downlinks opens. Returns the frame counter.
    pub(in crate::sandbox) fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        let mut registry = self.registry();
        let device = registry.device(app_id, dev_id).ok_or_else(|| unknown(dev_id))?;
        if !frame.is_retry {
            device.uplinks += 1;
        }
        device.last_seen = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let (counter, acknowledges) = (device.uplinks.saturating_sub(1), device.acknowledges);
        drop(registry);
        let size = frame.payload.as_ref().map_or(0, Vec::len);
        let location = self.location_of(app_id, dev_id);
        let metadata = self.radio().metadata(size, location);
        self.publish_uplink(app_id, dev_id, frame, counter, metadata)?;
        self.open_window(app_id, dev_id, acknowledges);
        Ok(counter)
    }

    /// Handle a payload as if a device had sent it (V2 1.4): nothing was on the air, no counter moves.
    pub(in crate::sandbox) fn simulate(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<()> {
        let metadata = Metadata {
            time: Timestamp::now().to_string(),
            frequency: None,
            modulation: None,
            data_rate: None,
            airtime: None,
            coding_rate: None,
            gateways: Vec::new(),
            location: self.location_of(app_id, dev_id),
        };
        self.publish_uplink(app_id, dev_id, frame, 0, metadata)
    }

    /// The fields of an uplink, as JSON: given by whoever simulates it, or made by the application's payload format.
    /// `Err` says that the validator has refused it.
    fn fields_of(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> std::result::Result<Option<String>, ()> {
        if let Some(fields) = &frame.fields {
            return Ok(Some(fields.clone()));
        }
        let settings = self.registry().settings(app_id).filter(|settings| payload::can_decode(settings));
        let (Some(settings), Some(bytes)) = (settings, &frame.payload) else { return Ok(None) };
        let fail = |error: &str| self.event(app_id, dev_id, "up/errors", to_json(&UplinkError { error }));
        match payload::decode(&settings, bytes, frame.port) {
            Ok(decoded) if decoded.valid => Ok(Some(decoded.fields.to_string())
                .filter(|_| decoded.fields.as_object().is_some_and(|all| !all.is_empty()))),
            Ok(_) => {
                fail("Payload not valid: payload validator function returned false");
                Err(())
            }
            Err(error) => {
                fail(&error);
                Ok(None)
            }
        }
    }

    fn publish_uplink(
        &self,
        app_id: &str,
        dev_id: &str,
        frame: &UplinkFrame,
        counter: u32,
        metadata: Metadata,
    ) -> Result<()> {
        let Ok(fields) = self.fields_of(app_id, dev_id, frame) else { return Ok(()) };
        let fields = fields.as_deref().map(serde_json::from_str::<&RawValue>).transpose();
        let fields =
            fields.map_err(|_| Error::invalid("fields", frame.fields.clone().unwrap_or_default(), "a JSON text"))?;
        let mut registry = self.registry();
        let device = registry.device(app_id, dev_id).ok_or_else(|| unknown(dev_id))?;
        let hardware_serial = hex::encode_upper(device.dev_eui);
        let attributes = (!device.attributes.is_empty() && fields.is_some()).then(|| device.attributes.clone());
        drop(registry);
        let uplink = Uplink {
            app_id,
            dev_id,
            hardware_serial,
            port: frame.port,
            counter,
            confirmed: frame.confirmed,
            is_retry: frame.is_retry,
            payload_raw: frame.payload.as_ref().map(|bytes| STANDARD.encode(bytes)),
            payload_fields: fields,
            metadata,
            attributes,
        };
        self.emit(&format!("{app_id}/devices/{dev_id}/up"), to_json(&uplink));
        Ok(())
    }

    /// After an uplink: the device acknowledges what it got before, and the next downlink goes out.
    fn open_window(&self, app_id: &str, dev_id: &str, acknowledges: bool) {
        let mut radio = self.radio();
        let Some(queue) = radio.queues.get_mut(&(app_id.to_owned(), dev_id.to_owned())) else { return };
        let settled = if acknowledges { queue.unacknowledged.take() } else { None };
        let next = queue.unacknowledged.clone().or_else(|| queue.waiting.pop_front());
        if let Some(next) = next.as_ref().filter(|next| next.confirmed) {
            queue.unacknowledged = Some(next.clone());
        }
        drop(radio);
        if let Some(settled) = settled {
            let event = DownlinkEvent { message: Some(settled.body(None)), ..DownlinkEvent::default() };
            self.event(app_id, dev_id, "down/acks", to_json(&event));
        }
        if let Some(next) = next {
            self.transmit(app_id, dev_id, &next);
        }
    }

    /// The bytes of a downlink: given, or made of its fields by the application's payload format.
    fn payload_of(&self, app_id: &str, downlink: &Waiting) -> std::result::Result<Vec<u8>, String> {
        match (&downlink.payload_raw, &downlink.payload_fields) {
            (Some(raw), None) => Ok(STANDARD.decode(raw).unwrap_or_default()),
            (Some(_), Some(_)) => Err("Downlink not valid: Both Fields and Payload provided".to_owned()),
            (None, Some(fields)) => {
                let settings = self.registry().settings(app_id).unwrap_or_default();
                if settings.payload_format.is_empty() {
                    let error = "Downlink not valid: the application has no payload format that could encode fields";
                    return Err(error.to_owned());
                }
                payload::encode(&settings, fields, downlink.port).map(|(bytes, _)| bytes)
            }
            (None, None) => Err("Downlink Payload not valid: empty".to_owned()),
        }
    }

    fn transmit(&self, app_id: &str, dev_id: &str, downlink: &Waiting) {
        let payload = match self.payload_of(app_id, downlink) {
            Ok(payload) => payload,
            Err(error) => {
                let message = Some(downlink.body(Some((app_id, dev_id))));
                let event = DownlinkEvent { error: Some(&error), message, ..DownlinkEvent::default() };
                return self.event(app_id, dev_id, "down/errors", to_json(&event));
            }
        };
        let mut registry = self.registry();
        let Some(device) = registry.device(app_id, dev_id) else { return };
        let counter = device.downlinks;
        device.downlinks += 1;
        let dev_addr = device.dev_addr;
        drop(registry);
        let frame = physical_frame(dev_addr, counter, downlink, &payload);
        let event = DownlinkEvent {
            error: None,
            payload: Some(STANDARD.encode(&frame)),
            message: Some(downlink.body(Some((app_id, dev_id)))),
            gateway_id: Some(GATEWAYS[1].0),
            config: Some(DownlinkConfig {
                modulation: "LORA",
                data_rate: "SF9BW125".into(),
                airtime: airtime_ns(9, frame.len()),
                counter,
                frequency: 867_500_000,
                power: 14,
            }),
        };
        self.event(app_id, dev_id, "down/sent", to_json(&event));
    }

    /// Take a downlink from an application (V2 1.6). What the network drops silently is dropped silently.
    pub(in crate::sandbox) fn take_downlink(&self, app_id: &str, dev_id: &str, payload: &[u8]) {
        if self.registry().device(app_id, dev_id).is_none() {
            return tracing::debug!(%app_id, %dev_id, "dropped a downlink for an unknown device");
        }
        let Some((waiting, schedule)) = read_downlink(payload) else {
            return tracing::debug!(%app_id, %dev_id, "dropped a downlink that cannot be read");
        };
        let fail = |error: &str| {
            let event = DownlinkEvent { error: Some(error), ..DownlinkEvent::default() };
            self.event(app_id, dev_id, "down/errors", to_json(&event));
        };
        if waiting.payload_raw.is_none() && waiting.payload_fields.is_none() {
            return fail("Downlink Payload not valid: empty");
        }
        let mut radio = self.radio();
        let queue = radio.queues.entry((app_id.to_owned(), dev_id.to_owned())).or_default();
        match schedule.as_str() {
            "" | "replace" => {
                queue.waiting.clear();
                queue.unacknowledged = None;
                queue.waiting.push_back(waiting.clone());
            }
            "first" | "last" if queue.waiting.len() >= QUEUE => {
                drop(radio);
                return fail("Downlink queue full");
            }
            "first" => queue.waiting.push_front(waiting.clone()),
            "last" => queue.waiting.push_back(waiting.clone()),
            _ => {
                drop(radio);
                return fail("ScheduleType not valid: unknown");
            }
        }
        drop(radio);
        let event = DownlinkEvent { message: Some(waiting.body(None)), ..DownlinkEvent::default() };
        self.event(app_id, dev_id, "down/scheduled", to_json(&event));
    }

    /// Downlinks that wait for a device, as base64 texts, first to go first.
    pub(in crate::sandbox) fn downlinks(&self, app_id: &str, dev_id: &str) -> Vec<String> {
        let radio = self.radio();
        let queue = radio.queues.get(&(app_id.to_owned(), dev_id.to_owned()));
        queue
            .into_iter()
            .flat_map(|queue| &queue.waiting)
            .map(|waiting| waiting.payload_raw.clone().unwrap_or_default())
            .collect()
    }
}

fn unknown(dev_id: &str) -> Error {
    Error::invalid("dev_id", dev_id, "a device that is registered in this sandbox")
}

/// Read a downlink as the network's handler does; `None` for what it drops silently.
fn read_downlink(payload: &[u8]) -> Option<(Waiting, String)> {
    let body: Value = serde_json::from_slice(payload).ok()?;
    let body = body.as_object()?;
    let given = |key: &str| body.get(key).filter(|value| !value.is_null());
    let port = match given("port") {
        None => 0,
        Some(value) => u8::try_from(value.as_u64()?).ok()?,
    };
    let confirmed = given("confirmed").map_or(Some(false), Value::as_bool)?;
    let schedule = given("schedule").map_or(Some(""), Value::as_str)?.to_owned();
    let payload_raw = match given("payload_raw") {
        None => None,
        Some(value) => {
            let text = value.as_str()?;
            STANDARD.decode(text).ok()?;
            Some(text.to_owned()).filter(|text| !text.is_empty())
        }
    };
    let payload_fields = match given("payload_fields") {
        None => None,
        Some(value) => Some(value.as_object().filter(|fields| !fields.is_empty()).map(|_| value.clone()))
            .filter(Option::is_some)?,
    };
    let port = if port == 0 && payload_raw.is_some() { 1 } else { port };
    Some((Waiting { port, confirmed, payload_raw, payload_fields }, schedule))
}

/// A LoRaWAN data-down frame (LoRaWAN 1.0.2, 4.3). The sandbox has no session keys: the payload stands in plain text
/// and the integrity code is zero.
fn physical_frame(dev_addr: [u8; 4], counter: u32, downlink: &Waiting, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![if downlink.confirmed { 0xA0 } else { 0x60 }];
    frame.extend(dev_addr.iter().rev());
    frame.push(0);
    frame.extend(counter.to_le_bytes().iter().take(2));
    frame.push(downlink.port);
    frame.extend(payload);
    frame.extend([0; 4]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downlinks_are_read_as_the_network_reads_them() {
        for (body, expected) in [
            (r#"{"port": 1, "confirmed": false, "schedule": "replace", "payload_raw": "AQ=="}"#, true),
            (r#"{"payload_raw":"AQ==","schedule":null}"#, true),
            (r#"{"payload_raw":"01ff"}"#, true),
            (r#"{"payload_raw":"01"}"#, false),
            (r#"{"port":"1","payload_raw":"AQ=="}"#, false),
            (r#"{"port":256,"payload_raw":"AQ=="}"#, false),
            ("[]", false),
            ("{", false),
        ] {
            assert_eq!(read_downlink(body.as_bytes()).is_some(), expected, "{body}");
        }
        assert_eq!(read_downlink(br#"{"payload_raw":"AQ=="}"#).unwrap().0.port, 1);
    }

    #[test]
    fn airtime_is_the_known_one() {
        // 13 bytes of overhead and 10 of payload: the figures of the usual LoRaWAN calculators.
        assert_eq!(airtime_ns(7, 23), 61_696_000);
        assert_eq!(airtime_ns(12, 23), 1_482_752_000);
    }
}
