//! A client of The Things Network's MQTT side.

mod backfill;
mod chirpstack;
mod directory;
mod downlinks;
mod enqueue;
mod following;
mod group;
mod handle;
mod login;
mod management;
mod memory;
#[cfg(feature = "nats")]
mod queues;
mod race;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::backfill::Backfill;
pub use self::chirpstack::Api;
use self::chirpstack::Said;
use self::directory::Directory;
use self::downlinks::Mark;
pub use self::downlinks::{Downlinked, Outcome, REMEMBERED, State};
use self::enqueue::Enqueuing;
use self::following::Following;
pub use self::group::{Group, InStream};
pub use self::management::Management;
#[cfg(feature = "nats")]
pub use self::queues::Queues;
use crate::backoff::Bounds;
use crate::client::{Delivery, Incoming, Line, Platform};
use crate::dialect::json::Value;
use crate::dialect::lorawan::{Downlink, Filter, Network, Payload, Topics, base64, uuid};
use crate::dialect::mqtt;
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId};
use crate::net::Identity;
use crate::session::{Event, MailboxLimits, Message, Outbox, OutboxLimits, Overflow, QoS, Subscriptions};
use crate::sync::Mutex;

/// Everything that a client is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the server speaks.
    pub network: Network,
    /// Application.
    pub app_id: AppId,
    /// Its access key.
    pub access_key: AccessKey,
    /// As whom to come to a broker that knows neither application nor key: user name and password.
    pub login: Option<(String, AccessKey)>,
    /// What to show a broker that wants a certificate.
    pub identity: Option<Identity>,
    /// Whom to trust where TLS is spoken.
    pub trust: Trust,
    /// Version of delivery, 0 or 1, for both directions.
    pub qos: QoS,
    /// Client identifier; empty lets the server choose.
    pub client_id: String,
    /// Whether the server forgets the client when the connection ends.
    pub clean_session: bool,
    /// Longest silence before the connection is probed.
    pub keep_alive: Duration,
    /// Whether to connect anew after a loss.
    pub reconnect: bool,
    /// Delays between attempts.
    pub backoff: Bounds,
    /// Largest packet taken in.
    pub max_incoming_bytes: usize,
    /// Bounds of the queue between network and callbacks.
    pub queue: MailboxLimits,
    /// Bounds of the queue of downlinks.
    pub outbox: OutboxLimits,
    /// How long the network may take to say that a downlink is queued, where it says so.
    pub queue_timeout: Duration,
    /// The clients among which each message goes to one; without, each client gets all of them.
    pub group: Option<Group>,
    /// Where else the network can be asked.
    pub management: Option<Management>,
    /// Where `ChirpStack` itself can be asked.
    pub api: Option<Api>,
    /// How `ChirpStack` writes its topics.
    pub topics: Topics,
    /// Whether what was missed is fetched after each login.
    pub backfill: bool,
}

impl Config {
    /// Whether it is a member of a group that shares a stream of NATS `JetStream`.
    #[must_use]
    pub fn shares_stream(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.stream().is_some())
    }

    /// The defaults of the original: QoS 0, clean session, keep-alive 60 s, reconnecting.
    #[must_use]
    pub fn new(app_id: AppId, access_key: AccessKey) -> Self {
        Self {
            network: Network::V2,
            app_id,
            access_key,
            login: None,
            identity: None,
            trust: Trust::System,
            qos: QoS::AtMostOnce,
            client_id: String::new(),
            clean_session: true,
            keep_alive: Duration::from_secs(60),
            reconnect: true,
            backoff: Bounds::default(),
            max_incoming_bytes: 4 << 20,
            queue: MailboxLimits::default(),
            outbox: OutboxLimits::default(),
            queue_timeout: Duration::from_secs(10),
            group: None,
            management: None,
            api: None,
            topics: Topics::default(),
            backfill: false,
        }
    }
}

/// What a full queue does by default. V3 drops messages without a word for a client that stops reading (V3 2.2), so the
/// client drops them itself, and tells.
#[must_use]
pub fn overflow(network: Network) -> Overflow {
    match network {
        // A broker keeps what is not read, for as long as it likes.
        Network::V2 | Network::ChirpStack => Overflow::StopReading,
        Network::V3 => Overflow::DropOldest,
    }
}

/// A client of an application.
pub type Client = Line<Application>;

/// What is particular to clients of a LoRaWAN network.
#[derive(Debug)]
pub struct Application {
    config: Config,
    /// Devices that a text was sent to which is base64 and hex alike.
    warned_of: Mutex<HashSet<String>>,
    /// How long the server is left alone, since it will refuse the next login, too.
    rest: Mutex<Duration>,
    following: Following,
    backfill: Option<Backfill>,
    /// Who is who, of a network whose topics do not say.
    directory: Directory,
    said: Said,
    enqueuing: Enqueuing,
}

