//! Messages on their way out, and acknowledgements for messages that came in.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

use super::QoS;
use super::packet::Publish;
use super::receipts::Receipt;
use crate::dialect::mqtt::code::PACKET_TOO_LARGE;
use crate::error::{Error, Result};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// What a consumer says of a message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dealt {
    /// The server may forget it.
    With,
    /// It stays with the server.
    Not,
}

/// Bounds of an [`Outbox`].
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Messages that are neither written nor acknowledged.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Messages at QoS 1 that may wait for their acknowledgement at once.
    pub in_flight: usize,
    /// Bytes of a single one, its packet's overhead included: what the server is known to take.
    pub packet_bytes: usize,
}

/// More messages are never accepted: their IDs would run out.
const MOST: usize = 60_000;

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { messages: 50_000, bytes: 64 << 20, in_flight: 1000, packet_bytes: usize::MAX }
    }
}

impl OutboxLimits {
    /// Check the window, which the protocol bounds.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming it.
    pub fn validate(&self) -> Result<()> {
        match self.in_flight {
            0 => Err(Error::invalid("max_inflight", "0", "at least 1")),
            many if many > MOST => Err(Error::invalid("max_inflight", many.to_string(), "at most 60000")),
            _ => Ok(()),
        }
    }
}

/// What became of one message.
#[derive(Debug)]
pub struct Ticket {
    mid: u16,
    /// The reason code of its end, or [`Ticket::OPEN`].
    outcome: AtomicU16,
}

impl Ticket {
    const OPEN: u16 = u16::MAX;

    fn new(mid: u16) -> Arc<Self> {
        Arc::new(Self { mid, outcome: AtomicU16::new(Self::OPEN) })
    }

    /// Its message ID, 1–65535.
    #[must_use]
    pub fn mid(&self) -> u16 {
        self.mid
    }

    /// `None` while it is neither written (QoS 0) nor acknowledged (QoS 1); then MQTT 5's reason code: below 128 it is
    /// a success.
    #[must_use]
    pub fn outcome(&self) -> Option<u8> {
        u8::try_from(self.outcome.load(Ordering::Acquire)).ok()
    }
}

/// What a client has accepted for sending. It belongs to the client and outlives its sessions, so that a message at
/// QoS 1 is sent again on the next one until it is acknowledged, and one at QoS 0 until it is written.
///
/// Policy when full: [`Outbox::publish`] refuses, the caller waits with [`Outbox::room`] if it likes.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    /// Wakes the driver.
    pub(super) wake: Notify,
    /// Wakes those who wait for room or for emptiness.
    progress: Notify,
    /// Wakes threads that wait for tickets, of which there are `watchers`.
    settled: Condvar,
    watchers: AtomicUsize,
}

/// A message and who wants to know of its end.
#[derive(Debug)]
struct Kept {
    message: Publish,
    ticket: Option<Arc<Ticket>>,
    /// Connections that were lost while it was on its way.
    losses: u8,
}

impl Kept {
    fn weight(&self) -> usize {
        self.message.topic.len() + self.message.payload.len()
    }

    fn packet_bytes(&self) -> usize {
        self.weight() + OVERHEAD
    }

