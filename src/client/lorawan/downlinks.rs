//! What became of the latest downlinks: a ring of slots that are written without a lock and without memory of their own, so
//! that sending costs the same whether anybody asks or not.

mod ring;
mod slot;
mod state;
mod told;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use self::ring::Ring;
pub use self::slot::Downlinked;
pub(super) use self::slot::Mark;
use self::slot::Record;
pub use self::state::State;
pub use self::told::Outcome;
use self::told::{Telling, Told};
use crate::dialect::lorawan::{Schedule, Step};
use crate::sync::Mutex;

/// How many downlinks are remembered.
pub const REMEMBERED: u32 = 10_000;

/// The latest downlinks of a client.
#[derive(Debug, Default)]
pub(super) struct Downlinks {
    ring: Ring,
    /// What was told of them last, but that they were written.
    told: Mutex<Telling>,
    /// Wakes those who wait for a state, of which there are `watchers`.
    changed: Notify,
    watchers: AtomicUsize,
}

/// What a change of a state has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: it was there before, or it cannot be.
    None,
    /// This state.
    Moved,
    /// This state, and it is known now that the downlink was queued.
    Queued,
}

impl Downlinks {
    /// Remember a downlink that is about to be sent. Called for one at a time.
    pub(super) fn remember(&self, mid: u16, mark: Mark) -> Downlinked {
        self.ring.remember(mid, mark)
    }

    /// The downlink with this message ID, if it is remembered.
    pub(super) fn find(&self, mid: u16) -> Option<Downlinked> {
        self.ring.find(mid)
    }

    /// Its state; `None` once it is not remembered any more.
    pub(super) fn state(&self, at: Downlinked) -> Option<State> {
        self.ring.record(at).map(Record::now)
    }

    /// Whether it is, or has been, in this state.
    pub(super) fn has_passed(&self, at: Downlinked, state: State) -> bool {
        self.ring.record(at).is_some_and(|record| record.passed() & 1 << state as u8 != 0)
    }

    /// What has become of it; `None` once it is not remembered any more.
    pub(super) fn outcome(&self, at: Downlinked) -> Option<Outcome> {
        let told = self.told.lock();
        self.state(at).map(|state| Outcome::new(state, told.get(&at.serial)))
    }

    /// Bring a downlink into a state.
    pub(super) fn advance(&self, at: Downlinked, next: State) -> Change {
        let Some(slot) = self.ring.slot(at.mid) else { return Change::None };
        loop {
            let Some(record) = self.ring.record(at).filter(|record| record.now().may_become(next)) else {
                return Change::None;
            };
            let passed = record.passed() | next.passed();
            let new = Record::new(at, passed, next, record.is_replaced());
            if slot.record.compare_exchange(record.0, new.0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                if self.watchers.load(Ordering::SeqCst) > 0 {
                    self.changed.notify_waiters();
                }
                let queued = 1 << State::Queued as u8;
                return if passed & !record.passed() & queued != 0 { Change::Queued } else { Change::Moved };
            }
        }
    }

    /// The same, and keep what was told with it, for those who ask from then on: of which device, why, where there is a
    /// reason, and the correlation IDs that the network has repeated.
    pub(super) fn tell<I: AsRef<str>>(
        &self,
        at: Downlinked,
        next: State,
        dev_id: Option<&str>,
        error: Option<&str>,
        correlation_ids: impl IntoIterator<Item = I>,
    ) -> Change {
        let mut told = self.told.lock();
        // Those of downlinks that are forgotten go: the oldest come first, but where the count began anew.
        while let Some(first) =
            told.first_entry().filter(|first| !self.ring.is_remembered(Downlinked { mid: 0, serial: *first.key() }))
        {
            first.remove();
        }
        let change = self.advance(at, next);
        if change != Change::None {
            told.insert(at.serial, Told::new(dev_id, error, correlation_ids));
        }
        change
    }

    /// The same without any.
    pub(super) fn fail(&self, at: Downlinked, next: State, dev_id: Option<&str>, error: &str) -> Change {
        self.tell(at, next, dev_id, Some(error), [""; 0])
    }

    /// The downlink with this token.
    pub(super) fn with_token(&self, token: u64) -> Option<Downlinked> {
        let token = Mark::token(token);
        self.ring.family(token).find(|(_, mark)| *mark == token).map(|(record, _)| record.at())
    }

