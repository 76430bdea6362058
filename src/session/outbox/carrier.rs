//! The outbox of a client that is not carried by a session of MQTT: whoever carries it takes messages out and says what
//! became of them.

use bytes::Bytes;

use super::{Outbox, ServerLimits};

/// A server that is not known to bound anything.
const UNBOUNDED: ServerLimits = ServerLimits { in_flight: usize::MAX, packet_bytes: usize::MAX };

impl Outbox {
    /// Another carrier begins: what was taken and not ended goes out again, in order.
    pub fn begin_again(&self) {
        self.rewind();
    }

    /// The next message to carry, if the window allows one more: its ID, topic and payload.
    pub fn take_next(&self) -> Option<(u16, String, Bytes)> {
        self.next(&UNBOUNDED).map(|message| (message.mid, message.topic, message.payload))
    }

    /// What became of a message: accepted, or refused for a reason from 128 on. Tells whether it was still waited for.
    pub fn end(&self, mid: u16, reason: u8) -> bool {
        let ended = self.acknowledged(mid, reason).is_some();
        self.progressed();
        ended
    }

    /// Resolves when there may be something to carry or to acknowledge.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}
