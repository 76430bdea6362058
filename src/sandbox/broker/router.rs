//! Sessions, subscriptions, retained messages: from a published message to everyone who should get it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::mqttbytes::{QoS, matches};

use super::Guest;
use super::session::{ClientSession, Published};
use super::tree::Tree;
use crate::sync::{Mutex, MutexGuard};

/// The state of a broker that survives its connections.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Router {
    state: Mutex<State>,
    serial: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// By realm and client identifier.
    sessions: HashMap<(String, String), Arc<ClientSession>>,
    subscriptions: Tree<Subscriber>,
    retained: BTreeMap<String, Arc<Published>>,
}

/// A session, compared by identity.
#[derive(Clone, Debug)]
struct Subscriber(Arc<ClientSession>);

impl PartialEq for Subscriber {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Router {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A number that no connection had before.
    pub(super) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// The session for a login, and whether it existed.
    pub(super) fn open(&self, guest: Guest, client_id: &str, clean: bool) -> (Arc<ClientSession>, bool) {
        let mut state = self.state();
        let key = (guest.realm.clone(), client_id.to_owned());
        if let Some(old) = state.sessions.get(&key).cloned() {
            if !clean && !old.clean {
                return (old, true);
            }
            old.evict();
            state.subscriptions.remove_client(&Subscriber(old));
        }
        let session = Arc::new(ClientSession::new(client_id.to_owned(), guest, clean));
        state.sessions.insert(key, session.clone());
        (session, false)
    }

    /// Forget a session that ends with its connection.
    pub(super) fn forget(&self, session: &Arc<ClientSession>) {
        let mut state = self.state();
        let key = (session.realm.clone(), session.client_id.clone());
        if state.sessions.get(&key).is_some_and(|known| Arc::ptr_eq(known, session)) {
            state.sessions.remove(&key);
        }
        state.subscriptions.remove_client(&Subscriber(session.clone()));
    }

    /// Subscribe; retained messages that match follow.
    pub(super) fn subscribe(&self, session: &Arc<ClientSession>, filter: &str, qos: QoS) {
        let mut state = self.state();
        state.subscriptions.insert(filter, Subscriber(session.clone()), qos);
        for (topic, message) in &state.retained {
            if matches(topic, filter) && session.grant.may_receive(topic) {
                session.push(message.clone(), qos, true, Duration::ZERO);
            }
        }
    }

    /// End a subscription.
    pub(super) fn unsubscribe(&self, session: &Arc<ClientSession>, filter: &str) {
        self.state().subscriptions.remove(filter, &Subscriber(session.clone()));
    }

    /// Hand a message to everyone who is subscribed and may see it, once each.
    pub(in crate::sandbox) fn publish(&self, topic: &str, payload: Bytes, qos: QoS, retain: bool, delay: Duration) {
        let message = Arc::new(Published { topic: topic.to_owned(), payload });
        let mut state = self.state();
        if retain {
            if message.payload.is_empty() {
                state.retained.remove(topic);
            } else {
                state.retained.insert(topic.to_owned(), message.clone());
            }
        }
        let mut receivers: Vec<(Arc<ClientSession>, QoS)> = Vec::new();
        state.subscriptions.matches(topic, |subscriber, granted| {
            match receivers.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &subscriber.0)) {
                Some((_, best)) => *best = if granted > *best { granted } else { *best },
                None => receivers.push((subscriber.0.clone(), granted)),
            }
        });
        // Still under the lock, so that every client gets messages in the order of publishing.
        for (session, granted) in receivers {
            if session.grant.may_receive(topic) {
                session.push(message.clone(), if granted < qos { granted } else { qos }, false, delay);
            }
        }
    }

    /// Cut the connections of one client, or of all; tells how many there were.
    pub(in crate::sandbox) fn cut(&self, client_id: Option<&str>) -> usize {
        let state = self.state();
        let chosen = state.sessions.values().filter(|session| client_id.is_none_or(|id| id == session.client_id));
        chosen.filter(|session| session.evict()).count()
    }

    /// Identifiers of connected clients, sorted.
    pub(in crate::sandbox) fn connected(&self) -> Vec<String> {
        let state = self.state();
        let mut ids: Vec<_> = state
            .sessions
            .values()
            .filter(|session| session.is_connected())
            .map(|session| session.client_id.clone())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Messages that wait for one client or are unacknowledged by it.
    pub(in crate::sandbox) fn backlog(&self, client_id: &str) -> usize {
        let state = self.state();
        state.sessions.values().filter(|session| session.client_id == client_id).map(|session| session.backlog()).sum()
    }

    /// Wait until everything that a realm's clients have written by now is handled.
    pub(in crate::sandbox) async fn take_in(&self, realm: &str) {
        let told: Vec<_> = {
            let state = self.state();
            state
                .sessions
                .values()
                .filter(|session| session.realm == realm)
                .filter_map(|session| session.ask())
                .collect()
        };
        for told in told {
            // A connection that ended meanwhile handles nothing more.
            let _ended = told.await;
        }
    }

    /// Forget sessions, subscriptions and retained messages.
    pub(in crate::sandbox) fn reset(&self) {
        *self.state() = State::default();
    }
}
