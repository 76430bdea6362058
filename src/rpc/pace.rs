//! How fast the calls of one method may come: as fast as the stack tells with its answers, so that its limit is never
//! met (V3 3.1, 5.1).
//!
//! An answer tells how many more calls there is room for, and in how many seconds, rounded down, there is all the room
//! again. Room grows evenly, by one in each interval. The interval is nowhere told: what is told bounds it, and answers
//! that come one at a time bound it closer. Others may call with the same key, and methods may share a limit: so what an
//! answer tells always counts more than what was reckoned, and a little of the room is left alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::sync::Mutex;

/// Of the room, this part is left alone, up to [`RESERVE`] calls.
const RESERVED: u32 = 4;
const RESERVE: u32 = 16;
/// Limits so small count each device for itself: a burst of one call for all would be no use to anybody.
const SMALL: u32 = 3;
/// Of the room that is told first, this part is used; each answer may add so many calls to what was reckoned.
const FIRST: f64 = 4.0;
const STEP: f64 = 1.5;
/// After so many answers in a row that told of all the room each device counts for itself, most probably, as the stack
/// does it: then only the calls under way are bounded.
const UNTOUCHED: u32 = 8;
/// Clocks go no finer.
const TICK: Duration = Duration::from_millis(2);
/// How long those wait who know nothing yet, before they look again.
const LOOK: Duration = Duration::from_secs(60);

/// The paces of a server's methods.
#[derive(Clone, Debug, Default)]
pub(super) struct Paces {
    methods: Arc<Mutex<HashMap<String, Arc<Pace>>>>,
    under_way: Arc<AtomicU64>,
}

impl Paces {
    pub(super) fn of(&self, method: String) -> Arc<Pace> {
        let pace = || Arc::new(Pace { all_under_way: self.under_way.clone(), ..Pace::default() });
        self.methods.lock().entry(method).or_insert_with(pace).clone()
    }
}

/// What an answer tells of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The largest burst.
    limit: u32,
    /// How many more calls there is room for.
    available: u32,
    /// Whole seconds, rounded down, until there is all the room.
    reset: u32,
}

impl Told {
    pub(super) fn read<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        let number = |name| header(name)?.parse::<u32>().ok();
        let (limit, available) = (number("x-rate-limit-limit")?, number("x-rate-limit-available")?);
        Some(Self { limit, available, reset: number("x-rate-limit-reset").unwrap_or_default() })
    }

    /// What the interval is at most: after a call at least one of it is to be waited for, and more than all but one of
    /// what is missing.
    fn longest_interval(self) -> f64 {
        let missing = self.limit.saturating_sub(self.available).saturating_sub(1).max(1);
        (f64::from(self.reset) + 1.0) / f64::from(missing)
    }

    /// The room that may be used.
    fn usable(self) -> f64 {
        f64::from(self.available) - f64::from((self.limit / RESERVED).min(RESERVE))
    }
}

/// The pace of one method.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Callers go one after the other.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Calls under way of all methods of the server.
    all_under_way: Arc<AtomicU64>,
    /// Something is known that whoever has the turn did not know.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    knowledge: Knowledge,
    /// After a refusal nobody goes before.
    rests_until: Option<Instant>,
    was_refused: bool,
    sent: u64,
    ended: u64,
    /// When the call was sent whose answer came last, and what it told.
    last: Option<(Instant, Told)>,
    /// Answers in a row that told of all the room, and how many calls may be under way then.
    untouched: (u32, f64),
}

#[derive(Debug, Default)]
enum Knowledge {
    /// Nobody has called yet.
    #[default]
    None,
    /// The first call is under way: the others wait for what it hears.
    Asked,
    /// There is no limit.
    Free,
    Limited(Bucket),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Calls that may go now; below 0 when the reserve is touched.
    room: f64,
    /// Seconds in which one more may go, at most.
    interval: f64,
    at: Instant,
}

impl Bucket {
    fn reckon(&mut self, now: Instant) {
        self.room += now.saturating_duration_since(self.at).as_secs_f64() / self.interval;
        self.at = now;
    }
}

impl State {
    /// Take room for one call; or how long there is none.
    fn take(&mut self, all_under_way: u64, now: Instant) -> Result<(), Duration> {
        if let Some(rest) = self.rests_until.map(|until| until.saturating_duration_since(now))
            && !rest.is_zero()
        {
            return Err(rest);
        }
        match &mut self.knowledge {
            Knowledge::None => self.knowledge = Knowledge::Asked,
            Knowledge::Asked => return Err(LOOK),
            Knowledge::Free => {}
            Knowledge::Limited(bucket) => {
                bucket.reckon(now);
                #[expect(clippy::cast_precision_loss, reason = "calls under way")]
                let all = all_under_way as f64;
                let (times, window) = self.untouched;
                let is_untouched = times >= UNTOUCHED && (self.sent == self.ended || all < window);
                if bucket.room < 1.0 && !is_untouched {
                    if times >= UNTOUCHED {
                        return Err(TICK);
                    }
                    return Err(Duration::from_secs_f64((1.0 - bucket.room) * bucket.interval).max(TICK));
                }
                bucket.room -= 1.0;
            }
        }
        self.sent += 1;
        Ok(())
    }

