//! The bounded queue between a session and whoever consumes its messages.

use crate::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a [`Mailbox`] holds.
pub trait Item: Send + 'static {
    /// Bytes that count against the bound; zero for what is no message.
    fn weight(&self) -> usize;
    /// Whether the item may be dropped when the mailbox is full.
    fn is_droppable(&self) -> bool;
}

/// What happens when a [`Mailbox`] is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest droppable item makes room; drops are counted, and told once per burst.
    DropOldest,
    /// The network is not read until there is room; the server waits, or drops by its own rules.
    #[default]
    StopReading,
}

/// Bytes that may wait for a consumer that takes them as fast as they come: what a processor's caches hold. Where reading is
/// ahead by more, each message costs both twice as much.
const LEAD: usize = 2 << 20;

/// Bounds of a [`Mailbox`].
#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    /// Messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The policy.
    pub overflow: Overflow,
}

impl Default for MailboxLimits {
    /// Deep, since many brokers drop messages for a client that stops reading at once.
    fn default() -> Self {
        Self { messages: 100_000, bytes: 128 << 20, overflow: Overflow::default() }
    }
}

/// Counters of a [`Mailbox`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Items waiting, those that a consumer has taken and not finished included.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Items dropped since the start.
    pub dropped: u64,
}

/// A queue that one consumer at a time empties. Whoever pushes wakes a consumer through the function given at the start,
/// once for each time that the mailbox becomes occupied.
pub struct Mailbox<T> {
    limits: MailboxLimits,
    state: Mutex<State<T>>,
    wake: Box<dyn Fn() + Send + Sync>,
    /// Notified when there is room again after there was none, and when the consumer is close again.
    room: Arc<Notify>,
    /// Notified when the last item is finished.
    idle: Notify,
    /// Notified when items are finished and less than half of the bound is filled.
    calm: Arc<Notify>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
struct State<T> {
    items: VecDeque<T>,
    /// Counts items in the queue and in the consumer's hands.
    messages: usize,
    bytes: usize,
    dropped: u64,
    /// A consumer is at work or on its way.
    occupied: bool,
    /// Drops since the queue last had room.
    burst: u64,
    /// Somebody found the mailbox full.
    awaited: bool,
    /// Somebody found the consumer far away.
    ahead: bool,
    /// It was told that the mailbox fills.
    warned: bool,
    /// Reading goes on whatever the bound says.
    urged: bool,
}

impl<T> std::fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<T: Item> Mailbox<T> {
    /// An empty mailbox. `wake` must arrange for a consumer to call [`Mailbox::take`] soon, and must not block.
    pub fn new(limits: MailboxLimits, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let state = State {
            items: VecDeque::new(),
            messages: 0,
            bytes: 0,
            dropped: 0,
            occupied: false,
            burst: 0,
            awaited: false,
            ahead: false,
            warned: false,
            urged: false,
        };
        Self {
            limits,
            state: Mutex::new(state),
            wake: Box::new(wake),
            room: Arc::default(),
            idle: Notify::new(),
            calm: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    /// Append items, by the policy at the cost of older ones.
    pub fn push(&self, items: impl IntoIterator<Item = T>) {
        let mut dropped = Vec::new();
        let mut state = self.state();
        for item in items {
            state.messages += 1;
            state.bytes += item.weight();
            state.items.push_back(item);
        }
        let mut fills = false;
        if self.limits.overflow == Overflow::DropOldest {
            self.make_room(&mut state, &mut dropped);
            fills = !state.warned && !self.is_below(&state, 2);
            state.warned |= fills;
        }
        let waiting = state.messages;
        let wake = !state.occupied && !state.items.is_empty();
        state.occupied |= wake;
        let first_of_burst = !dropped.is_empty() && state.burst == dropped.len() as u64;
        drop(state);
        if wake {
            (self.wake)();
        }
        if fills {
            tracing::warn!(
                messages = waiting,
                "callbacks are too slow: the queue is half full, and when it is full the oldest messages are dropped"
            );
        }
        if first_of_burst {
            let limits = self.limits;
            tracing::warn!(
                messages = limits.messages,
                bytes = limits.bytes,
                "callbacks are too slow: dropping the oldest messages"
            );
        }
        // Freed here, outside the lock.
        drop(dropped);
    }

    /// Whether it is filled to less than this part.
    fn is_below(&self, state: &State<T>, part: usize) -> bool {
        state.messages <= self.limits.messages / part && state.bytes <= self.limits.bytes / part
    }

    fn make_room(&self, state: &mut State<T>, dropped: &mut Vec<T>) {
        let mut kept = Vec::new();
        // The newest stays in any case: what a consumer has in its hands counts, too, and may fill the bound alone.
        while state.items.len() > 1 && (state.messages > self.limits.messages || state.bytes > self.limits.bytes) {
            let Some(item) = state.items.pop_front() else { break };
            if item.is_droppable() {
                state.messages -= 1;
                state.bytes -= item.weight();
                state.dropped += 1;
                state.burst += 1;
                dropped.push(item);
            } else {
                kept.push(item);
            }
        }
        for item in kept.into_iter().rev() {
            state.items.push_front(item);
        }
    }

    /// Put items back in front, as they were before [`Mailbox::take`] gave them out.
    pub fn put_back(&self, items: impl DoubleEndedIterator<Item = T>) {
        let mut state = self.state();
        for item in items.rev() {
            state.items.push_front(item);
        }
    }

    /// Move at most `most` items to `into`. With nothing left, the consumer is released: it must go, and is woken anew.
    /// `finished` and `weight` tell what it is done with since the last call.
    fn take(&self, into: &mut VecDeque<T>, most: usize, finished: usize, weight: usize) -> bool {
        let mut state = self.state();
        self.finish(&mut state, finished, weight);
        let count = state.items.len().min(most);
        into.extend(state.items.drain(..count));
        state.occupied = count > 0;
        if count == 0 {
            drop(state);
            self.idle.notify_waiters();
        }
        count > 0
    }

    fn finish(&self, state: &mut State<T>, count: usize, weight: usize) {
        state.messages -= count;
        state.bytes -= weight;
        if state.ahead && state.bytes <= LEAD / 2 {
            state.ahead = false;
            self.room.notify_one();
        }
        // A quarter, so that a queue that stays about half full is not told of for each message.
        state.warned &= !self.is_below(state, 4);
        // Half of the bound, so that the network is not started and stopped for each message.
        if self.is_below(state, 2) {
            self.calm.notify_waiters();
            if std::mem::take(&mut state.awaited) {
                self.room.notify_one();
            }
            if state.burst > 0 {
                tracing::warn!(dropped = state.burst, "callbacks have caught up");
                state.burst = 0;
            }
        }
    }

    /// A consumer is done with items that it went on counting against the bound.
    pub fn finished(&self, count: usize, weight: usize) {
        let mut state = self.state();
        self.finish(&mut state, count, weight);
    }

    /// Whether a consumer is at work or due.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.state().occupied
    }

    /// Resolves when the mailbox becomes idle. Take it before asking [`Mailbox::is_idle`].
    pub fn idle(&self) -> tokio::sync::futures::Notified<'_> {
        self.idle.notified()
    }

