//! What became of the latest downlinks: a ring of slots that are written without a lock and without memory of their own, so
//! that sending costs the same whether anybody asks or not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::dialect::lorawan::{Schedule, Step};
use crate::sync::Mutex;

/// How many downlinks are remembered.
pub const REMEMBERED: u32 = 10_000;
/// A downlink's slot is that of its message ID. More than are remembered, since subscriptions have such IDs, too.
const SLOTS: u16 = 1 << 14;
/// They are made by so many, when the first of these is needed: 4 KiB.
const IN_A_ROOM: u16 = 256;

/// Where a downlink is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// With the client.
    Waiting,
    /// Written to the connection; at QoS 1, acknowledged by the server.
    Written,
    /// In the device's queue.
    Queued,
    /// Sent by a gateway.
    Sent,
    /// Not acknowledged by the device; the network sends it again.
    Nacked,
    /// Acknowledged by the device.
    Acked,
    /// Not to be sent any more.
    Failed,
    /// Written, and the network has not said a word.
    Unconfirmed,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Written,
        Self::Queued,
        Self::Sent,
        Self::Nacked,
        Self::Acked,
        Self::Failed,
        Self::Unconfirmed,
    ];

    /// The state of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Written => "written",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Nacked => "nacked",
            Self::Acked => "acked",
            Self::Failed => "failed",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// Whether nothing comes after it, or nothing that can be counted on.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Acked | Self::Failed | Self::Unconfirmed)
    }

    /// Itself, and what a downlink has been through that is in it.
    fn passed(self) -> u8 {
        let before: &[Self] = match self {
            Self::Waiting | Self::Written | Self::Failed | Self::Unconfirmed => &[Self::Waiting],
            Self::Queued => &[Self::Waiting, Self::Written],
            Self::Sent => &[Self::Waiting, Self::Written, Self::Queued],
            Self::Nacked | Self::Acked => &[Self::Waiting, Self::Written, Self::Queued, Self::Sent],
        };
        before.iter().chain([&self]).fold(0, |bits, state| bits | 1 << *state as u8)
    }

    /// Whether a downlink in this state may come into that one.
    fn may_become(self, next: Self) -> bool {
        match (self, next) {
            // Final, though the stack tells of one more missing acknowledgement after it (V3 2.5).
            (Self::Failed | Self::Acked, _) | (_, Self::Waiting) => false,
            (_, Self::Written) => self == Self::Waiting,
            (_, Self::Unconfirmed) => self == Self::Written,
            (_, Self::Queued) => matches!(self, Self::Waiting | Self::Written | Self::Unconfirmed),
            _ => self != next,
        }
    }
}

impl From<Step> for State {
    fn from(step: Step) -> Self {
        match step {
            Step::Queued => Self::Queued,
            Step::Sent => Self::Sent,
            Step::Acked => Self::Acked,
            Step::Nacked => Self::Nacked,
            Step::Failed => Self::Failed,
        }
    }
}

/// One downlink: its message ID, and which of all downlinks it is, since IDs come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downlinked {
    /// Message ID.
    pub mid: u16,
    serial: u32,
}

/// By what a downlink is known again in what the network tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// By a token that is repeated.
    pub(super) fn token(token: u64) -> Self {
        Self(token)
    }

    /// By its device and its port: of a network that repeats nothing.
    pub(super) fn device(dev_id: &str, port: u8, schedule: Schedule) -> Self {
        let schedule = match schedule {
            Schedule::Replace => 0,
            Schedule::First => 1,
            Schedule::Last => 2,
        };
        Self(digest(dev_id) | u64::from(port) << 8 | schedule)
    }

    fn port(self) -> u8 {
        self.0.to_be_bytes()[6]
    }

    fn schedule(self) -> Schedule {
        match self.0 & 0xFF {
            0 => Schedule::Replace,
            1 => Schedule::First,
            _ => Schedule::Last,
        }
    }
}

/// 48 bits that stand for a device.
fn digest(dev_id: &str) -> u64 {
    // FNV-1a: short, and good enough where nobody gains by a collision.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let hash = dev_id.bytes().fold(0xCBF2_9CE4_8422_2325, hash);
    (hash ^ hash << 32) & !0xFFFF
}

/// A downlink's record, in one word so that it changes at once: serial (32), message ID (16), states that were passed (8),
/// state now (4), whether a later downlink has taken its place in the queue (1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record(u64);

impl Record {
    fn new(at: Downlinked, passed: u8, now: State, replaced: bool) -> Self {
        let low = u64::from(passed) << 8 | (now as u64) << 4 | u64::from(replaced);
        Self(u64::from(at.serial) << 32 | u64::from(at.mid) << 16 | low)
    }

