//! A client of The Things Network's MQTT side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backoff::Bounds;
use crate::client::inlet::{Inlet, Receiver};
use crate::client::stats::{Counters, add, read};
use crate::client::{Body, Delivery, Incoming, Stats};
use crate::dialect::lorawan::{Downlink, Filter, Payload, downlink_topic};
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId};
use crate::net;
use crate::session::{
    Event, Mailbox, MailboxLimits, Options, Outbox, OutboxLimits, Overflow, QoS, Ready, Session, Subscriptions, Version,
};
use crate::sync::Mutex;

/// Largest LoRaWAN application payload in bytes, at the fastest data rates.
pub const MAX_PAYLOAD_BYTES: usize = 242;

/// Everything that a client is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Application.
    pub app_id: AppId,
    /// Its access key.
    pub access_key: AccessKey,
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
}

impl Config {
    /// The defaults of the original: QoS 0, clean session, keep-alive 60 s, reconnecting.
    #[must_use]
    pub fn new(app_id: AppId, access_key: AccessKey) -> Self {
        Self {
            app_id,
            access_key,
            trust: Trust::System,
            qos: QoS::AtMostOnce,
            client_id: String::new(),
            clean_session: true,
            keep_alive: Duration::from_secs(60),
            reconnect: true,
            backoff: Bounds::default(),
            max_incoming_bytes: 4 << 20,
            queue: MailboxLimits::of(Overflow::DropOldest),
            outbox: OutboxLimits::default(),
        }
    }
}

/// A client. Cheap to clone; all clones are the same client.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    mailbox: Mailbox<Delivery>,
    counters: Counters,
    /// The session, held while connecting and closing so that these come one after another.
    link: tokio::sync::Mutex<Option<Session>>,
    /// A close that was asked for from inside a callback and is still going on.
    parting: Mutex<Option<Parting>>,
    online: AtomicBool,
    /// Whether there is a session that may yet deliver something.
    open: AtomicBool,
    /// Messages are not taken any more: the client is closing.
    muted: AtomicBool,
    /// Whether the consumer wants to hear of messages that went out.
    tells_sent: AtomicBool,
    /// CONNACK code of the login that was refused last; 0 for none.
    refusal: AtomicU8,
    /// Makes a `connect` that is under way give up.
    cancel: Notify,
}

#[derive(Debug)]
struct Parting {
    task: JoinHandle<()>,
    /// Do not wait for the callback that asked for it.
    hurry: Arc<Notify>,
}