    /// Wait until no consumer is at work or due; tells whether it came to that before `deadline`.
    pub async fn idle_until(&self, deadline: Instant) -> bool {
        loop {
            let idle = self.idle();
            if self.is_idle() {
                return true;
            }
            if tokio::time::timeout_at(deadline, idle).await.is_err() {
                return self.is_idle();
            }
        }
    }

    /// Wake a consumer if none is due, even with nothing to take.
    pub fn poke(&self) {
        let mut state = self.state();
        let wake = !std::mem::replace(&mut state.occupied, true);
        drop(state);
        if wake {
            (self.wake)();
        }
    }

    /// Wake a consumer if there is something to do and none is due.
    pub fn nudge(&self) {
        let mut state = self.state();
        let wake = !state.occupied && !state.items.is_empty();
        state.occupied |= wake;
        drop(state);
        if wake {
            (self.wake)();
        }
    }

    /// Take out every item that nobody has begun with and that may not come any more; counts droppable ones as dropped.
    pub fn discard(&self, mut which: impl FnMut(&T) -> bool) -> usize {
        let mut state = self.state();
        let (gone, kept): (VecDeque<T>, VecDeque<T>) = state.items.drain(..).partition(|item| which(item));
        state.items = kept;
        let weight: usize = gone.iter().map(Item::weight).sum();
        state.dropped += gone.iter().filter(|item| item.is_droppable()).count() as u64;
        self.finish(&mut state, gone.len(), weight);
        drop(state);
        gone.len()
    }

