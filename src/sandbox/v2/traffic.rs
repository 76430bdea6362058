//! Simulated devices: how they come and go, join and send.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tonic::Status;

use super::network::Network;
use super::wire::{Activation, Location, Metadata, Registration, Uplink, UplinkError, to_json};
use crate::dialect::mqtt::{LONGEST_TEXT, is_too_deep};
use crate::error::{Error, Result};
use crate::rpc::proto::handler;
use crate::sandbox::broker::QoS;
use crate::sandbox::frame::UplinkFrame;
use crate::sandbox::stream::Field;
use crate::sandbox::v2::grpc::from_wire;
use crate::sandbox::v2::payload;

impl Field for Network {
    /// Register a device if it is new; that is an event.
    fn register(&self, app_id: &str, dev_id: &str) -> Result<()> {
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

    /// Let a device send; then its window for downlinks opens. Returns the frame counter.
    fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
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
}

impl Network {
    fn location_of(&self, app_id: &str, dev_id: &str) -> Option<Location> {
        let (latitude, longitude, altitude) = self.registry().device(app_id, dev_id)?.location?;
        Some(Location { latitude, longitude, altitude, source: "registry" })
    }

    pub(super) fn event(&self, app_id: &str, dev_id: &str, name: &str, body: Bytes) {
        self.emit(&format!("{app_id}/devices/{dev_id}/events/{name}"), body);
    }

    /// Place a device; that is an event.
    pub(in crate::sandbox::v2) fn locate(&self, app_id: &str, dev_id: &str, location: (f64, f64, i32)) -> Result<()> {
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
    pub(in crate::sandbox::v2) fn delete(&self, app_id: &str, dev_id: &str) -> Result<()> {
        if !self.registry().remove(app_id, dev_id) {
            return Err(unknown(dev_id));
        }
        self.radio().queues.remove(&(app_id.to_owned(), dev_id.to_owned()));
        self.event(app_id, dev_id, "delete", Bytes::from_static(b"null"));
        Ok(())
    }

    /// Put a device's record in place, as the manager is told to; that is an event.
    pub(in crate::sandbox::v2) fn put(&self, wire: &handler::Device) -> std::result::Result<(), Status> {
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
    pub(in crate::sandbox::v2) fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
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

    /// Handle a payload as if a device had sent it (V2 1.4): nothing was on the air, no counter moves.
    pub(in crate::sandbox::v2) fn simulate(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<()> {
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
        let topic = format!("{app_id}/devices/{dev_id}/up");
        self.emit(&topic, to_json(&uplink));
        if let Some(fields) = fields {
            self.publish_fields(topic, fields);
        }
        Ok(())
    }

    /// Publish each field of an uplink under a topic of its own, and those within it (V2 1.5). The journal has the uplink, which
    /// says as much.
    fn publish_fields(&self, topic: String, fields: &RawValue) {
        let mut open = vec![(topic, fields)];
        while let Some((above, value)) = open.pop() {
            // What is no object has no fields.
            let Ok(fields) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(value.get()) else { continue };
            for (name, value) in fields {
                let topic = format!("{above}/{name}");
                if name.contains(['*', '+', '#', '\0']) || is_too_deep(&topic) || topic.len() > LONGEST_TEXT {
                    continue;
                }
                let body = Bytes::copy_from_slice(value.get().as_bytes());
                self.router.publish(&topic, body, QoS::AtLeastOnce, false, self.faults.message_delay());
                open.push((topic, value));
            }
        }
    }
}

fn unknown(dev_id: &str) -> Error {
    Error::invalid("dev_id", dev_id, "a device that is registered in this sandbox")
}
