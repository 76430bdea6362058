//! What the clients of one platform add to a client's life.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Delivery, Incoming};
use crate::session::{Event, Gate, Message, Outbox};

/// What is particular to the clients of one platform.
pub trait Platform: fmt::Debug + Send + Sync + Sized + 'static {
    /// Deliveries that only its clients have.
    type Own: fmt::Debug + Send + 'static;
    /// Whether closing waits until the consumer has been told of it.
    const AWAITS_FAREWELL: bool;
    /// What its clients send, in the plural.
    const SENT: &'static str;
    /// Whether what was missed may be fetched.
    const BACKFILLS: bool = false;
    /// Whether every message should be JSON.
    const JSON_ONLY: bool;

    /// What holds back messages whose sender did not wait for the server's limits.
    fn gate(&self) -> Option<Arc<dyn Gate>> {
        None
    }

    /// Bring the topic of a message to the form that the client reads, where a server may write it otherwise.
    fn rename(&self, _message: &mut Message) {}

    /// What a session tells, before anybody else hears of it; on the session's own task. What the platform has to say of it
    /// goes to `tell`; gives whether the consumer is to hear of the event itself.
    fn overhear(&self, _event: &Event, _outbox: &Outbox, _tell: &mut dyn FnMut(Delivery<Self::Own>)) -> bool {
        true
    }

    /// A message with its body read; `None` for one that is not the client's.
    fn take_in(&self, message: Message) -> Option<Incoming> {
        Some(Incoming::from(message))
    }

    /// Whether all messages that come are the client's, so that they count before they are read.
    fn owns_all(&self) -> bool {
        true
    }

    /// How long the server's limits keep from logging in anew.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }

    /// A session begins that follows no other one.
    fn begin(&self, _outbox: &Outbox) {}

    /// There is no session any more.
    fn over(&self) {}

    /// Wait until the server has said what becomes of all that was sent, where it says so, at most for so long.
    fn hear_out(&self, _within: Duration) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Whether messages may have to wait for older ones.
    fn holds(&self) -> bool {
        false
    }

    /// Whether it shares a stream with other clients.
    fn shares(&self) -> bool {
        false
    }

    /// Largest packet taken in, in bytes.
    fn max_incoming_bytes(&self) -> usize;
}
