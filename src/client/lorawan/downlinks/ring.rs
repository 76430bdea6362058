//! The slots of the latest downlinks, and the chains in which those of one device, or with one token, are found.

use std::fmt;
use std::iter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use super::slot::{Downlinked, Mark, Record, Slot};
use super::{REMEMBERED, State};

/// A downlink's slot is that of its message ID. More than are remembered, since subscriptions have such IDs, too.
const SLOTS: u16 = 1 << 14;
/// They are made by so many, when the first of these is needed: 6 KiB.
const IN_A_ROOM: u16 = 256;
/// Chains, 2 KiB: with as many devices, ten downlinks in each when all are remembered.
const CHAINS_BITS: u32 = 10;

/// Some slots, once they are needed.
type Room = OnceLock<Box<[Slot]>>;

#[derive(Default)]
pub(super) struct Ring {
    rooms: OnceLock<Box<[Room]>>,
    /// The message ID of the latest downlink of each chain; 0 of empty ones.
    chains: OnceLock<Box<[AtomicU16]>>,
    /// The serial of the latest, above its message ID (16).
    latest: AtomicU64,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// The chain of a mark.
fn chain(mark: Mark) -> usize {
    ((mark.family() >> 16).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - CHAINS_BITS)) as usize
}

impl Ring {
    pub(super) fn slot(&self, mid: u16) -> Option<&Slot> {
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

    /// Give a downlink its slot. Called for one at a time.
    pub(super) fn remember(&self, mid: u16, mark: Mark) -> Downlinked {
        let at = Downlinked { mid, serial: self.count().wrapping_add(1) };
        self.latest.store(u64::from(at.serial) << 16 | u64::from(mid), Ordering::Relaxed);
        let chains = self.chains.get_or_init(|| (0..1_u32 << CHAINS_BITS).map(|_| AtomicU16::new(0)).collect());
        if let (Some(slot), Some(chain)) = (self.made(mid), chains.get(chain(mark))) {
            // Empty meanwhile: whoever reads the new mark finds no record, or the new one.
            slot.record.store(0, Ordering::Release);
            slot.mark.store(mark.0, Ordering::Release);
            slot.before.store(chain.load(Ordering::Relaxed), Ordering::Release);
            let record = Record::new(at, State::Waiting.passed(), State::Waiting, false);
            slot.record.store(record.0, Ordering::Release);
            chain.store(mid, Ordering::Release);
        }
        at
    }

    /// The downlink with this message ID, if it is remembered.
    pub(super) fn find(&self, mid: u16) -> Option<Downlinked> {
        let record = Record(self.slot(mid)?.record.load(Ordering::Acquire));
        Some(record.at()).filter(|at| mid != 0 && at.mid == mid && self.is_remembered(*at))
    }

    pub(super) fn is_remembered(&self, at: Downlinked) -> bool {
        self.count().wrapping_sub(at.serial) < REMEMBERED
    }

    pub(super) fn record(&self, at: Downlinked) -> Option<Record> {
        let record = Record(self.slot(at.mid)?.record.load(Ordering::Acquire));
        (record.at() == at && self.is_remembered(at)).then_some(record)
    }

    /// Those that are remembered whose marks are of the same family, the latest first.
    pub(super) fn family(&self, mark: Mark) -> impl Iterator<Item = (Record, Mark)> {
        self.links(mark).filter(move |(_, other)| other.family() == mark.family())
    }

    /// Those of its chain.
    fn links(&self, mark: Mark) -> impl Iterator<Item = (Record, Mark)> {
        let first = self.chains.get().and_then(|chains| chains.get(chain(mark)));
        let (mut next, mut later) = (first.map_or(0, |chain| chain.load(Ordering::Acquire)), None::<u32>);
        iter::from_fn(move || {
            let mid = std::mem::replace(&mut next, 0);
            let slot = self.slot(mid).filter(|_| mid != 0)?;
            let record = Record(slot.record.load(Ordering::Acquire));
            let (mark, before) = (Mark(slot.mark.load(Ordering::Acquire)), slot.before.load(Ordering::Acquire));
            let at = record.at();
            let is_same = Record(slot.record.load(Ordering::Acquire)).at() == at && at.mid == mid;
            let is_older = later.is_none_or(|later| later.wrapping_sub(at.serial).wrapping_sub(1) < REMEMBERED);
            // A slot that has another downlink by now had one that is forgotten, and so are all before it.
            if !is_same || !is_older || !self.is_remembered(at) {
                return None;
            }
            (next, later) = (before, Some(at.serial));
            Some((record, mark))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::lorawan::Schedule;

    fn of(device: u32) -> Mark {
        Mark::device(&format!("dev-{device}"), 1, Schedule::Last)
    }

    fn found(ring: &Ring, mark: Mark) -> Vec<Downlinked> {
        ring.family(mark).map(|(record, _)| record.at()).collect()
    }

    #[test]
    fn a_family_is_all_that_is_remembered_of_it() {
        let (ring, mut random) = (Ring::default(), fastrand::Rng::with_seed(12));
        let (mut mid, mut all) = (0_u16, Vec::new());
        for _ in 0..50_000 {
            // Subscriptions have IDs from the same source, at times many.
            let others = if random.u8(..) == 0 { random.u16(..200) } else { 0 };
            mid = mid.wrapping_add(1 + others).max(1);
            let device = random.u32(..40);
            all.push((device, ring.remember(mid, of(device))));
            if random.u16(..500) > 0 {
                continue;
            }
            let device = random.u32(..41);
            let known = all.iter().rev().take(10_000).filter(|(of, at)| *of == device && ring.record(*at).is_some());
            assert_eq!(found(&ring, of(device)), known.map(|(_, at)| *at).collect::<Vec<_>>());
        }
    }

    #[test]
    fn looking_for_one_of_many_takes_few_steps() {
        let ring = Ring::default();
        for number in 1..=10_000_u16 {
            ring.remember(number, of(u32::from(number) % 1000));
        }
        let mut tokens = fastrand::Rng::with_seed(7);
        let most = (0..1000).map(|device| ring.links(of(device)).count()).max();
        assert!(most < Some(80), "{most:?}");
        for number in 10_001..=20_000 {
            ring.remember(number, Mark::token(tokens.u64(..)));
        }
        let most = (0..1000).map(|_| ring.links(Mark::token(tokens.u64(..))).count()).max();
        assert!(most < Some(80), "{most:?}");
    }
}
