//! The end of a session that leads into a client.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::session::{Event, Item, Mailbox, Sink};

/// Who takes what a session tells.
pub(super) trait Receiver: Send + Sync + 'static {
    /// What the consumer gets.
    type Delivery: Item;

    /// Where deliveries wait for the consumer.
    fn mailbox(&self) -> &Mailbox<Self::Delivery>;

    /// What the consumer is told of an event, if anything.
    fn translate(&self, event: Event) -> Option<Self::Delivery>;

    /// The session has ended by itself, and everything that it told is in the mailbox.
    fn ended(&self);
}

/// The sink of a client's session.
pub(super) struct Inlet<R> {
    /// Weak, so that dropping the client ends its session.
    receiver: Weak<R>,
    room: Arc<Notify>,
}

impl<R: Receiver> Inlet<R> {
    pub(super) fn into(receiver: &Arc<R>) -> Arc<Self> {
        Arc::new(Self { receiver: Arc::downgrade(receiver), room: receiver.mailbox().room().clone() })
    }
}

impl<R: Receiver> Sink for Inlet<R> {
    fn deliver(&self, batch: &mut Vec<Event>) -> bool {
        let Some(receiver) = self.receiver.upgrade() else {
            batch.clear();
            return false;
        };
        let ended = batch.iter().any(|event| matches!(event, Event::Ended));
        // Decoded before the mailbox is locked.
        let deliveries: Vec<_> = batch.drain(..).filter_map(|event| receiver.translate(event)).collect();
        let delivered = !deliveries.is_empty();
        if delivered {
            receiver.mailbox().push(deliveries);
        }
        if ended {
            receiver.ended();
        }
        delivered
    }

    fn has_room(&self) -> bool {
        self.receiver.upgrade().is_none_or(|receiver| receiver.mailbox().has_room())
    }

    fn room(&self) -> &Notify {
        &self.room
    }
}