    fn hear(&mut self, pass: &Mark, told: Option<Told>, all_under_way: u64, now: Instant) {
        let Some(told) = told.filter(|told| told.limit >= SMALL || self.was_refused) else {
            if matches!(self.knowledge, Knowledge::None | Knowledge::Asked) {
                self.knowledge = Knowledge::Free;
            }
            return;
        };
        // Calls that were under way beside this one may or may not be counted in what it tells.
        let beside = self.sent - pass.ended - 1;
        let mut interval = told.longest_interval();
        if let Some((sent, before)) = self.last
            && beside == 0
        {
            // Alone: so much room has come since, at least.
            let come = f64::from(told.available) - f64::from(before.available);
            if come >= 1.0 {
                interval = interval.min((now - sent).as_secs_f64() / come);
            }
        }
        self.last = Some((pass.sent, told));
        // Those of other methods count, too, in case that they share the limit.
        let others = all_under_way.saturating_sub(self.sent - self.ended);
        #[expect(clippy::cast_precision_loss, reason = "calls under way")]
        let (beside, others) = (beside as f64, others as f64);
        let most = told.usable() - others;
        let least = most - beside;
        let mut bucket = match self.knowledge {
            Knowledge::Limited(bucket) => Bucket { interval: bucket.interval.min(interval), ..bucket },
            // Other methods may begin at the same limit at the same time.
            _ => Bucket { room: least.min(0.0).max(least / FIRST), interval, at: now },
        };
        bucket.reckon(now);
        bucket.room = bucket.room.max(least.min(bucket.room + STEP)).min(most);
        self.knowledge = Knowledge::Limited(bucket);
        let times = if told.available + 1 >= told.limit { self.untouched.0.saturating_add(1) } else { 0 };
        self.untouched = (times, told.usable() - beside);
    }

    fn rest(&mut self, wait: Duration, now: Instant) {
        let until = now + wait;
        self.rests_until = Some(self.rests_until.map_or(until, |earlier| earlier.max(until)));
        self.was_refused = true;
        if let Knowledge::Limited(bucket) = &mut self.knowledge {
            bucket.room = bucket.room.min(0.0);
            bucket.interval *= 2.0;
        }
    }
}

impl Pace {
    /// Wait until one more call may go.
    pub(super) async fn admit(self: &Arc<Self>) -> Pass {
        let _turn = self.turn.lock().await;
        loop {
            let wait = {
                let mut state = self.state.lock();
                let sent = Instant::now();
                match state.take(self.all_under_way.load(Ordering::Relaxed), sent) {
                    Ok(()) => {
                        self.all_under_way.fetch_add(1, Ordering::Relaxed);
                        let mark = Mark { sent, ended: state.ended };
                        return Pass { pace: self.clone(), mark };
                    }
                    Err(wait) => wait,
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.news.notified() => {}
            }
        }
    }
}

/// How it stood when a call was sent.
#[derive(Debug)]
struct Mark {
    sent: Instant,
    ended: u64,
}

/// A call that may go, until it has ended.
#[derive(Debug)]
pub(super) struct Pass {
    pace: Arc<Pace>,
    mark: Mark,
}

impl Pass {
    /// The server has answered.
    pub(super) fn answered(self, told: Option<Told>) {
        self.hear(told, None);
    }

    /// The server has refused it for its limit, and wants no more for so long.
    pub(super) fn refused(self, told: Option<Told>, wait: Duration) {
        self.hear(told, Some(wait));
    }

