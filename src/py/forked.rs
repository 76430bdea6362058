//! State that threads touch without the interpreter lock, and that a forked child must be able to use.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::{Mutex, MutexGuard};

/// A lock that a forked child can always have. A thread may have held it at the moment of the fork, and there is no such
/// thread in the child to let it go: the child goes on with the other one of two then.
pub(super) struct Forked<T> {
    first: Mutex<T>,
    second: Mutex<T>,
    takes_second: AtomicBool,
}

impl<T> Forked<T> {
    pub(super) const fn new(first: T, second: T) -> Self {
        Self { first: Mutex::new(first), second: Mutex::new(second), takes_second: AtomicBool::new(false) }
    }

    fn places(&self) -> (&Mutex<T>, &Mutex<T>) {
        if self.takes_second.load(Ordering::Acquire) {
            (&self.second, &self.first)
        } else {
            (&self.first, &self.second)
        }
    }

    /// Wait for the lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.places().0.lock()
    }

    /// In a forked child, before anything else: what the parent left behind, to be put right. Both may have been in use
    /// in the line of its ancestors.
    pub(super) fn after_fork(&self, mut put_right: impl FnMut(&mut T)) {
        let (used, other) = self.places();
        if used.try_lock().is_none() {
            self.takes_second.fetch_xor(true, Ordering::AcqRel);
        }
        for place in [used, other] {
            if let Some(mut state) = place.try_lock() {
                put_right(&mut state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_held_at_the_fork_is_replaced() {
        let state = Forked::new(1, 2);
        let held = state.lock();
        state.after_fork(|value| *value += 10);
        assert_eq!(*state.lock(), 12);
        drop(held);
        assert_eq!(*state.lock(), 12);
    }

    #[test]
    fn a_free_lock_stays_the_one_in_use() {
        let state = Forked::new(1, 2);
        state.after_fork(|value| *value += 10);
        assert_eq!(*state.lock(), 11);
    }
}
