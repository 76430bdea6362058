//! Rate limits: so many a minute, and a burst at once (V3 5).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::sync::Mutex;

/// New MQTT connections of one address.
pub(super) const ACCEPT: &str = "as:accept:mqtt";
/// MQTT publishes of one application and key.
pub(super) const DOWN: &str = "as:down:mqtt";
/// Calls of one method, about one application or device, with one key.
pub(super) const CALLS: &str = "grpc:method";
/// The stack's names of all that can be limited.
const CLASSES: [&str; 3] = [ACCEPT, DOWN, CALLS];

/// The limits that are set; none at the start.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rules: HashMap<&'static str, Rule>,
    /// When the bucket of whoever is limited will be full again.
    full_at: HashMap<(&'static str, String), Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    interval: Duration,
    burst: u32,
}

impl RateLimiter {
    /// Limit something to so many a minute, or no longer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown name or a rate that is none.
    pub(super) fn set(&self, class: &str, rate: Option<(f64, u32)>) -> Result<()> {
        let Some(class) = CLASSES.into_iter().find(|known| *known == class) else {
            return Err(Error::invalid("name", class, "as:accept:mqtt, as:down:mqtt or grpc:method"));
        };
        let mut state = self.0.lock();
        state.full_at.retain(|(limited, _), _| *limited != class);
        let Some((per_minute, burst)) = rate else {
            state.rules.remove(class);
            return Ok(());
        };
        let interval = Duration::try_from_secs_f64(60.0 / per_minute).ok().filter(|interval| !interval.is_zero());
        let interval =
            interval.ok_or_else(|| Error::invalid("per_minute", per_minute.to_string(), "a rate above 0"))?;
        if burst == 0 {
            return Err(Error::invalid("burst", "0", "1 or more"));
        }
        state.rules.insert(class, Rule { interval, burst });
        Ok(())
    }

    /// Whether one more is within the limit.
    pub(super) fn take(&self, class: &'static str, who: &str) -> bool {
        self.look(class, who).is_none_or(|rate| rate.within)
    }

    /// Take one more if it is within the limit, and tell how that stands; `None` without one.
    pub(super) fn look(&self, class: &'static str, who: &str) -> Option<Rate> {
        let mut state = self.0.lock();
        let Rule { interval, burst } = state.rules.get(class).copied()?;
        let now = Instant::now();
        let full_at = state.full_at.entry((class, who.to_owned())).or_insert(now);
        let next = (*full_at).max(now) + interval;
        let room = interval * burst;
        let within = next - now <= room;
        if within {
            *full_at = next;
        }
        let reset = (*full_at).saturating_duration_since(now);
        let left = room.saturating_sub(reset).as_secs_f64() / interval.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the burst")]
        let available = left as u32;
        let retry = if within { Duration::ZERO } else { (next - now).saturating_sub(room) };
        Some(Rate { within, limit: burst, available, reset, retry })
    }
}

/// How somebody stands with a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) within: bool,
    /// The burst.
    pub(super) limit: u32,
    pub(super) available: u32,
    /// Until all of the burst is available.
    pub(super) reset: Duration,
    /// Until one more is within the limit.
    pub(super) retry: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_through_and_then_the_rate_holds() {
        let limits = RateLimiter::default();
        assert!((0..100).all(|_| limits.take(DOWN, "a")));
        limits.set(DOWN, Some((12.0, 3))).unwrap();
        let through = |who| (0..5).filter(|_| limits.take(DOWN, who)).count();
        assert_eq!((through("a"), through("b"), through("a")), (3, 3, 0));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(through("a"), 2);
        limits.set(DOWN, None).unwrap();
        assert_eq!(through("a"), 5);
    }

    #[test]
    fn a_limit_that_is_none_is_refused() {
        let limits = RateLimiter::default();
        for (class, rate) in
            [("mqtt", None), (DOWN, Some((0.0, 1))), (DOWN, Some((f64::NAN, 1))), (DOWN, Some((1.0, 0)))]
        {
            assert!(limits.set(class, rate).is_err(), "{class} {rate:?}");
        }
    }
}
