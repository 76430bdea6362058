//! The downlink queue of each device, and its class A timing (V3 2.5, 2.6).

use jiff::Timestamp;
use tonic::Code;

use super::downlink::{DEFAULT_ATTEMPTS, Downlink, HIGHEST};
use super::event::{DeviceIds, event, failed};
use super::failure::{Attribute, Failure};
use super::formatter;
use super::registry::{Device, QUEUE};
use super::stack::Stack;
use super::storage::up;
use crate::sandbox::frame::Received;

const APPLICATION_SERVER: &str = "pkg/applicationserver";
const NETWORK_SERVER: &str = "pkg/networkserver";

/// Longest payload at a spreading factor in the European band.
fn longest(spreading: u8) -> usize {
    match spreading {
        10.. => 51,
        9 => 115,
        _ => 242,
    }
}

fn too_long(downlink: &Downlink, most: usize) -> Failure {
    let format = "application downlink payload length `{length}` exceeds maximum '{max}'";
    let length = u32::try_from(downlink.frm_payload.len()).unwrap_or(u32::MAX);
    Failure::new(Code::InvalidArgument, NETWORK_SERVER, "application_downlink_too_long", format)
        .with_value("length", Attribute::Number(length))
        .with("max", most.to_string())
}

/// Why the server takes none of these downlinks, though they are ones; `waiting` are before them.
fn refusal(device: &Device, downlinks: &[Downlink], waiting: usize, at: Timestamp) -> Option<Failure> {
    if device.session.is_none() {
        let format = "no device session; check device activation";
        return Some(Failure::new(Code::FailedPrecondition, APPLICATION_SERVER, "no_device_session", format));
    }
    if downlinks.iter().any(|downlink| downlink.f_port == 0) {
        return Some(Failure::new(Code::InvalidArgument, APPLICATION_SERVER, "no_f_port", "no FPort"));
    }
    let most = longest(0);
    if let Some(long) = downlinks.iter().find(|downlink| downlink.frm_payload.len() > most) {
        return Some(too_long(long, most));
    }
    let is_past = |downlink: &Downlink| {
        downlink.class_b_c.as_ref().and_then(|options| options.absolute_time).is_some_and(|time| time < at)
    };
    if downlinks.iter().any(is_past) {
        let format = "queued downlink is expired";
        return Some(Failure::new(Code::FailedPrecondition, NETWORK_SERVER, "downlink_expired", format));
    }
    (waiting + downlinks.len() > QUEUE).then(|| {
        let format = "downlink queue capacity exceeded";
        Failure::new(Code::ResourceExhausted, NETWORK_SERVER, "downlink_queue_capacity", format)
    })
}

/// What an uplink brings with it for the events that it leads to.
#[derive(Debug)]
pub(super) struct Window<'a> {
    pub(super) uid: &'a str,
    pub(super) app_id: &'a str,
    pub(super) dev_id: &'a str,
    /// The gateway's ID of the uplink, and those of the calls that brought it here.
    pub(super) correlation_ids: [String; 3],
    pub(super) at: Timestamp,
}

impl Stack {
    /// Take downlinks from an application, by a call or by MQTT; all of them or none. Who publishes by MQTT is told nothing.
    pub(super) fn take_downlinks(
        &self,
        app_id: &str,
        dev_id: &str,
        replaces: bool,
        mut downlinks: Vec<Downlink>,
        call: Option<&str>,
    ) -> Result<(), Failure> {
        downlinks.iter().enumerate().try_for_each(|(at, downlink)| downlink.check(at))?;
        let formatters = self.formatters(app_id, dev_id).unwrap_or_default();
        for downlink in downlinks.iter_mut().filter(|downlink| downlink.frm_payload.is_empty()) {
            if let Some(fields) = &downlink.decoded_payload {
                let encoded = formatter::encode(&formatters, fields, downlink.f_port)?;
                downlink.frm_payload = encoded.bytes;
                downlink.f_port = encoded.port.unwrap_or(downlink.f_port);
            }
        }
        let mut registry = self.registry();
        let uid = registry.uid(app_id);
        let device = registry.device(app_id, dev_id).map_err(|_| {
            Failure::new(Code::NotFound, APPLICATION_SERVER, "device_not_found", "device `{device_uid}` not found")
                .with("device_uid", format!("{uid}.{dev_id}"))
        })?;
        for downlink in &mut downlinks {
            downlink.correlation_ids.push(self.new_id("as:downlink"));
            downlink.correlation_ids.extend(call.map(str::to_owned));
            downlink.correlation_ids.sort_unstable();
            downlink.attempt = u32::from(downlink.confirmed && downlink.max_attempts.is_none());
        }
        let at = Timestamp::now();
        let ids = DeviceIds::new(app_id, dev_id, device, false);
        let waiting = if replaces { 0 } else { device.waiting.len() };
        let refusal = if downlinks.is_empty() { None } else { refusal(device, &downlinks, waiting, at) };
        if let Some(failure) = refusal {
            let id = self.random().u128(..);
            for downlink in downlinks {
                let body = failed(&failure, &downlink, id);
                let event = event(&ids, downlink.correlation_ids, at, "downlink_failed", &body);
                self.tell_of_refusal(&uid, dev_id, || up(event.as_bytes())?.transcode_to().ok());
                self.emit(&uid, dev_id, "down/failed", event);
            }
            return Err(failure);
        }
        if replaces {
            device.waiting.clear();
        }
        for mut downlink in downlinks {
            let event = event(&ids, downlink.correlation_ids.clone(), at, "downlink_queued", &downlink.to_json());
            self.emit(&uid, dev_id, "down/queued", event);
            // What only this server knows stays with it.
            downlink.decoded_payload = None;
            downlink.session_key_id.clear();
            device.waiting.push_back(downlink);
        }
        Ok(())
    }

