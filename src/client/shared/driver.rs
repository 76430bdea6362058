//! The task of a member: pulls messages for the client, tells the server what became of them, sends downlinks.

mod intake;
mod order;
mod settle;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::done::Done;
use super::hands::{Hands, Held};
use super::inbox::Inbox;
use super::lanes::Lanes;
use super::leases::{Leases, Round};
use super::supply::{Pulls, Supply};
use super::window::Window;
use super::{Ends, Joined, Options};
use crate::error::{Error, Result};
use crate::nats::{Server, subject};
use crate::session::Event;

/// Shortest and longest time between looks at what is due.
const TICK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// How soon a member that has fewer lanes than its share asks again, at first.
const SOON: Duration = Duration::from_millis(100);

/// What is said to the server at a subject, with an answer to come at another one.
type Word = (Subject, Option<String>, Bytes);

pub(super) struct Driver {
    options: Options,
    server: Server,
    stream: async_nats::jetstream::stream::Stream,
    inbox: Inbox,
    leases: Option<Arc<Leases>>,
    ends: Ends,
    orders: mpsc::UnboundedReceiver<Instant>,
    online: watch::Receiver<bool>,
    /// What the client was told last of the connection.
    was_online: bool,
    hands: Hands,
    done: Done,
    window: Window,
    supply: Supply,
    /// Words that wait for the connection.
    unsaid: Vec<Word>,
    sends: JoinSet<u16>,
    burials: JoinSet<(Held, Result<()>)>,
    rounds: JoinSet<Result<Round>>,
    /// When the next round is due, the delay after that, and when the last one came about.
    next_round: Instant,
    patience: Duration,
    renewed: Instant,
    /// Members that were heard of.
    known: HashSet<String>,
    /// What the program listens to, as of this version.
    wanted: Vec<String>,
    version: Option<u64>,
    numbered: u64,
    name: String,
}

impl Driver {
    pub(super) fn new(joined: Joined, ends: Ends, orders: mpsc::UnboundedReceiver<Instant>) -> Self {
        let Joined { options, server, stream, inbox, leases } = joined;
        let now = Instant::now();
        let supply = if leases.is_some() { Supply::Lanes(Lanes::default()) } else { Supply::Common(Pulls::default()) };
        Self {
            online: server.online(),
            was_online: true,
            hands: Hands::new(),
            done: Done::default(),
            window: Window::new(options.window),
            supply,
            unsaid: Vec::new(),
            sends: JoinSet::new(),
            burials: JoinSet::new(),
            rounds: JoinSet::new(),
            next_round: now,
            patience: SOON,
            renewed: now,
            known: HashSet::new(),
            wanted: Vec::new(),
            version: None,
            numbered: 0,
            name: format!("{:016x}", fastrand::u64(..)),
            options,
            server,
            stream,
            inbox,
            leases,
            ends,
            orders,
        }
    }

    pub(super) async fn run(mut self) {
        let mut members = match &self.leases {
            Some(leases) => leases.members().await,
            // What the others have handled, when the server may have forgotten it.
            None => self.server.client().subscribe(self.handled_subject()).await.ok(),
        };
        let pause = (self.options.ack_wait / 12).clamp(TICK.0, TICK.1);
        let mut tick = tokio::time::interval(pause);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Until when to close, or nothing if the client is gone.
        let until = loop {
            match self.step(&mut members, &mut tick).await {
                Step::On => {}
                Step::Close(until) => break until,
            }
        };
        if let Some(until) = until {
            self.close(until).await;
        }
    }

    async fn step(&mut self, members: &mut Option<Subscriber>, tick: &mut Interval) -> Step {
        self.settle().await;
        self.send();
        self.ask().await;
        let ends = self.ends.clone();
        tokio::select! {
            order = self.orders.recv() => return Step::Close(order),
            message = self.inbox.next() => match message {
                Some(message) => self.take_in(message).await,
                // async-nats has given the connection up, which it does not by itself.
                None => return self.lost_for_good(),
            },
            () = ends.outbox.woken() => {}
            () = ends.sink.room().notified() => {}
            () = ends.subscriptions.changed() => {}
            Ok(()) = self.online.changed() => {
                if self.connection_changed().await {
                    return Step::Close(None);
                }
            }
            Some(Ok(mid)) = self.sends.join_next() => self.sent(mid),
            Some(Ok((held, outcome))) = self.burials.join_next() => self.buried(held, outcome).await,
            Some(Ok(outcome)) = self.rounds.join_next() => self.went_round(outcome),
            Some(message) = next_of(members) => match &self.leases {
                Some(_) => self.member_told(&message),
                None => self.done.told(&message.payload, self.options.ack_wait),
            },
            _ = tick.tick() => self.ticked().await,
        }
        Step::On
    }

    fn is_online(&self) -> bool {
        *self.online.borrow()
    }

    fn listens(&mut self) -> bool {
        let version = self.ends.subscriptions.version();
        if self.version != Some(version) {
            self.version = Some(version);
            self.wanted = self.ends.subscriptions.wanted().into_iter().map(|(filter, _)| filter).collect();
        }
        !self.wanted.is_empty()
    }

