//! What the broker has of one connection; nothing survives it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::filter::takes;
use crate::sandbox::v3::right::{Rights, TRAFFIC_READ};
use crate::sync::Mutex;

/// Messages that wait for a client: 64 for its connection, 128 for its subscription before that. What is more is
/// dropped without a word (V3 2.2).
const BUFFER: usize = 64 + 128;

/// A message on its way to a client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    not_before: Option<Instant>,
}

/// One client's connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) serial: u64,
    pub(super) client_id: String,
    pub(super) app_id: String,
    /// The application's name in topics.
    pub(super) uid: String,
    /// Looked up at the login, and not again.
    pub(super) rights: Rights,
    /// Whose publishes are counted together.
    pub(super) limited: String,
    state: Mutex<State>,
    /// Wakes the connection when there is something to send.
    pub(super) wake: Notify,
    /// Ends the connection.
    pub(super) evict: Notify,
    ask: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    filters: BTreeSet<String>,
    queue: VecDeque<Outgoing>,
}

/// Who logs in.
pub(super) struct Login {
    pub(super) client_id: String,
    pub(super) app_id: String,
    pub(super) uid: String,
    pub(super) rights: Rights,
    pub(super) limited: String,
}

impl Session {
    pub(super) fn new(serial: u64, login: Login, ask: mpsc::UnboundedSender<oneshot::Sender<()>>) -> Self {
        let Login { client_id, app_id, uid, rights, limited } = login;
        Self {
            serial,
            client_id,
            app_id,
            uid,
            rights,
            limited,
            state: Mutex::default(),
            wake: Notify::new(),
            evict: Notify::new(),
            ask,
        }
    }

    /// Ask the connection to tell when everything that the client has written by now is handled.
    pub(super) fn ask(&self) -> Option<oneshot::Receiver<()>> {
        let (asking, told) = oneshot::channel();
        // A connection that ends right now handles nothing more.
        self.ask.send(asking).ok().map(|()| told)
    }

    pub(super) fn subscribe(&self, filter: String) {
        self.state.lock().filters.insert(filter);
    }

    pub(super) fn unsubscribe(&self, filter: &str) {
        self.state.lock().filters.remove(filter);
    }

    /// Queue a message if the client is to get it, once, however many filters take it.
    pub(super) fn push(&self, topic: &str, payload: &Bytes, delay: Duration) {
        let mut state = self.state.lock();
        if !self.rights.has(TRAFFIC_READ) || !state.filters.iter().any(|filter| takes(filter, topic)) {
            return;
        }
        if state.queue.len() >= BUFFER {
            return tracing::debug!(client_id = %self.client_id, "client too slow: dropped a message");
        }
        let not_before = (!delay.is_zero()).then(|| Instant::now() + delay);
        state.queue.push_back(Outgoing { topic: topic.to_owned(), payload: payload.clone(), not_before });
        drop(state);
        self.wake.notify_one();
    }

    /// The next message to send; or when to look again, if it is held back.
    pub(super) fn next(&self) -> Result<Outgoing, Option<Instant>> {
        let mut state = self.state.lock();
        match state.queue.front().ok_or(None)?.not_before {
            Some(until) if until > Instant::now() => Err(Some(until)),
            _ => state.queue.pop_front().ok_or(None),
        }
    }

    /// Messages that wait.
    pub(super) fn backlog(&self) -> usize {
        self.state.lock().queue.len()
    }
}
