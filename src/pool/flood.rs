//! What a flood is: so many deliveries that one thread for the network and one for the callbacks get on faster than one for
//! both.

use std::time::{Duration, Instant};

/// Deliveries without a pause that make a flood.
const MANY: u64 = 64;
/// How much longer than the work before it a pause is at least.
const LONGER: u32 = 4;
/// Deliveries that come singly, rather than with others that have waited.
const FEW: u64 = 8;
/// The shortest pause between such.
const MOMENT: Duration = Duration::from_micros(25);

/// What one thread has handled without a pause.
#[derive(Debug)]
pub(super) struct Flood {
    deliveries: u64,
    ended: Instant,
}

impl Flood {
    pub(super) fn new(now: Instant) -> Self {
        Self { deliveries: 0, ended: now }
    }

    /// So many deliveries were handled in this time. Tells whether they are part of a flood.
    ///
    /// How many come at once says little: large messages come a few at a time, since what is read at once is so many bytes.
    pub(super) fn goes_on(&mut self, begun: Instant, ended: Instant, deliveries: u64) -> bool {
        let pause = begun.saturating_duration_since(self.ended);
        let work = ended.saturating_duration_since(begun);
        if pause > LONGER * work || (deliveries < FEW && pause > MOMENT) {
            self.deliveries = 0;
        }
        self.deliveries = self.deliveries.saturating_add(deliveries);
        self.ended = ended;
        self.deliveries >= MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the last of these turns, of pause and work in microseconds and deliveries, is part of a flood.
    fn ends_in_flood(turns: impl IntoIterator<Item = (u64, u64, u64)>) -> bool {
        let mut now = Instant::now();
        let (mut flood, mut last) = (Flood::new(now), false);
        for (pause, work, deliveries) in turns {
            let begun = now + Duration::from_micros(pause);
            now = begun + Duration::from_micros(work);
            last = flood.goes_on(begun, now, deliveries);
        }
        last
    }

    #[test]
    fn many_at_once_are_a_flood_whatever_was_before() {
        assert!(ends_in_flood([(1_000_000, 100, 64)]));
        assert!(!ends_in_flood([(1_000_000, 100, 63)]));
    }

    #[test]
    fn large_messages_are_a_flood_a_few_at_a_time() {
        assert!(ends_in_flood([(1_000_000, 30, 28), (45, 30, 28), (45, 30, 28)]));
        assert!(!ends_in_flood([(1_000_000, 30, 28), (45, 30, 28), (200, 30, 28)]), "a pause");
        // On a small board.
        assert!(ends_in_flood([(1_000_000, 300, 28), (450, 300, 28), (450, 300, 28)]));
    }

    #[test]
    fn a_steady_stream_is_none() {
        assert!(!ends_in_flood([(98, 2, 1)].repeat(1000)));
        assert!(!ends_in_flood([(50, 50, 1)].repeat(1000)));
        assert!(!ends_in_flood([(1000, 1000, 2)].repeat(1000)));
    }

    #[test]
    fn a_thread_that_waits_a_moment_for_the_next_ones_is_in_the_middle_of_it() {
        assert!(ends_in_flood([(5, 3, 3)].repeat(100)));
    }
}
