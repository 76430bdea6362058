//! Messages on their way out, and acknowledgements for messages that came in.

mod carrier;
mod gate;
mod limits;
mod state;
mod ticket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

pub use self::gate::Gate;
pub use self::limits::OutboxLimits;
pub(super) use self::limits::ServerLimits;
use self::limits::{MOST, OVERHEAD};
use self::state::State;
pub(super) use self::state::{Acknowledged, GivenUp, Verdict};
pub use self::ticket::Ticket;
use super::QoS;
use super::packet::Publish;
use super::receipts::{Dealt, Receipt};
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// What a client has accepted for sending. It belongs to the client and outlives its sessions, so that a message at
/// QoS 1 is sent again on the next one until it is acknowledged, and one at QoS 0 until it is written.
///
/// Policy when full: [`Outbox::publish`] refuses, the caller waits with [`Outbox::room`] if it likes.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    is_gated: bool,
    /// Wakes the driver.
    pub(super) wake: Notify,
    /// Wakes those who wait for room or for emptiness.
    progress: Notify,
    /// Wakes threads that wait for tickets, of which there are `watchers`.
    settled: Condvar,
    watchers: AtomicUsize,
}

impl Outbox {
    /// An empty outbox. More than 60,000 messages are never accepted, since their IDs would run out.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        Self::with(State::new(limits))
    }

    fn with(state: State) -> Self {
        Self {
            is_gated: state.gate.is_some(),
            state: Mutex::new(state),
            wake: Notify::new(),
            progress: Notify::new(),
            settled: Condvar::new(),
            watchers: AtomicUsize::new(0),
        }
    }

    /// An empty outbox with a gate. On each of its connections nothing goes out before [`Event::Connected`] is taken, so
    /// that something can be said first.
    ///
    /// [`Event::Connected`]: super::Event::Connected
    #[must_use]
    pub fn gated(limits: OutboxLimits, gate: Arc<dyn Gate>) -> Self {
        let mut state = State::new(limits);
        state.gate = Some(gate);
        Self::with(state)
    }

    /// Whether there is a gate.
    pub(super) fn is_gated(&self) -> bool {
        self.is_gated
    }

    /// How long the gate holds the next message back, if it does.
    pub(super) fn held_back(&self) -> Option<Duration> {
        if self.is_gated { self.state().held_back } else { None }
    }

    /// The bounds now.
    #[must_use]
    pub fn limits(&self) -> OutboxLimits {
        self.state().limits
    }

    /// Change the bounds; what is in already stays.
    pub fn set_limits(&self, limits: OutboxLimits) {
        self.state().set_limits(limits);
        self.wake.notify_one();
        self.progress.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Accept a message and return its ID, 1–65535.
    ///
    /// # Errors
    /// [`Error::Full`] at the bound, [`Error::TooLarge`] for a message that could never fit.
    pub fn publish(&self, topic: String, payload: Bytes, qos: QoS) -> Result<u16> {
        self.publish_noting(topic, payload, qos, |_| {})
    }

    /// As [`Outbox::publish`]; `note` is called with the ID before the message can go out, and must not use the outbox.
    ///
    /// # Errors
    /// As [`Outbox::publish`].
    pub fn publish_noting(&self, topic: String, payload: Bytes, qos: QoS, note: impl FnOnce(u16)) -> Result<u16> {
        self.accept(topic, payload, qos, None, note).map(|(mid, _)| mid)
    }

    /// As [`Outbox::publish`], with a ticket that tells what becomes of the message. The gate is told how many values are
    /// in it, should it go out again.
    ///
    /// # Errors
    /// As [`Outbox::publish`].
    pub fn track(&self, topic: String, payload: Bytes, qos: QoS, points: usize) -> Result<Arc<Ticket>> {
        let (mid, ticket) = self.accept(topic, payload, qos, Some(points), |_| {})?;
        Ok(ticket.unwrap_or_else(|| Ticket::new(mid)))
    }

    fn accept(
        &self,
        topic: String,
        payload: Bytes,
        qos: QoS,
        tracked: Option<usize>,
        note: impl FnOnce(u16),
    ) -> Result<(u16, Option<Arc<Ticket>>)> {
        let weight = topic.len() + payload.len();
        let mut state = self.state();
        let limits = state.limits;
        let most = limits.bytes.min(limits.packet_bytes.saturating_sub(OVERHEAD));
        if weight > most {
            return Err(Error::TooLarge { what: "message", size: weight, limit: most });
        }
        if state.len() >= limits.messages || state.used.len() >= MOST || state.bytes + weight > limits.bytes {
            return Err(Error::Full { limit: limits.messages });
        }
        let kept = state.accept(topic, payload, qos, tracked);
        let accepted = (kept.message.mid, kept.ticket.clone());
        note(accepted.0);
        state.waiting.push_back(kept);
        // With a full window only an acknowledgement lets more go, and that wakes the driver itself.
        let wake = !state.saturated;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(accepted)
    }

    /// Take messages in before all that wait, whatever the bounds say; the gate is asked for them. Gives their tickets.
    pub fn publish_first(&self, messages: impl IntoIterator<Item = (String, Bytes)>, qos: QoS) -> Vec<Arc<Ticket>> {
        let mut state = self.state();
        state.saturated = false;
        let each = |(at, (topic, payload))| state.accept_first(at, topic, payload, qos);
        let tickets = messages.into_iter().enumerate().filter_map(each).collect();
        drop(state);
        self.wake.notify_one();
        tickets
    }

    /// Say something on this connection before all else, even before what goes out again; it ends with the connection,
    /// and no gate is asked.
    pub fn greet(&self, topic: String, payload: Bytes, qos: QoS) {
        self.state().greet(topic, payload, qos);
        self.wake.notify_one();
    }

    /// The payloads of the messages with this topic that wait or are not acknowledged.
    #[must_use]
    pub fn payloads(&self, topic: &str) -> Vec<Bytes> {
        self.state().payloads(topic)
    }

    /// The gate may let something through by now.
    pub fn gate_opened(&self) {
        self.wake.notify_one();
        self.progress.notify_waiters();
    }

    /// Withdraw the messages whose topics are such: they are not sent any more, and end with this reason code. Gives how
    /// many there were.
    pub fn withdraw(&self, which: impl Fn(&str) -> bool, reason: u8) -> usize {
        let count = self.state().withdraw(which, reason);
        if count > 0 {
            self.progressed();
            self.wake.notify_one();
        }
        count
    }

    /// Block until the ticket is settled, at most until then; tells whether it is.
    pub fn wait(&self, ticket: &Ticket, until: Instant) -> bool {
        if ticket.outcome().is_some() {
            return true;
        }
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let left = until.saturating_duration_since(Instant::now());
        let state = self.state();
        let waited = self.settled.wait_timeout_while(state, left, |_| ticket.outcome().is_none());
        drop(waited);
        self.watchers.fetch_sub(1, Ordering::SeqCst);
        ticket.outcome().is_some()
    }

    /// Wake those who wait for something to leave.
    pub(super) fn progressed(&self) {
        self.progress.notify_waiters();
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.settled.notify_all();
        }
    }

    /// Resolves when something has left the outbox. Take it before looking, so that nothing is missed.
    pub fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.progress.notified()
    }

    /// Wait until everything is written and acknowledged.
    pub async fn emptied(&self) {
        loop {
            let progress = self.room();
            if self.is_empty() {
                return;
            }
            progress.await;
        }
    }

    /// Messages that are neither written nor acknowledged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().len()
    }

    /// Whether everything is written and acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Let the server forget a message that was dealt with.
    pub fn acknowledge(&self, receipt: Receipt) {
        self.state().receipts.push((receipt, Dealt::With));
        self.wake.notify_one();
    }

    /// Leave a message with the server: when it comes again on another connection it is delivered again. `why` is what went
    /// wrong with it, for servers that are told.
    pub fn forget(&self, receipt: Receipt, why: Option<String>) {
        self.state().receipts.push((receipt, Dealt::Not { why }));
        self.wake.notify_one();
    }

    /// What consumers have said since the last call.
    pub fn take_receipts(&self) -> Vec<(Receipt, Dealt)> {
        std::mem::take(&mut self.state().receipts)
    }

    /// An ID for something that is sent in another way, as messages have them. `note` is called with it before any other
    /// message gets one, and must not use the outbox.
    pub fn number<T>(&self, note: impl FnOnce(u16) -> T) -> T {
        let mut state = self.state();
        let mid = state.next_mid();
        note(mid)
    }

    /// An ID for a subscription, in use until [`Outbox::release`].
    pub(super) fn reserve(&self) -> u16 {
        let mut state = self.state();
        let mid = state.next_mid();
        state.used.insert(mid);
        mid
    }

    pub(super) fn release(&self, mid: u16) {
        self.state().used.remove(&mid);
    }

    /// The next message to write, if the window of unacknowledged ones and the server's allow it. What is over the
    /// server's bound in bytes is given up: it could never pass.
    pub(super) fn next(&self, server: &ServerLimits) -> Option<Publish> {
        let mut ended = 0;
        let next = self.state().next(server, &mut ended);
        if ended > 0 {
            self.progressed();
        }
        next
    }

    /// The oldest `count` messages at QoS 0 that were given out are written; tells their IDs.
    pub(super) fn written(&self, count: usize, each: impl FnMut(u16)) {
        self.state().written(count, each);
        self.progressed();
    }

    /// The message of that ID is acknowledged, or refused for a reason from 128 on; tells which it was, if there was one.
    /// Those who wait learn of it by [`Outbox::progressed`], once for all that came together.
    pub(super) fn acknowledged(&self, mid: u16, reason: u8) -> Option<Acknowledged> {
        self.state().acknowledged(mid, reason)
    }

    /// Whether messages wait though the window has room, so that they go out several at a time.
    pub(super) fn is_holding(&self, server: &ServerLimits) -> bool {
        self.state().is_holding(server)
    }

    /// Write what the window has room for, after all.
    pub(super) fn release_held(&self) {
        self.state().saturated = false;
    }

    /// A new connection begins: what was not written or acknowledged on the one before goes out again, in order.
    pub(super) fn rewind(&self) {
        self.state().rewind();
        self.progressed();
    }

    /// A connection is lost; gives the message that was ended for it, if one was.
    pub(super) fn lost(&self, verdict: Verdict) -> Option<GivenUp> {
        let given_up = self.state().lost(verdict);
        self.progressed();
        given_up
    }
}

#[cfg(feature = "explore")]
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
