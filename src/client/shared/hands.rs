//! Messages that were pulled and are not settled.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{Message, Subject};
use bytes::Bytes;
use tokio::time::Instant;

/// What the server says of a message in the subject that it is acknowledged at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// How often it was delivered, this time included.
    pub(super) deliveries: u64,
    /// Its place in the stream.
    pub(super) sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub(super) stored_at: i64,
    /// Messages that wait for the consumer after it.
    pub(super) pending: u64,
}

impl Told {
    /// Read `$JS.ACK.…`, in its first form or in the one with a domain.
    pub(super) fn read(reply: &str) -> Option<Self> {
        let tokens: Vec<_> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let first = match tokens.len() {
            7 => 2,
            9.. => 4,
            _ => return None,
        };
        let number = |at: usize| tokens.get(first + at)?.parse::<u64>().ok();
        Some(Self {
            deliveries: number(0)?,
            sequence: number(1)?,
            stored_at: i64::try_from(number(3)?).ok()?,
            pending: number(4)?,
        })
    }
}

/// A message in hand.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Where it is acknowledged.
    pub(super) reply: Subject,
    pub(super) subject: Subject,
    pub(super) payload: Bytes,
    pub(super) told: Told,
    /// Its lane, of a group that keeps the order.
    pub(super) lane: Option<u16>,
    pub(super) arrived: Instant,
    /// When the server last heard that it is in hand.
    heard: Instant,
}

impl Held {
    /// One that has just come; `None` for what is no message of a stream.
    pub(super) fn new(message: Message, lane: Option<u16>) -> Option<Self> {
        let reply = message.reply?;
        let told = Told::read(&reply)?;
        let (now, Message { subject, payload, .. }) = (Instant::now(), Message { reply: None, ..message });
        Some(Self { reply, subject, payload, told, lane, arrived: now, heard: now })
    }
}

/// All of them, by the number that receipts have.
#[derive(Debug)]
pub(super) struct Hands {
    held: HashMap<u64, Held>,
    serial: u64,
}

impl Hands {
    pub(super) fn new() -> Self {
        // Not from the same number for each worker: a receipt of an earlier one must not fit here.
        Self { held: HashMap::new(), serial: u64::from(fastrand::u32(..)) << 24 }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Take one in; gives its number.
    pub(super) fn hold(&mut self, held: Held) -> u64 {
        self.serial += 1;
        self.held.insert(self.serial, held);
        self.serial
    }

    pub(super) fn take(&mut self, serial: u64) -> Option<Held> {
        self.held.remove(&serial)
    }

    pub(super) fn take_all(&mut self) -> Vec<Held> {
        self.held.drain().map(|(_, held)| held).collect()
    }

    /// Where the server must hear that a message is still in hand, those it last heard of that long ago.
    pub(super) fn due(&mut self, after: Duration) -> Vec<Subject> {
        let now = Instant::now();
        let due = self.held.values_mut().filter(|held| now.duration_since(held.heard) >= after);
        due.map(|held| {
            held.heard = now;
            held.reply.clone()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_tells_is_read_in_both_forms() {
        let expected = Told { deliveries: 2, sequence: 41, stored_at: 1_700_000_000_000_000_000, pending: 7 };
        for reply in [
            "$JS.ACK.THINGS_app.workers.2.41.40.1700000000000000000.7",
            "$JS.ACK.hub.Xy12.THINGS_app.workers.2.41.40.1700000000000000000.7",
            "$JS.ACK._.Xy12.THINGS_app.workers.2.41.40.1700000000000000000.7.rnd",
        ] {
            assert_eq!(Told::read(reply), Some(expected), "{reply}");
        }
        for reply in ["_INBOX.x.1", "$JS.ACK.a.b.1.2.3", "$JS.ACK.a.b.x.41.40.1.7"] {
            assert_eq!(Told::read(reply), None, "{reply}");
        }
    }
}
