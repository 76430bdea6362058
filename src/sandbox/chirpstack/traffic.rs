//! What simulated devices do, and the events that come of it (CS 3.4).

use jiff::Timestamp;
use serde_json::Value;

use super::codec;
use super::device::Device;
use super::downlink::{Window, stamp};
use super::event::Event;
use super::ids::new_uuid;
use super::json::instant;
use super::registry::{Registry, now};
use super::server::Server;
use super::told::{Log, REGION, data_rate, device_info, rx_info, tx_info};
use crate::error::{Error, Result};
use crate::rpc::proto::chirpstack::api;
use crate::rpc::proto::chirpstack::common::{Location, LocationSource};
use crate::rpc::proto::chirpstack::integration::{
    IntegrationEvent, JoinEvent, LocationEvent, LogCode, StatusEvent, UplinkEvent,
};
use crate::sandbox::air::Reception;
use crate::sandbox::frame::UplinkFrame;
use crate::sandbox::stream::Field;
use crate::sandbox::structure;

/// What a device answers to a request for its status: the margin in dB, and its battery as LoRaWAN has it, 0 for external
/// power and 255 where it is not known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) margin: i32,
    pub(super) battery: u8,
}

impl Registry {
    /// The ID of an application.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub(super) fn known_application(&self, app_id: &str) -> Result<String> {
        let found = self.application_id(app_id).map(str::to_owned);
        found.ok_or_else(|| Error::invalid("app_id", app_id, "the name or the ID of an application of this sandbox"))
    }

    /// The DevEUI of a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub(super) fn known_device(&self, app_id: &str, dev_id: &str) -> Result<String> {
        let application_id = self.known_application(app_id)?;
        let found = self.dev_eui(&application_id, dev_id).map(str::to_owned);
        found.ok_or_else(|| Error::invalid("dev_id", dev_id, "a device that is registered in this sandbox"))
    }

    /// A registered device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub(super) fn device(&mut self, app_id: &str, dev_id: &str) -> Result<&mut Device> {
        let dev_eui = self.known_device(app_id, dev_id)?;
        let found = self.devices.get_mut(&dev_eui);
        found.ok_or_else(|| Error::invalid("dev_id", dev_id, "a device that is registered in this sandbox"))
    }
}

/// A new session.
fn session(dev_eui: &str, dev_addr: String, random: &mut fastrand::Rng) -> api::DeviceActivation {
    let mut key = || format!("{:032x}", random.u128(..));
    let (app_s_key, nwk_s_key) = (key(), key());
    api::DeviceActivation {
        dev_eui: dev_eui.to_owned(),
        dev_addr,
        app_s_key,
        nwk_s_enc_key: nwk_s_key.clone(),
        s_nwk_s_int_key: nwk_s_key.clone(),
        f_nwk_s_int_key: nwk_s_key,
        ..api::DeviceActivation::default()
    }
}

impl Field for Server {
    fn register(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.register_device(app_id, dev_id, true)
    }

    fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        self.send(app_id, dev_id, frame, None)
    }
}

/// What the server makes of a frame's bytes.
enum Decoded {
    Object(Option<prost_types::Struct>),
    Failed(String),
}

impl Server {
    /// Register a simulated device if it is new; with a session, or as one that has yet to join.
    pub(super) fn register_device(&self, app_id: &str, dev_id: &str, joined: bool) -> Result<()> {
        if dev_id.is_empty() || dev_id.chars().count() > 100 {
            return Err(Error::invalid(
                "dev_id",
                dev_id,
                "a name of 1 to 100 characters, or a DevEUI of 16 hex digits",
            ));
        }
        let mut registry = self.registry();
        let application_id = registry.known_application(app_id)?;
        if registry.dev_eui(&application_id, dev_id).is_some() {
            return Ok(());
        }
        let mut random = self.random();
        let dev_eui = registry.make_device(&application_id, dev_id, &mut random);
        let dev_addr = registry.new_address();
        if let Some(device) = registry.devices.get_mut(&dev_eui).filter(|_| joined) {
            device.begin(session(&dev_eui, dev_addr, &mut random));
        }
        Ok(())
    }

    fn decode(&self, dev_eui: &str, payload: &[u8], port: u32, at: Timestamp) -> Decoded {
        let registry = self.registry();
        let record = registry.devices.get(dev_eui).map(|device| device.record.value.clone());
        let profile = record.as_ref().and_then(|record| registry.profile_of(record).cloned());
        // A script may take a while.
        drop(registry);
        let Some((record, profile)) = record.zip(profile) else { return Decoded::Object(None) };
        match codec::decode(&profile, payload, port, &instant(Some(stamp(at))), &record.variables) {
            Ok(object) => Decoded::Object(object),
            Err(words) => Decoded::Failed(words),
        }
    }

