//! A client as a member of a group that shares an application's stream of NATS `JetStream`: each message goes to one member,
//! and is acknowledged when its callbacks have returned.
//!
//! - [`Joined`]: connected, the consumers made; [`Worker`]: the handle of a member that works
//! - `driver`: the one task that pulls, acknowledges and sends
//! - `inbox`: where messages come to
//! - `hands`: what was pulled and is not settled; `done`: what was settled lately; `window`: how much that may be
//! - `supply`: what is asked of the server, of one consumer or of lanes; `lanes`, `leases`: whose they are
//! - `dead`: messages that failed again and again; `send`: downlinks
//! - [`admin`]: who looks after the stream, and is no member
//!
//! The design: `docs/dev/nats.md`.

pub mod admin;
mod bucket;
mod consumer;
mod dead;
mod done;
mod driver;
mod hands;
mod inbox;
mod lanes;
mod leases;
mod send;
mod supply;
mod window;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::driver::Driver;
use self::inbox::Inbox;
use self::leases::Leases;
use super::stats::Tally;
use crate::dialect::lorawan::Network;
use crate::error::{Error, Result};
use crate::nats::{self, Server, stream};
use crate::session::{Event, Outbox, Sink, Subscriptions};

/// What a driver that does not end by itself is given beyond its time.
const GRACE: Duration = Duration::from_millis(500);

/// How to be a member of a group.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to connect.
    pub nats: nats::Options,
    /// What the messages are of.
    pub network: Network,
    /// The application, as subjects have it.
    pub app: String,
    /// The application, as topics have it.
    pub app_in_topics: String,
    /// The group.
    pub group: String,
    /// Whether each device's messages keep their order.
    pub ordered: bool,
    /// How long a member may be silent about a message before another one gets it.
    pub ack_wait: Duration,
    /// Most messages in hand at once.
    pub window: usize,
    /// Largest message taken in.
    pub max_incoming_bytes: usize,
    /// Whether a lost connection comes back.
    pub reconnect: bool,
    /// On how many servers what the group makes is kept, as the stream is.
    pub(super) replicas: usize,
}

/// The client's ends of a member: where messages go, where they come from.
#[derive(Clone)]
pub(in crate::client) struct Ends {
    pub(super) outbox: Arc<Outbox>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) tally: Arc<Tally>,
}

/// A member that is connected, with its consumers made, and does not work yet.
pub(super) struct Joined {
    options: Options,
    server: Server,
    stream: Stream,
    inbox: Inbox,
    leases: Option<Arc<Leases>>,
}

impl Joined {
    /// Connect and join the group.
    pub(super) async fn join(mut options: Options) -> Result<Self> {
        let server = Server::connect(&options.nats).await?;
        let (stream, network) = stream::open(server.context(), &options.app).await?;
        if network != options.network {
            return Err(Error::invalid(
                "network",
                options.network.to_string(),
                match network {
                    Network::V2 => "\"v2\", as the messages in the stream are",
                    Network::V3 => "\"v3\", as the messages in the stream are",
                    Network::ChirpStack => "\"chirpstack\", as the messages in the stream are",
                },
            ));
        }
        // In words of the log, and without waiting: the monitoring may be out of reach.
        let (looker, info, monitor) = (server.clone(), stream.cached_info().clone(), options.nats.monitor.clone());
        drop(tokio::spawn(async move { nats::look(&looker, &info, monitor).await }));
        let leases = consumer::prepare(&server, &stream, &options).await?;
        options.replicas = stream.cached_info().config.num_replicas;
        let opened = Inbox::open(server.client()).await;
        let inbox = opened.map_err(|error| nats::refused(stream::name(&options.app), &error))?;
        Ok(Self { options, server, stream, inbox, leases })
    }

    /// Begin to work.
    pub(super) fn work(self, ends: Ends, replaces: bool) -> Worker {
        let (orders, taken) = mpsc::unbounded_channel();
        let outbox = ends.outbox.clone();
        outbox.begin_again();
        let mut beginning = Vec::new();
        beginning.extend(replaces.then_some(Event::Replaced));
        beginning.push(Event::Connected { again: false, session_present: true });
        // Before the call of `connect` returns.
        ends.sink.deliver(&mut beginning);
        let driver = Driver::new(self, ends, taken);
        Worker { orders, driver: tokio::sync::Mutex::new(Some(tokio::spawn(driver.run()))), outbox }
    }
}

/// Handle of a member that works. Dropping it ends the work at once.
#[derive(Debug)]
pub(super) struct Worker {
    /// Until when to close.
    orders: mpsc::UnboundedSender<Instant>,
    driver: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    outbox: Arc<Outbox>,
}

impl Worker {
    /// Whether it has ended, or is about to.
    pub(super) fn is_over(&self) -> bool {
        self.orders.is_closed()
    }

    /// Send what was accepted, give back what nobody has begun with, and part with the server.
    pub(super) async fn close(&self, within: Duration) {
        let until = Instant::now() + within;
        // A driver that is gone already has nothing left to close.
        let _gone = self.orders.send(until);
        let mut place = self.driver.lock().await;
        if let Some(driver) = place.as_mut() {
            if tokio::time::timeout_at(until + GRACE, &mut *driver).await.is_err() {
                driver.abort();
            }
            *place = None;
        }
        let messages = self.outbox.len();
        if messages > 0 {
            tracing::warn!(messages, "closed before everything was sent and acknowledged");
        }
    }
}
