//! The outbox between threads that send, wait and withdraw, and a driver whose connections come and go.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread::{JoinHandle, spawn};

use super::*;
use crate::sync::schedules::{NEVER, in_every_order, in_many_orders};

const HUNG_UP: Verdict = Verdict { blamed: None, paced: true };
/// The name of a sender whose messages may be withdrawn, and what they end with then.
const WITHDRAWN: &str = "x";
const REASON: u8 = 131;

/// What a server says about a connection.
enum Word {
    Acknowledged(u16),
    HungUp,
}

/// An outbox, and the server that it leads to.
struct World {
    outbox: Outbox,
    bound: usize,
    window: ServerLimits,
    /// What the server got: topic, and whether it was said to be a repetition.
    got: Mutex<Vec<(String, bool)>>,
    said: Mutex<VecDeque<(usize, Word)>>,
    spoke: Notify,
    closing: Notify,
}

impl World {
    fn new(bound: usize, in_flight: usize) -> Arc<Self> {
        Arc::new(Self {
            outbox: Outbox::new(OutboxLimits { messages: bound, ..OutboxLimits::default() }),
            bound,
            window: ServerLimits { in_flight, packet_bytes: usize::MAX },
            got: Mutex::default(),
            said: Mutex::default(),
            spoke: Notify::new(),
            closing: Notify::new(),
        })
    }

    /// Send messages as a client does that waits for room.
    async fn send(&self, name: &str, count: usize, qos: QoS) -> Vec<Arc<Ticket>> {
        let mut tickets = Vec::new();
        while tickets.len() < count {
            let room = self.outbox.room();
            match self.outbox.track(format!("{name}/{}", tickets.len()), Bytes::new(), qos, 1) {
                Ok(ticket) => tickets.push(ticket),
                Err(Error::Full { .. }) => room.await,
                Err(error) => panic!("{error}"),
            }
            assert!(self.outbox.len() <= self.bound);
        }
        tickets
    }

    /// Drive connections until the program closes.
    async fn drive(&self, server: Sender<(usize, u16)>) {
        for connection in 0.. {
            self.outbox.rewind();
            if self.serve(connection, &server).await {
                return;
            }
            self.outbox.lost(HUNG_UP);
        }
    }

    /// Serve one connection as the driver does; tells whether it ended because the program closed.
    async fn serve(&self, connection: usize, server: &Sender<(usize, u16)>) -> bool {
        let mut in_flight = HashSet::new();
        loop {
            if !self.hear(connection, &mut in_flight) {
                return false;
            }
            let given: Vec<_> = std::iter::from_fn(|| self.outbox.next(&self.window)).collect();
            if self.outbox.is_holding(&self.window) {
                // The time for which messages are held back is over.
                self.outbox.release_held();
            }
            if self.said.lock().iter().any(|(_, word)| matches!(word, Word::HungUp)) {
                // What was given out and not written is lost with the connection.
                continue;
            }
            let mut written = 0;
            for message in given {
                if message.qos == QoS::AtMostOnce {
                    written += 1;
                } else {
                    in_flight.insert(message.mid);
                    server.send((connection, message.mid)).unwrap();
                }
                self.got.lock().push((message.topic, message.dup));
            }
            assert!(in_flight.len() <= self.window.in_flight, "{in_flight:?}");
            if written > 0 {
                let mut told = 0;
                self.outbox.written(written, |_| told += 1);
                assert_eq!(told, written);
            }
            tokio::select! {
                biased;
                () = self.spoke.notified() => {}
                () = self.outbox.wake.notified() => {}
                () = self.closing.notified() => return true,
            }
        }
    }

    /// Take in what the server said; tells whether the connection stands.
    fn hear(&self, connection: usize, in_flight: &mut HashSet<u16>) -> bool {
        let said = std::mem::take(&mut *self.said.lock());
        let mut progressed = false;
        for (_, word) in said.into_iter().filter(|(about, _)| *about == connection) {
            let Word::Acknowledged(mid) = word else { return false };
            in_flight.remove(&mid);
            self.outbox.acknowledged(mid, 0);
            progressed = true;
        }
        if progressed {
            self.outbox.progressed();
        }
        true
    }

    /// Acknowledge what comes, but hang up over these packets.
    fn answer(&self, packets: &Receiver<(usize, u16)>, hangs_up_over: &[usize]) {
        let mut dead = None;
        for (count, (connection, mid)) in packets.iter().enumerate() {
            if dead == Some(connection) {
                continue;
            }
            let word = if hangs_up_over.contains(&count) {
                dead = Some(connection);
                Word::HungUp
            } else {
                Word::Acknowledged(mid)
            };
            self.said.lock().push_back((connection, word));
            self.spoke.notify_one();
        }
    }

    /// All of a sender's messages arrived, in order; and none of them twice, but for `repeated` ones that said so.
    fn check(&self, name: &str, expected: usize, repeated: bool) {
        let got = self.got.lock();
        let mut topics: Vec<_> = got.iter().filter(|(topic, _)| topic.starts_with(name)).collect();
        let mut seen = HashSet::new();
        topics.retain(|(topic, dup)| {
            let is_new = seen.insert(topic);
            assert!(is_new || (repeated && *dup), "{topic} twice in {got:?}");
            is_new
        });
        let topics: Vec<_> = topics.into_iter().map(|(topic, _)| topic.clone()).collect();
        let wanted: Vec<_> = (0..expected).map(|number| format!("{name}/{number}")).collect();
        assert_eq!(topics, wanted);
    }

