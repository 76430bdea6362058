//! The end of a session that leads into a client: what the session tells becomes what the consumer is told.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::lending::{self, Lending, Share};
use super::line::{Inner, Line};
use super::platform::Platform;
use super::stats::add;
use super::{Body, Delivery, Incoming};
use crate::error::Error;
use crate::session::{Event, Item as _, Message, Sink};
use crate::sync::Mutex;

/// The sink of a client's session.
pub(super) struct Inlet<P: Platform> {
    /// Weak, so that dropping the client ends its session.
    client: Weak<Inner<P>>,
    room: Arc<Notify>,
    holds: AtomicBool,
    /// What was told of the connection while another one was to take its place.
    held: Mutex<Vec<Delivery<P::Own>>>,
    lending: Lending,
}

impl<P: Platform> fmt::Debug for Inlet<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").finish_non_exhaustive()
    }
}

impl<P: Platform> Inlet<P> {
    pub(super) fn into(client: &Arc<Inner<P>>) -> Arc<Self> {
        Arc::new(Self {
            client: Arc::downgrade(client),
            room: client.mailbox.room().clone(),
            holds: AtomicBool::new(false),
            held: Mutex::default(),
            lending: Lending::default(),
        })
    }

    fn hold_back(&self, deliveries: &mut Vec<Delivery<P::Own>>) {
        let mut held = self.held.lock();
        // Looked at again under the lock: it may just have ended.
        if self.holds.load(Ordering::Acquire) {
            held.extend(deliveries.extract_if(.., |delivery| delivery.is_of_the_connection()));
        }
    }
}

/// While a new session tries to take an old one's place, nobody is told how that one fares: a server that ends it because
/// of the new login would otherwise make programs connect anew that connect when they hear of a loss, and so for ever.
/// When it ends what was held back is told, unless it is forgotten.
pub(super) struct Hold<P: Platform>(Arc<Inlet<P>>);

impl<P: Platform> Hold<P> {
    pub(super) fn on(inlet: &Arc<Inlet<P>>) -> Self {
        inlet.holds.store(true, Ordering::Release);
        Self(inlet.clone())
    }

    /// The old session is replaced: how it ended is nobody's concern.
    pub(super) fn forget(self) {
        self.0.held.lock().clear();
    }
}

impl<P: Platform> Drop for Hold<P> {
    fn drop(&mut self) {
        let mut held = self.0.held.lock();
        self.0.holds.store(false, Ordering::Release);
        let told = std::mem::take(&mut *held);
        drop(held);
        if let Some(client) = self.0.client.upgrade()
            && !told.is_empty()
        {
            client.mailbox.push(told);
        }
    }
}

impl<P: Platform> Sink for Inlet<P> {
    fn deliver(&self, batch: &mut Vec<Event>) -> bool {
        let Some(client) = self.client.upgrade() else {
            batch.clear();
            return false;
        };
        let ended = batch.iter().any(|event| matches!(event, Event::Ended));
        // Decoded before the mailbox is locked.
        let mut deliveries = Vec::with_capacity(batch.len());
        let lends = client.platform.owns_all() && !client.platform.holds();
        let share = if lends { self.lending.share(batch.len(), client.mailbox.waiting()) } else { Share::NONE };
        for (at, event) in batch.drain(..).enumerate() {
            let told = client.translate(event, share.has(at), &mut deliveries);
            deliveries.extend(told);
        }
        if self.holds.load(Ordering::Acquire) {
            self.hold_back(&mut deliveries);
        }
        let delivered = !deliveries.is_empty();
        if delivered {
            client.pass(deliveries);
        }
        if ended {
            client.over();
        }
        delivered
    }

    fn has_room(&self) -> bool {
        self.client.upgrade().is_none_or(|client| client.mailbox.has_room())
    }

    fn is_ahead(&self, paused: bool) -> bool {
        self.client.upgrade().is_some_and(|client| client.mailbox.is_ahead(paused))
    }

    fn room(&self) -> &Notify {
        &self.room
    }

