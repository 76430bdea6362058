//! MQTT on one end, NATS `JetStream` on the other.
//!
//! - `parcel`, `hold`, `gate`: what is carried, in which order, and when the stream takes it; pure
//! - `pump`: the task that carries; a receipt settles on the stream's acknowledgement
//! - `spool`: what came without a receipt, while the stream takes nothing
//! - `downlinks`, `sent`, `turns`: the way back
//! - `pubsub`: what a stack of one's own publishes over NATS itself
//!
//! Any number of bridges may run for one application: each hears everything, and the stream keeps one of each message. More in
//! `docs/dev/nats.md`.

mod downlinks;
mod gate;
mod hold;
mod parcel;
mod pubsub;
mod pump;
mod sent;
mod spool;
mod stats;
mod turns;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::downlinks::Downlinks;
use self::pump::Pump;
use self::sent::Sent;
use self::spool::Spool;
use self::stats::Counters;
pub use self::stats::Stats;
use crate::client::lorawan::{Client, Config};
use crate::dialect::lorawan::{Filter, Network};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::nats::stream::{self, Limits};
use crate::nats::{self, Server, look};
use crate::session::QoS;
use crate::sync::Mutex;

/// What tasks are given beyond their time.
const GRACE: Duration = Duration::from_secs(2);
/// Messages of Pub/Sub that may wait for the pump.
const WAITING: usize = 1024;

/// Everything that a bridge is told when it is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The application, its key, and how to keep the connection to its MQTT server. Quality and session are set by the
    /// bridge: what the network allows.
    pub mqtt: Config,
    /// The MQTT server; none where the network publishes over NATS itself.
    pub endpoint: Option<Endpoint>,
    /// Subject below which a stack of one's own publishes over NATS.
    pub pubsub: Option<String>,
    /// The NATS server.
    pub nats: nats::Options,
    /// The stream, should there be none yet.
    pub limits: Limits,
    /// Where messages without a receipt are kept while NATS takes none, and how many bytes.
    pub spool: Option<(PathBuf, u64)>,
    /// Bound on connecting to the MQTT server.
    pub timeout: Duration,
}

impl Options {
    /// Check them, and set what the network allows: V2 keeps a session, and waits for acknowledgements; V3 does neither.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn settle(&mut self) -> Result<()> {
        if self.endpoint.is_none() && self.pubsub.is_none() {
            return Err(Error::invalid("mqtt", "", "the address of an MQTT server, or a subject of Pub/Sub"));
        }
        if !(1..=65_536).contains(&self.nats.window) {
            return Err(Error::invalid("window", self.nats.window.to_string(), "1 to 65536 messages"));
        }
        self.limits.validate()?;
        if self.mqtt.network == Network::ChirpStack {
            return Err(Error::invalid(
                "network",
                "chirpstack",
                "\"v2\" or \"v3\": no bridge carries ChirpStack's messages yet",
            ));
        }
        if self.pubsub.is_some() && self.mqtt.network == Network::V2 {
            return Err(Error::invalid("pubsub", "V2", "a network of version 3, which has Pub/Sub"));
        }
        let keeps = self.mqtt.network == Network::V2;
        if keeps {
            self.spool = None;
            if self.mqtt.client_id.is_empty() {
                let expected =
                    "a name of this bridge, another one for each, by which the MQTT server keeps its messages";
                return Err(Error::invalid("name", "", expected));
            }
            self.mqtt.queue.messages = self.nats.window * 2;
        }
        self.mqtt.qos = if keeps { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        self.mqtt.clean_session = !keeps;
        Ok(())
    }
}

/// A bridge that runs.
pub struct Bridge {
    client: Client,
    server: Server,
    counters: Arc<Counters>,
    end: watch::Sender<Option<Instant>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    advice: Vec<String>,
    keeps: bool,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("client", &self.client).field("server", &self.server).finish_non_exhaustive()
    }
}

