//! Where a client's callbacks are at home: one thread, for the client's life.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// A client's home in the pool, kept by the client and handed out by its [`Work::home`](super::Work::home). All clones
/// are the same home. It costs no thread until the client calls its first callback.
#[derive(Clone, Debug, Default)]
pub struct Home(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    /// The hand that the client's work is done by; 0 for none. Written under the pool's lock only.
    hand: AtomicU64,
    stay: AtomicU8,
}

/// No callback has been called yet.
const VISITING: u8 = 0;
/// Callbacks have been called here, and more may come.
const LIVING: u8 = 1;
/// The client is closed: the thread is free for others, and its own again if nobody else has moved in.
const AWAY: u8 = 2;
/// The closed client has work again, but no callback has been called since.
const BACK: u8 = 3;

impl Home {
    /// A callback is about to be called: from now on every other one comes on the same thread.
    pub fn claim(&self) {
        if !self.is_living() {
            self.0.stay.store(LIVING, Ordering::Release);
        }
    }

    pub(super) fn leave(&self) {
        // Nobody calls a callback meanwhile: the client has no deliveries.
        if self.is_living() {
            self.0.stay.store(AWAY, Ordering::Release);
        }
    }

    /// A closed client has work again: it keeps its place until it calls a callback, or is done without.
    pub(super) fn come_back(&self) {
        if self.is_away() {
            self.0.stay.store(BACK, Ordering::Release);
        }
    }

    /// The work is done. Tells whether the client keeps its place.
    pub(super) fn rest(&self) -> bool {
        match self.0.stay.load(Ordering::Acquire) {
            VISITING => {
                self.settle(0);
                false
            }
            BACK => {
                self.0.stay.store(AWAY, Ordering::Release);
                true
            }
            _ => true,
        }
    }

    pub(super) fn is_living(&self) -> bool {
        self.0.stay.load(Ordering::Acquire) == LIVING
    }

    pub(super) fn is_away(&self) -> bool {
        self.0.stay.load(Ordering::Acquire) == AWAY
    }

    pub(super) fn hand(&self) -> u64 {
        self.0.hand.load(Ordering::Relaxed)
    }

    pub(super) fn settle(&self, hand: u64) {
        self.0.hand.store(hand, Ordering::Relaxed);
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
