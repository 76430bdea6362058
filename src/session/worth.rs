//! What a lost connection was worth, and how long to wait before the next one. Pure: the caller brings the time.
//!
//! A login alone proves nothing: two clients with one client ID log in and throw each other out for ever, and so does a
//! server that closes after each subscription.

use std::fmt;
use std::time::Duration;

use crate::backoff::Backoff;

/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(5);
/// Longest delay after a short connection that got something done.
const USEFUL: Duration = Duration::from_secs(1);
/// Short connections in a row that are met with the shortest delay.
const EXCUSED: u32 = 2;

/// What most probably made a server end a short connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing of ours went before.
    Unprovoked,
    /// A subscription was asked for or just answered.
    Subscription,
    /// Messages of ours went before.
    Messages,
    /// The server did not end it.
    Network,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unprovoked => "is there another client with the same client ID?",
            Self::Subscription => "the server closes after the subscription: is there no right to it?",
            Self::Messages => "the server closes after what we send",
            Self::Network => "the network does not hold",
        })
    }
}

/// What a connection was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    /// From the answer to the login on.
    pub(super) lasted: Duration,
    /// Messages were delivered or acknowledged.
    pub(super) useful: bool,
    pub(super) cause: Cause,
}

/// The delays between connections.
#[derive(Debug)]
pub(super) struct Patience {
    backoff: Backoff,
    /// Short connections since the last good one.
    short: u32,
}

impl Patience {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, short: 0 }
    }

    /// An attempt to connect has failed: how long to wait.
    pub(super) fn after_failure(&mut self) -> Duration {
        self.backoff.next_within(Duration::MAX)
    }

    /// A connection is lost: how long to wait, and what to warn of, once for a series of short ones.
    pub(super) fn after_loss(&mut self, worth: Worth) -> (Duration, Option<Cause>) {
        if worth.lasted >= GOOD {
            self.short = 0;
            self.backoff.reset();
            return (self.backoff.next_within(Duration::MAX), None);
        }
        self.short = self.short.saturating_add(1);
        if self.short <= EXCUSED {
            self.backoff.reset();
        }
        let warning = (self.short == EXCUSED + 1).then_some(worth.cause);
        (self.backoff.next_within(if worth.useful { USEFUL } else { Duration::MAX }), warning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Bounds;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(30);

    fn patience() -> Patience {
        Patience::new(Backoff::new(Bounds { min: MIN, max: MAX }, fastrand::Rng::with_seed(7)))
    }

    fn lost(millis: u64, useful: bool) -> Worth {
        Worth { lasted: Duration::from_millis(millis), useful, cause: Cause::Unprovoked }
    }

    fn is_about(delay: Duration, whole: Duration) -> bool {
        delay >= whole / 2 && delay <= whole
    }

    #[test]
    fn a_connection_of_5_seconds_is_followed_by_the_shortest_delay() {
        let mut patience = patience();
        for _ in 0..20 {
            patience.after_failure();
        }
        for _ in 0..20 {
            let (delay, warning) = patience.after_loss(lost(5000, false));
            assert!(is_about(delay, MIN) && warning.is_none(), "{delay:?}");
        }
    }

    #[test]
    fn short_connections_for_nothing_are_made_ever_more_rarely() {
        let mut patience = patience();
        let delays: Vec<_> = (0..20).map(|_| patience.after_loss(lost(300, false)).0).collect();
        assert!(is_about(delays[0], MIN) && is_about(delays[1], MIN), "{delays:?}");
        for (at, delay) in delays.iter().enumerate().skip(2) {
            assert!(is_about(*delay, (MIN * (1 << (at - 1).min(15))).min(MAX)), "{at}: {delay:?}");
        }
    }

    #[test]
    fn short_connections_that_got_something_done_wait_a_second_at_most() {
        let mut patience = patience();
        let delays: Vec<_> = (0..20).map(|_| patience.after_loss(lost(300, true)).0).collect();
        assert!(delays.iter().all(|delay| *delay <= USEFUL), "{delays:?}");
        assert!(is_about(delays[1], MIN) && delays[19] >= USEFUL / 2, "{delays:?}");
        let (delay, _) = patience.after_loss(lost(300, false));
        assert!(delay <= USEFUL * 4, "a useless one is doubled from there: {delay:?}");
    }

    #[test]
    fn refused_logins_between_short_connections_lengthen_the_delays_too() {
        let mut patience = patience();
        for _ in 0..3 {
            patience.after_loss(lost(300, false));
        }
        for _ in 0..10 {
            patience.after_failure();
        }
        let (delay, _) = patience.after_loss(lost(300, false));
        assert!(delay >= MAX / 2, "{delay:?}");
    }

    #[test]
    fn the_third_short_connection_is_warned_of_once() {
        let mut patience = patience();
        let mut warned = |worth: Worth| patience.after_loss(worth).1;
        let ends = |cause| Worth { cause, ..lost(300, false) };
        assert_eq!([warned(ends(Cause::Network)), warned(ends(Cause::Network))], [None, None]);
        assert_eq!(warned(ends(Cause::Subscription)), Some(Cause::Subscription));
        assert_eq!([warned(ends(Cause::Messages)), warned(lost(6000, true))], [None, None]);
        assert_eq!([warned(lost(1, false)), warned(lost(1, false))], [None, None]);
        assert_eq!(warned(lost(1, false)), Some(Cause::Unprovoked), "after a good one the count begins anew");
    }
}