impl Client {
    /// A client that is not connected yet. `wake` must see to it that somebody takes deliveries out of
    /// [`Client::mailbox`] soon, and must not block.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting that cannot be used.
    pub fn new(config: Config, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        if config.qos == QoS::ExactlyOnce {
            return Err(Error::invalid("qos", "2", "0 or 1"));
        }
        for (what, bound) in [
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
        options(&config, &any, Duration::from_secs(1)).validate()?;
        config.outbox.validate()?;
        let mut queue = config.queue;
        if config.qos == QoS::AtLeastOnce {
            // Nothing that the server waits to have acknowledged is dropped.
            queue.overflow = Overflow::StopReading;
        }
        let inner = Inner {
            outbox: Arc::new(Outbox::new(config.outbox)),
            subscriptions: Arc::new(Subscriptions::new(config.qos)),
            mailbox: Mailbox::new(queue, wake),
            counters: Counters::default(),
            link: tokio::sync::Mutex::default(),
            parting: Mutex::default(),
            online: AtomicBool::new(false),
            open: AtomicBool::new(false),
            muted: AtomicBool::new(false),
            tells_sent: AtomicBool::new(true),
            refusal: AtomicU8::new(0),
            cancel: Notify::new(),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Where deliveries wait for the consumer.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox<Delivery> {
        &self.inner.mailbox
    }

    /// Listen to these and nothing else, now and after every connect.
    pub fn listen(&self, filters: impl IntoIterator<Item = Filter>) {
        let app_id = &self.inner.config.app_id;
        self.inner.subscriptions.set(filters.into_iter().map(|filter| filter.to_topic(app_id)));
    }

    /// Whether the consumer gets [`Delivery::Sent`]; it does unless told otherwise.
    pub fn tell_sent(&self, wanted: bool) {
        self.inner.tells_sent.store(wanted, Ordering::Release);
    }

    /// Whether there is a session, be it connected or connecting anew. A loss without leave to reconnect ends it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.open.load(Ordering::Acquire)
    }

    /// CONNACK code of the login that was refused last; 0 for none.
    #[must_use]
    pub fn last_refusal(&self) -> u8 {
        self.inner.refusal.load(Ordering::Acquire)
    }

    /// Whether the client is logged in now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.online.load(Ordering::Acquire)
    }

    /// Connect to a server, log in and subscribe, all of it within `timeout`. A connection that exists is parted with
    /// first.
    ///
    /// # Errors
    /// What kept it from succeeding; the client stays usable. A refused login is told to the consumer as well.
    pub async fn connect(&self, endpoint: &Endpoint, timeout: Duration) -> Result<()> {
        self.part_quickly().await;
        let mut link = self.inner.link.lock().await;
        if let Some(old) = link.take() {
            self.inner.online.store(false, Ordering::Release);
            old.close(Duration::from_secs(1)).await;
        }
        self.inner.muted.store(false, Ordering::Release);
        self.inner.open.store(true, Ordering::Release);
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(timeout, self.start(endpoint, timeout)) => outcome.unwrap_or_else(|_| {
                Err(Error::Timeout { what: format!("connecting to {endpoint}"), after: timeout })
            }),
            () = self.inner.cancel.notified() => {
                Err(Error::Lost { address: endpoint.to_string(), reason: "closed while connecting".into() })
            }
        };
        match outcome {
            Ok(session) => {
                *link = Some(session);
                Ok(())
            }
            Err(error) => {
                self.inner.open.store(false, Ordering::Release);
                if self.inner.online.swap(false, Ordering::AcqRel) {
                    // Logged in, and lost before the subscriptions were answered.
                    self.inner.mailbox.push([Delivery::Closed(false)]);
                } else if let Error::Refused { code } = error {
                    self.inner.refusal.store(code, Ordering::Release);
                    self.inner.mailbox.push([Delivery::Connected(false)]);
                }
                Err(error)
            }
        }
    }

    async fn start(&self, endpoint: &Endpoint, timeout: Duration) -> Result<Session> {
        let options = Options {
            tls: endpoint.tls.then(|| net::client_config(&self.inner.config.trust)).transpose()?,
            ..options(&self.inner.config, endpoint, timeout)
        };
        let (outbox, subscriptions) = (self.inner.outbox.clone(), self.inner.subscriptions.clone());
        Session::start(options, outbox, subscriptions, Inlet::into(&self.inner)).await
    }