impl Platform for Application {
    type Own = Infallible;
    const AWAITS_FAREWELL: bool = true;
    const SENT: &'static str = "downlinks";
    const BACKFILLS: bool = true;
    const JSON_ONLY: bool = true;

    fn rename(&self, message: &mut Message) {
        if let Some(topic) = self.config.topics.by_default(&message.topic) {
            message.topic = topic;
        }
    }

    fn overhear(&self, event: &Event, _outbox: &Outbox, tell: &mut dyn FnMut(Delivery<Infallible>)) -> bool {
        match event {
            Event::Message(message) => return self.is_new(message) && self.heard(message, tell),
            Event::Sent { mid } => return self.written(*mid),
            Event::Rejected { mid, reason, .. } => self.rejected(*mid, *reason),
            Event::Connected { .. } => {
                self.note_end(event);
                self.catch_up();
            }
            event => self.note_end(event),
        }
        true
    }

    fn take_in(&self, message: Message) -> Option<Incoming> {
        match self.config.network {
            Network::V2 | Network::V3 => Some(Incoming::from(message)),
            Network::ChirpStack => self.read(message),
        }
    }

    fn owns_all(&self) -> bool {
        self.config.network != Network::ChirpStack || uuid(self.config.app_id.as_str()).is_some()
    }

    async fn hear_out(&self, within: Duration) {
        self.hear_of_downlinks(within).await;
    }

    fn over(&self) {
        self.leave_api();
    }

    fn holds(&self) -> bool {
        self.backfill.is_some()
    }

    fn shares(&self) -> bool {
        self.config.shares_stream()
    }

    fn rest(&self) -> Duration {
        *self.rest.lock()
    }

    fn max_incoming_bytes(&self) -> usize {
        self.config.max_incoming_bytes
    }
}

impl Client {
    /// A client that is not connected yet. `wake` must see to it that somebody takes deliveries out of
    /// [`Line::mailbox`] soon, and must not block.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting that cannot be used.
    pub fn new(config: Config, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        if config.qos == QoS::ExactlyOnce {
            return Err(Error::invalid("qos", "2", "0 or 1"));
        }
        for (what, bound) in [
            ("max_message_bytes", config.max_incoming_bytes),
            ("queue_messages", config.queue.messages),
            ("queue_bytes", config.queue.bytes),
            ("send_queue_messages", config.outbox.messages),
            ("send_queue_bytes", config.outbox.bytes),
        ] {
            if bound == 0 {
                return Err(Error::invalid(what, "0", "at least 1"));
            }
        }
        let any = Endpoint { host: "localhost".into(), port: 1883, tls: false };
        login::options(&config, &any, Duration::from_secs(1)).validate()?;
        config.outbox.validate()?;
        config.check_backfill()?;
        if let Some(group) = &config.group {
            group.check(&config)?;
        }
        let mut queue = config.queue;
        if config.network == Network::V3
            && !config.shares_stream()
            && !config.backfill
            && (config.qos == QoS::AtLeastOnce || !config.clean_session)
        {
            tracing::warn!(
                "qos=1 and clean_session=False change little with The Things Stack V3, which sends messages at QoS 0 and keeps \
                 none for who is away: an uplink that comes while the client is not connected is lost; on hosted stacks \
                 backfill=True fetches it from the storage integration"
            );
        }
        config.check_chirpstack()?;
        if config.qos == QoS::AtLeastOnce && config.network != Network::V3 {
            // Nothing that the server waits to have acknowledged is dropped.
            queue.overflow = Overflow::StopReading;
        }
        if config.shares_stream() {
            // What it does not take others of the group get.
            queue.overflow = Overflow::StopReading;
        }
        let (outbox, subscriptions) = (config.outbox, Subscriptions::new(config.qos));
        let directory = Directory::new(config.app_id.as_str());
        let backfill = config.backfill.then(|| Backfill::new(config.network));
        let application = Application {
            config,
            warned_of: Mutex::default(),
            rest: Mutex::default(),
            following: Following::default(),
            backfill,
            directory,
            said: Said::default(),
            enqueuing: Enqueuing::default(),
        };
        let client = Self::make(application, queue, outbox, subscriptions, wake);
        client.inner.platform.following.attach(Arc::downgrade(&client.inner));
        Ok(client)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.platform.config
    }

    /// Listen to these and nothing else, now and after every connect.
    pub fn listen(&self, filters: impl IntoIterator<Item = Filter>) {
        self.inner.platform.following.want(filters.into_iter().collect(), self);
    }

    /// Listen to what is told of downlinks as well, whether or not a callback asks for it: now, and after every connect.
    pub fn follow(&self) {
        self.inner.platform.following.follow(self);
    }

    /// Connect to a server, log in and subscribe, all of it within `timeout`. A connection that exists goes on until the
    /// new one is logged in, and is parted with then.
    ///
    /// # Errors
    /// What kept it from succeeding; the client stays usable, and goes on connecting by itself if it was connected
    /// before. A refused login is told to the consumer as well. While The Things Stack's Identity Server is away, as its
    /// management says where that is known, the login is tried again until `timeout` is over.
    pub async fn connect(&self, endpoint: &Endpoint, timeout: Duration) -> Result<()> {
        self.log_in(endpoint, timeout).await
    }

