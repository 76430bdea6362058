//! The stack behind its broker: who may publish what, and where it goes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::limit::RateLimiter;
use super::mqtt::Router;
use super::registry::Registry;
use super::storage::{Storage, up};
use super::watch::Watchers;
use crate::rpc::proto::v3::ApplicationUp;
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::{Entry, Journal};
use crate::sandbox::refusals::Refusals;
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
    pub(super) storage: Storage,
    /// Where MQTT is served, plain and over TLS; set once that is known.
    pub(super) broker: OnceLock<(String, String)>,
    pub(super) watchers: Watchers,
    /// Why gateways refuse to send the next downlinks.
    pub(super) refusals: Refusals,
    subscribers: Mutex<Vec<Subscriber>>,
    /// Changes when connections have lived their day.
    day: watch::Sender<()>,
    registry: Mutex<Registry>,
    random: Mutex<fastrand::Rng>,
}

/// Messages that wait for who subscribes by a call; as with MQTT, what is more is dropped without a word.
const BUFFER: usize = 64 + 128;

/// Who subscribes by a call.
#[derive(Debug)]
struct Subscriber {
    uid: String,
    tell: mpsc::Sender<Result<ApplicationUp, Status>>,
}

impl Stack {
    pub(super) fn new(host: String, registry: Registry, room: Room, seed: Option<u64>, keeps: bool) -> Self {
        let random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            host,
            room: Arc::new(room),
            registry: Mutex::new(registry),
            random: Mutex::new(random),
            storage: Storage::new(keeps),
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

    /// What is published to an application from now on.
    pub(super) fn subscribe(&self, uid: String) -> mpsc::Receiver<Result<ApplicationUp, Status>> {
        let (tell, told) = mpsc::channel(BUFFER);
        self.subscribers.lock().push(Subscriber { uid, tell });
        told
    }

    fn tell_subscribers(&self, uid: &str, payload: &Bytes) {
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|subscriber| !subscriber.tell.is_closed());
        let mut own = subscribers.iter().filter(|subscriber| subscriber.uid == uid).peekable();
        let Some(up) = own.peek().and_then(|_| up(payload)).and_then(|up| up.transcode_to::<ApplicationUp>().ok())
        else {
            return;
        };
        for subscriber in own {
            if subscriber.tell.try_send(Ok(up.clone())).is_err() {
                tracing::debug!(%uid, "subscriber too slow: dropped a message");
            }
        }
    }

    /// Part with all connections as after 24 hours (V3 3.1); tells how many there were of MQTT.
    pub(super) fn end_day(&self) -> usize {
        self.day.send_replace(());
        let why = Status::unavailable("the connection is 24 hours old");
        for subscriber in self.subscribers.lock().drain(..) {
            // For one that is too slow the stream ends without a word.
            let _told = subscriber.tell.try_send(Err(why.clone()));
        }
        self.watchers.end(&why);
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
        self.storage.keep(uid, dev_id, &payload);
        self.tell_subscribers(uid, &payload);
        self.tell_of_message(uid, dev_id, event, || up(&payload).and_then(|up| up.transcode_to().ok()));
        self.router.publish(uid, &topic, &payload, self.faults.message_delay());
    }
}
