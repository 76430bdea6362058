//! Rate limits as the server tells them, `count:seconds` in windows, and the token buckets that keep to them (TB 6).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A bucket of tokens that fills at an even rate.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Tokens when full.
    pub capacity: f64,
    /// Time from empty to full.
    pub duration: Duration,
    /// Tokens at `updated`.
    pub tokens: f64,
    /// When the tokens were counted last.
    pub updated: Instant,
}

/// No wait is longer, whatever the server says: times further away cannot be reckoned with.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// Sums of fractions are a little off: so much less than a token is a token, too.
const SLACK: f64 = 5e-7;

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(capacity: f64, duration: Duration, now: Instant) -> Self {
        Self { capacity, duration, tokens: capacity, updated: now }
    }

    /// Count the tokens.
    pub fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.capacity / self.duration.as_secs_f64()).min(self.capacity);
        self.updated = now;
    }

    /// Whether there are so many tokens.
    pub fn can_consume(&mut self, amount: f64, now: Instant) -> bool {
        self.refill(now);
        self.tokens + SLACK >= amount
    }

    /// Take so many tokens if there are that many; tells whether.
    pub fn consume(&mut self, amount: f64, now: Instant) -> bool {
        self.refill(now);
        let enough = self.tokens >= amount;
        if enough {
            self.tokens -= amount;
        }
        enough
    }

    fn used(&mut self, now: Instant) -> f64 {
        self.refill(now);
        (self.capacity - self.tokens).max(0.0)
    }

    /// How long until there are so many tokens; a whole filling at most, since more than that never come.
    fn time_to(&mut self, amount: f64, now: Instant) -> Duration {
        self.refill(now);
        let missing = amount.min(self.capacity) - SLACK - self.tokens;
        // Without a capacity it is full as it is.
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        let duration = self.duration.min(LONGEST_WAIT);
        duration.mul_f64((missing / self.capacity).min(1.0))
    }
}

/// So many percent of a number that the server tells.
pub(super) fn part_of(number: u64, percentage: u64) -> u64 {
    u64::try_from(u128::from(number) * u128::from(percentage) / 100).unwrap_or(u64::MAX)
}

/// One `count:seconds` of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Count.
    pub count: u64,
    /// Seconds.
    pub seconds: u64,
}

impl Window {
    /// Read a text; gives the windows and the parts that are none.
    #[must_use]
    pub fn parse(text: &str) -> (Vec<Self>, Vec<&str>) {
        let (mut windows, mut invalid) = (Vec::new(), Vec::new());
        for part in text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
            let window = part.split_once(':').and_then(|(count, seconds)| {
                let (count, seconds) = (count.trim().parse().ok()?, seconds.trim().parse().ok()?);
                Some(Self { count, seconds }).filter(|window| window.seconds > 0)
            });
            match window {
                Some(window) => windows.push(window),
                None => invalid.push(part),
            }
        }
        (windows, invalid)
    }
}

/// A limit of several windows, all kept at once.
#[derive(Clone, Debug, Default)]
pub struct RateLimit {
    /// By seconds.
    pub buckets: BTreeMap<u64, TokenBucket>,
    /// Nothing is limited.
    pub unlimited: bool,
    /// Which window [`RateLimit::reach`] empties next.
    reached: usize,
    /// What was taken while nothing was limited.
    used: f64,
    strain: Option<Strain>,
    /// Nothing may be taken before: the limits are being asked for.
    learning: Option<Instant>,
}

/// The server has ended connections, maybe because of a limit.
#[derive(Clone, Copy, Debug)]
struct Strain {
    /// How many windows, from the shortest on, are taken to be empty for it.
    windows: usize,
    last: Instant,
    /// The limits were not told since.
    fresh: bool,
}

/// A strain is forgotten after that time.
const STRAINED: Duration = Duration::from_secs(60);

impl RateLimit {
    /// No limit.
    #[must_use]
    pub fn none() -> Self {
        Self { unlimited: true, ..Self::default() }
    }

