//! Acknowledgements that the server may have forgotten. It writes them to the disk a while after it has heard them, and not at
//! all when it is killed; then it gives the messages out once more, to any member of a group that does not keep the order.
//! Whoever has handled one still knows that, and tells the others.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::hands::Told;

/// How old an acknowledgement is that the server certainly has on the disk.
const WRITTEN: Duration = Duration::from_secs(10);
/// Most of them, the youngest.
const MOST: usize = 100_000;
/// How many the others are told of in one message.
const TOLD_AT_ONCE: usize = 2000;
/// Bytes that one takes there.
const SIZE: usize = 16;

/// What tells a message from all others. Not its place alone: a server that has lost the end of its stream in a power cut
/// stores other messages in the same places.
type Identity = (u64, i64);

/// What was acknowledged lately.
#[derive(Debug, Default)]
pub(super) struct Done {
    recent: VecDeque<(Instant, Identity)>,
    /// What the server may give out again.
    forgotten: HashSet<Identity>,
    /// Of these, what this member has handled.
    mine: Vec<Identity>,
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

    /// The connection is lost or another one: it may be to a server that was killed. Gives what the others are to be told.
    pub(super) fn doubt(&mut self, ack_wait: Duration) -> Vec<Bytes> {
        let mine: Vec<Identity> = self.recent.drain(..).map(|(_, identity)| identity).collect();
        self.mine.extend_from_slice(&mine);
        let excess = self.mine.len().saturating_sub(MOST);
        self.mine.drain(..excess);
        self.forget(mine.into_iter(), ack_wait);
        let told = |part: &[Identity]| {
            let bytes = |(sequence, stored_at): &Identity| [sequence.to_le_bytes(), stored_at.to_le_bytes()].concat();
            part.iter().flat_map(bytes).collect()
        };
        self.mine.chunks(TOLD_AT_ONCE).map(told).collect()
    }

    /// Another member tells what it has handled, in the same doubt.
    pub(super) fn told(&mut self, payload: &[u8], ack_wait: Duration) {
        let number = |bytes: &[u8]| bytes.try_into().ok();
        let read = |one: &[u8]| {
            let (sequence, stored_at) = one.split_at(SIZE / 2);
            Some((number(sequence).map(u64::from_le_bytes)?, number(stored_at).map(i64::from_le_bytes)?))
        };
        self.forget(payload.chunks_exact(SIZE).filter_map(read), ack_wait);
    }

    fn forget(&mut self, identities: impl Iterator<Item = Identity>, ack_wait: Duration) {
        self.forgotten.extend(identities);
        self.until = Some(Instant::now() + 2 * ack_wait + WRITTEN);
    }

    /// Whether a message that has come was handled already, and its acknowledgement was forgotten.
    pub(super) fn has(&mut self, told: &Told) -> bool {
        if self.until.is_some_and(|until| until < Instant::now()) {
            self.forgotten.clear();
            self.mine.clear();
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

    #[tokio::test(start_paused = true)]
    async fn the_others_are_told() {
        let (mut one, mut other) = (Done::default(), Done::default());
        for number in 1..=5000 {
            one.acknowledged(&told(number, -1));
        }
        assert_eq!(one.doubt(Duration::from_secs(5)).len(), 3);
        // The connection was lost, and is back: all is told again.
        let words = one.doubt(Duration::from_secs(5));
        assert_eq!(words.iter().map(Bytes::len).sum::<usize>(), 5000 * SIZE);
        for word in &words {
            other.told(word, Duration::from_secs(5));
        }
        assert!((1..=5000).all(|number| other.has(&told(number, -1))) && !other.has(&told(1, 1)));
        other.told(b"nonsense that has no whole entry", Duration::from_secs(5));
        assert!(other.doubt(Duration::from_secs(5)).is_empty(), "what others have handled is theirs to tell");
    }
}
