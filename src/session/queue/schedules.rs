//! The mailbox between a session that fills it, a consumer that is woken for it, and a client that closes.

use shuttle::future::block_on;
use shuttle::sync::mpsc::{Receiver, channel};
use shuttle::thread::{JoinHandle, spawn};

use super::*;
use crate::sync::schedules::{NEVER, in_every_order, in_many_orders};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Post {
    number: u32,
    droppable: bool,
}

impl Item for Post {
    fn weight(&self) -> usize {
        10
    }
    fn is_droppable(&self) -> bool {
        self.droppable
    }
}

fn post(number: u32) -> Post {
    Post { number, droppable: true }
}

struct World {
    mailbox: Mailbox<Post>,
    bound: usize,
    handled: Mutex<Vec<Post>>,
    /// Kept by the consumer until somebody wants it, while there is nobody.
    parked: Mutex<Vec<Post>>,
    wanted: Mutex<bool>,
}

/// A world, and what its consumer is woken by.
fn world(bound: usize, overflow: Overflow) -> (Arc<World>, Receiver<()>) {
    let (wake, woken) = channel();
    let limits = MailboxLimits { messages: bound, bytes: 10 * bound, overflow };
    let wake = Mutex::new(wake);
    let mailbox = Mailbox::new(limits, move || {
        // Nobody is left to be woken when the consumer is gone.
        let _gone = wake.lock().send(()).is_err();
    });
    let world = World { mailbox, bound, handled: Mutex::default(), parked: Mutex::default(), wanted: Mutex::new(true) };
    (Arc::new(world), woken)
}

impl World {
    /// Bring these one by one, as a session does that is not read while there is no room.
    async fn fill(&self, posts: impl IntoIterator<Item = Post>) {
        for post in posts {
            while !self.mailbox.has_room() {
                self.mailbox.room().notified().await;
            }
            self.mailbox.push([post]);
            assert!(self.mailbox.stats().messages <= self.bound);
        }
    }

    /// Handle what there is whenever woken, until all of these were handled.
    fn consume(&self, woken: &Receiver<()>, awaited: &[u32]) {
        let mut hands = Hands::default();
        while !awaited.iter().all(|number| self.numbers().contains(number)) {
            woken.recv().unwrap();
            while hands.take(&self.mailbox, 2) {
                while hands.next(|post| self.handle(post)) {}
            }
        }
    }

    fn handle(&self, post: Post) -> bool {
        let wanted = self.wanted.lock();
        let place = if *wanted { &self.handled } else { &self.parked };
        place.lock().push(post);
        *wanted
    }

    /// From now on there is somebody who wants what was kept.
    fn want(&self) {
        *self.wanted.lock() = true;
        let parked: Vec<_> = self.parked.lock().drain(..).collect();
        self.mailbox.put_back(parked.into_iter());
        self.mailbox.nudge();
    }

    fn numbers(&self) -> Vec<u32> {
        self.handled.lock().iter().map(|post| post.number).collect()
    }
}

fn start<T: Send + 'static>(world: &Arc<World>, run: impl FnOnce(&World) -> T + Send + 'static) -> JoinHandle<T> {
    let world = world.clone();
    spawn(move || run(&world))
}

fn later() -> Instant {
    Instant::now() + NEVER
}

