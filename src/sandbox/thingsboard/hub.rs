//! What the connections share: who may come in, what they subscribe to, and where their messages go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use tokio::sync::Notify;

use super::state::State;
use super::verdict::Verdict;
use super::wire::Level;
use super::{gateway, provision, requests};
use crate::dialect::mqtt::{code, is_too_deep};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::{Entry, Journal};
use crate::sandbox::room::Room;
use crate::sync::{Mutex, MutexGuard};

/// A logged-in client.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) serial: u64,
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
    pub(super) room: Arc<Room>,
    pub(super) journal: Journal,
    pub(super) serial: AtomicU64,
    pub(super) refuses_level_5: AtomicBool,
}

impl Hub {
    pub(super) fn new(room: Room) -> Self {
        Self { room: Arc::new(room), ..Self::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A session has ended.
    pub(super) fn leave(&self, session: &Seat) {
        self.state().members.remove(&session.serial);
    }

    /// Most bytes of a packet after its length.
    pub(super) fn largest(&self) -> usize {
        usize::try_from(self.state().limits.payload()).unwrap_or(usize::MAX)
    }

    pub(super) fn subscribe(&self, session: &Seat, level: Level, filters: Vec<(String, u8)>) -> Vec<u8> {
        let mut state = self.state();
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, asked) in filters {
            let allowed = requests::may_subscribe(&filter, session.device.is_none());
            let qos = asked.min(1);
            codes.push(match (allowed, level) {
                (true, _) => qos,
                (false, Level::V3) => code::UNSPECIFIED,
                (false, Level::V5) => code::TOPIC_FILTER_INVALID,
            });
            let granted = allowed.then_some(qos);
            self.journal.write(Entry::Subscribed {
                client_id: session.client_id.clone(),
                filter: filter.clone(),
                qos: granted,
            });
            // What costs too much is granted all the same, and not done.
            let afforded = match &session.device {
                Some(device) if allowed && requests::costs(&filter) => state.charge(device, 0),
                _ => allowed,
            };
            if let Some(member) = state.members.get_mut(&session.serial).filter(|_| afforded) {
                member.filters.retain(|(known, _)| *known != filter);
                member.filters.push((filter, qos));
            }
        }
        codes
    }

    /// Forget subscriptions; gives a code for each.
    pub(super) fn unsubscribe(&self, session: &Seat, filters: &[String]) -> Vec<u8> {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&session.serial) else { return Vec::new() };
        let forget = |filter: &String| {
            let before = member.filters.len();
            member.filters.retain(|(known, _)| known != filter);
            if member.filters.len() < before { code::SUCCESS } else { code::NO_SUBSCRIPTION_EXISTED }
        };
        filters.iter().map(forget).collect()
    }

    /// Take a message from a client.
    pub(super) fn published(&self, session: &Seat, topic: &str, payload: &Bytes, qos: u8) -> Verdict {
        let verdict = self.judge(session, topic, payload);
        self.journal.write(Entry::Published {
            client_id: Some(session.client_id.clone()),
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos,
            allowed: verdict == Verdict::Taken,
        });
        verdict
    }

    fn judge(&self, session: &Seat, topic: &str, payload: &Bytes) -> Verdict {
        if is_too_deep(topic) {
            return Verdict::Fatal(code::TOPIC_NAME_INVALID);
        }
        let mut state = self.state();
        if let Some((_, reason, count)) =
            state.rejections.iter_mut().find(|(prefix, _, count)| *count > 0 && topic.starts_with(prefix.as_str()))
        {
            *count -= 1;
            return Verdict::Refused(*reason);
        }
        let Some(device) = session.device.clone() else {
            return provision::take(&mut state, session.serial, topic, payload);
        };
        if topic.starts_with("v1/gateway/") {
            if !state.devices.get(&device).is_some_and(|device| device.gateway) {
                return Verdict::Unanswered;
            }
            return gateway::take(&mut state, session.serial, &device, topic, payload);
        }
        requests::take(&mut state, session.serial, &device, topic, payload)
    }
}
