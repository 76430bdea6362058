//! Downlinks that gateways refuse to send, as a program has asked for.

use std::collections::VecDeque;

use crate::sync::Mutex;

/// The reasons of those to come, each with how often it is one.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<VecDeque<(String, u32)>>);

impl Refusals {
    pub(super) fn add(&self, reason: &str, count: u32) {
        if count > 0 {
            self.0.lock().push_back((reason.to_owned(), count));
        }
    }

    /// Why the next downlink is refused, if it is.
    pub(super) fn next(&self) -> Option<String> {
        let mut reasons = self.0.lock();
        let (reason, left) = reasons.front_mut()?;
        *left -= 1;
        if *left > 0 {
            return Some(reason.clone());
        }
        reasons.pop_front().map(|(reason, _)| reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_as_often_as_it_was_said() {
        let refusals = Refusals::default();
        for (reason, count) in [("TOO_LATE", 2), ("", 0), ("TX_FREQ", 1)] {
            refusals.add(reason, count);
        }
        let all: Vec<_> = std::iter::from_fn(|| refusals.next()).collect();
        assert_eq!(all, ["TOO_LATE", "TOO_LATE", "TX_FREQ"]);
    }
}
