//! Messages on their way out, and acknowledgements for messages that came in.

mod limits;
mod state;
mod ticket;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

pub use self::limits::OutboxLimits;
pub(super) use self::limits::ServerLimits;
pub(super) use self::state::{GivenUp, Verdict};
use self::state::{OVERHEAD, State};
pub use self::ticket::Ticket;
use super::QoS;
use super::packet::Publish;
use super::receipts::{Dealt, Receipt};
use crate::error::{Error, Result};
use crate::sync::{Condvar, Mutex, MutexGuard};

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

impl Outbox {
    /// An empty outbox. More than 60,000 messages are never accepted, since their IDs would run out.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        Self {
            state: Mutex::new(State::new(limits)),
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

    /// The message of that ID is acknowledged, or refused for a reason from 128 on; gives its topic, if there was one.
    /// Those who wait learn of it by [`Outbox::progressed`], once for all that came together.
    pub(super) fn acknowledged(&self, mid: u16, reason: u8) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dialect::mqtt::code;

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
        assert_eq!((next.mid, large.outcome(), outbox.len()), (small, Some(code::PACKET_TOO_LARGE), 1));
    }

    fn give(outbox: &Outbox) -> Vec<u16> {
        std::iter::from_fn(|| outbox.next(&window(9))).map(|message| message.mid).collect()
    }

    const HUNG_UP: Verdict = Verdict { blamed: Some(code::PAYLOAD_FORMAT_INVALID), paced: true };
    const CUT: Verdict = Verdict { blamed: None, paced: false };

    #[test]
    fn a_message_that_the_server_hangs_up_over_is_set_aside_tried_alone_and_ended() {
        let outbox = outbox(10);
        let bad = outbox.track("bad".into(), Bytes::from_static(b"12"), QoS::AtLeastOnce).unwrap();
        let good = [publish(&outbox, QoS::AtLeastOnce), publish(&outbox, QoS::AtLeastOnce)];
        for _ in 0..3 {
            assert_eq!(give(&outbox).first(), Some(&bad.mid()));
            assert_eq!(outbox.lost(HUNG_UP), None);
        }
        assert_eq!(give(&outbox), good[..1], "the others go first");
        outbox.acknowledged(good[0], 0);
        assert_eq!(give(&outbox), good[1..], "and it waits until they are acknowledged");
        outbox.acknowledged(good[1], 0);
        let later = publish(&outbox, QoS::AtMostOnce);
        assert_eq!(give(&outbox), [bad.mid()], "nothing else is on the way with it");
        assert_eq!(bad.outcome(), None);
        let given_up = GivenUp { mid: bad.mid(), topic: "bad".into(), size: 5 };
        assert_eq!(outbox.lost(HUNG_UP), Some(given_up));
        assert_eq!(bad.outcome(), Some(code::PAYLOAD_FORMAT_INVALID));
        assert_eq!((give(&outbox), outbox.len()), (vec![later], 1));
    }

    #[test]
    fn a_message_on_trial_that_is_acknowledged_is_as_good_as_any() {
        let outbox = outbox(10);
        let mid = publish(&outbox, QoS::AtLeastOnce);
        for _ in 0..3 {
            give(&outbox);
            outbox.lost(HUNG_UP);
        }
        let again = outbox.next(&window(9)).unwrap();
        assert!((again.mid, again.dup) == (mid, true));
        assert!(outbox.acknowledged(mid, 0).is_some() && outbox.is_empty());
        assert!(give(&outbox).is_empty());
    }

    #[test]
    fn a_network_that_fails_condemns_no_message() {
        let outbox = outbox(10);
        let mid = publish(&outbox, QoS::AtLeastOnce);
        for _ in 0..20 {
            assert_eq!(give(&outbox), [mid]);
            assert_eq!(outbox.lost(CUT), None);
        }
    }

    #[test]
    fn what_is_sent_again_after_the_server_hung_up_is_one_message_and_doubles_with_each_acknowledgement() {
        let outbox = outbox(20);
        let mids: Vec<_> = (0..12).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
        assert_eq!(give(&outbox).len(), 9);
        outbox.lost(HUNG_UP);
        assert_eq!(give(&outbox), mids[..1]);
        outbox.acknowledged(mids[0], 0);
        assert_eq!(give(&outbox), mids[1..3]);
        outbox.lost(CUT);
        assert_eq!(give(&outbox), mids[1..2], "a cut on the way does not widen it");
        outbox.acknowledged(mids[1], code::QUOTA_EXCEEDED);
        assert_eq!(give(&outbox), mids[2..3], "nor does a refusal");
        outbox.acknowledged(mids[2], 0);
        assert_eq!(give(&outbox), mids[3..5]);
        outbox.acknowledged(mids[3], 0);
        assert_eq!(give(&outbox), mids[5..8]);
        outbox.acknowledged(mids[4], 0);
        assert_eq!(give(&outbox), mids[8..12]);
    }

    #[test]
    fn after_a_cut_everything_goes_out_again_at_once() {
        let outbox = outbox(20);
        let mids: Vec<_> = (0..9).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
        give(&outbox);
        outbox.lost(CUT);
        assert_eq!(give(&outbox), mids);
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