    /// The downlink that a network most probably tells of which names device and port alone.
    pub(super) fn of_device(&self, dev_id: &str, port: Option<u8>, step: Step) -> Option<Downlinked> {
        // Port and place do not matter to the family.
        let device = Mark::device(dev_id, 0, Schedule::Last);
        let mut meant: Option<(Record, Mark)> = None;
        for (record, mark) in self.ring.family(device) {
            let is_on_the_way = match step {
                Step::Queued => matches!(record.now(), State::Waiting | State::Written),
                Step::Sent => {
                    matches!(record.now(), State::Waiting | State::Written | State::Queued) && !record.is_replaced()
                }
                Step::Acked | Step::Nacked => record.now() == State::Sent,
                Step::Failed => !record.now().is_end() && !record.is_replaced(),
            };
            if port.is_some_and(|port| port != mark.port()) || !is_on_the_way {
                continue;
            }
            meant = Some((record, mark));
            let is_first = match step {
                // What was put in front goes out first, and of these the latest; all else in its order.
                Step::Sent => record.now() == State::Queued && mark.schedule() == Schedule::First,
                Step::Acked | Step::Nacked => true,
                Step::Queued | Step::Failed => false,
            };
            if is_first {
                break;
            }
        }
        let (record, mark) = meant?;
        if step == Step::Queued && mark.schedule() == Schedule::Replace {
            self.replace_before(record.at(), device);
        }
        Some(record.at())
    }

    /// The queue was emptied for this downlink.
    fn replace_before(&self, at: Downlinked, device: Mark) {
        for (record, _) in self.ring.family(device) {
            let is_older = at.serial.wrapping_sub(record.at().serial).wrapping_sub(1) < REMEMBERED;
            if is_older && record.now() == State::Queued {
                let new = Record::new(record.at(), record.passed(), record.now(), true);
                if let Some(slot) = self.ring.slot(record.at().mid) {
                    // Changed meanwhile, it was not in the queue any more.
                    let _raced = slot.record.compare_exchange(record.0, new.0, Ordering::AcqRel, Ordering::Acquire);
                }
            }
        }
    }

    /// Wait until `done` gives something; it is asked whenever a state has changed.
    pub(super) async fn wait_for<T>(&self, mut done: impl FnMut() -> Option<T>) -> T {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let _watching = Watching(&self.watchers);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before looking, so that nothing is missed.
            changed.as_mut().enable();
            if let Some(value) = done() {
                return value;
            }
            changed.await;
        }
    }
}

