//! The queues of devices: what is put in, and what goes out after an uplink (CS 3.5, 3.6).

use std::time::Duration;

use jiff::Timestamp;
use prost_types::Timestamp as Stamp;
use tokio::time::Instant;

use super::codec;
use super::command;
use super::device::Device;
use super::event::Event;
use super::ids::{eui, new_uuid, uuid};
use super::registry::{Registry, to_microseconds};
use super::server::{Arrival, Server};
use super::told::{Log, device_info, timing};
use crate::rpc::proto::chirpstack::api::DeviceQueueItem;
use crate::rpc::proto::chirpstack::gw::{UplinkRxInfo, UplinkTxInfo};
use crate::rpc::proto::chirpstack::integration::{AckEvent, LogCode, TxAckEvent};
use crate::sandbox::frame::Received;

/// How long nothing more is sent to a device that needs no uplink.
const LOCK: Duration = Duration::from_secs(5);

/// Longest payload at a data rate of the European band.
fn longest(data_rate: u32) -> usize {
    match data_rate {
        0..=2 => 51,
        3 => 115,
        _ => 242,
    }
}

/// When a frame goes out.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Window {
    /// In the device's first window after an uplink.
    AfterUplink,
    /// At once, to a device of class C.
    AtOnce,
}

impl Server {
    /// Handle the commands that have come.
    pub(super) fn take_commands(&self) {
        for Arrival { topic, payload } in self.arrivals() {
            self.take_command(&topic, &payload);
        }
    }

    /// Handle a command. Whatever is wrong with it goes to the log alone.
    fn take_command(&self, topic: &str, payload: &[u8]) {
        let mut levels = topic.split('/');
        let (application_id, dev_eui, kind) =
            (levels.nth(1).unwrap_or_default(), levels.nth(1).unwrap_or_default(), levels.nth(1).unwrap_or_default());
        let unread = |error: &str| {
            self.write(format!(
                "WARN chirpstack::integration::mqtt: Processing command error: {error} topic={topic} qos=AtMostOnce"
            ));
        };
        if kind != "down" {
            return unread("Unknown command type");
        }
        let command = match command::read(payload, self.settings.is_json) {
            Ok(command) => command,
            Err(error) => return unread(&error),
        };
        if command.dev_eui != dev_eui {
            return unread(&format!("Payload dev_eui {} does not match topic dev_eui {dev_eui}", command.dev_eui));
        }
        let item = DeviceQueueItem {
            id: command.id,
            dev_eui: command.dev_eui,
            confirmed: command.confirmed,
            f_port: command.f_port,
            data: command.data,
            object: command.object,
            expires_at: command.expires_at,
            ..DeviceQueueItem::default()
        };
        if let Err(error) = self.take_item(application_id, item) {
            self.write(format!(
                "WARN chirpstack::integration: Handling downlink command error dev_eui={dev_eui} error={error}"
            ));
        }
    }

    fn take_item(&self, application_id: &str, item: DeviceQueueItem) -> Result<(), String> {
        let (dev_eui, application_id) = (eui(&item.dev_eui)?, uuid(application_id)?);
        let mut registry = self.registry();
        let device = registry.devices.get(&dev_eui);
        let device = device.ok_or_else(|| format!("Object does not exist (id: {dev_eui})"))?;
        if device.record.value.application_id != application_id {
            return Err("Application ID from topic does not match application ID from device".to_owned());
        }
        let item = Self::encoded(&registry, item)?;
        let id = if item.id.is_empty() { new_uuid(&mut self.random()) } else { uuid(&item.id)? };
        if registry.devices.values().any(|device| device.queue.iter().any(|other| other.id == id)) {
            return Err("duplicate key value violates unique constraint \"device_queue_item_pkey\"".to_owned());
        }
        self.enqueue(&mut registry, DeviceQueueItem { id, dev_eui, ..item })
    }

