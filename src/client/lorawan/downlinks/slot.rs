//! What is kept of one downlink: a few words that are written without a lock.

use std::sync::atomic::{AtomicU16, AtomicU64};

use super::State;
use crate::dialect::lorawan::Schedule;

/// One downlink: its message ID, and which of all downlinks it is, since IDs come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downlinked {
    /// Message ID.
    pub mid: u16,
    pub(super) serial: u32,
}

/// By what a downlink is known again in what the network tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client::lorawan) struct Mark(pub(super) u64);

impl Mark {
    /// By a token that is repeated.
    pub(in crate::client::lorawan) fn token(token: u64) -> Self {
        Self(token)
    }

    /// By its device and its port: of a network that repeats nothing.
    pub(in crate::client::lorawan) fn device(dev_id: &str, port: u8, schedule: Schedule) -> Self {
        let schedule = match schedule {
            Schedule::Replace => 0,
            Schedule::First => 1,
            Schedule::Last => 2,
        };
        Self(digest(dev_id) | u64::from(port) << 8 | schedule)
    }

    /// What the downlinks of one device have in common. Of tokens, nearly all of it.
    pub(super) fn family(self) -> u64 {
        self.0 & !0xFFFF
    }

    pub(super) fn port(self) -> u8 {
        self.0.to_be_bytes()[6]
    }

    pub(super) fn schedule(self) -> Schedule {
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
pub(super) struct Record(pub(super) u64);

impl Record {
    pub(super) fn new(at: Downlinked, passed: u8, now: State, replaced: bool) -> Self {
        let low = u64::from(passed) << 8 | (now as u64) << 4 | u64::from(replaced);
        Self(u64::from(at.serial) << 32 | u64::from(at.mid) << 16 | low)
    }

    pub(super) fn at(self) -> Downlinked {
        let words = self.0.to_be_bytes();
        let serial = u32::from_be_bytes([words[0], words[1], words[2], words[3]]);
        Downlinked { mid: u16::from_be_bytes([words[4], words[5]]), serial }
    }

    pub(super) fn passed(self) -> u8 {
        self.0.to_be_bytes()[6]
    }

    pub(super) fn now(self) -> State {
        State::ALL[usize::from(self.0.to_be_bytes()[7] >> 4 & 7)]
    }

    pub(super) fn is_replaced(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A message ID is never 0, so that an empty slot is no downlink's.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) record: AtomicU64,
    pub(super) mark: AtomicU64,
    /// The message ID of the downlink before it in its chain; 0 of the first.
    pub(super) before: AtomicU16,
}
