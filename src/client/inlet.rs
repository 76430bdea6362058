//! The end of a session that leads into a client: what the session tells becomes what the consumer is told.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::line::Inner;
use super::platform::Platform;
use super::stats::add;
use super::{Body, Delivery, Incoming};
use crate::error::Error;
use crate::session::{Event, Message, Sink};
use crate::sync::Mutex;

/// The sink of a client's session.
pub(super) struct Inlet<P: Platform> {
    /// Weak, so that dropping the client ends its session.
    client: Weak<Inner<P>>,
    room: Arc<Notify>,
    holds: AtomicBool,
    /// What was told of the connection while another one was to take its place.
    held: Mutex<Vec<Delivery<P::Own>>>,
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
        for event in batch.drain(..) {
            let told = client.translate(event, &mut deliveries);
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
    /// What the consumer is told of an event, if anything; what the platform has to say of it goes before that.
    fn translate(&self, event: Event, before: &mut Vec<Delivery<P::Own>>) -> Option<Delivery<P::Own>> {
        let mut tell = |delivery| before.extend(self.news.filter(delivery));
        let passes = self.platform.overhear(&event, &self.outbox, &mut tell);
        let delivery = match event {
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

    /// Take a message in, unless the client is closing.
    pub(super) fn take_in(&self, message: Message) -> Option<Incoming> {
        if self.muted.load(Ordering::Acquire) {
            add(&self.counters.received, 1);
            // At QoS 1 it is not acknowledged and stays with the server.
            add(&self.counters.dropped, u64::from(message.receipt.is_none()));
            return None;
        }
        let receipt = message.receipt;
        let Some(message) = self.platform.take_in(message) else {
            if let Some(receipt) = receipt {
                self.outbox.acknowledge(receipt);
            }
            return None;
        };
        add(&self.counters.received, 1);
        if P::JSON_ONLY
            && let Body::Undecodable { reason, .. } = &message.body
        {
            add(&self.counters.undecodable, 1);
            tracing::warn!(topic = %message.topic, %reason, "cannot decode a message");
        }
        Some(message)
    }
}