    fn hear(&self, told: Option<Told>, rest: Option<Duration>) {
        let (mut state, now) = (self.pace.state.lock(), Instant::now());
        if let Some(wait) = rest {
            state.rest(wait, now);
        }
        state.hear(&self.mark, told, self.pace.all_under_way.load(Ordering::Relaxed), now);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.pace.state.lock();
        state.ended += 1;
        self.pace.all_under_way.fetch_sub(1, Ordering::Relaxed);
        // Nothing was heard: the next one asks.
        if matches!(state.knowledge, Knowledge::Asked) {
            state.knowledge = Knowledge::None;
        }
        drop(state);
        self.pace.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit as the stack has it: so many a second, and a burst.
    struct Limit {
        interval: f64,
        burst: u32,
        full_at: f64,
        begun: Instant,
        refused: u32,
    }

    impl Limit {
        fn new(rate: f64, burst: u32) -> Arc<Mutex<Self>> {
            Arc::new(Mutex::new(Self { interval: 1.0 / rate, burst, full_at: 0.0, begun: Instant::now(), refused: 0 }))
        }

        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds, and the burst")]
        fn take(&mut self) -> Told {
            let now = self.begun.elapsed().as_secs_f64();
            let next = self.full_at.max(now) + self.interval;
            let room = self.interval * f64::from(self.burst);
            if next - now > room + 1e-9 {
                self.refused += 1;
            } else {
                self.full_at = next;
            }
            let reset = (self.full_at - now).max(0.0);
            let available = ((room - reset) / self.interval + 1e-9) as u32;
            Told { limit: self.burst, available, reset: reset as u32 }
        }
    }

    /// Have many call at once, each several methods one after the other; gives the seconds it took.
    async fn calls(paces: &[Arc<Pace>], limits: &[Arc<Mutex<Limit>>], count: usize, at_once: usize) -> f64 {
        let begun = Instant::now();
        let left = Arc::new(Mutex::new(count));
        let mut running = tokio::task::JoinSet::new();
        for caller in 0..at_once {
            let (paces, limits, left) = (paces.to_vec(), limits.to_vec(), left.clone());
            let mut random = fastrand::Rng::with_seed(caller as u64);
            running.spawn(async move {
                loop {
                    {
                        let mut left = left.lock();
                        if *left == 0 {
                            return;
                        }
                        *left -= 1;
                    }
                    for (pace, limit) in paces.iter().zip(&limits) {
                        let pass = pace.admit().await;
                        sleep(Duration::from_micros(random.u64(500..4000))).await;
                        let told = limit.lock().take();
                        sleep(Duration::from_micros(random.u64(500..4000))).await;
                        pass.answered(Some(told));
                    }
                }
            });
        }
        while running.join_next().await.is_some() {}
        begun.elapsed().as_secs_f64()
    }

    fn paces(count: usize) -> Vec<Arc<Pace>> {
        let paces = Paces::default();
        (0..count).map(|number| paces.of(number.to_string())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_take_the_limit_s_own_time_and_never_meet_it() {
        for (rate, burst, at_once, most) in [
            (20.0, 20, 16, 1.1),
            (100.0, 100, 16, 1.1),
            (100.0, 20, 32, 1.1),
            (20.0, 1200, 16, 1.1),
            // Hardly any room at all is left for calls under way.
            (100.0, 5, 16, 3.0),
        ] {
            let limits: Vec<_> = (0..4).map(|_| Limit::new(rate, burst)).collect();
            let took = calls(&paces(4), &limits, 2000, at_once).await;
            let refused: u32 = limits.iter().map(|limit| limit.lock().refused).sum();
            let own = f64::from(2000 - burst) / rate;
            assert_eq!(refused, 0, "{rate} {burst} {at_once}");
            assert!(
                took <= own * most + 2.0,
                "{rate} {burst} {at_once}: {took} s, where the limit alone takes {own} s"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn methods_that_share_a_limit_do_not_meet_it_either() {
        for (rate, burst) in [(20.0, 20), (100.0, 100), (20.0, 1200)] {
            let limit = Limit::new(rate, burst);
            let took = calls(&paces(4), &[limit.clone(), limit.clone(), limit.clone(), limit.clone()], 500, 16).await;
            let own = f64::from(2000 - burst) / rate;
            assert_eq!(limit.lock().refused, 0, "{rate} {burst}");
            assert!(took <= own * 1.1 + 2.0, "{rate} {burst}: {took} s, where the limit alone takes {own} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_each_device_counts_for_itself_nobody_waits_for_long() {
        let paces = paces(4);
        let mut running = tokio::task::JoinSet::new();
        let begun = Instant::now();
        for _ in 0..16 {
            let paces = paces.clone();
            running.spawn(async move {
                for pace in paces.iter().cycle().take(400) {
                    let pass = pace.admit().await;
                    sleep(Duration::from_millis(4)).await;
                    pass.answered(Some(Told { limit: 10, available: 9, reset: 0 }));
                }
            });
        }
        while running.join_next().await.is_some() {}
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}, where the calls alone take 1.6 s", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_waits() {
        let pace = Arc::<Pace>::default();
        pace.admit().await.answered(None);
        let begun = Instant::now();
        let passes = futures_all(&pace, 100).await;
        assert_eq!((passes.len(), begun.elapsed()), (100, Duration::ZERO));
    }

    async fn futures_all(pace: &Arc<Pace>, count: usize) -> Vec<Pass> {
        let mut passes = Vec::new();
        for _ in 0..count {
            passes.push(pace.admit().await);
        }
        passes
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_call_asks_for_all_and_another_does_if_it_hears_nothing() {
        let pace = Arc::<Pace>::default();
        let first = pace.admit().await;
        assert!(tokio::time::timeout(Duration::from_millis(10), pace.admit()).await.is_err(), "nothing is known yet");
        drop(first);
        let second = tokio::time::timeout(Duration::from_millis(10), pace.admit()).await;
        assert!(second.is_ok(), "the first one has heard nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_everybody_rests() {
        let pace = Arc::<Pace>::default();
        pace.admit().await.answered(Some(Told { limit: 100, available: 50, reset: 0 }));
        pace.admit().await.refused(None, Duration::from_secs(5));
        let begun = Instant::now();
        drop(pace.admit().await);
        assert!(begun.elapsed() >= Duration::from_secs(5));
    }
}