    /// An item with the bytes of its object, and the port that its encoder wants.
    pub(super) fn encoded(registry: &Registry, item: DeviceQueueItem) -> Result<DeviceQueueItem, String> {
        let Some(object) = item.object.clone() else { return Ok(item) };
        let dev_eui = eui(&item.dev_eui)?;
        let record = registry.devices.get(&dev_eui).map(|device| &device.record.value);
        let Some((record, profile)) = record.and_then(|record| Some((record, registry.profile_of(record)?))) else {
            return Ok(item);
        };
        let (data, port) = codec::encode(profile, object, &record.variables)?;
        Ok(DeviceQueueItem { data, object: None, f_port: port.unwrap_or(item.f_port), ..item })
    }

    /// Put an item at the end of its device's queue.
    pub(super) fn enqueue(&self, registry: &mut Registry, item: DeviceQueueItem) -> Result<(), String> {
        // Eight bits are kept of a port (seen).
        let f_port = item.f_port & 0xFF;
        if f_port == 0 {
            return Err("Validation error: FPort must be between 1 - 255".to_owned());
        }
        let expires_at = item.expires_at.map(to_microseconds);
        let dev_eui = item.dev_eui.clone();
        let Some(device) = registry.devices.get_mut(&dev_eui) else {
            return Err(format!("Object does not exist (id: {dev_eui})"));
        };
        device.queue.push_back(DeviceQueueItem { f_port, expires_at, object: None, ..item });
        self.send_at_once(registry, &dev_eui);
        Ok(())
    }