    fn rest(&self) -> Duration {
        self.client.upgrade().map_or(Duration::ZERO, |client| client.platform.rest())
    }
}

impl<P: Platform> Inner<P> {
    /// What the consumer is told of an event, if anything; what the platform has to say of it goes before that. `lent`
    /// tells whether the consumer is to read it, if it is a message.
    fn translate(&self, mut event: Event, lent: bool, before: &mut Vec<Delivery<P::Own>>) -> Option<Delivery<P::Own>> {
        if let Event::Message(message) = &mut event {
            self.platform.rename(message);
        }
        let mut tell = |delivery| before.extend(self.news.filter(delivery));
        let passes = self.platform.overhear(&event, &self.outbox, &mut tell);
        let delivery = match event {
            Event::Message(message) if passes && lent && message.payload.len() >= lending::WORTH => {
                return self.admit(message).map(|message| {
                    add(&self.counters.received, 1);
                    // Copied, so that the buffer of the network is free.
                    let payload = Bytes::copy_from_slice(&message.payload);
                    Delivery::Unread(Message { payload, ..message })
                });
            }
            Event::Message(message) if passes => return self.take_in(message).map(Delivery::Message),
            // It was asked for by the client itself, which has heard it.
            Event::Message(message) => {
                message.receipt.into_iter().for_each(|receipt| self.outbox.acknowledge(receipt));
                return None;
            }
            Event::Connected { again, session_present } => {
                self.refusal.store(0, Ordering::Release);
                self.online.send_replace(true);
                add(&self.counters.reconnects, u64::from(again));
                Delivery::Connected { session_present }
            }
            Event::Sent { mid } => {
                add(&self.counters.sent, 1);
                if !passes {
                    return None;
                }
                Delivery::Sent(mid)
            }
            Event::Rejected { mid, topic, reason } => {
                tracing::error!(mid, %topic, reason, "the server refused a message");
                Delivery::Rejected { mid, topic, reason }
            }
            Event::Skipped { topic, size } => {
                add(&self.counters.oversize, 1);
                let limit = self.platform.max_incoming_bytes();
                tracing::warn!(%topic, size, limit, "skipped a message over the limit");
                Delivery::Problem(Error::TooLarge { what: "message", size, limit })
            }
            Event::SubscriptionRefused { filter } => Delivery::Problem(Error::SubscriptionRefused { filter, hint: "" }),
            Event::LoginRefused { code } => {
                self.refused(code);
                Delivery::Refused { code }
            }
            Event::AttemptFailed { error } => Delivery::Failed(error),
            Event::Replaced => {
                self.online.send_replace(false);
                self.platform.begin(&self.outbox);
                Delivery::Replaced
            }
            Event::Lost { error, .. } => {
                match (self.online.send_replace(false), self.muted.load(Ordering::Acquire)) {
                    (true, _) => Delivery::Lost(error),
                    // Lost before it was told of.
                    (false, false) => Delivery::Failed(error),
                    // The client is closing, and offline for its consumer.
                    (false, true) => return None,
                }
            }
            Event::Ended => return None,
        };
        self.news.filter(delivery)
    }

    /// Deliver, but for messages that have to wait for older ones.
    fn pass(&self, deliveries: Vec<Delivery<P::Own>>) {
        if !self.platform.holds() {
            return self.mailbox.push(deliveries);
        }
        let dropped = self.backlog.pass(deliveries, &self.mailbox);
        if dropped > 0 {
            add(&self.counters.dropped, dropped as u64);
            tracing::warn!(dropped, "dropping the oldest of the messages that wait for what was missed before them");
        }
    }

    /// A message, unless the client is closing.
    fn admit(&self, message: Message) -> Option<Message> {
        if self.muted.load(Ordering::Acquire) {
            add(&self.counters.received, 1);
            // At QoS 1 it is not acknowledged and stays with the server.
            add(&self.counters.dropped, u64::from(message.receipt.is_none()));
            return None;
        }
        Some(message)
    }

    /// Take a message in, unless the client is closing.
    pub(super) fn take_in(&self, message: Message) -> Option<Incoming> {
        let message = self.read(self.admit(message)?)?;
        add(&self.counters.received, 1);
        Some(message)
    }

