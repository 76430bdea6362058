//! Whether the stream takes messages: after a failure nothing is sent for a while, then one message tries.

use std::time::Duration;

use tokio::time::Instant;

/// First and longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Longer than anything.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

/// The gate in front of the stream.
#[derive(Debug)]
pub(super) enum Gate {
    /// Messages go through.
    Open,
    /// Nothing goes through until then.
    Shut {
        /// When one may try.
        until: Instant,
        /// How long the pause is.
        pause: Duration,
    },
    /// One message tries.
    Trying {
        /// How long the pause was.
        pause: Duration,
    },
}

impl Gate {
    /// Whether a message may go through now; one that is let through after a pause is the one that tries.
    pub(super) fn lets_through(&mut self, now: Instant) -> bool {
        match *self {
            Self::Open => true,
            Self::Shut { until, pause } if until <= now => {
                *self = Self::Trying { pause };
                true
            }
            Self::Shut { .. } | Self::Trying { .. } => false,
        }
    }

    /// A message has not arrived. Tells whether the gate was open.
    pub(super) fn fail(&mut self, now: Instant) -> bool {
        match *self {
            Self::Open => {
                *self = Self::Shut { until: now + PAUSES.0, pause: PAUSES.0 };
                true
            }
            Self::Trying { pause } => {
                let pause = (pause * 2).min(PAUSES.1);
                *self = Self::Shut { until: now + pause.mul_f64(0.5 + 0.5 * fastrand::f64()), pause };
                false
            }
            // One that was sent before.
            Self::Shut { .. } => false,
        }
    }

    /// A message has arrived. Tells whether that opens the gate.
    pub(super) fn succeed(&mut self) -> bool {
        let opens = matches!(self, Self::Trying { .. });
        if opens {
            *self = Self::Open;
        }
        opens
    }

    /// Nothing goes through until somebody hurries: there is no connection. Tells whether the gate was open.
    pub(super) fn lose(&mut self, now: Instant) -> bool {
        let was_open = self.is_open();
        *self = Self::Shut { until: now + LONG, pause: PAUSES.0 };
        was_open
    }

    /// The pause is over, and there is nothing to try with. Tells whether that opens the gate.
    pub(super) fn rest(&mut self, now: Instant) -> bool {
        let opens = self.until().is_some_and(|until| until <= now);
        if opens {
            *self = Self::Open;
        }
        opens
    }

    /// No message was there to try: one may later.
    pub(super) fn wait(&mut self, now: Instant) {
        if let Self::Trying { pause } = *self {
            *self = Self::Shut { until: now + pause, pause };
        }
    }

    /// The next message may try at once: there is a new connection.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Self::Shut { until, .. } = self {
            *until = now;
        }
    }

    /// When the pause ends.
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Shut { until, .. } => Some(*until),
            Self::Open | Self::Trying { .. } => None,
        }
    }

    /// Whether messages go through.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_message_tries_and_opens_it() {
        let (mut gate, now) = (Gate::Open, Instant::now());
        assert!(gate.lets_through(now) && gate.fail(now));
        assert!(!gate.lets_through(now), "it is shut");
        assert!(!gate.fail(now) && !gate.succeed(), "what was sent before changes nothing");
        let later = now + PAUSES.0;
        assert!(gate.lets_through(later) && !gate.lets_through(later), "one alone tries");
        assert!(gate.succeed() && gate.is_open());
    }

    #[test]
    fn without_a_connection_nothing_tries_until_there_is_one() {
        let (mut gate, now) = (Gate::Open, Instant::now());
        assert!(gate.lose(now) && !gate.lose(now));
        let much_later = now + Duration::from_secs(3600);
        assert!(!gate.lets_through(much_later) && !gate.rest(much_later));
        gate.hurry(much_later);
        assert!(gate.rest(much_later) && gate.is_open(), "there was nothing to try with");
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let (mut gate, mut now) = (Gate::Open, Instant::now());
        gate.fail(now);
        for _ in 0..50 {
            now = gate.until().unwrap();
            assert!(gate.lets_through(now));
            gate.fail(now);
            assert!(gate.until().unwrap() - now <= PAUSES.1);
        }
        assert!(gate.until().unwrap() - now >= PAUSES.1 / 2);
        gate.hurry(now);
        assert!(gate.lets_through(now));
    }
}