    /// Read a text such as `10:1,60:60`; of each count only so many percent are used. Empty, or `0:0`, is no limit.
    /// Gives the parts that could not be read, too, which are left out.
    #[must_use]
    pub fn parse(text: &str, percentage: u64, now: Instant) -> (Self, Vec<String>) {
        let bare: String = text.chars().filter(|letter| !" ,;".contains(*letter)).collect();
        if bare.is_empty() || bare == "0:0" {
            return (Self::none(), Vec::new());
        }
        let (windows, invalid) = Window::parse(text);
        let bucket = |window: Window| {
            // Of a window that lets something through one is left at least.
            let capacity = part_of(window.count, percentage).max(window.count.min(1)) as f64;
            (window.seconds, TokenBucket::new(capacity, Duration::from_secs(window.seconds), now))
        };
        let buckets = windows.into_iter().map(bucket).collect();
        (Self { buckets, ..Self::default() }, invalid.into_iter().map(str::to_owned).collect())
    }

    /// Whether anything may have to wait.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.unlimited || self.learning.is_some()
    }

    /// Take tokens if nothing is limited; tells whether that is so.
    pub fn take_freely(&mut self, amount: f64) -> bool {
        let free = !self.is_set();
        if free {
            self.used += amount;
        }
        free
    }

    /// Take over another text's windows; tokens used of equal windows stay used, and what was taken without a limit, or is
    /// known to be empty, is missing from new ones, too.
    pub fn replace(&mut self, mut new: Self, now: Instant) {
        let empty = self.strain.filter(|strain| strain.fresh).map_or(0, |strain| strain.windows);
        for (at, (seconds, bucket)) in new.buckets.iter_mut().enumerate() {
            let used = match self.buckets.get_mut(seconds) {
                Some(old) => old.used(now),
                None if at < empty => bucket.capacity,
                None => self.used,
            };
            bucket.tokens = (bucket.capacity - used).clamp(0.0, bucket.capacity);
        }
        new.unlimited = new.buckets.is_empty();
        new.strain = self.strain;
        *self = new;
        self.learned();
    }

    /// A connection begins, on which the limits will be told anew: nothing is sent until then, or for that time.
    pub fn begin(&mut self, now: Instant, learning: Duration) {
        self.used = 0.0;
        if !learning.is_zero() {
            self.learning = self.learning.max(Some(now + learning));
        }
    }

    /// The server may have ended a connection because of this limit: what is known of it is empty, one more window each
    /// time; and nothing is sent until the limits are told, or for that time.
    pub fn strain(&mut self, now: Instant, learning: Duration) {
        let before = self.strain.filter(|strain| now.saturating_duration_since(strain.last) < STRAINED);
        let windows = before.map_or(0, |strain| strain.windows) + 1;
        self.strain = Some(Strain { windows, last: now, fresh: true });
        self.learning = Some(now + learning);
        for bucket in self.buckets.values_mut().take(windows) {
            bucket.refill(now);
            bucket.tokens = 0.0;
        }
    }

    /// What the limits are is known, as far as it will be.
    pub fn learned(&mut self) {
        self.learning = None;
        if let Some(strain) = &mut self.strain {
            strain.fresh = false;
        }
    }

    /// Take tokens, as far as there are any.
    pub fn deduct(&mut self, amount: f64, now: Instant) {
        if self.unlimited {
            self.used += amount;
        }
        for bucket in self.buckets.values_mut() {
            bucket.refill(now);
            bucket.tokens = (bucket.tokens - amount).max(0.0);
        }
    }

    /// The first window that has not so many tokens: its capacity and seconds.
    pub fn exhausted(&mut self, amount: f64, now: Instant) -> Option<(f64, u64)> {
        self.buckets.iter_mut().find_map(|(seconds, bucket)| {
            let enough = bucket.can_consume(amount, now);
            (!enough).then_some((bucket.capacity, *seconds))
        })
    }

    /// How long until every window has so many tokens.
    pub fn time_to(&mut self, amount: f64, now: Instant) -> Duration {
        self.learning = self.learning.filter(|until| *until > now);
        let learning = self.learning.map_or(Duration::ZERO, |until| until - now);
        self.refilled(amount, now).max(learning)
    }

    /// The same without a thought for limits that are still to be told.
    pub fn refilled(&mut self, amount: f64, now: Instant) -> Duration {
        self.buckets.values_mut().map(|bucket| bucket.time_to(amount, now)).max().unwrap_or_default()
    }

    /// The smallest capacity; `None` without a limit.
    #[must_use]
    pub fn smallest(&self) -> Option<f64> {
        self.buckets.values().map(|bucket| bucket.capacity).min_by(f64::total_cmp)
    }

    /// The server says that a limit is reached: empty one window, the shortest first and the next one each time.
    pub fn reach(&mut self, now: Instant) -> Option<u64> {
        let at = self.reached % self.buckets.len().max(1);
        let (seconds, bucket) = self.buckets.iter_mut().nth(at)?;
        bucket.refill(now);
        bucket.tokens = 0.0;
        self.reached = at + 1;
        Some(*seconds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str, now: Instant) -> RateLimit {
        RateLimit::parse(text, 80, now).0
    }

    /// Send as the client does: data points are paid first, then waited for, then the message is paid. Gives the times
    /// in milliseconds.
    fn sent_at(messages: &str, points: &str, each: f64, count: usize) -> Vec<u64> {
        let start = Instant::now();
        let (mut messages, mut points) = (limit(messages, start), limit(points, start));
        let mut now = start;
        (0..count)
            .map(|_| {
                points.deduct(each, now);
                loop {
                    let wait = messages.time_to(1.0, now).max(points.time_to(each, now));
                    if wait.is_zero() {
                        break;
                    }
                    now += wait.max(Duration::from_micros(1));
                }
                messages.deduct(1.0, now);
                u64::try_from((now - start + Duration::from_micros(500)).as_millis()).unwrap()
            })
            .collect()
    }

    /// Observed in TB 6.
    #[test]
    fn messages_leave_when_the_original_lets_them() {
        assert_eq!(sent_at("10:1", "", 1.0, 11), [0, 0, 0, 0, 0, 0, 0, 0, 125, 250, 375]);
        let points = sent_at("", "10:1", 1.0, 9);
        assert_eq!(points[..7], [0; 7]);
        assert!(points[7].abs_diff(125) <= 125 && points[8] - points[7] == 125, "{points:?}");
        let three = sent_at("", "10:1", 3.0, 4);
        assert!(three[0] == 0 && three[1] > 100 && three[1] < 150, "{three:?}");
        assert!(three[2] - three[1] == 375 && three[3] - three[2] == 375, "{three:?}");
        let minute = sent_at("10:1,60:60", "", 1.0, 60);
        assert!(minute[58] - minute[57] == 1250 && minute[59] - minute[58] == 1250, "{minute:?}");
    }

    #[test]
    fn only_a_part_of_each_count_is_used() {
        let limit = limit("10:1,60:60", Instant::now());
        let capacities: Vec<_> = limit.buckets.iter().map(|(seconds, bucket)| (*seconds, bucket.capacity)).collect();
        assert_eq!(capacities, [(1, 8.0), (60, 48.0)]);
        assert_eq!(limit.smallest(), Some(8.0));
    }

    #[test]
    fn whatever_the_server_says_can_be_kept_to() {
        let now = Instant::now();
        for (text, capacity) in [("1:1", 1.0), ("0:1", 0.0), ("18446744073709551615:1", 1.475_739_525_896_764_2e19)] {
            assert_eq!(limit(text, now).smallest(), Some(capacity), "{text}");
        }
        assert_eq!(limit("0:1", now).time_to(1.0, now), Duration::ZERO);
        let mut endless = limit("1:18446744073709551615", now);
        endless.deduct(1.0, now);
        assert!(now.checked_add(endless.time_to(1.0, now)).is_some());
    }

    #[test]
    fn texts_are_read_with_care() {
        let now = Instant::now();
        for none in ["", "0:0", "0:0,", " ; ,"] {
            assert!(limit(none, now).unlimited, "{none:?}");
        }
        let (odd, invalid) = RateLimit::parse("10:1, x:2; 5 ;20:0; 30 : 60", 80, now);
        assert_eq!(odd.buckets.keys().copied().collect::<Vec<_>>(), [1, 60]);
        assert_eq!(invalid, ["x:2", "5", "20:0"]);
        let (nothing, _) = RateLimit::parse("abc", 80, now);
        assert!(!nothing.unlimited && nothing.smallest().is_none());
    }

    #[test]
    fn a_new_text_keeps_what_was_used() {
        let now = Instant::now();
        let mut known = limit("10:1,100:60", now);
        known.deduct(5.0, now);
        known.replace(limit("20:1,10:3600", now), now);
        let tokens: Vec<_> = known.buckets.values().map(|bucket| bucket.tokens).collect();
        assert_eq!(tokens, [11.0, 8.0]);
        known.replace(limit("0:0,", now), now);
        assert!(known.unlimited);
    }

    const LEARNING: Duration = Duration::from_secs(2);

    /// How long until there is a token.
    fn millis(limit: &mut RateLimit, now: Instant) -> u128 {
        (limit.time_to(1.0, now) + Duration::from_micros(500)).as_millis()
    }

    #[test]
    fn what_was_taken_before_the_limits_were_told_is_missing_from_them() {
        let now = Instant::now();
        let mut none = RateLimit::none();
        none.deduct(9.0, now);
        none.begin(now, Duration::ZERO);
        assert!(!none.is_set());
        none.begin(now, LEARNING);
        assert_eq!(millis(&mut none, now), 2000);
        none.learned();
        none.deduct(3.0, now);
        none.replace(limit("10:1,100:60", now), now);
        let tokens: Vec<_> = none.buckets.values().map(|bucket| bucket.tokens).collect();
        assert_eq!(tokens, [5.0, 77.0], "of this connection alone");
    }

    #[test]
    fn a_limit_that_ended_a_connection_is_empty_until_it_fills_again() {
        let now = Instant::now();
        let mut known = limit("10:1,60:60", now);
        known.strain(now, LEARNING);
        assert_eq!(millis(&mut known, now), 2000, "the limits are asked for first");
        known.learned();
        assert_eq!(millis(&mut known, now), 125);
        known.strain(now, LEARNING);
        known.replace(limit("10:1,60:60", now), now);
        assert_eq!(millis(&mut known, now), 1250, "the next time the longer one, too");
        let later = now + STRAINED;
        known.strain(later, LEARNING);
        known.learned();
        assert_eq!(millis(&mut known, later), 125, "after a quiet minute it begins anew");
    }

    #[test]
    fn a_limit_that_is_told_after_it_ended_a_connection_is_empty() {
        let now = Instant::now();
        for mut before in [RateLimit::none(), limit("1000:1", now)] {
            assert!(before.time_to(1.0, now).is_zero());
            before.strain(now, LEARNING);
            assert!(before.is_set() && millis(&mut before, now) == 2000);
            assert!(millis(&mut before, now + LEARNING) <= 2, "not for ever");
            before.replace(limit("5:5", now), now);
            assert_eq!(millis(&mut before, now), 1250);
            before.replace(RateLimit::none(), now);
            assert!(!before.is_set());
        }
    }

    #[test]
    fn a_reached_limit_empties_one_window_after_the_other() {
        let now = Instant::now();
        let mut limit = limit("10:1,100:60", now);
        assert_eq!((limit.reach(now), limit.reach(now), limit.reach(now)), (Some(1), Some(60), Some(1)));
        assert!(limit.exhausted(1.0, now).is_some());
    }

    proptest! {
        #[test]
        fn no_window_lets_more_through_than_it_holds(
            count in 2u64..40, seconds in 1u64..5, steps in prop::collection::vec(0u64..400, 1..200),
        ) {
            let start = Instant::now();
            let mut limit = limit(&format!("{count}:{seconds}"), start);
            prop_assume!(limit.smallest().unwrap() >= 1.0);
            let (mut now, mut taken) = (start, 0.0);
            for step in steps {
                now += Duration::from_millis(step);
                if limit.exhausted(1.0, now).is_none() {
                    limit.deduct(1.0, now);
                    taken += 1.0;
                }
            }
            let capacity = limit.smallest().unwrap();
            prop_assert!(taken <= capacity + capacity * (now - start).as_secs_f64() / seconds as f64 + 1e-3);
        }
    }
}
