//! When reading pauses so that the consumer stays close: what is read long before it is handled has left the processor's caches.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause. A consumer that is about as fast as the network has come closer by then.
const LONGEST: Duration = Duration::from_millis(2);
/// How long there is none after one was too short: the consumer is slow, and servers drop what is not read.
const REST: Duration = Duration::from_millis(50);

/// The pauses of one connection.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    not_before: Option<Instant>,
}

impl Pause {
    pub(super) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Until when not to read, while reading is `ahead`.
    pub(super) fn until(&mut self, ahead: bool, now: Instant) -> Option<Instant> {
        match self.until {
            _ if !ahead => self.until = None,
            Some(until) if now >= until => {
                self.until = None;
                self.not_before = Some(now + REST);
            }
            None if self.not_before.is_none_or(|before| now >= before) => self.until = Some(now + LONGEST),
            _ => {}
        }
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_consumer_is_waited_for() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        assert_eq!(pause.until(false, now), None);
        assert_eq!(pause.until(true, now), Some(now + LONGEST));
        assert_eq!(
            pause.until(true, now + LONGEST / 2),
            Some(now + LONGEST),
            "one pause, however often it is looked at"
        );
        assert_eq!(pause.until(false, now + LONGEST / 2), None);
        assert_eq!(pause.until(true, now + LONGEST), Some(now + 2 * LONGEST), "again and again");
    }

    #[test]
    fn a_slow_consumer_holds_nothing_up() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        pause.until(true, now);
        assert_eq!(pause.until(true, now + LONGEST), None);
        assert_eq!(pause.until(true, now + REST), None);
        assert!(pause.until(true, now + LONGEST + REST).is_some());
    }
}