    /// Whether more may come. Remembers a "no" for [`Mailbox::room`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        if self.limits.overflow == Overflow::DropOldest {
            return true;
        }
        let mut state = self.state();
        let full = !state.urged && (state.messages >= self.limits.messages || state.bytes >= self.limits.bytes);
        state.awaited |= full;
        !full
    }

    /// Whether so much waits that whoever reads should let the consumer come closer, if that is at work; `paused` is who does.
    /// Remembers a "yes" for [`Mailbox::room`].
    #[must_use]
    pub fn is_ahead(&self, paused: bool) -> bool {
        let mut state = self.state();
        let ahead = state.bytes > if paused { LEAD / 2 } else { LEAD };
        state.ahead |= ahead;
        ahead
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> MailboxLimits {
        self.limits
    }

    /// Whether more may come whatever the bound says: somebody waits for an answer that comes after what the network holds.
    pub fn urge(&self, urged: bool) {
        let mut state = self.state();
        state.urged = urged;
        if urged && std::mem::take(&mut state.awaited) {
            self.room.notify_one();
        }
    }

    /// Notified when there is room again.
    #[must_use]
    pub fn room(&self) -> &Arc<Notify> {
        &self.room
    }

    /// Notified when items are finished and at most half of the bound is filled.
    #[must_use]
    pub fn calm(&self) -> &Arc<Notify> {
        &self.calm
    }

    /// How many items wait for a consumer, without those in its hands.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().items.len()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let state = self.state();
        QueueStats { messages: state.messages, bytes: state.bytes, dropped: state.dropped }
    }
}

/// Items in the hands of a mailbox's consumer.
#[derive(Debug)]
pub struct Hands<T> {
    taken: VecDeque<T>,
    /// What the consumer is done with, of which the mailbox has not been told.
    finished: usize,
    weight: usize,
}

impl<T> Default for Hands<T> {
    fn default() -> Self {
        Self { taken: VecDeque::new(), finished: 0, weight: 0 }
    }
}

impl<T: Item> Hands<T> {
    /// Take at most `most` items out of the mailbox, and give back what is finished. With nothing left, the consumer is
    /// released: it must go, and is woken anew.
    pub fn take(&mut self, mailbox: &Mailbox<T>, most: usize) -> bool {
        let more = mailbox.take(&mut self.taken, most, self.finished, self.weight);
        (self.finished, self.weight) = (0, 0);
        more
    }

    /// Handle the next item with `handle`, which tells whether it is done with it: otherwise it goes on counting against
    /// the mailbox's bound. Tells whether there was one.
    pub fn next(&mut self, handle: impl FnOnce(T) -> bool) -> bool {
        let Some(item) = self.taken.pop_front() else { return false };
        let weight = item.weight();
        if handle(item) {
            self.finished += 1;
            self.weight += weight;
        }
        true
    }
}