    /// Deliver what has arrived, send what was accepted, part with the server and tell the consumer: all of it at most
    /// `within`. What is left then is dropped if it came at QoS 0, and stays with the server at QoS 1.
    ///
    /// Must not be called by the consumer while it handles a delivery: see [`Client::close_soon`].
    pub async fn close(&self, within: Duration) {
        self.inner.cancel.notify_waiters();
        let parting = self.take_parting();
        if let Some(parting) = parting {
            finish(parting.task).await;
        }
        let mut link = self.inner.link.lock().await;
        let Some(session) = link.take() else { return };
        let deadline = Instant::now() + within;
        self.inner.muted.store(true, Ordering::Release);
        if !self.inner.mailbox.idle_until(deadline).await {
            self.discard_messages();
        }
        // The queue has had its time; acknowledgements that are under way get a little more.
        let rest = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1).min(within));
        self.part(session, rest).await;
        self.inner.mailbox.idle_until(deadline.max(Instant::now() + Duration::from_secs(1).min(within))).await;
    }

    /// Send what was accepted and part with the server, at most `within`, without a thought for the consumer.
    pub async fn close_quietly(&self, within: Duration) {
        self.inner.cancel.notify_waiters();
        self.inner.muted.store(true, Ordering::Release);
        self.part_quickly().await;
        if let Some(session) = self.inner.link.lock().await.take() {
            self.part(session, within).await;
        }
    }

    /// Begin to close and return at once: for the consumer's own use while it handles a delivery, which is finished and
    /// acknowledged first. Deliveries that nobody has begun with are dropped, or stay with the server at QoS 1.
    pub fn close_soon(&self, within: Duration) {
        self.inner.cancel.notify_waiters();
        let Ok(mut link) = self.inner.link.try_lock() else { return };
        let Some(session) = link.take() else { return };
        self.inner.muted.store(true, Ordering::Release);
        self.discard_messages();
        let hurry = Arc::new(Notify::new());
        let client = self.clone();
        let hurried = hurry.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = client.inner.mailbox.idle_until(Instant::now() + within) => {}
                () = hurried.notified() => {}
            }
            client.part(session, within).await;
        });
        *self.inner.parting.lock() = Some(Parting { task, hurry });
    }

    async fn part(&self, session: Session, within: Duration) {
        session.close(within).await;
        if self.inner.online.swap(false, Ordering::AcqRel) {
            self.inner.mailbox.push([Delivery::Closed(true)]);
        }
        self.inner.over();
    }

    fn take_parting(&self) -> Option<Parting> {
        self.inner.parting.lock().take()
    }

    async fn part_quickly(&self) {
        if let Some(parting) = self.take_parting() {
            parting.hurry.notify_one();
            finish(parting.task).await;
        }
    }

    fn discard_messages(&self) {
        let dropped = self.inner.mailbox.discard(|delivery| matches!(delivery, Delivery::Message(_)));
        if dropped > 0 {
            tracing::warn!(messages = dropped, "closing before every message was handled");
        }
    }

    /// Queue a downlink and return its message ID, 1–65535. It goes out at once; [`Delivery::Sent`] tells when it is
    /// written or acknowledged.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::TooLarge`] or [`Error::Full`]; nothing was queued.
    pub fn send(&self, dev_id: &DevId, downlink: &Downlink) -> Result<u16> {
        if let Payload::Raw(text) = &downlink.payload {
            let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
            let size = text.len() / 4 * 3 - padding;
            if size > MAX_PAYLOAD_BYTES {
                return Err(Error::TooLarge { what: "payload", size, limit: MAX_PAYLOAD_BYTES });
            }
        }
        if !self.is_connected() || self.inner.muted.load(Ordering::Acquire) {
            return Err(Error::NotConnected);
        }
        let topic = downlink_topic(&self.inner.config.app_id, dev_id);
        self.inner.outbox.publish(topic, Bytes::from(downlink.to_json()), self.inner.config.qos)
    }

    /// As [`Client::send`], but wait for room in the queue at most `within`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_within(&self, dev_id: &DevId, downlink: &Downlink, within: Duration) -> Result<u16> {
        let deadline = Instant::now() + within;
        loop {
            let room = self.inner.outbox.room();
            match self.send(dev_id, downlink) {
                Err(Error::Full { limit }) => {
                    tokio::time::timeout_at(deadline, room).await.map_err(|_| Error::Full { limit })?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Wait until every downlink is written (QoS 0) or acknowledged (QoS 1).
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub async fn flush(&self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let progress = self.inner.outbox.room();
            if self.inner.outbox.is_empty() {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, progress).await.is_err() {
                return Err(Error::Timeout {
                    what: format!("sending {} downlinks", self.inner.outbox.len()),
                    after: within,
                });
            }
        }
    }

    /// Publish bytes to any topic; for programs that reached into the original for it.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn publish(&self, topic: &str, payload: Bytes) -> Result<u16> {
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['+', '#', '\0']) {
            return Err(Error::invalid("topic", topic, "a topic without wildcards"));
        }
        if !self.is_connected() {
            return Err(Error::NotConnected);
        }
        self.inner.outbox.publish(topic.to_owned(), payload, self.inner.config.qos)
    }

    /// A message has been dealt with: let the server forget it.
    pub fn acknowledge(&self, message: &Incoming) {
        if let Some(receipt) = message.receipt {
            self.inner.outbox.acknowledge(receipt);
        }
    }

    /// Count messages that the consumer is done with: handled, or dropped because nobody listens.
    pub fn count(&self, delivered: u64, dropped: u64) {
        add(&self.inner.counters.delivered, delivered);
        add(&self.inner.counters.dropped, dropped);
    }

    /// A callback raised an exception.
    pub fn callback_failed(&self) {
        add(&self.inner.counters.callback_errors, 1);
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &self.inner.counters;
        let queue = self.inner.mailbox.stats();
        Stats {
            received: read(&counters.received),
            delivered: read(&counters.delivered),
            dropped: read(&counters.dropped) + queue.dropped,
            undecodable: read(&counters.undecodable),
            oversize: read(&counters.oversize),
            callback_errors: read(&counters.callback_errors),
            sent: read(&counters.sent),
            reconnects: read(&counters.reconnects),
            queue_length: queue.messages as u64,
            queue_bytes: queue.bytes as u64,
            unsent: self.inner.outbox.len() as u64,
        }
    }
}

