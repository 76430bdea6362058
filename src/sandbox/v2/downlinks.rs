//! Downlinks: the queue of each device, and its class A timing.

use std::collections::VecDeque;

use serde_json::Value;

use super::body::Body;
use super::network::Network;
use super::wire::{DownlinkBody, DownlinkConfig, DownlinkEvent, to_json};
use crate::dialect::lorawan::base64;
use crate::sandbox::air::{GATEWAYS, airtime_ns};
use crate::sandbox::frame::{Inbox, Received};
use crate::sandbox::v2::payload;

/// Downlinks that may wait for one device.
const QUEUE: usize = 1000;

/// A downlink that waits for its device.
#[derive(Clone, Debug)]
struct Waiting {
    port: u8,
    confirmed: bool,
    payload_raw: Option<String>,
    payload_fields: Option<Value>,
}

impl Waiting {
    /// What an application has asked for, and its place in the queue.
    fn new(body: Body) -> (Self, String) {
        let Body { port, confirmed, schedule, payload_raw, payload_fields } = body;
        let payload_raw = Some(payload_raw).filter(|bytes| !bytes.is_empty()).map(|bytes| base64::encode(&bytes));
        let payload_fields = Some(payload_fields).filter(|fields| !fields.is_empty()).map(Value::Object);
        let port = if port == 0 && payload_raw.is_some() { 1 } else { port };
        (Self { port, confirmed, payload_raw, payload_fields }, schedule)
    }

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

/// The downlinks of one device.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// A confirmed downlink that was sent and not acknowledged.
    unacknowledged: Option<Waiting>,
    /// What has reached the device.
    inbox: Inbox,
}

impl Network {
    /// After an uplink: the device acknowledges what it got before, and the next downlink goes out.
    pub(super) fn open_window(&self, app_id: &str, dev_id: &str, acknowledges: bool) {
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
            (Some(raw), None) => Ok(base64::decode(raw).unwrap_or_default()),
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
        let received = Received { payload, port: downlink.port, confirmed: downlink.confirmed, counter };
        self.radio().queues.entry((app_id.to_owned(), dev_id.to_owned())).or_default().inbox.remember(received);
        let event = DownlinkEvent {
            error: None,
            payload: Some(base64::encode(&frame)),
            message: Some(downlink.body(Some((app_id, dev_id)))),
            gateway_id: Some(GATEWAYS[1].id),
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
    pub(in crate::sandbox::v2) fn take_downlink(&self, app_id: &str, dev_id: &str, payload: &[u8]) {
        if self.registry().device(app_id, dev_id).is_none() {
            return tracing::debug!(%app_id, %dev_id, "dropped a downlink for an unknown device");
        }
        let Some(body) = Body::read(payload) else {
            return tracing::debug!(%app_id, %dev_id, "dropped a downlink that cannot be read");
        };
        let (waiting, schedule) = Waiting::new(body);
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
    pub(in crate::sandbox::v2) fn downlinks(&self, app_id: &str, dev_id: &str) -> Vec<String> {
        let radio = self.radio();
        let queue = radio.queues.get(&(app_id.to_owned(), dev_id.to_owned()));
        queue
            .into_iter()
            .flat_map(|queue| &queue.waiting)
            .map(|waiting| waiting.payload_raw.clone().unwrap_or_default())
            .collect()
    }

    /// Downlinks that have reached a device, first to last.
    pub(in crate::sandbox::v2) fn received(&self, app_id: &str, dev_id: &str) -> Vec<Received> {
        let radio = self.radio();
        let queue = radio.queues.get(&(app_id.to_owned(), dev_id.to_owned()));
        queue.map(|queue| queue.inbox.all()).unwrap_or_default()
    }

    /// The next of them that this did not give yet.
    pub(in crate::sandbox::v2) fn next_received(&self, app_id: &str, dev_id: &str) -> Option<Received> {
        let mut radio = self.radio();
        radio.queues.get_mut(&(app_id.to_owned(), dev_id.to_owned()))?.inbox.next()
    }
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