    /// Read a message, if it is the client's: otherwise it is done with.
    pub(super) fn read(&self, message: Message) -> Option<Incoming> {
        let receipt = message.receipt;
        let Some(message) = self.platform.take_in(message) else {
            if let Some(receipt) = receipt {
                self.outbox.acknowledge(receipt);
            }
            return None;
        };
        if P::JSON_ONLY
            && let Body::Undecodable { reason, .. } = &message.body
        {
            add(&self.counters.undecodable, 1);
            tracing::warn!(topic = %message.topic, %reason, "cannot decode a message");
        }
        Some(message)
    }
}

impl<P: Platform> Line<P> {
    /// A delivery out of the mailbox, its message read. `None` for one that is not the client's, which is done with.
    #[must_use]
    pub fn read(&self, delivery: Delivery<P::Own>) -> Option<Delivery<P::Own>> {
        let weight = delivery.weight();
        match delivery {
            Delivery::Unread(message) => Some(Delivery::Message(self.inner.read(message)?.counting(weight))),
            read => Some(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::client::lorawan::{Client, Config};
    use crate::ids::{AccessKey, AppId};
    use crate::session::{Hands, QoS, QueueStats};

    fn message_of(number: usize) -> Message {
        // Every tenth is no JSON, and every seventh is small.
        let end = if number.is_multiple_of(10) { "" } else { "}" };
        let long = "x".repeat(if number.is_multiple_of(7) { 0 } else { lending::WORTH });
        let payload = format!("{{\"counter\":{number},\"text\":\"{long}\"{end}");
        let topic = format!("app/devices/{number}/up");
        Message { topic, payload: payload.into(), qos: QoS::AtMostOnce, retain: false, receipt: None }
    }

    fn batch(numbers: std::ops::Range<usize>) -> Vec<Event> {
        numbers.map(|number| Event::Message(message_of(number))).collect()
    }

    #[test]
    fn in_a_flood_the_consumer_reads_some_messages_by_itself_and_finds_all_in_their_order() {
        let config = Config::new(AppId::new("app").unwrap(), AccessKey::new("key"));
        let client = Client::new(config, || {}).unwrap();
        let inlet = Inlet::into(&client.inner);
        let (mut hands, mut found, mut unread, mut broken) = (Hands::default(), Vec::new(), 0, 0);
        let mut handle = |delivery: Delivery<Infallible>| {
            let (weight, was_read) = (delivery.weight(), matches!(delivery, Delivery::Message(_)));
            let delivery = client.read(delivery).unwrap();
            assert_eq!(delivery.weight(), weight, "what was added to the queue is taken from it");
            let Delivery::Message(message) = delivery else { panic!("{delivery:?}") };
            let is_json = matches!(message.body, Body::Json(_));
            let number: usize = message.topic.split('/').nth(2).unwrap().parse().unwrap();
            assert_eq!(is_json, !number.is_multiple_of(10));
            if !was_read {
                unread += 1;
                broken += usize::from(!is_json);
                let Message { payload, .. } = message_of(number);
                let read = Incoming::from(message_of(number)).size();
                assert!(weight >= read && payload.len() >= lending::WORTH, "as much as one that is read at once");
            }
            found.push(number);
            true
        };
        for round in 0..40 {
            assert!(inlet.deliver(&mut batch(round * 50..(round + 1) * 50)));
            // In the second half the consumer does not keep up.
            while round < 20 && hands.take(client.mailbox(), 16) {
                while hands.next(&mut handle) {}
            }
        }
        while hands.take(client.mailbox(), 16) {
            while hands.next(&mut handle) {}
        }
        assert_eq!(found, (0..2000).collect::<Vec<_>>());
        assert!(unread > 400 && unread < 900 && broken > 20, "{unread}, {broken} of them no JSON");
        let stats = client.stats();
        assert_eq!((stats.received, stats.undecodable), (2000, 200));
        assert_eq!(client.mailbox().stats(), QueueStats::default());
    }
}