    /// Run senders over a driver and a server, until all is sent and the program closes.
    fn run(self: &Arc<Self>, hangs_up_over: &'static [usize], senders: Vec<JoinHandle<()>>) {
        let (server, packets) = channel();
        let answering = start(self, move |world| world.answer(&packets, hangs_up_over));
        let driving = start(self, move |world| block_on(world.drive(server)));
        for sender in senders {
            sender.join().unwrap();
        }
        block_on(self.outbox.emptied());
        self.closing.notify_one();
        driving.join().unwrap();
        answering.join().unwrap();
        assert_eq!(self.outbox.state().bytes, 0);
    }
}

fn far() -> Instant {
    Instant::now() + NEVER
}

fn start<T: Send + 'static>(world: &Arc<World>, run: impl FnOnce(&World) -> T + Send + 'static) -> JoinHandle<T> {
    let world = world.clone();
    spawn(move || run(&world))
}

/// A thread that sends so many messages and waits for the end of each, which must be that it arrived.
fn sender(world: &Arc<World>, name: &'static str, count: usize, qos: QoS) -> JoinHandle<()> {
    start(world, move |world| {
        for ticket in block_on(world.send(name, count, qos)) {
            assert!(world.outbox.wait(&ticket, far()));
            assert_eq!(ticket.outcome(), Some(0));
        }
    })
}

#[test]
fn everything_arrives_once_and_in_order_and_all_who_wait_hear_of_it() {
    in_many_orders(|| {
        let world = World::new(2, 2);
        let senders = vec![sender(&world, "a", 3, QoS::AtLeastOnce), sender(&world, "b", 3, QoS::AtMostOnce)];
        world.run(&[], senders);
        world.check("a", 3, false);
        world.check("b", 3, false);
    });
}

#[test]
fn what_waits_for_a_wide_window_is_not_forgotten() {
    in_many_orders(|| {
        let world = World::new(20, 4);
        let senders = vec![sender(&world, "a", 5, QoS::AtLeastOnce), sender(&world, "b", 4, QoS::AtLeastOnce)];
        world.run(&[], senders);
        world.check("a", 5, false);
        world.check("b", 4, false);
    });
}

#[test]
fn nothing_is_lost_with_a_connection() {
    in_many_orders(|| {
        let world = World::new(3, 2);
        let senders = vec![sender(&world, "a", 3, QoS::AtLeastOnce), sender(&world, "b", 2, QoS::AtMostOnce)];
        world.run(&[0, 2], senders);
        world.check("a", 3, true);
        world.check("b", 2, false);
    });
}

#[test]
fn a_sender_that_gives_up_waiting_takes_nobodys_turn() {
    in_many_orders(|| {
        let world = World::new(1, 1);
        let gives_up = start(&world, |world| {
            let mut room = std::pin::pin!(world.outbox.room());
            // Waits, and is gone before it is told.
            let waiting = std::future::poll_fn(|context| std::task::Poll::Ready(room.as_mut().poll(context)));
            let _room = block_on(waiting);
        });
        let senders = vec![gives_up, sender(&world, "a", 2, QoS::AtLeastOnce), sender(&world, "b", 2, QoS::AtMostOnce)];
        world.run(&[], senders);
        world.check("a", 2, false);
        world.check("b", 2, false);
    });
}

#[test]
fn what_is_withdrawn_ends_and_the_rest_arrives() {
    in_many_orders(|| {
        let world = World::new(4, 2);
        let withdrawn = start(&world, |world| {
            for ticket in block_on(world.send(WITHDRAWN, 3, QoS::AtLeastOnce)) {
                assert!(world.outbox.wait(&ticket, far()));
                assert!(matches!(ticket.outcome(), Some(0 | REASON)), "{ticket:?}");
            }
        });
        let ending = start(&world, |world| {
            world.outbox.withdraw(|topic| topic.starts_with(WITHDRAWN), REASON);
        });
        world.run(&[1], vec![withdrawn, ending, sender(&world, "b", 2, QoS::AtLeastOnce)]);
        world.check("b", 2, true);
    });
}

#[test]
fn the_end_of_a_message_wakes_who_waits_for_it_in_every_order() {
    in_every_order(|| {
        let world = World::new(1, 1);
        let ticket = world.outbox.track("t".into(), Bytes::new(), QoS::AtLeastOnce, 1).unwrap();
        let given = world.outbox.next(&world.window).unwrap();
        let ends = start(&world, move |world| {
            world.outbox.acknowledged(given.mid, 0);
            world.outbox.progressed();
        });
        assert!(world.outbox.wait(&ticket, far()));
        ends.join().unwrap();
    });
}

#[test]
fn room_wakes_who_waits_for_it_in_every_order() {
    in_every_order(|| {
        let world = World::new(1, 1);
        world.outbox.publish("t".into(), Bytes::new(), QoS::AtMostOnce).unwrap();
        world.outbox.next(&world.window).unwrap();
        let writes = start(&world, |world| world.outbox.written(1, |_| ()));
        block_on(world.send("a", 1, QoS::AtMostOnce));
        writes.join().unwrap();
    });
}

#[test]
fn a_message_wakes_a_driver_with_a_full_window_in_every_order() {
    in_every_order(|| {
        let world = World::new(2, 1);
        let first = world.outbox.publish("t/0".into(), Bytes::new(), QoS::AtLeastOnce).unwrap();
        world.outbox.next(&world.window).unwrap();
        let sends = start(&world, |world| world.outbox.publish("t/1".into(), Bytes::new(), QoS::AtLeastOnce).unwrap());
        assert!(world.outbox.next(&world.window).is_none(), "the window is full");
        world.outbox.acknowledged(first, 0);
        let second = loop {
            if let Some(message) = world.outbox.next(&world.window) {
                break message.mid;
            }
            block_on(world.outbox.wake.notified());
        };
        assert_eq!(sends.join().unwrap(), second);
    });
}