    /// Let a device send a frame, with an answer about its status, and what waits for it goes out.
    pub(super) fn send(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame, answer: Option<Answer>) -> Result<u32> {
        let fields = frame.fields.as_deref().map(serde_json::from_str::<Value>).transpose();
        let fields =
            fields.map_err(|_| Error::invalid("fields", frame.fields.clone().unwrap_or_default(), "a JSON text"))?;
        // A frame of port 0 has nothing for the application.
        let payload = frame.payload.as_deref().filter(|_| frame.port > 0).unwrap_or_default();
        let f_port = if frame.payload.is_some() { frame.port.into() } else { 0 };
        let at = Timestamp::now();
        let (dev_eui, f_cnt, repeats) = {
            let mut registry = self.registry();
            let device = registry.device(app_id, dev_id)?;
            let record = &device.record.value;
            let Some(session) = &device.session else {
                return Err(Error::invalid("dev_id", dev_id, "a device that has joined"));
            };
            let simulated = &mut device.simulated;
            let f_cnt = if frame.is_retry { simulated.counter.saturating_sub(1) } else { simulated.counter };
            simulated.counter = f_cnt + 1;
            if record.is_disabled {
                return Ok(f_cnt);
            }
            let expected = session.f_cnt_up;
            let repeats = (f_cnt < expected && !record.skip_fcnt_check).then_some(f_cnt + 1 == expected);
            (record.dev_eui.clone(), f_cnt, repeats)
        };
        let dedup = new_uuid(&mut self.random());
        if let Some(is_last) = repeats {
            self.tell_repeated(&dev_eui, &dedup, f_cnt, is_last);
            return Ok(f_cnt);
        }
        let decoded = match fields {
            Some(fields) => Decoded::Object(Some(structure::from_json(&fields))),
            None => self.decode(&dev_eui, payload, f_port, at),
        };
        let mut registry = self.registry();
        let object = match decoded {
            Decoded::Object(object) => object,
            Decoded::Failed(words) => {
                let log = Log::error(LogCode::UplinkCodec, words).with("deduplication_id", &dedup);
                self.tell_log(&mut registry, &dev_eui, log);
                None
            }
        };
        let Some(device) = registry.devices.get_mut(&dev_eui) else { return Ok(f_cnt) };
        let (tx_info, rx_info) = {
            let mut random = self.random();
            let spreading = device.simulated.spreading;
            let reception = Reception { spreading, ..Reception::now(&mut random) };
            (tx_info(&reception), rx_info(&reception, at, &mut random))
        };
        device.last_seen_at = Some(now());
        let nearest = rx_info.first().cloned().unwrap_or_default();
        device.heard = Some((tx_info.clone(), nearest.clone()));
        let acknowledges = std::mem::take(&mut device.simulated.owes) && device.simulated.acknowledges;
        let dev_addr = device.session.as_mut().map(|session| {
            session.f_cnt_up = f_cnt + 1;
            session.dev_addr.clone()
        });
        let up = UplinkEvent {
            deduplication_id: dedup.clone(),
            time: Some(stamp(at)),
            device_info: device_info(&registry, &dev_eui, true),
            dev_addr: dev_addr.unwrap_or_default(),
            dr: data_rate(&tx_info),
            f_cnt,
            f_port,
            confirmed: frame.confirmed,
            data: payload.to_vec(),
            object,
            rx_info,
            tx_info: Some(tx_info.clone()),
            region_config_id: REGION.to_owned(),
            ..UplinkEvent::default()
        };
        self.tell(&mut registry, &dev_eui, &Event::Up(up));
        if let Some(answer) = answer {
            self.tell_status(&mut registry, &dev_eui, &dedup, answer, at);
        }
        self.settle(&mut registry, &dev_eui, &dedup, acknowledges, at);
        self.send_next(&mut registry, &dev_eui, Window::AfterUplink, &tx_info, &nearest, frame.confirmed);
        Ok(f_cnt)
    }

    /// A frame whose counter was there before is no uplink.
    fn tell_repeated(&self, dev_eui: &str, dedup: &str, f_cnt: u32, is_last: bool) {
        let (code, words) = if is_last {
            let words = "Uplink was flagged as re-transmission / frame-counter did not increment";
            (LogCode::UplinkFCntRetransmission, words)
        } else {
            (LogCode::UplinkFCntReset, "Frame-counter reset or rollover detected")
        };
        let log = Log::warning(code, words).with("f_cnt_up", &f_cnt.to_string()).with("deduplication_id", dedup);
        self.tell_log(&mut self.registry(), dev_eui, log);
    }

