//! How much an outbox holds, and how much of it may be on the way.

use crate::error::{Error, Result};

/// Bounds of an [`Outbox`](super::Outbox).
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

/// Most bytes of a message's packet that are neither topic nor payload.
pub(super) const OVERHEAD: usize = 10;

/// More messages are never accepted: their IDs would run out.
pub(super) const MOST: usize = 60_000;

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { messages: 50_000, bytes: 64 << 20, in_flight: 1000, packet_bytes: usize::MAX }
    }
}

impl OutboxLimits {
    /// The largest payload that a message with this topic may have, if the server is known to bound it.
    #[must_use]
    pub fn largest_payload(&self, topic: &str) -> Option<usize> {
        (self.packet_bytes < usize::MAX).then(|| self.packet_bytes.saturating_sub(OVERHEAD + topic.len()))
    }

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

/// What the server of a connection takes.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct ServerLimits {
    /// Unacknowledged messages at QoS 1.
    pub(in crate::session) in_flight: usize,
    /// Bytes of a packet.
    pub(in crate::session) packet_bytes: usize,
}
