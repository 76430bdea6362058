//! The stack behind its broker: who may publish what, and where it goes.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use super::limit::RateLimiter;
use super::mqtt::Router;
use super::registry::Registry;
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::{Entry, Journal};
use crate::sandbox::room::Room;
use crate::sync::{Mutex, MutexGuard};

/// Everything that the connections of a sandbox share.
#[derive(Debug, Default)]
pub(super) struct Stack {
    pub(super) router: Router,
    pub(super) faults: Faults,
    pub(super) room: Arc<Room>,
    pub(super) journal: Journal,
    pub(super) limits: RateLimiter,
    /// What this machine is called, beside its usual names.
    pub(super) host: String,
    /// Changes when connections have lived their day.
    day: watch::Sender<()>,
    registry: Mutex<Registry>,
    random: Mutex<fastrand::Rng>,
}

impl Stack {
    pub(super) fn new(host: String, registry: Registry, room: Room, seed: Option<u64>) -> Self {
        let random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            host,
            room: Arc::new(room),
            registry: Mutex::new(registry),
            random: Mutex::new(random),
            ..Self::default()
        }
    }

    /// Applications and devices.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    pub(super) fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock()
    }

    /// To be told when connections have lived their day.
    pub(super) fn age(&self) -> watch::Receiver<()> {
        self.day.subscribe()
    }

    /// Part with all connections as after 24 hours (V3 3.1); tells how many there were of MQTT.
    pub(super) fn end_day(&self) -> usize {
        self.day.send_replace(());
        self.router.cut(None)
    }

    /// A new ID of an event or a call: the time and random bits, which sort as text.
    pub(super) fn new_id(&self, of: &str) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let time = u128::try_from(Timestamp::now().as_millisecond()).unwrap_or(0) << 80;
        let bits = time | (self.random().u128(..) >> 48);
        let digits = (0..26).rev().map(|at| char::from(DIGITS[usize::try_from((bits >> (5 * at)) & 31).unwrap_or(0)]));
        format!("{of}:{}", digits.collect::<String>())
    }

    /// Write down that a client has published something.
    pub(super) fn note(&self, client_id: &str, topic: &str, payload: &Bytes, qos: u8, allowed: bool) {
        self.journal.write(Entry::Published {
            client_id: Some(client_id.to_owned()),
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos,
            allowed,
        });
    }

    /// Publish for the stack itself.
    pub(super) fn emit(&self, uid: &str, dev_id: &str, event: &str, payload: String) {
        let (topic, payload) = (format!("v3/{uid}/devices/{dev_id}/{event}"), Bytes::from(payload));
        self.journal.write(Entry::Published {
            client_id: None,
            topic: topic.clone(),
            payload: payload.clone(),
            qos: 0,
            allowed: true,
        });
        self.router.publish(uid, &topic, &payload, self.faults.message_delay());
    }
}