    fn at(self) -> Downlinked {
        let words = self.0.to_be_bytes();
        let serial = u32::from_be_bytes([words[0], words[1], words[2], words[3]]);
        Downlinked { mid: u16::from_be_bytes([words[4], words[5]]), serial }
    }

    fn passed(self) -> u8 {
        self.0.to_be_bytes()[6]
    }

    fn now(self) -> State {
        State::ALL[usize::from(self.0.to_be_bytes()[7] >> 4 & 7)]
    }

    fn is_replaced(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A message ID is never 0, so that an empty slot is no downlink's.
#[derive(Debug, Default)]
struct Slot {
    record: AtomicU64,
    mark: AtomicU64,
}

/// Some slots, once they are needed.
type Room = OnceLock<Box<[Slot]>>;

/// The latest downlinks of a client.
#[derive(Default)]
pub(super) struct Downlinks {
    rooms: OnceLock<Box<[Room]>>,
    /// The serial of the latest, above its message ID (16).
    latest: AtomicU64,
    /// Why the failed and unconfirmed ones are so, by their serial.
    errors: Mutex<BTreeMap<u32, String>>,
    /// Wakes those who wait for a state, of which there are `watchers`.
    changed: Notify,
    watchers: AtomicUsize,
}

impl fmt::Debug for Downlinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downlinks").field("count", &self.count()).finish_non_exhaustive()
    }
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
    fn slot(&self, mid: u16) -> Option<&Slot> {
        let at = mid % SLOTS;
        self.rooms.get()?.get(usize::from(at / IN_A_ROOM))?.get()?.get(usize::from(at % IN_A_ROOM))
    }

    fn made(&self, mid: u16) -> Option<&Slot> {
        let rooms = self.rooms.get_or_init(|| (0..SLOTS / IN_A_ROOM).map(|_| OnceLock::new()).collect());
        let at = mid % SLOTS;
        let room = rooms.get(usize::from(at / IN_A_ROOM))?;
        room.get_or_init(|| (0..IN_A_ROOM).map(|_| Slot::default()).collect()).get(usize::from(at % IN_A_ROOM))
    }

