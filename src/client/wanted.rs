//! Which steps of its life a client's consumer wants to hear of: each one that is told wakes a thread.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Delivery;
use crate::sync::Mutex;

/// What the consumer wants to be told, beside messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub struct Wanted {
    /// Logins, and refused ones.
    pub connections: bool,
    /// Ends of connections.
    pub ends: bool,
    /// Messages that went out.
    pub sent: bool,
    /// Problems that stop nothing.
    pub problems: bool,
}

impl Wanted {
    /// Everything.
    pub const ALL: Self = Self { connections: true, ends: true, sent: true, problems: true };

    fn to_bits(self) -> u8 {
        [self.connections, self.ends, self.sent, self.problems]
            .iter()
            .enumerate()
            .fold(0, |bits, (at, wanted)| bits | u8::from(*wanted) << at)
    }

    fn from_bits(bits: u8) -> Self {
        let has = |at: u8| bits & 1 << at != 0;
        Self { connections: has(0), ends: has(1), sent: has(2), problems: has(3) }
    }

    fn covers<O>(self, delivery: &Delivery<O>) -> bool {
        match delivery {
            Delivery::Connected { .. } | Delivery::Refused { .. } | Delivery::Failed(_) => self.connections,
            Delivery::Lost(_) | Delivery::Closed { .. } | Delivery::Replaced => self.ends,
            Delivery::Sent(_) => self.sent,
            Delivery::Problem(_) | Delivery::Rejected { .. } => self.problems,
            Delivery::Message(_) | Delivery::Unread(_) | Delivery::Own(_) => true,
        }
    }
}

/// The wishes, and the last news that nobody has wanted yet.
#[derive(Debug)]
pub(super) struct News<O> {
    wanted: AtomicU8,
    /// The login that the connection of now began with, until somebody is told: a connect callback that is set just
    /// after `connect` has returned must hear of it.
    untold: Mutex<Option<Delivery<O>>>,
}

impl<O> Default for News<O> {
    fn default() -> Self {
        Self { wanted: AtomicU8::new(Wanted::ALL.to_bits()), untold: Mutex::new(None) }
    }
}

impl<O> News<O> {
    /// Change the wishes; gives what has to be told now.
    pub(super) fn want(&self, wanted: Wanted) -> Option<Delivery<O>> {
        let mut untold = self.untold.lock();
        self.wanted.store(wanted.to_bits(), Ordering::Release);
        if wanted.connections { untold.take() } else { None }
    }

    /// Pass on what is wanted.
    pub(super) fn filter(&self, delivery: Delivery<O>) -> Option<Delivery<O>> {
        let of_the_connection = delivery.is_of_the_connection() || matches!(delivery, Delivery::Closed { .. });
        if !of_the_connection {
            return Some(delivery).filter(|delivery| self.wanted().covers(delivery));
        }
        let mut untold = self.untold.lock();
        // What came before is no news any more.
        *untold = None;
        // Looked at under the lock, so that no wish passes by the news.
        if self.wanted().covers(&delivery) {
            return Some(delivery);
        }
        if matches!(delivery, Delivery::Connected { .. }) {
            *untold = Some(delivery);
        }
        None
    }

    fn wanted(&self) -> Wanted {
        Wanted::from_bits(self.wanted.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::error::Error;

    const NOTHING: Wanted = Wanted { connections: false, ends: false, sent: false, problems: false };

    fn connected() -> Delivery<Infallible> {
        Delivery::Connected { session_present: false }
    }

    #[test]
    fn a_login_that_nobody_wanted_is_told_once_to_who_comes_next() {
        let news = News::default();
        assert!(news.want(NOTHING).is_none());
        assert!(news.filter(connected()).is_none());
        assert!(matches!(news.want(Wanted::ALL), Some(Delivery::Connected { .. })));
        assert!(news.want(Wanted::ALL).is_none());
    }

    #[test]
    fn a_login_of_a_connection_that_is_gone_is_no_news() {
        let news = News::default();
        assert!(news.want(NOTHING).is_none());
        assert!(news.filter(connected()).is_none());
        assert!(news.filter(Delivery::Lost(Error::NotConnected)).is_none());
        assert!(news.want(Wanted::ALL).is_none());
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        let news = News::<Infallible>::default();
        assert!(news.filter(Delivery::Sent(1)).is_some());
        assert!(news.want(Wanted { ends: true, ..NOTHING }).is_none());
        assert!(news.filter(Delivery::Sent(1)).is_none());
        assert!(news.filter(Delivery::Closed { online: true }).is_some());
    }
}
