//! Delays between attempts: doubling, capped, with jitter so that a city's clients do not come back at once.

use crate::sync::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of the delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first delay, before jitter.
    pub min: Duration,
    /// No delay is longer.
    pub max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: Duration::from_millis(500), max: Duration::from_secs(60) }
    }
}

/// Bounds that may be changed while a series goes on.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<Mutex<Bounds>>);

impl Pace {
    /// The bounds now.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        *self.0.lock()
    }

    /// Other bounds, from the next delay on.
    pub fn set(&self, bounds: Bounds) {
        *self.0.lock() = bounds;
    }
}

impl From<Bounds> for Pace {
    fn from(bounds: Bounds) -> Self {
        Self(Arc::new(Mutex::new(bounds)))
    }
}

/// An endless series of delays. Each lies between half and the whole of `min · 2ⁿ`, at most `max`.
#[derive(Debug)]
pub struct Backoff {
    pace: Pace,
    attempt: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// Start a series; `random` makes it repeatable in tests.
    #[must_use]
    pub fn new(pace: impl Into<Pace>, random: fastrand::Rng) -> Self {
        Self { pace: pace.into(), attempt: 0, random }
    }

    /// The next delay, doubled no further than `most`; later ones go on from there.
    pub fn next_within(&mut self, most: Duration) -> Duration {
        let bounds = self.pace.bounds();
        let most = most.max(bounds.min).min(bounds.max);
        let doubled = |times: u32| bounds.min.saturating_mul(1 << times.min(20));
        while self.attempt > 0 && doubled(self.attempt - 1) >= most {
            self.attempt -= 1;
        }
        let whole = doubled(self.attempt).min(most);
        self.attempt += 1;
        whole.mul_f64(0.5 + 0.5 * self.random.f64())
    }

    /// Begin anew after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_within(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_start_anew() {
        let bounds = Bounds { min: Duration::from_millis(100), max: Duration::from_secs(2) };
        let mut backoff = Backoff::new(bounds, fastrand::Rng::with_seed(7));
        let delays: Vec<_> = backoff.by_ref().take(40).collect();
        assert!(delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(100));
        assert!(delays[10..].iter().all(|delay| *delay >= Duration::from_secs(1) && *delay <= Duration::from_secs(2)));
        assert!(delays[10..].windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
        backoff.reset();
        assert!(backoff.next().unwrap() <= Duration::from_millis(100));
    }

    #[test]
    fn a_pace_can_change_on_the_way() {
        let pace = Pace::from(Bounds { min: Duration::from_secs(1), max: Duration::from_secs(1) });
        let mut backoff = Backoff::new(pace.clone(), fastrand::Rng::with_seed(7));
        assert!(backoff.next().unwrap() >= Duration::from_millis(500));
        pace.set(Bounds { min: Duration::from_millis(2), max: Duration::from_millis(2) });
        assert!(backoff.next().unwrap() <= Duration::from_millis(2));
    }
}