    /// Send to a device of class C what is next, unless something was sent to it just now.
    fn send_at_once(&self, registry: &mut Registry, dev_eui: &str) {
        let Some(device) = registry.devices.get(dev_eui) else { return };
        let is_class_c = registry.profile_of(&device.record.value).is_some_and(|profile| profile.supports_class_c);
        let now = Instant::now();
        if !is_class_c || device.session.is_none() || device.locked_until.is_some_and(|until| now < until) {
            return;
        }
        let Some((tx_info, rx_info)) = device.heard.clone() else {
            return self.write(
                "ERROR chirpstack::downlink::scheduler: Schedule next queue-item for device failed \
                 error=region_config_id '' does not exist in REGIONS"
                    .to_owned(),
            );
        };
        let dedup = new_uuid(&mut self.random());
        self.give_up_pending(registry, dev_eui, &dedup);
        let is_sent = self.send_next(registry, dev_eui, Window::AtOnce, &tx_info, &rx_info, false);
        let timeout = registry.devices.get(dev_eui).and_then(|device| registry.profile_of(&device.record.value));
        let timeout = Duration::from_secs(timeout.map_or(0, |profile| profile.class_c_timeout.into()));
        let until = now + LOCK.max(timeout);
        if let (true, Some(device)) = (is_sent, registry.devices.get_mut(dev_eui)) {
            device.locked_until = Some(until);
            let (itself, dev_eui) = (self.itself.clone(), dev_eui.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep_until(until).await;
                if let Some(server) = itself.upgrade() {
                    server.send_at_once(&mut server.registry(), &dev_eui);
                }
            });
        }
    }

    /// What waits for an acknowledgement that did not come is given up: there is no other attempt.
    pub(super) fn give_up_pending(&self, registry: &mut Registry, dev_eui: &str, dedup: &str) {
        let item = registry.devices.get_mut(dev_eui).and_then(|device| {
            let at = device.pending()?;
            device.queue.remove(at)
        });
        let Some(item) = item else { return };
        self.write(format!(
            "WARN chirpstack::downlink::data: Device queue-item discarded because of timeout dev_eui={dev_eui} \
             device_queue_item_id={}",
            item.id
        ));
        self.tell_ack(registry, dev_eui, dedup, &item, false, Timestamp::now());
    }

    /// Tell what became of a confirmed item.
    pub(super) fn tell_ack(
        &self,
        registry: &mut Registry,
        dev_eui: &str,
        dedup: &str,
        item: &DeviceQueueItem,
        acknowledged: bool,
        at: Timestamp,
    ) {
        let event = AckEvent {
            deduplication_id: dedup.to_owned(),
            time: Some(stamp(at)),
            device_info: device_info(registry, dev_eui, true),
            queue_item_id: item.id.clone(),
            acknowledged,
            f_cnt_down: item.f_cnt_down,
        };
        self.tell(registry, dev_eui, &Event::Ack(event));
    }

    /// Send the next item that can be sent; tells whether one, or an acknowledgement alone, went out.
    pub(super) fn send_next(
        &self,
        registry: &mut Registry,
        dev_eui: &str,
        window: Window,
        tx_info: &UplinkTxInfo,
        rx_info: &UplinkRxInfo,
        acknowledges: bool,
    ) -> bool {
        let sent = timing(window, tx_info, rx_info);
        let data_rate = if window == Window::AtOnce { 0 } else { super::told::data_rate(tx_info) };
        loop {
            let Some(device) = registry.devices.get_mut(dev_eui) else { return false };
            let Some(session) = &mut device.session else { return false };
            let f_cnt_down = session.n_f_cnt_down;
            let Some(item) = device.queue.front_mut() else {
                if acknowledges {
                    session.n_f_cnt_down += 1;
                }
                return acknowledges;
            };
            let discarded = discarded(item, longest(data_rate), f_cnt_down);
            if let Some(log) = discarded {
                device.queue.pop_front();
                self.tell_log(registry, dev_eui, log);
                continue;
            }
            item.f_cnt_down = f_cnt_down;
            let item = item.clone();
            let refusal = self.refusals.next();
            match refusal {
                Some(reason) if reason.is_empty() => {}
                Some(reason) => self.tell_log(registry, dev_eui, Log::error(LogCode::DownlinkGateway, reason)),
                None => self.deliver(registry, dev_eui, &item, sent, rx_info),
            }
            return true;
        }
    }

    /// The gateway sends an item: it reaches the device.
    fn deliver(
        &self,
        registry: &mut Registry,
        dev_eui: &str,
        item: &DeviceQueueItem,
        sent: crate::rpc::proto::chirpstack::gw::DownlinkTxInfo,
        rx_info: &UplinkRxInfo,
    ) {
        let Some(Device { session: Some(session), queue, simulated, .. }) = registry.devices.get_mut(dev_eui) else {
            return;
        };
        session.n_f_cnt_down += 1;
        if item.confirmed {
            if let Some(first) = queue.front_mut() {
                first.is_pending = true;
            }
        } else {
            queue.pop_front();
        }
        simulated.owes |= item.confirmed;
        simulated.inbox.remember(Received {
            payload: item.data.clone(),
            port: u8::try_from(item.f_port).unwrap_or_default(),
            confirmed: item.confirmed,
            counter: item.f_cnt_down,
        });
        let event = TxAckEvent {
            downlink_id: self.random().u32(1..),
            time: Some(stamp(Timestamp::now())),
            device_info: device_info(registry, dev_eui, false),
            queue_item_id: item.id.clone(),
            f_cnt_down: item.f_cnt_down,
            gateway_id: rx_info.gateway_id.clone(),
            tx_info: Some(sent),
        };
        self.tell(registry, dev_eui, &Event::TxAck(event));
    }
}

/// Why an item cannot be sent, if so.
fn discarded(item: &DeviceQueueItem, longest: usize, f_cnt_down: u32) -> Option<Log> {
    let now = stamp(Timestamp::now());
    if item.expires_at.is_some_and(|until| (until.seconds, until.nanos) < (now.seconds, now.nanos)) {
        let log = Log::error(LogCode::Expired, "Device queue-item discarded because it has expired");
        return Some(log.with("queue_item_id", &item.id));
    }
    if item.data.len() > longest {
        let words = "Device queue-item discarded because it exceeds the max. payload size";
        let log = Log::error(LogCode::DownlinkPayloadSize, words).with("queue_item_id", &item.id);
        return Some(
            log.with("max_payload_size", &longest.to_string()).with("item_size", &item.data.len().to_string()),
        );
    }
    if item.is_encrypted && item.f_cnt_down < f_cnt_down {
        let words = "Device queue-item discarded because of invalid frame-counter";
        return Some(Log::error(LogCode::FCntDown, words).with("queue_item_id", &item.id));
    }
    None
}

/// A time as messages have it.
pub(super) fn stamp(time: Timestamp) -> Stamp {
    Stamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