impl Bridge {
    /// Connect both ends, make the streams where there are none, and begin to carry. Both connections come back by
    /// themselves when they are lost later.
    ///
    /// # Errors
    /// What keeps an end from being had; nothing is left behind.
    pub async fn start(mut options: Options) -> Result<Self> {
        options.settle()?;
        let Options { mqtt, endpoint, pubsub, nats, limits, spool, timeout } = options;
        let (network, keeps) = (mqtt.network, !mqtt.clean_session);
        let app = network.plain(&mqtt.app_id).to_owned();
        let spool = spool.map(|(folder, most)| open_spool(&folder, most)).transpose()?;
        let server = Server::connect(&nats).await?;
        let stream = stream::make(server.context(), &app, network, &limits).await?;
        let queue = stream::make_downlinks(server.context(), &app, &limits).await?;
        let config = downlinks::consumer(&queue).await?;
        let advice = look(&server, stream.cached_info(), nats.monitor).await;

        let wake = Arc::new(Notify::new());
        let woken = wake.clone();
        let client = Client::new(mqtt, move || woken.notify_one())?;
        let queues = client.queues()?;
        client.listen([Filter::Uplink(None), Filter::Event(None, None)]);
        let (counters, sent) = (Arc::<Counters>::default(), Arc::<Sent>::default());
        let (give, others) = mpsc::channel(WAITING);
        let (end, ends) = watch::channel(None);
        let pump = Pump {
            client: client.clone(),
            server: server.clone(),
            window: nats.window,
            spool,
            counters: counters.clone(),
            sent: sent.clone(),
            wake,
            others,
            end: ends.clone(),
            state: pump::State::default(),
        };
        let mut tasks = vec![tokio::spawn(pump.run())];
        let started = Self { client, server, counters, end, tasks: Mutex::default(), advice, keeps };
        let connected = match &endpoint {
            Some(endpoint) => started.client.connect(endpoint, timeout).await,
            None => Ok(()),
        };
        let heard = match (&connected, pubsub) {
            (Ok(()), Some(base)) => pubsub::listen(&started.server, &base, &app, give).await.map(Some),
            _ => Ok(None),
        };
        if let Ok(Some(task)) = &heard {
            tasks.push(tokio::spawn(task.clone().run(ends.clone())));
        }
        if endpoint.is_some() || queues.is_some() {
            let (client, counters) = (started.client.clone(), started.counters.clone());
            let downlinks = Downlinks { client, queues, turns: Arc::default(), counters, sent, end: ends };
            tasks.push(tokio::spawn(downlinks.run(queue, config)));
        }
        *started.tasks.lock() = tasks;
        match connected.and(heard.map(drop)) {
            Ok(()) => Ok(started),
            Err(error) => {
                started.close(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    /// What should be known of the NATS server: where acknowledged messages could be lost, in plain words.
    #[must_use]
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read(self.client.is_connected(), *self.server.online().borrow())
    }

    /// Carry what was taken over, at most `within`, and part with both ends. What has not arrived stays with the MQTT server,
    /// or in the spool.
    pub async fn close(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let left = || deadline.saturating_duration_since(Instant::now());
        if !self.keeps {
            // It sends to who listens alone: nothing more comes, and what has come is carried.
            self.client.close(within / 2).await;
        }
        self.end.send_replace(Some(deadline));
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for mut task in tasks {
            if tokio::time::timeout(left() + GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
        if self.keeps {
            self.client.close_quietly(left().max(Duration::from_millis(200))).await;
        }
        self.server.close(left().max(Duration::from_millis(200))).await;
    }
}

fn open_spool(folder: &std::path::Path, most: u64) -> Result<Spool> {
    Spool::open(folder, most).map_err(|error| {
        let shown = folder.display().to_string();
        if error.kind() == io::ErrorKind::WouldBlock {
            return Error::invalid("spool", shown, "a folder that no other bridge has open: each needs one of its own");
        }
        Error::Spool { folder: shown, source: Arc::new(error) }
    })
}