    /// What a frame says of the downlink that waits for its acknowledgement.
    fn settle(&self, registry: &mut Registry, dev_eui: &str, dedup: &str, acknowledges: bool, at: Timestamp) {
        let Some(device) = registry.devices.get_mut(dev_eui) else { return };
        let pending = device.pending();
        if !acknowledges {
            return self.give_up_pending(registry, dev_eui, dedup);
        }
        match pending.and_then(|at| device.queue.remove(at)) {
            Some(item) => self.tell_ack(registry, dev_eui, dedup, &item, true, at),
            None => self.write(format!(
                "WARN chirpstack::uplink::data: Get pending queue-item error dev_eui={dev_eui} error=Object does not \
                 exist (id: {dev_eui})"
            )),
        }
    }

    fn tell_status(&self, registry: &mut Registry, dev_eui: &str, dedup: &str, answer: Answer, at: Timestamp) {
        let Answer { margin, battery } = answer;
        let (external, unavailable) = (battery == 0, battery == 255);
        #[expect(clippy::cast_possible_truncation, reason = "hundredths of a percent, as the server rounds")]
        let level = if external || unavailable {
            0.0
        } else {
            ((f64::from(battery) / 254.0 * 10_000.0).round() / 100.0) as f32
        };
        if let Some(device) = registry.devices.get_mut(dev_eui) {
            let battery_level = if unavailable { -1.0 } else { level };
            device.status = Some(api::DeviceStatus { margin, external_power_source: external, battery_level });
        }
        let status = StatusEvent {
            deduplication_id: dedup.to_owned(),
            time: Some(stamp(at)),
            device_info: device_info(registry, dev_eui, true),
            margin,
            external_power_source: external,
            battery_level_unavailable: unavailable,
            battery_level: level,
        };
        self.tell(registry, dev_eui, &Event::Status(status));
    }

    /// Let a device join.
    pub(super) fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        let at = Timestamp::now();
        let mut registry = self.registry();
        let dev_eui = registry.known_device(app_id, dev_id)?;
        let dev_addr = registry.new_address();
        let mut random = self.random();
        let (dedup, made) = (new_uuid(&mut random), session(&dev_eui, dev_addr.clone(), &mut random));
        drop(random);
        let device = registry.device(app_id, dev_id)?;
        let record = device.record.value.clone();
        if record.is_disabled {
            return Ok(());
        }
        if device.keys.is_none() {
            self.write(format!(
                "ERROR chirpstack::uplink::join: Handle join-request error error=Join Server client for join_eui {} \
                 does not exist",
                record.join_eui
            ));
            return Ok(());
        }
        device.begin(made);
        let flushes = registry.profile_of(&record).is_some_and(|profile| profile.flush_queue_on_activate);
        if let Some(device) = registry.devices.get_mut(&dev_eui) {
            // Nobody is told of them (seen); a new session begins to count anew.
            if flushes {
                device.queue.clear();
            }
            device.queue.iter_mut().for_each(|item| (item.is_pending, item.f_cnt_down) = (false, 0));
        }
        let event = JoinEvent {
            deduplication_id: dedup,
            time: Some(stamp(at)),
            device_info: device_info(&registry, &dev_eui, true),
            dev_addr,
            region_config_id: REGION.to_owned(),
            ..JoinEvent::default()
        };
        self.tell(&mut registry, &dev_eui, &Event::Join(event));
        Ok(())
    }

    /// Tell where a device is, as older servers did that found it out.
    pub(super) fn locate(&self, app_id: &str, dev_id: &str, place: (f64, f64, i32)) -> Result<()> {
        let (latitude, longitude, altitude) = place;
        let mut registry = self.registry();
        let dev_eui = registry.known_device(app_id, dev_id)?;
        let event = LocationEvent {
            deduplication_id: new_uuid(&mut self.random()),
            time: Some(stamp(Timestamp::now())),
            device_info: device_info(&registry, &dev_eui, true),
            location: Some(Location {
                latitude,
                longitude,
                altitude: altitude.into(),
                source: LocationSource::GeoResolverTdoa.into(),
                ..Location::default()
            }),
        };
        self.tell(&mut registry, &dev_eui, &Event::Location(event));
        Ok(())
    }

    /// Tell what an integration has found out, as servers did until 4.14.
    pub(super) fn integrate(&self, app_id: &str, dev_id: &str, name: &str, kind: &str, object: &str) -> Result<()> {
        let object: Value =
            serde_json::from_str(object).map_err(|_| Error::invalid("object", object.to_owned(), "a JSON text"))?;
        let mut registry = self.registry();
        let dev_eui = registry.known_device(app_id, dev_id)?;
        let event = IntegrationEvent {
            deduplication_id: new_uuid(&mut self.random()),
            time: Some(stamp(Timestamp::now())),
            device_info: device_info(&registry, &dev_eui, true),
            integration_name: name.to_owned(),
            event_type: kind.to_owned(),
            object: Some(structure::from_json(&object)),
        };
        self.tell(&mut registry, &dev_eui, &Event::Integration(event));
        Ok(())
    }
}
