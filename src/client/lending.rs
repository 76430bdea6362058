//! Who reads messages in a flood: the thread that has the network, and, as far as it would wait otherwise, the one that
//! consumes them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Messages that come at once in a flood. In quiet times the consumer finds them read.
const MANY: usize = 16;
/// Bytes of a message from which on leaving it unread, which takes a copy, saves more than it costs.
pub(super) const WORTH: usize = 1 << 10;
/// The share of the messages is counted in such parts.
const PARTS: usize = 16;
/// The most that is left to the consumer.
const MOST: usize = 12;

/// The share of the messages that is left to the consumer, which grows while it has nothing to do. One task uses it at a
/// time.
#[derive(Debug, Default)]
pub(super) struct Lending(AtomicUsize);

impl Lending {
    /// So many messages have come at once while so many others wait for the consumer: what share of them it is left.
    pub(super) fn share(&self, messages: usize, waiting: usize) -> Share {
        let before = self.0.load(Ordering::Relaxed);
        let parts = match waiting {
            _ if messages < MANY => 0,
            0 => MOST.min(before + 1),
            _ => before.saturating_sub(1),
        };
        self.0.store(parts, Ordering::Relaxed);
        Share(parts)
    }
}

/// A share of some messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(usize);

impl Share {
    pub(super) const NONE: Self = Self(0);

    /// Whether the message at this place is in it. They are spread evenly.
    pub(super) fn has(self, at: usize) -> bool {
        (at + 1) * self.0 / PARTS > at * self.0 / PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(share: Share, messages: usize) -> usize {
        (0..messages).filter(|at| share.has(*at)).count()
    }

    #[test]
    fn a_consumer_that_keeps_up_gets_more_and_one_that_does_not_gets_less() {
        let lending = Lending::default();
        for parts in (1..=MOST).chain([MOST; 3]) {
            assert_eq!(lent(lending.share(64, 0), 64), parts * 64 / PARTS);
        }
        for parts in (0..MOST).rev().chain([0; 3]) {
            assert_eq!(lent(lending.share(64, 1), 64), parts * 64 / PARTS);
        }
    }

    #[test]
    fn few_messages_are_all_read_at_once() {
        let lending = Lending::default();
        for _ in 0..MOST {
            lending.share(64, 0);
        }
        assert_eq!(lent(lending.share(MANY - 1, 0), MANY - 1), 0);
        assert_eq!(lent(lending.share(64, 0), 64), 64 / PARTS, "from the beginning");
        assert_eq!(lent(Share::NONE, 64), 0);
    }
}
