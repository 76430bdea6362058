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
/// The stack's names of all that can be limited.
const CLASSES: [&str; 2] = [ACCEPT, DOWN];

/// The limits that are set; none at the start.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<State>);

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

impl Limits {
    /// Limit something to so many a minute, or no longer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown name or a rate that is none.
    pub(super) fn set(&self, class: &str, rate: Option<(f64, u32)>) -> Result<()> {
        let Some(class) = CLASSES.into_iter().find(|known| *known == class) else {
            return Err(Error::invalid("name", class, "as:accept:mqtt or as:down:mqtt"));
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
        let mut state = self.0.lock();
        let Some(Rule { interval, burst }) = state.rules.get(class).copied() else { return true };
        let now = Instant::now();
        let full_at = state.full_at.entry((class, who.to_owned())).or_insert(now);
        let next = (*full_at).max(now) + interval;
        if next - now > interval * burst {
            return false;
        }
        *full_at = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_through_and_then_the_rate_holds() {
        let limits = Limits::default();
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
        let limits = Limits::default();
        for (class, rate) in
            [("mqtt", None), (DOWN, Some((0.0, 1))), (DOWN, Some((f64::NAN, 1))), (DOWN, Some((1.0, 0)))]
        {
            assert!(limits.set(class, rate).is_err(), "{class} {rate:?}");
        }
    }
}
