//! What the broker keeps for one client, connected or not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::{Grant, Guest};
use crate::sync::{Mutex, MutexGuard};

/// Messages kept for a client that is not connected.
pub(super) const OFFLINE_MESSAGES: usize = 100_000;
/// Messages kept for a connected client that reads too slowly.
const ONLINE_MESSAGES: usize = 200_000;
/// QoS 1 messages in flight to one client.
const WINDOW: usize = 1000;

/// A published message, shared by all that get it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

/// A message on its way to one client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) message: Arc<Published>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) packet_id: u16,
    pub(super) not_before: Option<Instant>,
}

/// How a connection is asked to tell when it has handled everything that was written.
pub(super) type Ask = mpsc::UnboundedSender<oneshot::Sender<()>>;

/// One client's session.
#[derive(Debug)]
pub(in crate::sandbox) struct ClientSession {
    pub(super) client_id: String,
    /// See [`Guest`].
    pub(super) name: String,
    pub(super) realm: String,
    pub(super) grant: Box<dyn Grant>,
    pub(super) clean: bool,
    state: Mutex<State>,
    /// Wakes the connection when there is something to send.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    in_flight: VecDeque<Outgoing>,
    /// How many of `in_flight` the present connection has been given.
    given: usize,
    last_packet_id: u16,
    /// Serial number of the connection that serves the session, if any.
    connection: Option<u64>,
    /// Ends that connection.
    evict: Option<Arc<Notify>>,
    /// Asks that connection to tell when everything that the client has written is handled.
    ask: Option<Ask>,
    dropped: u64,
}

impl ClientSession {
    pub(super) fn new(client_id: String, guest: Guest, clean: bool) -> Self {
        let Guest { name, realm, grant } = guest;
        Self { client_id, name, realm, grant, clean, state: Mutex::default(), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A connection takes the session over. The one that served it before is ended.
    pub(super) fn attach(&self, connection: u64, evict: Arc<Notify>, ask: Ask) {
        let mut state = self.state();
        state.ask = Some(ask);
        if let Some(old) = state.evict.replace(evict) {
            old.notify_one();
        }
        state.connection = Some(connection);
        state.given = 0;
        drop(state);
        self.wake.notify_one();
    }

    /// A connection ends; tells whether it still served the session.
    pub(super) fn detach(&self, connection: u64) -> bool {
        let mut state = self.state();
        if state.connection != Some(connection) {
            return false;
        }
        state.connection = None;
        state.evict = None;
        state.ask = None;
        // What was sent at QoS 0 is gone; what waits at QoS 0 is not kept for a client that is away.
        state.queue.retain(|delivery| delivery.qos != QoS::AtMostOnce);
        true
    }

    /// Ask the connection that serves the session to tell when everything that the client has written by now is
    /// handled.
    pub(super) fn ask(&self) -> Option<oneshot::Receiver<()>> {
        let (asking, told) = oneshot::channel();
        // A connection that ends right now handles nothing more.
        self.state().ask.as_ref()?.send(asking).ok().map(|()| told)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state().connection.is_some()
    }

    /// End the connection that serves the session, if there is one.
    pub(super) fn evict(&self) -> bool {
        let state = self.state();
        if let Some(evict) = &state.evict {
            evict.notify_one();
        }
        state.evict.is_some()
    }

    /// Queue a message for the client. Over the bound the newest is dropped and counted.
    pub(super) fn push(&self, message: Arc<Published>, qos: QoS, retain: bool, delay: Duration) {
        let mut state = self.state();
        let connected = state.connection.is_some();
        if !connected && qos == QoS::AtMostOnce {
            return;
        }
        let bound = if connected { ONLINE_MESSAGES } else { OFFLINE_MESSAGES };
        if state.queue.len() >= bound {
            if state.dropped == 0 {
                tracing::warn!(client_id = %self.client_id, bound, "client too slow or away: dropping messages");
            }
            state.dropped += 1;
            return;
        }
        let not_before = (!delay.is_zero()).then(|| Instant::now() + delay);
        state.queue.push_back(Outgoing { message, qos, retain, dup: false, packet_id: 0, not_before });
        let wake = connected && state.queue.len() == 1;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// The next message to send; or when to look again, if it is held back.
    pub(super) fn next(&self) -> Result<Outgoing, Option<Instant>> {
        let mut state = self.state();
        if let Some(repeat) = state.in_flight.get(state.given) {
            let repeat = Outgoing { dup: true, ..repeat.clone() };
            state.given += 1;
            return Ok(repeat);
        }
        let Some(first) = state.queue.front() else { return Err(None) };
        if let Some(until) = first.not_before
            && until > Instant::now()
        {
            return Err(Some(until));
        }
        if first.qos == QoS::AtMostOnce {
            return state.queue.pop_front().ok_or(None);
        }
        if state.in_flight.len() >= WINDOW {
            return Err(None);
        }
        let Some(mut delivery) = state.queue.pop_front() else { return Err(None) };
        loop {
            state.last_packet_id = state.last_packet_id.checked_add(1).unwrap_or(1);
            let candidate = state.last_packet_id;
            if !state.in_flight.iter().any(|other| other.packet_id == candidate) {
                delivery.packet_id = candidate;
                break;
            }
        }
        state.in_flight.push_back(delivery.clone());
        state.given += 1;
        Ok(delivery)
    }

    /// The client acknowledges a message.
    pub(super) fn acknowledged(&self, packet_id: u16) {
        let mut state = self.state();
        if let Some(at) = state.in_flight.iter().position(|delivery| delivery.packet_id == packet_id) {
            state.in_flight.remove(at);
            if at < state.given {
                state.given -= 1;
            }
        }
    }

    /// Messages waiting or unacknowledged.
    pub(super) fn backlog(&self) -> usize {
        let state = self.state();
        state.queue.len() + state.in_flight.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Everything;

    impl Grant for Everything {
        fn may_subscribe(&self, _: &str) -> bool {
            true
        }

        fn may_receive(&self, _: &str) -> bool {
            true
        }

        fn may_publish(&self, _: &str) -> bool {
            true
        }
    }

    #[test]
    fn unacknowledged_messages_come_again_on_the_next_connection() {
        let guest = Guest { name: "n".into(), realm: "r".into(), grant: Box::new(Everything) };
        let session = ClientSession::new("c".into(), guest, true);
        session.attach(1, Arc::default(), mpsc::unbounded_channel().0);
        let message = Arc::new(Published { topic: "t".into(), payload: Bytes::new() });
        for _ in 0..2 {
            session.push(message.clone(), QoS::AtLeastOnce, false, Duration::ZERO);
        }
        let first = session.next().unwrap();
        session.next().unwrap();
        assert!(session.next().is_err());
        session.acknowledged(first.packet_id);
        assert!(session.detach(1) && !session.detach(1));
        session.attach(2, Arc::default(), mpsc::unbounded_channel().0);
        let again = session.next().unwrap();
        assert_eq!((again.packet_id, again.dup), (2, true));
        assert!(session.next().is_err());
    }
}