    /// How many there were.
    fn count(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "48 bits are used")]
        let count = (self.latest.load(Ordering::Relaxed) >> 16) as u32;
        count
    }

    /// Remember a downlink that is about to be sent. Called for one at a time.
    pub(super) fn remember(&self, mid: u16, mark: Mark) -> Downlinked {
        let at = Downlinked { mid, serial: self.count().wrapping_add(1) };
        self.latest.store(u64::from(at.serial) << 16 | u64::from(mid), Ordering::Relaxed);
        if let Some(slot) = self.made(mid) {
            // Empty meanwhile: whoever reads the new mark finds no record, or the new one.
            slot.record.store(0, Ordering::Release);
            slot.mark.store(mark.0, Ordering::Release);
            let record = Record::new(at, State::Waiting.passed(), State::Waiting, false);
            slot.record.store(record.0, Ordering::Release);
        }
        at
    }

    /// The downlink with this message ID, if it is remembered.
    pub(super) fn find(&self, mid: u16) -> Option<Downlinked> {
        let record = Record(self.slot(mid)?.record.load(Ordering::Acquire));
        Some(record.at()).filter(|at| mid != 0 && at.mid == mid && self.is_remembered(*at))
    }

    fn is_remembered(&self, at: Downlinked) -> bool {
        self.count().wrapping_sub(at.serial) < REMEMBERED
    }

    fn record(&self, at: Downlinked) -> Option<Record> {
        let record = Record(self.slot(at.mid)?.record.load(Ordering::Acquire));
        (record.at() == at && self.is_remembered(at)).then_some(record)
    }

    /// Its state; `None` once it is not remembered any more.
    pub(super) fn state(&self, at: Downlinked) -> Option<State> {
        self.record(at).map(Record::now)
    }

    /// Whether it is, or has been, in this state.
    pub(super) fn has_passed(&self, at: Downlinked, state: State) -> bool {
        self.record(at).is_some_and(|record| record.passed() & 1 << state as u8 != 0)
    }

    /// Why it has failed, or what may be behind the silence.
    pub(super) fn error(&self, at: Downlinked) -> Option<String> {
        self.record(at).filter(|record| matches!(record.now(), State::Failed | State::Unconfirmed))?;
        self.errors.lock().get(&at.serial).cloned()
    }

    /// Bring a downlink into a state.
    pub(super) fn advance(&self, at: Downlinked, next: State) -> Change {
        let Some(slot) = self.slot(at.mid) else { return Change::None };
        loop {
            let Some(record) = self.record(at).filter(|record| record.now().may_become(next)) else {
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

    /// The same with a reason, which is told to those who ask from then on.
    pub(super) fn fail(&self, at: Downlinked, next: State, error: &str) -> Change {
        let mut errors = self.errors.lock();
        // Those of downlinks that are forgotten go: the oldest come first, but where the count began anew.
        while let Some(first) =
            errors.first_entry().filter(|first| !self.is_remembered(Downlinked { mid: 0, serial: *first.key() }))
        {
            first.remove();
        }
        let before = errors.insert(at.serial, error.to_owned());
        let change = self.advance(at, next);
        if change == Change::None {
            match before {
                Some(before) => errors.insert(at.serial, before),
                None => errors.remove(&at.serial),
            };
        }
        change
    }

    /// The downlink with this token.
    pub(super) fn with_token(&self, token: u64) -> Option<Downlinked> {
        self.latest_first().find(|(_, mark)| *mark == Mark::token(token)).map(|(record, _)| record.at())
    }

    /// All that are remembered, the latest first.
    fn latest_first(&self) -> impl Iterator<Item = (Record, Mark)> {
        let [.., high, low] = self.latest.load(Ordering::Relaxed).to_be_bytes();
        let latest = u16::from_be_bytes([high, low]);
        (0..SLOTS).filter_map(move |back| {
            let slot = self.slot(latest.wrapping_sub(back))?;
            let record = Record(slot.record.load(Ordering::Acquire));
            let mark = Mark(slot.mark.load(Ordering::Acquire));
            (record.0 != 0 && self.is_remembered(record.at())).then_some((record, mark))
        })
    }

    /// The downlink that a network most probably tells of which names device and port alone.
    pub(super) fn of_device(&self, dev_id: &str, port: Option<u8>, step: Step) -> Option<Downlinked> {
        let device = digest(dev_id);
        let mut meant: Option<(Record, Mark)> = None;
        for (record, mark) in self.latest_first() {
            let is_on_the_way = match step {
                Step::Queued => matches!(record.now(), State::Waiting | State::Written),
                Step::Sent => {
                    matches!(record.now(), State::Waiting | State::Written | State::Queued) && !record.is_replaced()
                }
                Step::Acked | Step::Nacked => record.now() == State::Sent,
                Step::Failed => !record.now().is_end() && !record.is_replaced(),
            };
            if mark.0 & !0xFFFF != device || port.is_some_and(|port| port != mark.port()) || !is_on_the_way {
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
    fn replace_before(&self, at: Downlinked, device: u64) {
        for (record, mark) in self.latest_first() {
            let is_older = at.serial.wrapping_sub(record.at().serial).wrapping_sub(1) < REMEMBERED;
            if is_older && mark.0 & !0xFFFF == device && record.now() == State::Queued {
                let new = Record::new(record.at(), record.passed(), record.now(), true);
                if let Some(slot) = self.slot(record.at().mid) {
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
        assert_eq!(downlinks.fail(at, State::Failed, "why"), Change::Moved);
        assert_eq!(downlinks.advance(at, State::Nacked), Change::None, "one more comes after the end");
        assert_eq!(downlinks.fail(at, State::Failed, "other"), Change::None);
        assert_eq!((downlinks.state(at), downlinks.error(at).as_deref()), (Some(State::Failed), Some("why")));
        assert!(downlinks.has_passed(at, State::Nacked) && !downlinks.has_passed(at, State::Acked));
    }

    #[test]
    fn silence_may_end() {
        let downlinks = Downlinks::default();
        let at = downlinks.remember(7, Mark::token(1));
        downlinks.advance(at, State::Written);
        assert_eq!(downlinks.fail(at, State::Unconfirmed, "silence"), Change::Moved);
        assert_eq!(downlinks.advance(at, State::Queued), Change::Queued);
        assert_eq!(downlinks.error(at), None);
        let other = downlinks.remember(8, Mark::token(2));
        assert_eq!(downlinks.advance(other, State::Sent), Change::Queued, "nobody heard that it was queued");
    }

    #[test]
    fn the_latest_are_remembered_and_no_more() {
        let downlinks = Downlinks::default();
        let first = downlinks.remember(1, Mark::token(1));
        downlinks.fail(first, State::Failed, "why");
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
        downlinks.fail(failed, State::Failed, "other");
        assert_eq!(downlinks.errors.lock().len(), 1);
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