#[test]
fn what_is_pushed_is_handled_once_and_in_order_and_the_bound_holds() {
    in_many_orders(|| {
        let (world, woken) = world(2, Overflow::StopReading);
        let filling = start(&world, |world| block_on(world.fill((1..=6).map(post))));
        let consuming = start(&world, move |world| world.consume(&woken, &[6]));
        filling.join().unwrap();
        assert!(block_on(world.mailbox.idle_until(later())));
        consuming.join().unwrap();
        assert_eq!(world.numbers(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(world.mailbox.stats(), QueueStats::default());
    });
}

#[test]
fn what_is_dropped_is_counted_and_what_may_not_be_is_handled() {
    in_many_orders(|| {
        let (world, woken) = world(2, Overflow::DropOldest);
        let filling = start(&world, |world| {
            for number in 1..=6 {
                world.mailbox.push([Post { number, droppable: number % 3 != 0 }]);
                // What may not be dropped may be over the bound, and so may the newest.
                assert!(world.mailbox.stats().messages <= world.bound + 2);
            }
        });
        let consuming = start(&world, move |world| world.consume(&woken, &[6]));
        filling.join().unwrap();
        consuming.join().unwrap();
        assert!(block_on(world.mailbox.idle_until(later())));
        let numbers = world.numbers();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(numbers.contains(&3) && numbers.contains(&6), "{numbers:?}");
        let stats = world.mailbox.stats();
        assert_eq!((stats.messages, numbers.len() as u64 + stats.dropped), (0, 6));
    });
}

#[test]
fn what_nobody_wanted_at_first_is_handled_when_somebody_does() {
    in_many_orders(|| {
        let (world, woken) = world(4, Overflow::StopReading);
        *world.wanted.lock() = false;
        let filling = start(&world, |world| block_on(world.fill((1..=3).map(post))));
        let wanting = start(&world, World::want);
        let consuming = start(&world, move |world| world.consume(&woken, &[1, 2, 3]));
        filling.join().unwrap();
        wanting.join().unwrap();
        consuming.join().unwrap();
        let mut numbers = world.numbers();
        numbers.sort_unstable();
        assert_eq!((numbers, world.mailbox.stats()), (vec![1, 2, 3], QueueStats::default()));
    });
}

#[test]
fn a_client_that_closes_waits_for_what_is_in_hand_and_makes_room() {
    in_many_orders(|| {
        let (world, woken) = world(2, Overflow::StopReading);
        let filling = start(&world, |world| block_on(world.fill((1..=4).map(post))));
        // The last of all is not to be discarded.
        let consuming = start(&world, move |world| world.consume(&woken, &[9]));
        let discarded = world.mailbox.discard(|post| post.number <= 4) as u64;
        filling.join().unwrap();
        world.mailbox.push([Post { number: 9, droppable: false }]);
        assert!(block_on(world.mailbox.idle_until(later())));
        consuming.join().unwrap();
        let (numbers, stats) = (world.numbers(), world.mailbox.stats());
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert_eq!((stats.messages, stats.dropped, numbers.len() as u64 + discarded), (0, discarded, 5));
    });
}

#[test]
fn who_pushes_while_the_consumer_goes_wakes_it_anew_in_every_order() {
    in_every_order(|| {
        let (world, woken) = world(4, Overflow::StopReading);
        let pushing = start(&world, |world| world.mailbox.push([post(1)]));
        world.mailbox.poke();
        world.consume(&woken, &[1]);
        pushing.join().unwrap();
        assert_eq!(world.numbers(), [1]);
    });
}

#[test]
fn room_is_told_of_to_who_found_none_in_every_order() {
    in_every_order(|| {
        let (world, _woken) = world(1, Overflow::StopReading);
        world.mailbox.push([post(1)]);
        let filling = start(&world, |world| block_on(world.fill([post(2)])));
        let mut hands = Hands::default();
        assert!(hands.take(&world.mailbox, 1) && hands.next(|_| true));
        hands.take(&world.mailbox, 1);
        filling.join().unwrap();
    });
}

#[test]
fn idleness_is_told_of_to_who_waits_for_it_in_every_order() {
    in_every_order(|| {
        let (world, woken) = world(1, Overflow::StopReading);
        world.mailbox.push([post(1)]);
        let consuming = start(&world, move |world| world.consume(&woken, &[1]));
        assert!(block_on(world.mailbox.idle_until(later())));
        consuming.join().unwrap();
        assert_eq!(world.numbers(), [1]);
    });
}