    /// Queue a downlink and return its message ID, 1–65535. It goes out at once; [`Delivery::Sent`] tells when it is
    /// written or acknowledged.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::TooLarge`] or [`Error::Full`]; nothing was queued.
    pub fn send(&self, dev_id: &DevId, downlink: &Downlink) -> Result<u16> {
        self.check(downlink)?;
        let Config { network, app_id, qos, .. } = self.config();
        if *network == Network::ChirpStack {
            return self.command(dev_id, downlink);
        }
        let (token, mark, confirms) = if *network == Network::V2 {
            (0, Mark::device(dev_id.as_str(), downlink.port, downlink.schedule), None)
        } else {
            // Before the downlink, so that the server hears of it first.
            self.follow();
            let token = fastrand::u64(..);
            // Of a group a bridge sends it, and what the network tells of it may come to another client.
            (token, Mark::token(token), Some(dev_id).filter(|_| self.config().group.is_none()))
        };
        let (topic, body) = network.downlink(app_id, dev_id, downlink, token)?;
        let following = &self.inner.platform.following;
        let note = |mid| {
            following.note(mid, mark, confirms);
        };
        let mid = self.outbox().publish_noting(topic, Bytes::from(body), *qos, note)?;
        if let Payload::Either(text) = &downlink.payload {
            self.warn_of_either(dev_id.as_str(), text);
        }
        Ok(mid)
    }

    /// Whether it could be sent now.
    fn check(&self, downlink: &Downlink) -> Result<()> {
        if let Payload::Raw(text) | Payload::Either(text) = &downlink.payload {
            let (size, limit) = (base64::decoded_len(text), self.config().network.max_payload_bytes());
            if size > limit {
                return Err(Error::TooLarge { what: "payload", size, limit });
            }
        }
        if !self.is_connected() || self.is_closing() {
            return Err(Error::NotConnected);
        }
        Ok(())
    }

    /// Say, once for each device, how a text is sent that is base64 and hex alike.
    pub fn warn_of_either(&self, dev_id: &str, text: &str) {
        if !self.inner.platform.warned_of.lock().insert(dev_id.to_owned()) {
            return;
        }
        let bytes = hex::encode(base64::decode(text).unwrap_or_default());
        tracing::warn!(
            "{dev_id}: the payload {text:?} is base64 and hex alike, and was sent as base64, which is the bytes {bytes}; \
             to leave no doubt give bytes, as bytes.fromhex({text:?}) or base64.b64decode({text:?}) does"
        );
    }

    /// As [`Client::send`], but wait for room in the queue at most `within`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_within(&self, dev_id: &DevId, downlink: &Downlink, within: Duration) -> Result<u16> {
        let deadline = Instant::now() + within;
        loop {
            let room = self.outbox().room();
            match self.send(dev_id, downlink) {
                Err(Error::Full { limit }) => {
                    tokio::time::timeout_at(deadline, room).await.map_err(|_| Error::Full { limit })?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Send a downlink as another client has written it for this topic of the network. `note` is called with the message ID
    /// before it goes out.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn forward(
        &self,
        dev_id: &DevId,
        topic: String,
        body: Bytes,
        read: Value<'_>,
        note: impl FnOnce(u16),
    ) -> Result<u16> {
        if !self.is_connected() || self.is_closing() {
            return Err(Error::NotConnected);
        }
        let Config { network, app_id, qos, .. } = self.config();
        network.publication(app_id, &topic, &body)?;
        let first = read.get("downlinks").and_then(|downlinks| downlinks.elements().next());
        let token = first.and_then(|downlink| network.tokens(downlink).next());
        if token.is_some() {
            self.follow();
        }
        let following = &self.inner.platform.following;
        self.outbox().publish_noting(topic, body, *qos, |mid| {
            if let Some(token) = token {
                following.note(mid, Mark::token(token), Some(dev_id));
            }
            note(mid);
        })
    }

    /// Publish bytes to any topic; for programs that reached into the original for it. What is a downlink of V2 is sent as
    /// one of the network's own.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::Invalid`] for what the network would drop without a word.
    pub fn publish(&self, topic: &str, payload: Bytes) -> Result<u16> {
        mqtt::check_topic(topic)?;
        let Config { network, app_id, topics, .. } = self.config();
        let by_default = topics.by_default(topic);
        let read = network.publication(app_id, by_default.as_deref().unwrap_or(topic), &payload)?;
        if let Some((dev_id, downlink)) = read {
            return self.send(&dev_id, &downlink);
        }
        if !self.is_connected() {
            return Err(Error::NotConnected);
        }
        self.outbox().publish(topic.to_owned(), payload, self.config().qos)
    }
}
