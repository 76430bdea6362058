//! Locks without poison: what a panicking thread left behind is still whole, since no lock is held over foreign code.

#[cfg(feature = "explore")]
#[cfg(test)]
pub(crate) mod schedules;

use std::fmt;
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

#[cfg(all(test, feature = "explore"))]
use shuttle::sync as primitive;
#[cfg(not(all(test, feature = "explore")))]
use std::sync as primitive;

pub use self::primitive::{MutexGuard, WaitTimeoutResult, atomic};

/// A mutex whose lock is always had.
#[derive(Default)]
pub struct Mutex<T>(primitive::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex around this.
    pub const fn new(value: T) -> Self {
        Self(primitive::Mutex::new(value))
    }

    /// Wait for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A condition to wait for under a [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar(primitive::Condvar);

impl Condvar {
    /// Nobody waits yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(primitive::Condvar::new())
    }

    /// Wait until notified.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait until notified, at most so long.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        most: Duration,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        self.0.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait as long as the condition holds, and at most so long.
    pub fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        most: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        self.0.wait_timeout_while(guard, most, condition).unwrap_or_else(PoisonError::into_inner)
    }

    /// Wake one who waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wake all who wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