fn options(config: &Config, endpoint: &Endpoint, connect_timeout: Duration) -> Options {
    Options {
        endpoint: endpoint.clone(),
        tls: None,
        client_id: config.client_id.clone(),
        username: config.app_id.as_str().to_owned(),
        password: config.access_key.clone(),
        will: None,
        proxy: None,
        version: Version::V311,
        fallback: false,
        ready: Ready::Subscribed,
        clean_session: config.clean_session,
        keep_alive: config.keep_alive,
        connect_timeout,
        reconnect: config.reconnect,
        pace: config.backoff.into(),
        max_incoming_bytes: config.max_incoming_bytes,
    }
}

async fn finish(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "closing failed");
    }
}

impl Inner {
    /// Nothing more will be delivered. Told to the consumer behind the last delivery, so that it can let go of what it
    /// kept for it.
    fn over(&self) {
        self.open.store(false, Ordering::Release);
        self.mailbox.poke();
    }
}

impl Receiver for Inner {
    type Delivery = Delivery;

    fn mailbox(&self) -> &Mailbox<Delivery> {
        &self.mailbox
    }

    fn translate(&self, event: Event) -> Option<Delivery> {
        match event {
            Event::Connected { again, .. } => {
                self.online.store(true, Ordering::Release);
                add(&self.counters.reconnects, u64::from(again));
                Some(Delivery::Connected(true))
            }
            Event::Message(message) => {
                add(&self.counters.received, 1);
                if self.muted.load(Ordering::Acquire) {
                    // At QoS 1 it is not acknowledged and stays with the server.
                    add(&self.counters.dropped, u64::from(message.receipt.is_none()));
                    return None;
                }
                let message = Incoming::from(message);
                if let Body::Undecodable { reason, .. } = &message.body {
                    add(&self.counters.undecodable, 1);
                    tracing::warn!(topic = %message.topic, %reason, "cannot decode a message");
                }
                Some(Delivery::Message(message))
            }
            Event::Sent { mid } => {
                add(&self.counters.sent, 1);
                self.tells_sent.load(Ordering::Acquire).then_some(Delivery::Sent(mid))
            }
            Event::Rejected { mid, topic, reason } => {
                tracing::error!(mid, %topic, reason, "the server refused a downlink");
                None
            }
            Event::Skipped { topic, size } => {
                add(&self.counters.oversize, 1);
                let limit = self.config.max_incoming_bytes;
                tracing::warn!(%topic, size, limit, "skipped a message over the limit");
                Some(Delivery::Problem(Error::TooLarge { what: "message", size, limit }))
            }
            Event::SubscriptionRefused { filter } => Some(Delivery::Problem(Error::SubscriptionRefused { filter })),
            Event::LoginRefused { code } => {
                self.refusal.store(code, Ordering::Release);
                Some(Delivery::Connected(false))
            }
            Event::Lost { .. } => self.online.swap(false, Ordering::AcqRel).then_some(Delivery::Closed(false)),
            Event::AttemptFailed { .. } | Event::Ended => None,
        }
    }

    fn ended(&self) {
        self.over();
    }
}