/// Counts one who waits, to its end, whatever that is.
struct Watching<'a>(&'a AtomicUsize);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dev_id: &str, port: u8, schedule: Schedule) -> Mark {
        Mark::device(dev_id, port, schedule)
    }

    fn error(downlinks: &Downlinks, at: Downlinked) -> Option<String> {
        downlinks.outcome(at)?.error
    }

    #[test]
    fn states_come_in_their_order_and_the_end_is_final() {
        let downlinks = Downlinks::default();
        let at = downlinks.remember(7, Mark::token(1));
        assert_eq!(downlinks.state(at), Some(State::Waiting));
        assert_eq!(downlinks.advance(at, State::Queued), Change::Queued);
        assert_eq!(downlinks.advance(at, State::Written), Change::None, "the acknowledgement came after the event");
        assert_eq!(downlinks.advance(at, State::Unconfirmed), Change::None);
        for state in [State::Sent, State::Nacked, State::Sent, State::Nacked] {
            assert_eq!(downlinks.advance(at, state), Change::Moved);
        }
        assert_eq!(downlinks.fail(at, State::Failed, Some("node-1"), "why"), Change::Moved);
        assert_eq!(downlinks.advance(at, State::Nacked), Change::None, "one more comes after the end");
        assert_eq!(downlinks.fail(at, State::Failed, None, "other"), Change::None);
        assert_eq!((downlinks.state(at), error(&downlinks, at).as_deref()), (Some(State::Failed), Some("why")));
        assert_eq!(downlinks.outcome(at).and_then(|outcome| outcome.dev_id).as_deref(), Some("node-1"));
        assert!(downlinks.has_passed(at, State::Nacked) && !downlinks.has_passed(at, State::Acked));
    }

    #[test]
    fn silence_may_end() {
        let downlinks = Downlinks::default();
        let at = downlinks.remember(7, Mark::token(1));
        downlinks.advance(at, State::Written);
        assert_eq!(downlinks.fail(at, State::Unconfirmed, None, "silence"), Change::Moved);
        assert_eq!(downlinks.advance(at, State::Queued), Change::Queued);
        assert_eq!(error(&downlinks, at), None);
        let other = downlinks.remember(8, Mark::token(2));
        assert_eq!(downlinks.advance(other, State::Sent), Change::Queued, "nobody heard that it was queued");
    }

    #[test]
    fn what_was_told_last_is_kept_within_bounds() {
        let downlinks = Downlinks::default();
        let at = downlinks.remember(7, Mark::token(1));
        downlinks.advance(at, State::Written);
        let outcome = downlinks.outcome(at).unwrap();
        assert_eq!((outcome.state, outcome.heard, outcome.correlation_ids.len()), (State::Written, None, 0));
        downlinks.tell(at, State::Queued, None, None, ["as:up:1", "my-id"]);
        let queued = downlinks.outcome(at).unwrap();
        assert_eq!((queued.state, queued.correlation_ids), (State::Queued, vec!["as:up:1".into(), "my-id".into()]));
        assert_eq!(downlinks.tell(at, State::Queued, None, None, ["another"]), Change::None, "it is told of twice");
        assert_eq!(downlinks.outcome(at).unwrap().heard, queued.heard);
        let (long, ids) = ("ä".repeat(4000), vec!["i".repeat(100); 1000]);
        downlinks.tell(at, State::Failed, None, Some(&long), &ids);
        let failed = downlinks.outcome(at).unwrap();
        assert_eq!((failed.error.unwrap().len(), failed.correlation_ids.len()), (4096, 20));
        assert!(failed.heard >= queued.heard);
    }

    #[test]
    fn the_latest_are_remembered_and_no_more() {
        let downlinks = Downlinks::default();
        let first = downlinks.remember(1, Mark::token(1));
        downlinks.fail(first, State::Failed, None, "why");
        let mut mid = 1;
        for token in 2..=u64::from(REMEMBERED) {
            mid += 1;
            downlinks.remember(mid, Mark::token(token));
        }
        assert_eq!(downlinks.find(1), Some(first));
        assert_eq!(downlinks.with_token(1), Some(first));
        downlinks.remember(mid + 1, Mark::token(0xF00));
        assert_eq!((downlinks.find(1), downlinks.state(first), downlinks.with_token(1)), (None, None, None));
        assert!(downlinks.find(2).is_some() && downlinks.find(0).is_none() && downlinks.find(20_000).is_none());
        // An ID that comes again is another downlink.
        for mid in [u16::MAX, 1] {
            downlinks.remember(mid, Mark::token(9));
        }
        assert!(downlinks.find(1).is_some_and(|at| at != first) && downlinks.state(first).is_none());
        let failed = downlinks.find(1).unwrap();
        downlinks.fail(failed, State::Failed, None, "other");
        assert_eq!(downlinks.told.lock().len(), 1);
    }

    #[test]
    fn a_device_and_a_port_stand_for_the_next_in_the_queue() {
        let downlinks = Downlinks::default();
        let first = downlinks.remember(1, of("dev-1", 2, Schedule::Last));
        let second = downlinks.remember(2, of("dev-1", 2, Schedule::Last));
        let other = downlinks.remember(3, of("dev-2", 2, Schedule::Last));
        let step = |dev_id, port, step: Step| {
            let at = downlinks.of_device(dev_id, port, step)?;
            downlinks.advance(at, step.into());
            Some(at)
        };
        assert_eq!(step("dev-1", Some(3), Step::Queued), None);
        assert_eq!(step("dev-1", Some(2), Step::Queued), Some(first));
        assert_eq!(step("dev-1", None, Step::Queued), Some(second));
        assert_eq!(step("dev-2", None, Step::Queued), Some(other));
        let front = downlinks.remember(4, of("dev-1", 2, Schedule::First));
        assert_eq!(step("dev-1", None, Step::Queued), Some(front));
        assert_eq!(step("dev-1", None, Step::Sent), Some(front));
        assert_eq!(step("dev-1", None, Step::Acked), Some(front));
        assert_eq!(step("dev-1", None, Step::Sent), Some(first));
        // What empties the queue is the next, whatever was in it.
        let replacing = downlinks.remember(5, of("dev-1", 2, Schedule::Replace));
        assert_eq!(step("dev-1", None, Step::Queued), Some(replacing));
        assert_eq!(step("dev-1", None, Step::Sent), Some(replacing));
        assert_eq!(downlinks.state(second), Some(State::Queued));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let downlinks = std::sync::Arc::new(Downlinks::default());
        let at = downlinks.remember(7, Mark::token(1));
        let (own, look) = (downlinks.clone(), downlinks.clone());
        let waiting =
            tokio::spawn(
                async move { own.wait_for(|| look.has_passed(at, State::Sent).then(|| look.state(at))).await },
            );
        tokio::task::yield_now().await;
        downlinks.advance(at, State::Queued);
        downlinks.advance(at, State::Sent);
        assert_eq!(waiting.await.unwrap(), Some(State::Sent));
        assert_eq!(downlinks.watchers.load(Ordering::SeqCst), 0);
    }
}
