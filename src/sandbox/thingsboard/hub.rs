//! What the connections share: who may come in, what they subscribe to, and where their messages go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::device::{Credentials, Device};
use super::limits::Allowance;
use super::state::{Member, Push, State};
use super::verdict::{NOT_AUTHORISED, PACKET_TOO_LARGE, QUOTA_EXCEEDED, TOPIC_FILTER_INVALID, Verdict};
use super::wire::{Level, Login};
use super::{gateway, requests};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::{Entry, Journal};
use crate::sync::{Mutex, MutexGuard};

/// A logged-in client.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    serial: u64,
    pub(super) client_id: String,
    /// Its device; `None` for a provisioning session.
    pub(super) device: Option<String>,
    pub(super) cut: Arc<Notify>,
}

/// Everything that the connections share.
#[derive(Debug, Default)]
pub(super) struct Hub {
    state: Mutex<State>,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    serial: AtomicU64,
    pub(super) refuses_level_5: AtomicBool,
}

impl Hub {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Judge a login (TB 1.1); a refusal gives the code in the client's level.
    pub(super) fn log_in(
        &self,
        login: Login,
        shown: Option<&[u8]>,
    ) -> std::result::Result<(u16, Seat, mpsc::UnboundedReceiver<Push>), u8> {
        let refuse = |code: u8| {
            self.journal.write(|| Entry::Refused { app_id: String::new(), code });
            Err(code)
        };
        if login.level == Level::V5 && self.refuses_level_5.load(Ordering::Relaxed) {
            return refuse(1);
        }
        let fault = self.faults.login_code();
        if fault != 0 {
            return refuse(fault);
        }
        let mut state = self.state();
        let provisioning = login.username == "provision" || login.client_id == "provision";
        let fits = |device: &Device| match &device.credentials {
            Credentials::Token(token) => *token == login.username && login.password.is_empty(),
            Credentials::Basic { client_id, username, password } => {
                let same =
                    |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
                same(client_id, &login.client_id) && same(username, &login.username) && same(password, &login.password)
            }
            Credentials::Certificate(wanted) => shown == Some(wanted.as_slice()),
            Credentials::None => false,
        };
        // A certificate comes before names and passwords.
        let by_certificate =
            |device: &Device| matches!(device.credentials, Credentials::Certificate(_)) && fits(device);
        let found = state.devices.iter().find(|(_, device)| by_certificate(device));
        let found = found.or_else(|| state.devices.iter().find(|(_, device)| fits(device)));
        let device = match found {
            _ if provisioning => None,
            Some((name, _)) => Some(name.clone()),
            None => {
                drop(state);
                let empty = login.username.is_empty();
                return refuse(match (login.level, empty) {
                    (Level::V3, true) => 4,
                    (Level::V3, false) => 5,
                    (Level::V5, true) => 134,
                    (Level::V5, false) => NOT_AUTHORISED,
                });
            }
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let client_id = if login.client_id.is_empty() { format!("sandbox-{serial}") } else { login.client_id };
        let (pushes, receiver) = mpsc::unbounded_channel();
        let cut = Arc::<Notify>::default();
        let member = Member {
            device: device.clone(),
            behind: BTreeSet::new(),
            filters: Vec::new(),
            pushes,
            cut: cut.clone(),
            allowance: Allowance::new(&state.limits),
        };
        state.members.insert(serial, member);
        drop(state);
        let name = device.clone().unwrap_or_else(|| "provision".to_owned());
        self.journal.write(|| Entry::Connected { client_id: client_id.clone(), app_id: name });
        Ok((login.keep_alive, Seat { serial, client_id, device, cut }, receiver))
    }

    /// A session has ended.
    pub(super) fn leave(&self, session: &Seat) {
        self.state().members.remove(&session.serial);
    }

    pub(super) fn subscribe(&self, session: &Seat, level: Level, filters: Vec<(String, u8)>) -> Vec<u8> {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&session.serial) else { return Vec::new() };
        let provisioning = session.device.is_none();
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, asked) in filters.into_iter().take(100) {
            let allowed = requests::may_subscribe(&filter, provisioning);
            let qos = asked.min(1);
            codes.push(match (allowed, level) {
                (true, _) => qos,
                (false, Level::V3) => 128,
                (false, Level::V5) => TOPIC_FILTER_INVALID,
            });
            let granted = allowed.then_some(qos);
            self.journal.write(|| Entry::Subscribed {
                client_id: session.client_id.clone(),
                filter: filter.clone(),
                qos: granted,
            });
            if allowed {
                member.filters.retain(|(known, _)| *known != filter);
                member.filters.push((filter, qos));
            }
        }
        codes
    }

    pub(super) fn unsubscribe(&self, session: &Seat, filters: &[String]) {
        if let Some(member) = self.state().members.get_mut(&session.serial) {
            member.filters.retain(|(filter, _)| !filters.contains(filter));
        }
    }

    /// Take a message from a client.
    pub(super) fn published(&self, session: &Seat, topic: &str, payload: &Bytes, qos: u8) -> Verdict {
        let verdict = self.judge(session, topic, payload);
        self.journal.write(|| Entry::Published {
            client_id: Some(session.client_id.clone()),
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos,
            allowed: verdict == Verdict::Taken,
        });
        verdict
    }

    fn judge(&self, session: &Seat, topic: &str, payload: &Bytes) -> Verdict {
        let mut state = self.state();
        if payload.len() as u64 > state.limits.payload() {
            return Verdict::Fatal(PACKET_TOO_LARGE);
        }
        if let Some((_, reason, count)) =
            state.rejections.iter_mut().find(|(prefix, _, count)| *count > 0 && topic.starts_with(prefix.as_str()))
        {
            *count -= 1;
            return Verdict::Refused(*reason);
        }
        let Some(device) = session.device.clone() else {
            return requests::take_provisioning(&mut state, session.serial, topic, payload);
        };
        let points = requests::points(topic, payload);
        let Some(member) = state.members.get_mut(&session.serial) else { return Verdict::Ignored };
        if !member.allowance.charge(points) {
            return Verdict::Refused(QUOTA_EXCEEDED);
        }
        if topic.starts_with("v1/gateway/") {
            if !state.devices.get(&device).is_some_and(|device| device.gateway) {
                return Verdict::Ignored;
            }
            return gateway::take(&mut state, session.serial, topic, payload);
        }
        requests::take(&mut state, session.serial, &device, topic, payload)
    }
}
