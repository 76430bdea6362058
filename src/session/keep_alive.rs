//! When to probe a silent connection and when to give it up. Pure: the caller brings the time.

use std::time::Duration;

use tokio::time::Instant;

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing until then.
    Wait(Instant),
    /// Send PINGREQ.
    Ping,
    /// The peer has not answered: the connection is dead.
    Dead,
}

/// Keep-alive of one connection.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// `None` when switched off.
    interval: Option<Duration>,
    last_sent: Instant,
    last_heard: Instant,
    /// When the unanswered PINGREQ went out.
    pinged: Option<Instant>,
}

impl KeepAlive {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval: (!interval.is_zero()).then_some(interval), last_sent: now, last_heard: now, pinged: None }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// Any byte proves that the peer lives.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.pinged = None;
    }

    /// Decide. While nothing is read (`deaf`), an answer cannot be seen and its absence proves nothing.
    pub(super) fn check(&mut self, now: Instant, deaf: bool) -> Verdict {
        let Some(interval) = self.interval else { return Verdict::Wait(now + Duration::from_secs(86_400)) };
        if let Some(pinged) = self.pinged {
            let patience = pinged + interval.min(Duration::from_secs(10));
            if !deaf && now >= patience {
                return Verdict::Dead;
            }
            let again = self.last_sent + interval;
            if now >= again {
                self.pinged = deaf.then_some(now);
                return Verdict::Ping;
            }
            return Verdict::Wait(if deaf { again } else { patience.min(again) });
        }
        let due = self.last_sent.min(self.last_heard) + interval;
        if now >= due {
            self.pinged = Some(now);
            return Verdict::Ping;
        }
        Verdict::Wait(due)
    }

    /// Reading begins again after a pause: the peer gets its full time to answer.
    pub(super) fn listening(&mut self, now: Instant) {
        if self.pinged.is_some() {
            self.pinged = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> (KeepAlive, Instant) {
        let now = Instant::now();
        (KeepAlive::new(60 * SECOND, now), now)
    }

    #[test]
    fn silence_is_probed_and_no_answer_is_death() {
        let (mut keep_alive, now) = start();
        assert_eq!(keep_alive.check(now, false), Verdict::Wait(now + 60 * SECOND));
        assert_eq!(keep_alive.check(now + 60 * SECOND, false), Verdict::Ping);
        keep_alive.sent(now + 60 * SECOND);
        assert_eq!(keep_alive.check(now + 60 * SECOND, false), Verdict::Wait(now + 70 * SECOND));
        assert_eq!(keep_alive.check(now + 70 * SECOND, false), Verdict::Dead);
    }

    #[test]
    fn an_answer_begins_a_new_interval() {
        let (mut keep_alive, now) = start();
        assert_eq!(keep_alive.check(now + 60 * SECOND, false), Verdict::Ping);
        keep_alive.sent(now + 60 * SECOND);
        keep_alive.heard(now + 61 * SECOND);
        assert_eq!(keep_alive.check(now + 62 * SECOND, false), Verdict::Wait(now + 120 * SECOND));
    }

    #[test]
    fn a_flood_from_the_server_does_not_keep_us_from_pinging() {
        let (mut keep_alive, now) = start();
        keep_alive.heard(now + 59 * SECOND);
        assert_eq!(keep_alive.check(now + 60 * SECOND, false), Verdict::Ping);
    }

    #[test]
    fn while_nothing_is_read_pings_go_out_and_nothing_dies() {
        let (mut keep_alive, now) = start();
        for round in 1..5 {
            let then = now + round * 60 * SECOND;
            assert_eq!(keep_alive.check(then, true), Verdict::Ping);
            keep_alive.sent(then);
            assert_eq!(keep_alive.check(then + 30 * SECOND, true), Verdict::Wait(then + 60 * SECOND));
        }
        let later = now + 290 * SECOND;
        keep_alive.listening(later);
        assert!(matches!(keep_alive.check(later + 5 * SECOND, false), Verdict::Wait(_)));
    }

    #[test]
    fn zero_switches_it_off() {
        let now = Instant::now();
        let mut keep_alive = KeepAlive::new(Duration::ZERO, now);
        assert!(matches!(keep_alive.check(now + Duration::from_secs(80_000), false), Verdict::Wait(_)));
    }
}
