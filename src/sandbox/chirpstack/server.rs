//! The server as a client of its broker: what it publishes, what it takes, and what it writes to its log.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::authority::Authority;
use super::event::Event;
use super::key::Keys;
use super::login::Users;
use super::registry::Registry;
use crate::dialect::lorawan::{Topics, event_topic};
use crate::rpc::proto::chirpstack::api::LogItem;
use crate::sandbox::broker::{House, QoS, Router};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::Journal;
use crate::sandbox::refusals::Refusals;
use crate::sandbox::room::Room;
use crate::sync::{Mutex, MutexGuard};

/// Longest packet that the server takes of its broker; it hangs up over longer ones.
const LONGEST: usize = 10_240;
/// How long it is away then.
const AWAY: Duration = Duration::from_secs(1);
/// Lines of the log that are kept.
const LINES: usize = 1000;
/// Events that may wait for who asks for those of a device.
const WAITING: usize = 1024;

/// What the server is configured to do.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Whether events are JSON, and else protobuf.
    pub(super) is_json: bool,
    /// The level at which it publishes.
    pub(super) qos: QoS,
    /// Whether clients with TLS must show a certificate.
    pub(super) wants_certificates: bool,
    /// How it writes its topics.
    pub(super) topics: Topics,
}

/// A command that has come and was not handled.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

/// Everything that the connections of a sandbox share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) router: Router,
    pub(super) faults: Faults,
    pub(super) room: Arc<Room>,
    pub(super) journal: Journal,
    pub(super) settings: Settings,
    pub(super) users: Mutex<Users>,
    pub(super) keys: Mutex<Keys>,
    pub(super) authority: Authority,
    /// What gateways say of the next downlinks: a reason each; an empty one stands for no answer at all.
    pub(super) refusals: Refusals,
    /// Commands that came at once.
    arrivals: Mutex<Vec<Arrival>>,
    pub(super) arrived: Notify,
    away_until: Mutex<Option<Instant>>,
    log: Mutex<VecDeque<String>>,
    told: broadcast::Sender<(String, LogItem)>,
    registry: Mutex<Registry>,
    random: Mutex<fastrand::Rng>,
    /// For what goes on later.
    pub(super) itself: Weak<Server>,
}

impl Server {
    pub(super) fn new(
        room: Room,
        seed: Option<u64>,
        settings: Settings,
        any_key: bool,
        authority: Authority,
    ) -> Arc<Self> {
        let mut random = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let registry = Registry::new(&mut random);
        Arc::new_cyclic(|itself| Self {
            router: Router::default(),
            faults: Faults::default(),
            room: Arc::new(room),
            journal: Journal::default(),
            settings,
            users: Mutex::default(),
            keys: Mutex::new(Keys::new(any_key)),
            authority,
            refusals: Refusals::default(),
            arrivals: Mutex::default(),
            arrived: Notify::new(),
            away_until: Mutex::default(),
            log: Mutex::default(),
            told: broadcast::Sender::new(WAITING),
            registry: Mutex::new(registry),
            random: Mutex::new(random),
            itself: itself.clone(),
        })
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    pub(super) fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock()
    }

    /// Write to the server's log, which no client sees.
    pub(super) fn write(&self, line: String) {
        tracing::debug!("{line}");
        let mut log = self.log.lock();
        if log.len() >= LINES {
            log.pop_front();
        }
        log.push_back(line);
    }

    /// What was written, first to last.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().iter().cloned().collect()
    }

    /// The events of devices from now on, each with its DevEUI.
    pub(super) fn listen(&self) -> broadcast::Receiver<(String, LogItem)> {
        self.told.subscribe()
    }

    /// Publish an event of a device, and keep it for who asks later.
    pub(super) fn tell(&self, registry: &mut Registry, dev_eui: &str, event: &Event) {
        let Some(device) = registry.devices.get_mut(dev_eui) else { return };
        let application_id = &device.record.value.application_id;
        let topic = event_topic(application_id, dev_eui, event.name());
        let topic = self.settings.topics.of_server(&topic);
        let json = event.to_json();
        let lost = |error: &str| {
            let kind = if matches!(event, Event::Up(_)) { "Uplink" } else { "Integration" };
            self.write(format!(
                "WARN chirpstack::integration: {kind} event error application_id={application_id} error={error}"
            ));
        };
        let payload = match (&json, self.settings.is_json) {
            (_, false) => event.to_protobuf(),
            (Ok(text), true) => text.clone().into_bytes(),
            (Err(error), true) => return lost(error),
        };
        self.emit(&topic, payload.into(), self.settings.qos);
        let Ok(body) = json else { return };
        let time = event.time().unwrap_or_default();
        let at = jiff::Timestamp::now().as_millisecond();
        let item = LogItem {
            id: format!("{at}-{}", device.history.len()),
            time: Some(time),
            description: event.name().to_owned(),
            body,
            properties: event.properties(),
        };
        device.remember(item.clone());
        // Nobody may listen.
        let _listeners = self.told.send((dev_eui.to_owned(), item));
    }

    /// Take a command off the broker, unless the server is away from it; see what comes of it in [`Server::arrivals`].
    pub(super) fn arrive(&self, topic: &str, payload: &Bytes) {
        // The length of what the topic and an empty list of properties take.
        let packet = payload.len() + topic.len() + 3;
        let mut away_until = self.away_until.lock();
        if away_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        *away_until = None;
        if packet > LONGEST {
            *away_until = Some(Instant::now() + AWAY);
            drop(away_until);
            return self.write(format!(
                "ERROR chirpstack::integration::mqtt: MQTT error error=Mqtt state: Mqtt serialization/deserialization \
                 error: Max Payload size of {LONGEST} has been exceeded by packet of {packet} bytes"
            ));
        }
        drop(away_until);
        self.arrivals.lock().push(Arrival { topic: topic.to_owned(), payload: payload.clone() });
        self.arrived.notify_one();
    }

    /// Commands that have come, in the order in which they are handled: those that come at once are handled in parallel.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        let arrivals = std::mem::take(&mut *self.arrivals.lock());
        let mut random = self.random();
        let mut places: Vec<_> =
            arrivals.into_iter().enumerate().map(|(at, arrival)| (at + random.usize(..PARALLEL), arrival)).collect();
        places.sort_by_key(|(place, _)| *place);
        places.into_iter().map(|(_, arrival)| arrival).collect()
    }
}

/// How far a command of many may be from its place.
const PARALLEL: usize = 8;