    /// With an uplink the device acknowledges what it got before, or does not. Comes before the uplink itself.
    pub(super) fn settle(&self, device: &mut Device, window: &Window<'_>) {
        let Some(mut downlink) = device.unacknowledged.take() else { return };
        let ids = DeviceIds::new(window.app_id, window.dev_id, device, true);
        let tell = |name: &str, end: &str, downlink: &Downlink| {
            let all = [&downlink.correlation_ids[..], &window.correlation_ids].concat();
            self.emit(window.uid, window.dev_id, end, event(&ids, all, window.at, name, &downlink.to_json()));
        };
        if device.acknowledges {
            return tell("downlink_ack", "down/ack", &downlink);
        }
        downlink.attempt += 1;
        let most = downlink.max_attempts.unwrap_or(DEFAULT_ATTEMPTS);
        let is_last = downlink.attempt > most;
        if is_last {
            let format = "maximum number of retries ({max_retries}) reached";
            let failure = Failure::new(Code::Aborted, APPLICATION_SERVER, "max_retries_reached", format)
                .with("max_retries", most.to_string());
            let ids = DeviceIds::new(window.app_id, window.dev_id, device, false);
            let body = failed(&failure, &downlink, self.random().u128(..));
            let event = event(&ids, downlink.correlation_ids.clone(), window.at, "downlink_failed", &body);
            self.emit(window.uid, window.dev_id, "down/failed", event);
        }
        // Told even after the failure.
        tell("downlink_nack", "down/nack", &downlink);
        if !is_last {
            downlink.session_key_id.clear();
            device.waiting.push_front(downlink);
        }
    }

    /// After an uplink the next downlink goes out; those that are too long for its data rate fail.
    pub(super) fn open_window(&self, device: &mut Device, spreading: u8, window: &Window<'_>) {
        let ids = DeviceIds::new(window.app_id, window.dev_id, device, true);
        while let Some(mut downlink) = device.waiting.pop_front() {
            let Some(session) = &mut device.session else { return };
            downlink.f_cnt = session.downlinks;
            session.downlinks += 1;
            downlink.session_key_id.clone_from(&session.key_id);
            let most = longest(spreading);
            if downlink.frm_payload.len() > most {
                let body = failed(&too_long(&downlink, most), &downlink, self.random().u128(..));
                let all = [&downlink.correlation_ids[..], &window.correlation_ids].concat();
                let event = event(&ids, all, window.at, "downlink_failed", &body);
                self.emit(window.uid, window.dev_id, "down/failed", event);
                continue;
            }
            self.transmit(device, &ids, downlink, window);
            return;
        }
    }

    /// Send what the next gateway does not refuse to; what it refuses has failed, and is not tried again.
    fn transmit(&self, device: &mut Device, ids: &DeviceIds, downlink: Downlink, window: &Window<'_>) {
        let [gateway, heard, _] = &window.correlation_ids;
        let steps = [
            gateway.clone(),
            heard.clone(),
            self.new_id("gs:tx_ack"),
            self.new_id("ns:transmission"),
            self.new_id("rpc:/ttn.lorawan.v3.GsNs/ReportTxAcknowledgment"),
            self.new_id("rpc:/ttn.lorawan.v3.NsGs/ScheduleDownlink"),
        ];
        let mut correlation_ids = [&downlink.correlation_ids[..], &steps].concat();
        correlation_ids.sort_unstable();
        // Made of the frame that was sent: what is not in it is not told.
        let sent = Downlink {
            session_key_id: downlink.session_key_id.clone(),
            f_port: downlink.f_port,
            f_cnt: downlink.f_cnt,
            frm_payload: downlink.frm_payload.clone(),
            confirmed: downlink.confirmed,
            priority: HIGHEST,
            correlation_ids: correlation_ids.clone(),
            ..Downlink::default()
        };
        correlation_ids.push(self.new_id("rpc:/ttn.lorawan.v3.NsAs/HandleUplink"));
        if let Some(result) = self.refusals.next() {
            let format = "downlink transmission failed with result `{result}`";
            let failure = Failure::new(Code::Unknown, NETWORK_SERVER, "transmission", format).with("result", result);
            let body = failed(&failure, &sent, self.random().u128(..));
            let event = event(ids, correlation_ids, Timestamp::now(), "downlink_failed", &body);
            return self.emit(window.uid, window.dev_id, "down/failed", event);
        }
        let event = event(ids, correlation_ids, Timestamp::now(), "downlink_sent", &sent.to_json());
        device.inbox.remember(Received {
            payload: sent.frm_payload,
            port: u8::try_from(sent.f_port).unwrap_or(u8::MAX),
            confirmed: sent.confirmed,
            counter: sent.f_cnt,
        });
        device.unacknowledged = Some(downlink).filter(|downlink| downlink.confirmed);
        self.emit(window.uid, window.dev_id, "down/sent", event);
    }
}
