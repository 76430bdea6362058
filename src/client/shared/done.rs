//! Acknowledgements that the server may have forgotten. It writes them to the disk a while after it has heard them, and not at
//! all when it is killed; then it gives the messages out once more. Whoever has handled one still knows that.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::hands::Told;

/// How old an acknowledgement is that the server certainly has on the disk.
const WRITTEN: Duration = Duration::from_secs(10);
/// Most of them, the youngest.
const MOST: usize = 100_000;

/// What tells a message from all others. Not its place alone: a server that has lost the end of its stream in a power cut
/// stores other messages in the same places.
type Identity = (u64, i64);

/// What was acknowledged lately.
#[derive(Debug, Default)]
pub(super) struct Done {
    recent: VecDeque<(Instant, Identity)>,
    /// What the server may give out again.
    forgotten: HashSet<Identity>,
    /// Until when it would have done so.
    until: Option<Instant>,
}

impl Done {
    /// A message is acknowledged.
    pub(super) fn acknowledged(&mut self, told: &Told) {
        let now = Instant::now();
        let is_written = |at: Instant| now.duration_since(at) > WRITTEN;
        while self.recent.len() >= MOST || self.recent.front().is_some_and(|(at, _)| is_written(*at)) {
            self.recent.pop_front();
        }
        self.recent.push_back((now, identity(told)));
    }

    /// The connection is lost or another one: it may be to a server that was killed.
    pub(super) fn doubt(&mut self, ack_wait: Duration) {
        self.forgotten.extend(self.recent.drain(..).map(|(_, identity)| identity));
        self.until = Some(Instant::now() + 2 * ack_wait + WRITTEN);
    }

    /// Whether a message that has come was handled already, and its acknowledgement was forgotten.
    pub(super) fn has(&mut self, told: &Told) -> bool {
        if self.until.is_some_and(|until| until < Instant::now()) {
            self.forgotten.clear();
            self.until = None;
        }
        self.forgotten.contains(&identity(told))
    }
}

fn identity(told: &Told) -> Identity {
    (told.sequence, told.stored_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sequence: u64, stored_at: i64) -> Told {
        Told { deliveries: 1, sequence, stored_at, pending: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_acknowledged_just_before_a_loss_is_known_after_it() {
        let mut done = Done::default();
        done.acknowledged(&told(1, 10));
        tokio::time::advance(WRITTEN + Duration::from_secs(1)).await;
        done.acknowledged(&told(2, 20));
        assert!(!done.has(&told(2, 20)), "it is given out again for another reason");
        done.doubt(Duration::from_secs(5));
        // While there is no connection, and of which the server hears only then.
        done.acknowledged(&told(3, 30));
        tokio::time::advance(Duration::from_secs(3600)).await;
        done.doubt(Duration::from_secs(5));
        assert!(done.has(&told(3, 30)) && done.has(&told(2, 20)) && !done.has(&told(1, 10)));
        assert!(!done.has(&told(3, 31)), "another message in the place of one that the server has lost");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!done.has(&told(3, 30)), "by now somebody wants it to be handled again");
    }
}