    fn settle(self, reason: u8) {
        if let Some(ticket) = self.ticket {
            ticket.outcome.store(u16::from(reason), Ordering::Release);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    limits: OutboxLimits,
    last_mid: u16,
    /// IDs that the protocol still uses: unacknowledged messages and subscriptions.
    used: HashSet<u16>,
    /// Accepted, not yet given to the driver.
    waiting: VecDeque<Kept>,
    /// Given to the driver at QoS 0, not yet written.
    unwritten: VecDeque<Kept>,
    /// Given to the driver at QoS 1, not yet acknowledged, in order.
    unacknowledged: VecDeque<Kept>,
    /// How many of `unacknowledged`, from the front, this connection has been given.
    given: usize,
    /// The window was full and is left to empty somewhat before more is written.
    saturated: bool,
    bytes: usize,
    receipts: Vec<(Receipt, Dealt)>,
}

impl State {
    fn next_mid(&mut self) -> u16 {
        loop {
            self.last_mid = self.last_mid.checked_add(1).unwrap_or(1);
            // Ends: `OutboxLimits` and the in-flight window keep far fewer than 65,535 IDs in use.
            if !self.used.contains(&self.last_mid) {
                return self.last_mid;
            }
        }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.unwritten.len() + self.unacknowledged.len()
    }

    /// Number a message and take it in.
    fn accept(&mut self, topic: String, payload: Bytes, qos: QoS, tracked: bool) -> Kept {
        let mid = self.next_mid();
        if qos != QoS::AtMostOnce {
            self.used.insert(mid);
        }
        let message = Publish { topic, payload, qos, retain: false, dup: false, mid };
        let kept = Kept { message, ticket: tracked.then(|| Ticket::new(mid)), losses: 0 };
        self.bytes += kept.weight();
        kept
    }

    /// Give up what the server most probably closes the connection for: a large message that was among the first `given`
    /// each time. It would hold back everything after it for ever.
    fn give_up(&mut self, given: usize) {
        for at in (0..given).rev() {
            let Some(kept) = self.unacknowledged.get_mut(at) else { continue };
            kept.losses = kept.losses.saturating_add(1);
            if kept.packet_bytes() <= SUSPICIOUS || kept.losses < LOSSES {
                continue;
            }
            if let Some(kept) = self.unacknowledged.remove(at) {
                let (topic, size) = (&kept.message.topic, kept.packet_bytes());
                tracing::error!(%topic, size, "given up: {LOSSES} connections were lost over so large a message");
                self.end(kept, PACKET_TOO_LARGE);
            }
        }
    }

    fn end(&mut self, kept: Kept, reason: u8) {
        self.bytes -= kept.weight();
        self.used.remove(&kept.message.mid);
        kept.settle(reason);
    }
}

impl Outbox {
    /// An empty outbox. More than 60,000 messages are never accepted, since their IDs would run out.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        let limits = OutboxLimits { messages: limits.messages.min(MOST), ..limits };
        Self {
            state: Mutex::new(State { limits, ..State::default() }),
            wake: Notify::new(),
            progress: Notify::new(),
            settled: Condvar::new(),
            watchers: AtomicUsize::new(0),
        }
    }

    /// The bounds now.
    #[must_use]
    pub fn limits(&self) -> OutboxLimits {
        self.state().limits
    }

    /// Change the bounds; what is in already stays.
    pub fn set_limits(&self, limits: OutboxLimits) {
        let mut state = self.state();
        state.limits = OutboxLimits { messages: limits.messages.min(MOST), ..limits };
        state.saturated = false;
        drop(state);
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
        self.accept(topic, payload, qos, false).map(|(mid, _)| mid)
    }

    /// As [`Outbox::publish`], with a ticket that tells what becomes of the message.
    ///
    /// # Errors
    /// As [`Outbox::publish`].
    pub fn track(&self, topic: String, payload: Bytes, qos: QoS) -> Result<Arc<Ticket>> {
        let (mid, ticket) = self.accept(topic, payload, qos, true)?;
        Ok(ticket.unwrap_or_else(|| Ticket::new(mid)))
    }

    fn accept(&self, topic: String, payload: Bytes, qos: QoS, tracked: bool) -> Result<(u16, Option<Arc<Ticket>>)> {
        let weight = topic.len() + payload.len();
        let mut state = self.state();
        let limits = state.limits;
        let most = limits.bytes.min(limits.packet_bytes.saturating_sub(OVERHEAD));
        if weight > most {
            return Err(Error::TooLarge { what: "message", size: weight, limit: most });
        }
        if state.len() >= limits.messages || state.bytes + weight > limits.bytes {
            return Err(Error::Full { limit: limits.messages });
        }
        let kept = state.accept(topic, payload, qos, tracked);
        let accepted = (kept.message.mid, kept.ticket.clone());
        state.waiting.push_back(kept);
        // With a full window only an acknowledgement lets more go, and that wakes the driver itself.
        let wake = !state.saturated;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(accepted)
    }

    /// Take a message in before all that wait, whatever the bounds say: for what a connection must say first.
    pub fn publish_first(&self, messages: impl IntoIterator<Item = (String, Bytes)>, qos: QoS) {
        let mut state = self.state();
        state.saturated = false;
        for (at, (topic, payload)) in messages.into_iter().enumerate() {
            let kept = state.accept(topic, payload, qos, false);
            state.waiting.insert(at, kept);
        }
        drop(state);
        self.wake.notify_one();
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

    /// Leave a message with the server: when it comes again on another connection it is delivered again.
    pub fn forget(&self, receipt: Receipt) {
        self.state().receipts.push((receipt, Dealt::Not));
        self.wake.notify_one();
    }

    pub(super) fn take_receipts(&self) -> Vec<(Receipt, Dealt)> {
        std::mem::take(&mut self.state().receipts)
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
        let mut state = self.state();
        if let Some(repeat) = state.unacknowledged.get(state.given) {
            if state.given >= server.in_flight {
                return None;
            }
            let repeat = Publish { dup: true, ..repeat.message.clone() };
            state.given += 1;
            return Some(repeat);
        }
        loop {
            let next = state.waiting.front()?;
            let (qos, size) = (next.message.qos, next.packet_bytes());
            let window = state.limits.in_flight.min(server.in_flight);
            let open = if state.saturated { window - window / REFILL } else { window };
            if qos != QoS::AtMostOnce && state.unacknowledged.len() >= open {
                state.saturated = true;
                return None;
            }
            state.saturated = false;
            let kept = state.waiting.pop_front()?;
            let limit = server.packet_bytes.min(state.limits.packet_bytes);
            if size > limit {
                tracing::error!(topic = %kept.message.topic, size, limit, "over the server's limit: not sent");
                state.end(kept, PACKET_TOO_LARGE);
                drop(state);
                self.progressed();
                state = self.state();
                continue;
            }
            let message = kept.message.clone();
            if qos == QoS::AtMostOnce {
                state.unwritten.push_back(kept);
            } else {
                state.unacknowledged.push_back(kept);
                state.given += 1;
            }
            return Some(message);
        }
    }

    /// The oldest `count` messages at QoS 0 that were given out are written; tells their IDs.
    pub(super) fn written(&self, count: usize, mut each: impl FnMut(u16)) {
        let mut state = self.state();
        for _ in 0..count {
            let Some(kept) = state.unwritten.pop_front() else { break };
            state.bytes -= kept.weight();
            each(kept.message.mid);
            kept.settle(0);
        }
        drop(state);
        self.progressed();
    }

    /// The message of that ID is acknowledged, or refused for a reason from 128 on; gives its topic, if there was one.
    /// Those who wait learn of it by [`Outbox::progressed`], once for all that came together.
    pub(super) fn acknowledged(&self, mid: u16, reason: u8) -> Option<String> {
        let mut state = self.state();
        // Servers acknowledge in order, so this looks at the first one nearly always.
        let at = state.unacknowledged.iter().position(|kept| kept.message.mid == mid)?;
        if at < state.given {
            state.given -= 1;
        }
        let mut kept = state.unacknowledged.remove(at)?;
        let topic = std::mem::take(&mut kept.message.topic);
        state.bytes -= topic.len();
        state.end(kept, reason);
        Some(topic)
    }

    /// Whether messages wait though the window has room, so that they go out several at a time.
    pub(super) fn is_holding(&self, server: &ServerLimits) -> bool {
        let state = self.state();
        let window = state.limits.in_flight.min(server.in_flight);
        state.saturated && state.unacknowledged.len() < window && !state.waiting.is_empty()
    }

    /// Write what the window has room for, after all.
    pub(super) fn release_held(&self) {
        self.state().saturated = false;
    }

    /// The connection is gone: what was not written or acknowledged goes out again on the next one, in order.
    pub(super) fn rewind(&self) {
        let mut state = self.state();
        let given = std::mem::take(&mut state.given);
        state.saturated = false;
        state.give_up(given);
        while let Some(message) = state.unwritten.pop_back() {
            state.waiting.push_front(message);
        }
        drop(state);
        self.progressed();
    }
}

/// Servers that bound packets and do not say so bound them to this or more.
const SUSPICIOUS: usize = 64 << 10;
/// Connections that a suspicious message may cost.
const LOSSES: u8 = 3;
/// A full window is written to again when this part of it is free: one packet for each acknowledgement would cost a
/// system call each.
const REFILL: usize = 4;
/// Most bytes of a message's packet that are neither topic nor payload.
const OVERHEAD: usize = 10;

/// What the server of a connection takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    /// Unacknowledged messages at QoS 1.
    pub(super) in_flight: usize,
    /// Bytes of a packet.
    pub(super) packet_bytes: usize,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outbox(messages: usize) -> Outbox {
        Outbox::new(OutboxLimits { messages, bytes: 1000, ..OutboxLimits::default() })
    }

    fn window(in_flight: usize) -> ServerLimits {
        ServerLimits { in_flight, packet_bytes: usize::MAX }
    }

    fn publish(outbox: &Outbox, qos: QoS) -> u16 {
        outbox.publish("t".into(), Bytes::from_static(b"12"), qos).unwrap()
    }

    #[test]
    fn ids_count_up_and_skip_those_in_use() {
        let outbox = outbox(50_000);
        assert_eq!(outbox.reserve(), 1);
        assert_eq!(publish(&outbox, QoS::AtMostOnce), 2);
        outbox.state().last_mid = 65_535;
        assert_eq!(publish(&outbox, QoS::AtMostOnce), 2, "1 is in use, 2 was of QoS 0");
        outbox.release(1);
        outbox.state().last_mid = 65_535;
        assert_eq!(publish(&outbox, QoS::AtLeastOnce), 1);
    }

    #[test]
    fn unacknowledged_messages_go_out_again_in_order_before_new_ones() {
        let outbox = outbox(10);
        let mids: Vec<_> = (0..3).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
        let given: Vec<_> = std::iter::from_fn(|| outbox.next(&window(2))).map(|message| message.mid).collect();
        assert_eq!(given, mids[..2], "the window holds the third back");
        outbox.rewind();
        let given: Vec<_> =
            std::iter::from_fn(|| outbox.next(&window(2))).map(|message| (message.mid, message.dup)).collect();
        assert_eq!(given, [(mids[0], true), (mids[1], true)]);
        assert!(outbox.acknowledged(mids[0], 0).is_some() && outbox.acknowledged(mids[0], 0).is_none());
        assert_eq!(outbox.next(&window(2)).map(|message| (message.mid, message.dup)), Some((mids[2], false)));
    }

    #[test]
    fn unwritten_messages_keep_their_place() {
        let outbox = outbox(10);
        let mids: Vec<_> = (0..3).map(|_| publish(&outbox, QoS::AtMostOnce)).collect();
        outbox.next(&window(1));
        outbox.next(&window(1));
        let mut written = Vec::new();
        outbox.written(1, |mid| written.push(mid));
        outbox.rewind();
        assert_eq!(written, mids[..1]);
        assert_eq!(outbox.next(&window(1)).unwrap().mid, mids[1]);
        assert_eq!(outbox.len(), 2);
    }

    #[test]
    fn bounds_hold_in_messages_and_bytes() {
        let full = outbox(1);
        publish(&full, QoS::AtMostOnce);
        assert!(matches!(full.publish("t".into(), Bytes::new(), QoS::AtMostOnce), Err(Error::Full { limit: 1 })));
        let heavy = outbox(10);
        let body = Bytes::from(vec![0; 600]);
        heavy.publish("t".into(), body.clone(), QoS::AtMostOnce).unwrap();
        assert!(matches!(heavy.publish("t".into(), body, QoS::AtMostOnce), Err(Error::Full { .. })));
        assert!(matches!(
            heavy.publish("t".into(), vec![0; 2000].into(), QoS::AtMostOnce),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn tickets_tell_what_became_of_their_messages() {
        let outbox = outbox(10);
        let body = || Bytes::from_static(b"12");
        let taken = outbox.track("t".into(), body(), QoS::AtLeastOnce).unwrap();
        let refused = outbox.track("t".into(), body(), QoS::AtLeastOnce).unwrap();
        let written = outbox.track("t".into(), body(), QoS::AtMostOnce).unwrap();
        for _ in 0..3 {
            outbox.next(&window(9)).unwrap();
        }
        assert!(!outbox.wait(&taken, Instant::now() + Duration::from_millis(1)));
        outbox.acknowledged(taken.mid(), 0);
        outbox.acknowledged(refused.mid(), 151);
        outbox.written(1, |_| ());
        assert!(outbox.wait(&written, Instant::now()));
        assert_eq!((taken.outcome(), refused.outcome(), written.outcome()), (Some(0), Some(151), Some(0)));
        assert!(outbox.is_empty() && outbox.state().bytes == 0);
    }

    #[test]
    fn a_full_window_is_filled_again_in_one_go() {
        let outbox = outbox(20);
        let mids: Vec<_> = (0..12).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
        let give = || std::iter::from_fn(|| outbox.next(&window(8))).count();
        assert_eq!(give(), 8);
        outbox.acknowledged(mids[0], 0);
        assert_eq!((give(), outbox.is_holding(&window(8))), (0, true));
        outbox.acknowledged(mids[1], 0);
        outbox.acknowledged(mids[2], 0);
        assert_eq!((give(), outbox.is_holding(&window(8))), (3, false));
        outbox.acknowledged(mids[3], 0);
        outbox.release_held();
        assert_eq!(give(), 1, "held no longer than its time");
    }

    #[test]
    fn what_the_server_can_never_take_is_given_up() {
        let outbox = outbox(10);
        let large = outbox.track("t".into(), vec![0; 200].into(), QoS::AtLeastOnce).unwrap();
        let small = publish(&outbox, QoS::AtLeastOnce);
        let next = outbox.next(&ServerLimits { in_flight: 9, packet_bytes: 100 }).unwrap();
        assert_eq!((next.mid, large.outcome(), outbox.len()), (small, Some(PACKET_TOO_LARGE), 1));
    }

    #[test]
    fn a_large_message_that_costs_one_connection_after_the_other_is_given_up() {
        let outbox = Outbox::new(OutboxLimits::default());
        let large = outbox.track("t".into(), vec![0; 70_000].into(), QoS::AtLeastOnce).unwrap();
        let small = outbox.track("t".into(), Bytes::new(), QoS::AtLeastOnce).unwrap();
        for _ in 0..LOSSES {
            assert_eq!((large.outcome(), outbox.len()), (None, 2));
            assert_eq!(std::iter::from_fn(|| outbox.next(&window(9))).count(), 2);
            outbox.rewind();
        }
        assert_eq!((large.outcome(), small.outcome(), outbox.len()), (Some(PACKET_TOO_LARGE), None, 1));
    }

    #[test]
    fn what_must_be_said_first_goes_before_all_that_waits() {
        let full = outbox(1);
        publish(&full, QoS::AtLeastOnce);
        full.publish_first(["a", "b"].map(|topic| (topic.to_owned(), Bytes::new())), QoS::AtLeastOnce);
        let topics: Vec<_> = std::iter::from_fn(|| full.next(&window(9))).map(|message| message.topic).collect();
        assert_eq!(topics, ["a", "b", "t"]);
    }
}
