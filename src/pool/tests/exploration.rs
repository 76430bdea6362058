//! The roster in every order that a small world allows, and in many orders of a larger one: whatever happens in between,
//! nobody leads twice, no client is in two hands, and what waits gets done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::pool::home::Home;
use crate::pool::roster::{Alarm, HandId, Roster, Turn};

/// A client with callbacks, and what is told of it.
#[derive(Default)]
struct Client {
    home: Home,
    pending: u32,
    /// Somebody is at work for it or due.
    occupied: bool,
    /// Where its callbacks have been called since it was opened.
    hand: Option<HandId>,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    /// About to ask what is next.
    Asks {
        slow: bool,
    },
    Leads,
    StandsBy,
    Waits {
        at_most: bool,
    },
    /// In the callbacks of this client.
    Works(usize),
    /// They have returned.
    Returns(usize),
}

/// Something that may happen next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// The network brings a client something.
    Push(usize),
    /// A client has work that calls no callback.
    Poke(usize),
    /// A thread goes on.
    Step(HandId),
    /// A thread goes on after a slow callback.
    StepSlowly(HandId),
    /// A thread has waited long enough.
    TimeOut(HandId),
    Tick,
    Relieve,
    Close(usize),
}

struct World {
    roster: Roster<usize>,
    homes: usize,
    clients: Vec<Client>,
    threads: BTreeMap<HandId, Doing>,
    woken: Vec<HandId>,
    told: bool,
    alarm: bool,
    watch: bool,
    progress: u64,
    now: Instant,
}

impl World {
    fn new(clients: usize, homes: usize) -> Self {
        let mut world = Self {
            roster: Roster::new(homes),
            homes,
            clients: (0..clients).map(|_| Client::default()).collect(),
            threads: BTreeMap::new(),
            woken: Vec::new(),
            told: false,
            alarm: false,
            watch: false,
            progress: 0,
            now: Instant::now(),
        };
        world.roster.hire();
        world.follow();
        world
    }

    fn follow(&mut self) {
        let orders = self.roster.orders();
        self.told |= orders.tell_leader;
        self.woken.extend(orders.wake);
        match orders.alarm {
            Some(Alarm::Set(_)) => self.alarm = true,
            Some(Alarm::CallOff) => self.alarm = false,
            None => {}
        }
        self.watch |= orders.watch;
        if let Some(id) = orders.start {
            self.threads.insert(id, Doing::Asks { slow: false });
        }
    }

    fn turn(&mut self, id: HandId, turn: &Turn<usize>) {
        let doing = match turn {
            Turn::Work(client) => Doing::Works(*client),
            Turn::Lead => {
                // It asks at once what is due.
                self.told = true;
                Doing::Leads
            }
            Turn::StandBy => Doing::StandsBy,
            Turn::Wait(most) => Doing::Waits { at_most: most.is_some() },
            Turn::Go => {
                self.threads.remove(&id);
                return;
            }
        };
        self.threads.insert(id, doing);
    }

    /// What may happen to threads by itself.
    fn steps(&self, found: &mut Vec<Event>) {
        for (id, doing) in &self.threads {
            let goes_on = match doing {
                Doing::Asks { .. } | Doing::Works(_) | Doing::Returns(_) => true,
                Doing::Leads => self.told,
                Doing::StandsBy => self.alarm,
                Doing::Waits { .. } => self.woken.contains(id) && !self.roster.is_waiting(*id),
            };
            if goes_on {
                found.push(Event::Step(*id));
            }
        }
    }

