//! What simulated devices do, and the events that come of it (V3 2.5).

use jiff::Timestamp;
use serde_json::Value;

use super::event::{Content, DeviceIds, event, metadata, settings};
use super::formatter::{self, Decoded};
use super::json::{Object, duration, instant};
use super::queue::Window;
use super::record::{Server, now};
use super::registry::{NET_ID, Session};
use super::stack::Stack;
use super::watch::DECODE_FAILED;
use crate::error::{Error, Result};
use crate::rpc::proto::v3::MessagePayloadFormatters;
use crate::sandbox::air::{Reception, airtime_ns};
use crate::sandbox::frame::UplinkFrame;
use crate::sandbox::stream::Field;

/// Bytes of a frame beside its payload and the port that goes with one.
const OVERHEAD: usize = 12;

impl Field for Stack {
    fn register(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.registry().register(app_id, dev_id, true, &mut self.random())
    }

    /// A frame that is sent again is no news to the application, and no window opens after it.
    fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        let fields = frame.fields.as_deref().map(serde_json::from_str::<Value>).transpose();
        let fields =
            fields.map_err(|_| Error::invalid("fields", frame.fields.clone().unwrap_or_default(), "a JSON text"))?;
        // A frame of port 0 has nothing for the application.
        let payload = frame.payload.as_deref().filter(|_| frame.port > 0);
        let f_port = if payload.is_some() { frame.port.into() } else { 0 };
        let decoded = match (payload, fields) {
            (Some(_), Some(fields)) => Decoded { data: Some(fields), ..Decoded::default() },
            (Some(payload), None) => self.decode(app_id, dev_id, payload, f_port),
            (None, _) => Decoded::default(),
        };
        let mut registry = self.registry();
        let (uid, tenant) = (registry.uid(app_id), registry.tenant().map(str::to_owned));
        let device = registry.device(app_id, dev_id)?;
        let Some(session) = &mut device.session else {
            return Err(Error::invalid("dev_id", dev_id, "a device that has joined"));
        };
        if frame.is_retry && session.uplinks > 0 {
            return Ok(session.uplinks - 1);
        }
        let (key_id, f_cnt) = (session.key_id.clone(), session.uplinks);
        session.uplinks += 1;
        let correlation_ids = self.brought();
        let window = Window { uid: &uid, app_id, dev_id, correlation_ids, at: Timestamp::now() };
        self.settle(device, &window);
        if let Some(record) = device.identity() {
            record.last_seen_at = Some(now());
            record.activated_at.get_or_insert_with(now);
        }
        let reception = Reception { spreading: device.spreading, ..Reception::now(&mut self.random()) };
        let network = Object::new()
            .text("net_id", &hex::encode_upper(NET_ID))
            .text("tenant_id", tenant.as_deref().unwrap_or_default());
        let airtime =
            airtime_ns(reception.spreading, OVERHEAD + frame.payload.as_ref().map_or(0, |bytes| 1 + bytes.len()));
        let content = Content {
            device,
            session_key_id: &key_id,
            f_port,
            f_cnt,
            frm_payload: payload.unwrap_or_default(),
            rx_metadata: Some(metadata(&reception, window.at, self.random().u128(..))),
            settings: settings(&reception),
            received_at: Some(instant(window.at)),
            confirmed: frame.confirmed,
            consumed_airtime: Some(duration(airtime)),
            packet_error_rate: 0.0,
            locations: Vec::new(),
            version_ids: None,
            network_ids: Some(network.end()),
        };
        let ids = DeviceIds::new(app_id, dev_id, device, true);
        let at = Timestamp::now();
        for (end, name, body) in content.messages(&decoded) {
            self.emit(&uid, dev_id, end, event(&ids, window.correlation_ids.to_vec(), at, name, &body));
        }
        self.open_window(device, reception.spreading, &window);
        Ok(f_cnt)
    }
}

impl Stack {
    /// The formatters of a device: its own, or else its application's.
    pub(super) fn formatters(&self, app_id: &str, dev_id: &str) -> Option<MessagePayloadFormatters> {
        let mut registry = self.registry();
        let application = registry.application(app_id)?;
        let own = application.devices.get(dev_id).and_then(|device| device.records.of(Server::Application));
        let own = own.and_then(|record| record.formatters.clone());
        own.or_else(|| application.link.as_ref().and_then(|link| link.default_formatters.clone()))
    }

    /// The fields of an uplink; none where its formatter fails, which does not stop the uplink.
    pub(super) fn decode(&self, app_id: &str, dev_id: &str, payload: &[u8], port: u32) -> Decoded {
        let formatters = self.formatters(app_id, dev_id).unwrap_or_default();
        match formatter::decode(&formatters, payload, port) {
            Ok(decoded) => {
                if decoded.has_dates {
                    tracing::warn!(%app_id, %dev_id, "a formatter gave a date: as on a real stack nobody hears of the uplink");
                }
                decoded
            }
            Err(failure) => {
                tracing::debug!(%app_id, %dev_id, ?failure, "an uplink is not decoded");
                let uid = self.registry().uid(app_id);
                self.tell_of_failure(app_id, &uid, dev_id, DECODE_FAILED, &failure);
                Decoded::default()
            }
        }
    }

    /// The IDs of a frame that comes in.
    fn brought(&self) -> [String; 3] {
        ["gs:uplink", "rpc:/ttn.lorawan.v3.GsNs/HandleUplink", "rpc:/ttn.lorawan.v3.NsAs/HandleUplink"]
            .map(|of| self.new_id(of))
    }

    /// Let a device join; what waits for it is sent in the new session.
    pub(super) fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        let key_id = self.random().u128(..).to_be_bytes().to_vec();
        let mut registry = self.registry();
        let (uid, dev_addr) = (registry.uid(app_id), registry.new_address());
        let device = registry.device(app_id, dev_id)?;
        device.begin(Session::new(key_id.clone(), dev_addr), &mut self.random());
        let ids = DeviceIds::new(app_id, dev_id, device, true);
        let body = Object::new().bytes("session_key_id", &key_id).put("received_at", instant(Timestamp::now())).end();
        self.emit(&uid, dev_id, "join", event(&ids, self.brought().to_vec(), Timestamp::now(), "join_accept", &body));
        Ok(())
    }
}
