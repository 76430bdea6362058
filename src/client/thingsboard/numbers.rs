//! Numbers of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Client;

/// Numbers of requests, counted from 1 for each `connect`.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    attributes: AtomicU64,
    calls: AtomicU64,
    /// The call that asked for the session's limits; 0 for none.
    limits: AtomicU64,
}

impl Numbers {
    pub(super) fn restart(&self) {
        for number in [&self.attributes, &self.calls, &self.limits] {
            number.store(0, Ordering::Release);
        }
    }

    /// A number for the client's own call for the session's limits.
    pub(super) fn ask_for_limits(&self) -> u64 {
        let call = next(&self.calls, |_| false);
        self.limits.store(call, Ordering::Release);
        call
    }

    /// Whether this is the number of that call, and it was not answered yet.
    pub(super) fn is_question(&self, call: &str) -> bool {
        call.parse::<u64>().is_ok_and(|call| call != 0 && call == self.limits.load(Ordering::Acquire))
    }
}

impl Client {
    /// A number for an attribute request; those that `taken` are left out.
    pub fn next_attribute_request(&self, taken: impl Fn(u64) -> bool) -> u64 {
        next(&self.inner.platform.numbers.attributes, taken)
    }

    /// A number for a call; those that `taken` are left out.
    pub fn next_call(&self, taken: impl Fn(u64) -> bool) -> u64 {
        next(&self.inner.platform.numbers.calls, taken)
    }

    /// Whether this call was the client's own, for the session's limits; true once.
    #[must_use]
    pub fn asked_for_limits(&self, call: u64) -> bool {
        self.inner.platform.numbers.limits.compare_exchange(call, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

fn next(number: &AtomicU64, taken: impl Fn(u64) -> bool) -> u64 {
    loop {
        let candidate = number.fetch_add(1, Ordering::AcqRel) + 1;
        if !taken(candidate) {
            return candidate;
        }
    }
}