    fn possible(&self) -> Vec<Event> {
        let mut found = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            if client.pending < 2 {
                found.push(Event::Push(number));
            }
            if !client.occupied {
                found.push(Event::Poke(number));
            }
            if client.hand.is_some() && !client.occupied {
                found.push(Event::Close(number));
            }
        }
        self.steps(&mut found);
        for (id, doing) in &self.threads {
            match doing {
                Doing::Waits { at_most: true } => found.push(Event::TimeOut(*id)),
                Doing::Returns(_) => found.push(Event::StepSlowly(*id)),
                _ => {}
            }
        }
        if self.watch {
            found.push(Event::Tick);
        }
        found.push(Event::Relieve);
        found
    }

    fn happen(&mut self, event: Event) {
        self.now += Duration::from_micros(150);
        match event {
            Event::Push(number) | Event::Poke(number) => {
                let client = &mut self.clients[number];
                client.pending += u32::from(event == Event::Push(number));
                if !std::mem::replace(&mut client.occupied, true) {
                    self.roster.submit(number, Some(client.home.clone()));
                }
            }
            Event::Close(number) => {
                self.clients[number].hand = None;
                let home = self.clients[number].home.clone();
                self.roster.depart(&home);
            }
            Event::Step(id) => self.step(id, false),
            Event::StepSlowly(id) => self.step(id, true),
            Event::TimeOut(id) => {
                let turn = self.roster.timed_out(id, self.now);
                self.turn(id, &turn);
            }
            Event::Tick => self.watch = self.roster.tick(self.progress, 0),
            Event::Relieve => self.roster.relieve(),
        }
        self.follow();
        self.check();
    }

    fn step(&mut self, id: HandId, slow: bool) {
        match self.threads[&id] {
            Doing::Asks { slow } => {
                let turn = self.roster.next(id, slow, self.now);
                self.turn(id, &turn);
            }
            Doing::Leads => {
                self.told = false;
                if let Some(turn) = self.roster.due(id, self.now) {
                    self.turn(id, &turn);
                }
            }
            Doing::StandsBy => {
                self.alarm = false;
                self.threads.insert(id, Doing::Asks { slow: false });
            }
            Doing::Waits { .. } => {
                self.woken.retain(|woken| *woken != id);
                self.threads.insert(id, Doing::Asks { slow: false });
            }
            Doing::Works(number) => {
                let client = &mut self.clients[number];
                self.progress += 1;
                if client.pending > 0 {
                    client.pending -= 1;
                    client.home.claim();
                    let before = client.hand.replace(id);
                    assert!(before.is_none_or(|before| before == id), "client {number} moved from {before:?} to {id}");
                }
                if client.pending == 0 {
                    // From here on whatever comes is submitted anew.
                    client.occupied = false;
                    self.threads.insert(id, Doing::Returns(number));
                } else if let Some(next) =
                    self.roster.go_on(id, number, |number| Some(self.clients[*number].home.clone()))
                {
                    self.threads.insert(id, Doing::Works(next));
                }
            }
            Doing::Returns(_) => match self.roster.more(id, false) {
                Some(next) => drop(self.threads.insert(id, Doing::Works(next))),
                None => drop(self.threads.insert(id, Doing::Asks { slow })),
            },
        }
    }

    fn check(&self) {
        let leaders = self.threads.values().filter(|doing| **doing == Doing::Leads).count();
        assert!(leaders <= 1, "{:?}", self.threads);
        let sleepers = self.threads.values().filter(|doing| **doing == Doing::StandsBy).count();
        assert!(sleepers <= 1, "{:?}", self.threads);
        for number in 0..self.clients.len() {
            let hands = self.threads.values().filter(|doing| **doing == Doing::Works(number)).count();
            assert!(hands <= 1, "client {number}: {:?}", self.threads);
        }
        let mut hands: Vec<_> = self.clients.iter().filter_map(|client| client.hand).collect();
        hands.sort_unstable();
        let all = hands.len();
        hands.dedup();
        assert!(hands.len() <= self.homes, "no more homes than there may be: {:?}", self.threads);
        assert!(hands.len() == all || self.clients.len() > self.homes, "two in one home: {:?}", self.threads);
    }

    /// Let everybody go on except for those in callbacks that block for ever; then nothing may be left undone.
    fn settle(&mut self, blocked: &[HandId]) {
        for round in 0.. {
            assert!(round < 10_000, "no end: {:?}", self.threads);
            let mut steps = Vec::new();
            self.steps(&mut steps);
            steps.retain(|step| !matches!(step, Event::Step(id) if blocked.contains(id)));
            match steps.first() {
                Some(_) => self.happen(steps[round % steps.len()]),
                // Time passes.
                None if self.watch => {
                    self.happen(Event::Tick);
                    let waits = self.threads.len();
                    assert!(waits < 1000);
                }
                None => break,
            }
        }
        assert!(self.threads.values().any(|doing| *doing == Doing::Leads), "no leader: {:?}", self.threads);
        for (number, client) in self.clients.iter().enumerate() {
            let shares = self.homes < self.clients.len() && !blocked.is_empty();
            let held = shares || blocked.contains(&client.home.hand());
            assert!(held || client.pending == 0, "client {number} waits: {:?}", self.threads);
        }
    }

    fn at_work(&self) -> Vec<HandId> {
        self.threads.iter().filter(|(_, doing)| matches!(doing, Doing::Works(_))).map(|(id, _)| *id).collect()
    }
}

/// Play the choices, each counted from the possible events; gives the numbers of possibilities at each choice.
fn play(clients: usize, homes: usize, choices: &[usize], mut block: impl FnMut(HandId) -> bool) -> Vec<usize> {
    let mut world = World::new(clients, homes);
    let mut widths = Vec::new();
    for choice in choices {
        let possible = world.possible();
        widths.push(possible.len());
        world.happen(possible[choice % possible.len()]);
    }
    let mut blocked = world.at_work();
    blocked.retain(|id| block(*id));
    world.settle(&blocked);
    widths
}

#[test]
fn in_every_order_of_a_few_events() {
    for (clients, homes) in [(1, 64), (2, 64), (2, 1)] {
        let mut choices = vec![0; 7];
        let mut played = 0;
        loop {
            let widths = play(clients, homes, &choices, |_| false);
            play(clients, homes, &choices, |_| true);
            played += 1;
            // The next one, as a counter whose digits have these bounds.
            let Some(at) = (0..choices.len()).rev().find(|at| choices[*at] + 1 < widths[*at]) else { break };
            choices[at] += 1;
            choices[at + 1..].fill(0);
        }
        assert!(played > 100);
    }
}

#[test]
fn in_many_orders_of_many_events() {
    for seed in 0..4_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let clients = random.usize(1..6);
        let homes = if random.bool() { 64 } else { random.usize(1..4) };
        let choices: Vec<_> = (0..random.usize(1..150)).map(|_| random.usize(..)).collect();
        let outcome = std::panic::catch_unwind(|| {
            let mut random = fastrand::Rng::with_seed(seed);
            play(clients, homes, &choices, |_| random.bool());
        });
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