    /// Say something to the server, now or when it can be reached again.
    async fn say(&mut self, word: Word) {
        if !self.is_online() {
            self.unsaid.push(word);
            return;
        }
        let (subject, reply, payload) = word;
        let client = self.server.client();
        let said = match reply {
            Some(reply) => client.publish_with_reply(subject, reply, payload).await,
            None => client.publish(subject, payload).await,
        };
        if let Err(error) = said {
            tracing::warn!(%error, "cannot tell NATS what became of a message: it comes again");
        }
    }

    /// The connection went or came. Tells whether the work ends with that.
    async fn connection_changed(&mut self) -> bool {
        let online = *self.online.borrow_and_update();
        let was_online = std::mem::replace(&mut self.was_online, online);
        // With one that was lost and is back already, the server knows nothing of what was asked either.
        if was_online && self.connection_lost() {
            return true;
        }
        if online {
            self.connection_back().await;
        }
        false
    }

    fn handled_subject(&self) -> String {
        format!("handled.{}.things.{}", self.options.group, subject::token(&self.options.app))
    }

    async fn connection_back(&mut self) {
        let told = self.done.doubt(self.options.ack_wait);
        if self.leases.is_none() {
            for word in told {
                self.say((self.handled_subject().into(), None, word)).await;
            }
        }
        match &mut self.supply {
            Supply::Common(pulls) => pulls.forget(),
            Supply::Lanes(lanes) => lanes.forget(),
        }
        if let Err(error) = self.inbox.open_again().await {
            tracing::warn!(%error, "cannot subscribe at NATS");
        }
        // One that is under way waits for answers that went with the old connection.
        self.rounds = JoinSet::new();
        self.next_round = Instant::now();
        self.ends.sink.deliver(&mut vec![Event::Connected { again: true, session_present: true }]);
    }

    /// Tells whether the work ends with that.
    fn connection_lost(&mut self) -> bool {
        // The others are told when it is back.
        drop(self.done.doubt(self.options.ack_wait));
        let address = self.options.nats.address.to_string();
        let error = Error::Lost { address, reason: "NATS does not answer, or has closed it".to_owned() };
        let mut told = vec![Event::Lost { error, strained: false }];
        if !self.options.reconnect {
            told.push(Event::Ended);
        }
        self.ends.sink.deliver(&mut told);
        !self.options.reconnect
    }

    fn lost_for_good(&mut self) -> Step {
        let address = self.options.nats.address.to_string();
        let error = Error::Lost { address, reason: "the connection to NATS has ended".to_owned() };
        self.ends.sink.deliver(&mut vec![Event::Lost { error, strained: false }, Event::Ended]);
        Step::Close(None)
    }

    /// What is due from time to time.
    async fn ticked(&mut self) {
        if self.is_online() {
            for word in std::mem::take(&mut self.unsaid) {
                self.say(word).await;
            }
            for reply in self.hands.due(self.options.ack_wait / 3) {
                self.say((reply, None, Bytes::from_static(b"+WPI"))).await;
            }
        }
        let Some(leases) = &self.leases else { return };
        let Supply::Lanes(lanes) = &mut self.supply else { return };
        let now = Instant::now();
        if now.duration_since(self.renewed) > self.options.ack_wait {
            // Others have them by now.
            lanes.clear();
        }
        if now >= self.next_round && self.rounds.is_empty() && *self.online.borrow() {
            let (leases, mine) = (leases.clone(), lanes.leases());
            self.rounds.spawn(async move { leases.round(mine).await });
        }
    }

    /// Finish what is under way, give back what nobody has begun with, and part.
    async fn close(&mut self, until: Instant) {
        while !self.sends.is_empty() || !self.burials.is_empty() || !self.ends.outbox.is_empty() {
            self.settle().await;
            self.send();
            tokio::select! {
                Some(Ok(mid)) = self.sends.join_next() => self.sent(mid),
                Some(Ok((held, outcome))) = self.burials.join_next() => self.buried(held, outcome).await,
                () = tokio::time::sleep_until(until) => break,
                else => break,
            }
        }
        self.settle().await;
        let within = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        // What comes now would wait for `ack_wait` with others.
        let late = if self.is_online() {
            self.inbox.end(self.supply.outstanding(), Instant::now() + within).await
        } else {
            Vec::new()
        };
        for reply in self.hands.take_all().into_iter().map(|held| held.reply).chain(late) {
            self.say((reply, None, Bytes::from_static(b"-NAK"))).await;
        }
        if let (Some(leases), Supply::Lanes(lanes)) = (&self.leases, &mut self.supply) {
            self.rounds.abort_all();
            let mine: Vec<_> = lanes.leases().into_iter().collect();
            if *self.online.borrow() {
                leases.leave(&mine, within).await;
            }
        }
        if self.is_online() {
            self.server.close(within).await;
        }
    }
}

/// What the driver does next.
enum Step {
    On,
    /// Close until then; at once and without a word where the client is gone.
    Close(Option<Instant>),
}

async fn next_of(subscriber: &mut Option<Subscriber>) -> Option<Message> {
    match subscriber {
        Some(subscriber) => subscriber.next().await,
        None => std::future::pending().await,
    }
}
