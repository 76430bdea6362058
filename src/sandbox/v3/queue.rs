//! The downlink queue of each device, and its class A timing (V3 2.5, 2.6).

use jiff::Timestamp;

use super::downlink::{DEFAULT_ATTEMPTS, Downlink, HIGHEST, read};
use super::event::{DeviceIds, Failure, event};
use super::registry::{Device, QUEUE};
use super::stack::Stack;
use crate::sandbox::frame::Received;

/// Longest payload at a spreading factor in the European band.
fn longest(spreading: u8) -> usize {
    match spreading {
        10.. => 51,
        9 => 115,
        _ => 242,
    }
}

fn too_long(downlink: &Downlink, most: usize) -> Failure {
    let length = downlink.frm_payload.len();
    Failure {
        namespace: "pkg/networkserver",
        name: "application_downlink_too_long",
        format: "application downlink payload length `{length}` exceeds maximum '{max}'",
        attributes: Some(format!("{{\"length\":{length}, \"max\":\"{most}\"}}")),
        code: 3,
    }
}

/// Why the server takes none of these downlinks, though it could read them.
fn refusal(device: &Device, downlinks: &[Downlink], at: Timestamp) -> Option<Failure> {
    let failure = |namespace, name, format, code| Some(Failure { namespace, name, format, attributes: None, code });
    let (application_server, network_server) = ("pkg/applicationserver", "pkg/networkserver");
    if device.session.is_none() {
        let format = "no device session; check device activation";
        return failure(application_server, "no_device_session", format, 9);
    }
    if downlinks.iter().any(|downlink| downlink.f_port == 0) {
        return failure(application_server, "no_f_port", "no FPort", 3);
    }
    let most = longest(0);
    if let Some(long) = downlinks.iter().find(|downlink| downlink.frm_payload.len() > most) {
        return Some(too_long(long, most));
    }
    let is_past = |downlink: &Downlink| {
        downlink.class_b_c.as_ref().and_then(|options| options.absolute_time).is_some_and(|time| time < at)
    };
    if downlinks.iter().any(is_past) {
        return failure(network_server, "downlink_expired", "queued downlink is expired", 9);
    }
    None
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
    /// Take downlinks from an application. What the server drops silently is dropped silently.
    pub(super) fn take_downlinks(&self, app_id: &str, dev_id: &str, replaces: bool, message: &[u8]) {
        let Some(mut downlinks) = read(message) else {
            return tracing::debug!(%app_id, %dev_id, "dropped downlinks that cannot be read");
        };
        let mut registry = self.registry();
        let uid = registry.uid(app_id);
        let Ok(device) = registry.device(app_id, dev_id) else {
            return tracing::debug!(%app_id, %dev_id, "dropped downlinks for an unknown device");
        };
        for downlink in &mut downlinks {
            downlink.correlation_ids.push(self.new_id("as:downlink"));
            downlink.correlation_ids.sort_unstable();
            downlink.attempt = u32::from(downlink.confirmed && downlink.max_attempts.is_none());
        }
        let at = Timestamp::now();
        let ids = DeviceIds::new(app_id, dev_id, device, false);
        let waiting = if replaces { 0 } else { device.waiting.len() };
        let full = Failure {
            namespace: "pkg/networkserver",
            name: "downlink_queue_capacity",
            format: "downlink queue capacity exceeded",
            attributes: None,
            code: 8,
        };
        let refusal = refusal(device, &downlinks, at).or((waiting + downlinks.len() > QUEUE).then_some(full));
        if let Some(failure) = refusal.filter(|_| !downlinks.is_empty()) {
            let id = self.random().u128(..);
            for downlink in downlinks {
                let body = failure.to_json(&downlink, id);
                let event = event(&ids, downlink.correlation_ids, at, "downlink_failed", &body);
                self.emit(&uid, dev_id, "down/failed", event);
            }
            return;
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
            let failure = Failure {
                namespace: "pkg/applicationserver",
                name: "max_retries_reached",
                format: "maximum number of retries ({max_retries}) reached",
                attributes: Some(format!("{{\"max_retries\":\"{most}\"}}")),
                code: 10,
            };
            let ids = DeviceIds::new(window.app_id, window.dev_id, device, false);
            let body = failure.to_json(&downlink, self.random().u128(..));
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
            downlink.session_key_id = session.key_id.to_vec();
            let most = longest(spreading);
            if downlink.frm_payload.len() > most {
                let body = too_long(&downlink, most).to_json(&downlink, self.random().u128(..));
                let all = [&downlink.correlation_ids[..], &window.correlation_ids].concat();
                let event = event(&ids, all, window.at, "downlink_failed", &body);
                self.emit(window.uid, window.dev_id, "down/failed", event);
                continue;
            }
            self.transmit(device, &ids, downlink, window);
            return;
        }
    }

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