#[cfg(feature = "explore")]
#[cfg(test)]
mod schedules;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Note(u32, bool);

    impl Item for Note {
        fn weight(&self) -> usize {
            10
        }
        fn is_droppable(&self) -> bool {
            self.1
        }
    }

    fn mailbox(messages: usize, overflow: Overflow) -> (Mailbox<Note>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = wakes.clone();
        let limits = MailboxLimits { messages, bytes: 10_000, overflow };
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        (Mailbox::new(limits, wake), wakes)
    }

    struct Lot;

    impl Item for Lot {
        fn weight(&self) -> usize {
            LEAD / 4 + 1
        }
        fn is_droppable(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_reader_that_is_ahead_hears_when_the_consumer_is_close_again() {
        let mailbox = Mailbox::new(MailboxLimits::default(), || {});
        mailbox.push([Lot, Lot, Lot]);
        assert!(
            !mailbox.is_ahead(false) && mailbox.is_ahead(true),
            "a pause goes on for longer than it takes to begin"
        );
        mailbox.push([Lot]);
        assert!(mailbox.is_ahead(false) && mailbox.has_room());
        let mut hands = Hands::default();
        assert!(hands.take(&mailbox, 3));
        while hands.next(|_| true) {}
        assert!(mailbox.is_ahead(true), "nobody was told yet");
        hands.take(&mailbox, 1);
        mailbox.room().notified().await;
        assert!(!mailbox.is_ahead(true));
    }

    #[test]
    fn the_oldest_droppable_items_make_room() {
        let (mailbox, _) = mailbox(3, Overflow::DropOldest);
        mailbox.push([Note(1, false), Note(2, true), Note(3, true), Note(4, true), Note(5, true)]);
        let mut taken = VecDeque::new();
        assert!(mailbox.take(&mut taken, 10, 0, 0));
        assert_eq!(taken, [Note(1, false), Note(4, true), Note(5, true)]);
        assert_eq!(mailbox.stats().dropped, 2);
    }

    #[test]
    fn the_newest_item_stays_while_a_consumer_holds_the_whole_bound() {
        let (mailbox, _) = mailbox(2, Overflow::DropOldest);
        mailbox.push([Note(1, true), Note(2, true)]);
        let (mut taken, mut more) = (VecDeque::new(), VecDeque::new());
        assert!(mailbox.take(&mut taken, 10, 0, 0));
        mailbox.push([Note(3, true)]);
        mailbox.push([Note(4, true), Note(5, true)]);
        assert!(mailbox.take(&mut more, 10, 2, 20));
        assert_eq!(more, [Note(5, true)]);
        assert_eq!(mailbox.stats().dropped, 2);
    }

    #[test]
    fn a_consumer_is_woken_once_until_it_goes() {
        let (mailbox, wakes) = mailbox(10, Overflow::DropOldest);
        mailbox.push([Note(1, true)]);
        mailbox.push([Note(2, true)]);
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        let mut taken = VecDeque::new();
        assert!(mailbox.take(&mut taken, 10, 0, 0));
        mailbox.push([Note(3, true)]);
        assert_eq!(wakes.load(Ordering::Relaxed), 1, "the consumer is still at work");
        assert!(mailbox.take(&mut taken, 10, 2, 20) && !mailbox.take(&mut taken, 10, 1, 10));
        mailbox.push([Note(4, true)]);
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_full_mailbox_stops_reading_until_it_is_half_empty() {
        let (mailbox, _) = mailbox(4, Overflow::StopReading);
        mailbox.push((0..4).map(|number| Note(number, true)));
        assert!(!mailbox.has_room());
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken, 4, 0, 0);
        assert!(!mailbox.has_room(), "taken is not finished");
        mailbox.take(&mut taken, 4, 4, 40);
        assert!(mailbox.has_room());
        assert_eq!(mailbox.stats(), QueueStats::default());
    }

    #[tokio::test]
    async fn a_full_mailbox_goes_on_while_an_answer_is_awaited() {
        let (mailbox, _) = mailbox(2, Overflow::StopReading);
        mailbox.push((0..2).map(|number| Note(number, true)));
        assert!(!mailbox.has_room());
        mailbox.urge(true);
        mailbox.room().notified().await;
        assert!(mailbox.has_room());
        mailbox.urge(false);
        assert!(!mailbox.has_room());
    }
}
