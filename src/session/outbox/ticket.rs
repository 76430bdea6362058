//! Who sent a message may hold a ticket that tells what became of it.

use std::sync::Arc;

use crate::sync::atomic::{AtomicU16, Ordering};

/// What became of one message.
#[derive(Debug)]
pub struct Ticket {
    mid: u16,
    /// The reason code of its end, or [`Ticket::OPEN`].
    outcome: AtomicU16,
}

impl Ticket {
    const OPEN: u16 = u16::MAX;

    pub(super) fn new(mid: u16) -> Arc<Self> {
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

    pub(super) fn settle(&self, reason: u8) {
        self.outcome.store(u16::from(reason), Ordering::Release);
    }
}
