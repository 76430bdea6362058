//! A client of ThingsBoard's MQTT side: a device, or a gateway with devices behind it.

mod delivery;
mod meters;
mod provision;
mod sending;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use self::delivery::{Delivery, Request};
use self::meters::Toll;
pub use self::meters::{Meter, Meters, Traffic};
pub use self::provision::provision;
pub use self::sending::{Sending, Sent};
use super::Incoming;
use crate::backoff::Pace;
use crate::dialect::thingsboard::{Address, Limits as Texts, RateLimit, SessionLimits, names};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::net::Proxy;
use crate::session::{
    Event, Level, Limits, Mailbox, MailboxLimits, Options, Outbox, Overflow, QoS, Ready, Receipt, Session, Sink,
    Subscriptions, Will,
};

/// Everything that a client is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// User name of the login: the device's access token, or a name; empty for none.
    pub username: String,
    /// Password; empty for none.
    pub password: AccessKey,
    /// Client identifier; empty lets the server choose.
    pub client_id: String,
    /// Level of delivery of the device's own subscriptions.
    pub qos: QoS,
    /// Whether it is a gateway.
    pub gateway: bool,
    /// The level of MQTT to try first.
    pub level: Level,
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The server.
    pub endpoint: Endpoint,
    /// TLS settings; needed when the endpoint speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// Longest silence before the connection is probed.
    pub keep_alive: Duration,
    /// What the server publishes when the client is lost.
    pub will: Option<Will>,
    /// The proxy on the way to the server.
    pub proxy: Option<Proxy>,
    /// Bound on the opening of each connection, login included.
    pub timeout: Duration,
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
    pace: Pace,
    own: Meters,
    devices: Meters,
    /// Devices that were announced through the gateway, and their types.
    announced: Mutex<BTreeMap<String, Bytes>>,
    numbers: Numbers,
    /// The session, held while connecting and closing so that these come one after another.
    link: tokio::sync::Mutex<Option<Session>>,
    /// A close that was asked for from inside a callback and is still going on.
    parting: Mutex<Option<JoinHandle<()>>>,
    online: watch::Sender<bool>,
    /// Whether there is a session that may yet deliver something.
    open: AtomicBool,
    /// Messages are not taken any more: the client is closing.
    muted: AtomicBool,
    stopped: AtomicBool,
    stopping: Notify,
    /// Makes a `connect` that is under way give up.
    cancel: Notify,
}

/// Numbers of requests, counted from 1 for each `connect`.
#[derive(Debug, Default)]
struct Numbers {
    attributes: AtomicU64,
    calls: AtomicU64,
    /// The call that asked for the session's limits; 0 for none.
    limits: AtomicU64,
}

/// What [`Client::online`] gives.
#[derive(Clone, Debug)]
pub struct Online(watch::Receiver<bool>);

impl Online {
    /// Resolves when the client is connected.
    pub async fn wait(mut self) {
        // An error tells that the client is gone: then nobody waits either.
        let _gone = self.0.wait_for(|online| *online).await;
    }
}

/// The end of the session that leads into the client.
struct Inlet {
    /// Weak, so that dropping the client ends its session.
    client: Weak<Inner>,
    room: Arc<Notify>,
}

/// Largest packet taken in: a firmware package may come in one piece.
const MAX_INCOMING_BYTES: usize = 256 << 20;

fn subscriptions(config: &Config) -> Subscriptions {
    let device = [
        names::ATTRIBUTES,
        "v1/devices/me/attributes/response/+",
        "v1/devices/me/rpc/request/+",
        "v1/devices/me/rpc/response/+",
    ];
    let gateway = [names::GATEWAY_ATTRIBUTES, names::GATEWAY_ATTRIBUTES_RESPONSE, names::GATEWAY_RPC];
    let mut filters: Vec<_> = device.map(|filter| (filter.to_owned(), config.qos)).into();
    if config.gateway {
        filters.extend(gateway.map(|filter| (filter.to_owned(), QoS::AtLeastOnce)));
    }
    Subscriptions::one_by_one(filters)
}

impl Client {
    /// A client that is not connected yet. `wake` must see to it that somebody takes deliveries out of
    /// [`Client::mailbox`] soon, and must not block.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting that cannot be used.
    pub fn new(config: Config, own: Meters, devices: Meters, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        if config.client_id.len() > 65_535 {
            return Err(Error::invalid("client_id", config.client_id.as_str(), "at most 65535 bytes"));
        }
        for (what, text) in [("username", config.username.as_str()), ("password", config.password.reveal())] {
            if text.len() > 65_535 {
                return Err(Error::invalid(what, "***", "at most 65535 bytes"));
            }
        }
        let queue = MailboxLimits { messages: 100_000, bytes: 128 << 20, overflow: Overflow::StopReading };
        let inner = Inner {
            outbox: Arc::new(Outbox::new(Limits {
                messages: usize::MAX,
                bytes: 1 << 30,
                in_flight: 60_000,
                ..Limits::default()
            })),
            subscriptions: Arc::new(subscriptions(&config)),
            mailbox: Mailbox::new(queue, wake),
            pace: Pace::default(),
            own,
            devices,
            announced: Mutex::default(),
            numbers: Numbers::default(),
            link: tokio::sync::Mutex::default(),
            parting: Mutex::default(),
            online: watch::Sender::new(false),
            open: AtomicBool::new(false),
            muted: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            stopping: Notify::new(),
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

    /// What waits to be sent.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.inner.outbox
    }

    /// What is subscribed to.
    #[must_use]
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.inner.subscriptions
    }

    /// Delays between attempts to connect; may be changed at any time.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        &self.inner.pace
    }

    /// Limits of the client's own traffic.
    #[must_use]
    pub fn own(&self) -> &Meters {
        &self.inner.own
    }

    /// Limits of the traffic of devices behind the gateway.
    #[must_use]
    pub fn devices(&self) -> &Meters {
        &self.inner.devices
    }

    fn toll(&self, traffic: Traffic) -> Toll {
        Toll::new(&self.inner.own, &self.inner.devices, traffic)
    }

    /// The most values that a message of this kind may hold; 0 for any number.
    #[must_use]
    pub fn most_points(&self, traffic: Traffic) -> usize {
        self.toll(traffic).most_points()
    }

    /// Whether there is a session, be it connected or connecting anew.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.open.load(Ordering::Acquire)
    }

    /// Whether the client is logged in now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.inner.online.borrow()
    }

    /// To wait for the connection with.
    #[must_use]
    pub fn online(&self) -> Online {
        Online(self.inner.online.subscribe())
    }

    /// Whether those who wait for a connection should give up.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }

    /// Make those who wait for a connection give up, or let them wait again.
    pub fn stop(&self, stopped: bool) {
        self.inner.stopped.store(stopped, Ordering::Release);
        self.inner.stopping.notify_waiters();
    }

    /// Resolves when the client is stopped. Take it before asking [`Client::is_stopped`].
    pub fn stopping(&self) -> tokio::sync::futures::Notified<'_> {
        self.inner.stopping.notified()
    }

    fn announced(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remember a device's announcement, to be repeated after every reconnect; or forget it.
    pub fn remember(&self, device: &str, announcement: Option<Bytes>) {
        let mut announced = self.announced();
        match announcement {
            Some(announcement) => announced.insert(device.to_owned(), announcement),
            None => announced.remove(device),
        };
    }

    /// Whether a device is announced.
    #[must_use]
    pub fn knows(&self, device: &str) -> bool {
        self.announced().contains_key(device)
    }

    /// A number for an attribute request; those that `taken` are left out.
    pub fn next_attribute_request(&self, taken: impl Fn(u64) -> bool) -> u64 {
        next(&self.inner.numbers.attributes, taken)
    }

    /// A number for a call; those that `taken` are left out.
    pub fn next_call(&self, taken: impl Fn(u64) -> bool) -> u64 {
        next(&self.inner.numbers.calls, taken)
    }

    /// Whether this call was the client's own, for the session's limits; true once.
    #[must_use]
    pub fn asked_for_limits(&self, call: u64) -> bool {
        self.inner.numbers.limits.compare_exchange(call, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Tell the consumer that a request has expired, after `patience`, unless the task is aborted.
    pub async fn expire(self, request: Request, patience: Duration) {
        tokio::time::sleep(patience).await;
        self.inner.mailbox.push([Delivery::Expired(request)]);
    }

    /// Open a connection; returns when it is open, without waiting for the login, which is told as a delivery. A
    /// connection that exists is parted with first.
    ///
    /// # Errors
    /// What kept it from opening; the client stays usable.
    pub async fn connect(&self, how: Connection) -> Result<()> {
        self.await_parting().await;
        let mut link = self.inner.link.lock().await;
        if let Some(old) = link.take() {
            self.go_offline(Duration::ZERO);
            self.part(old, Duration::ZERO).await;
        }
        self.inner.muted.store(false, Ordering::Release);
        self.inner.open.store(true, Ordering::Release);
        if self.inner.outbox.is_empty() {
            // What waits to be sent again may be a request: its number must not come twice.
            self.inner.numbers.restart();
        }
        let address = how.endpoint.to_string();
        let options = self.options(how);
        let inlet = Inlet { client: Arc::downgrade(&self.inner), room: self.inner.mailbox.room().clone() };
        let outbox = self.inner.outbox.clone();
        let outcome = tokio::select! {
            outcome = Session::start(options, outbox, self.inner.subscriptions.clone(), Arc::new(inlet)) => outcome,
            () = self.inner.cancel.notified() => Err(Error::Lost { address, reason: "closed while connecting".into() }),
        };
        match outcome {
            Ok(session) => {
                *link = Some(session);
                Ok(())
            }
            Err(error) => {
                self.inner.over();
                Err(error)
            }
        }
    }

    fn options(&self, how: Connection) -> Options {
        let Connection { endpoint, tls, keep_alive, will, proxy, timeout } = how;
        let config = &self.inner.config;
        Options {
            endpoint,
            tls,
            client_id: config.client_id.clone(),
            username: config.username.clone(),
            password: config.password.clone(),
            will,
            proxy,
            level: config.level,
            fallback: config.level == Level::V5,
            ready: Ready::Open,
            clean_session: true,
            keep_alive,
            connect_timeout: timeout,
            reconnect: true,
            pace: self.inner.pace.clone(),
            max_incoming_bytes: MAX_INCOMING_BYTES,
        }
    }

    /// Deliver what has arrived, send what was accepted, wait for acknowledgements at most `within`, and part with the
    /// server. What is left then goes out on the next connection. Tells whether there was a session.
    ///
    /// Must not be called by the consumer while it handles a delivery: see [`Client::disconnect_soon`].
    pub async fn disconnect(&self, within: Duration) -> bool {
        self.inner.cancel.notify_waiters();
        self.await_parting().await;
        let mut link = self.inner.link.lock().await;
        let Some(session) = link.take() else { return false };
        let deadline = Instant::now() + within;
        self.inner.muted.store(true, Ordering::Release);
        // Still online: callbacks may answer what they handle.
        if self.is_connected() && !self.idle_until(deadline).await {
            self.discard_messages();
        }
        let rest = self.go_offline(deadline.saturating_duration_since(Instant::now()));
        self.part(session, rest).await;
        true
    }

    /// As [`Client::disconnect`], returning at once: for the consumer's own use while it handles a delivery.
    pub fn disconnect_soon(&self, within: Duration) -> bool {
        self.inner.cancel.notify_waiters();
        let Ok(mut link) = self.inner.link.try_lock() else { return false };
        let Some(session) = link.take() else { return false };
        self.inner.muted.store(true, Ordering::Release);
        self.discard_messages();
        let within = self.go_offline(within);
        let client = self.clone();
        let task = tokio::spawn(async move { client.part(session, within).await });
        *self.inner.parting.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        true
    }

    /// Go offline at once; gives how long to wait for acknowledgements: not at all for what cannot even be sent.
    fn go_offline(&self, within: Duration) -> Duration {
        if self.inner.online.send_replace(false) { within } else { Duration::ZERO }
    }

    async fn idle_until(&self, deadline: Instant) -> bool {
        loop {
            let idle = self.inner.mailbox.idle();
            if self.inner.mailbox.is_idle() {
                return true;
            }
            if tokio::time::timeout_at(deadline, idle).await.is_err() {
                return self.inner.mailbox.is_idle();
            }
        }
    }

    async fn part(&self, session: Session, within: Duration) {
        let begun = Instant::now();
        session.close(within).await;
        tracing::debug!(took = ?begun.elapsed(), "parted with the server");
        self.inner.mailbox.push([Delivery::Closed]);
        self.inner.over();
    }

    async fn await_parting(&self) {
        let parting = self.inner.parting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(parting) = parting
            && let Err(error) = parting.await
        {
            tracing::error!(%error, "disconnecting failed");
        }
    }

    /// What nobody has begun with is not handled any more; at QoS 1 the server keeps it.
    fn discard_messages(&self) {
        let dropped = self.inner.mailbox.discard(|delivery| matches!(delivery, Delivery::Message(_)));
        if dropped > 0 {
            tracing::warn!(messages = dropped, "disconnecting before every message was handled");
        }
    }

    /// Charge what arrived to the limits, as the server does.
    pub fn charge(&self, address: Address<'_>) {
        let count = match address {
            Address::RpcRequest(_) | Address::RpcResponse(_) => 1.0,
            Address::Attributes | Address::AttributesResponse(_) => 2.0,
            _ => 0.0,
        };
        let devices = match address {
            Address::GatewayAttributes | Address::GatewayAttributesResponse | Address::GatewayRpc => 1.0,
            _ => 0.0,
        };
        let now = std::time::Instant::now();
        for (meter, count) in [(&self.inner.own.messages, count), (&self.inner.devices.messages, devices)] {
            if count > 0.0 {
                meter.limit().deduct(count, now);
            }
        }
    }

    /// The server dropped devices because of their rate: wait for new tokens before the next message.
    pub fn device_limits_reached(&self) {
        let now = std::time::Instant::now();
        for meter in self.inner.devices.all() {
            if let Some(seconds) = meter.limit().reach(now) {
                tracing::info!(seconds, "the server reports a rate limit: waiting for new tokens");
            }
        }
    }

    /// Keep to what the server says of the session; `percentage` is the part of it that is used. Gives the size that a
    /// message may have, if the server says one.
    pub fn apply(&self, limits: &SessionLimits, percentage: u64) -> Option<usize> {
        let set = |meters: &Meters, texts: &Texts| {
            let texts = [&texts.messages, &texts.telemetry_messages, &texts.telemetry_points];
            for (meter, text) in meters.all().into_iter().zip(texts) {
                let now = std::time::Instant::now();
                let (limit, invalid) = RateLimit::parse(text, percentage, now);
                for part in invalid {
                    tracing::warn!(part, "the server's rate limit cannot be read");
                }
                meter.limit().replace(limit, now);
            }
        };
        if let Some(own) = &limits.own {
            set(&self.inner.own, own);
        }
        if self.inner.config.gateway {
            set(&self.inner.devices, limits.devices.as_ref().unwrap_or(&Texts::default()));
        }
        let (messages, telemetry) = (self.inner.own.messages.limit().clone(), self.inner.own.telemetry.limit().clone());
        if let Some(window) = limits.window(&[&messages, &telemetry], percentage) {
            let meters = self.inner.own.all().into_iter().chain(self.inner.devices.all());
            let limited = meters.into_iter().any(Meter::is_set);
            let known = self.inner.outbox.limits();
            let messages = if limited { window } else { 50_000 };
            self.inner.outbox.set_limits(Limits { messages, in_flight: window, ..known });
        }
        if let Some(packet_bytes) = usize::try_from(limits.payload_bytes).ok().filter(|bytes| *bytes > 0) {
            let known = self.inner.outbox.limits();
            self.inner.outbox.set_limits(Limits { packet_bytes, ..known });
        }
        limits.payload(percentage)
    }

    /// A message has been dealt with: let the server forget it.
    pub fn acknowledge(&self, receipt: Receipt) {
        self.inner.outbox.acknowledge(receipt);
    }
}

fn next(number: &AtomicU64, taken: impl Fn(u64) -> bool) -> u64 {
    loop {
        let candidate = number.fetch_add(1, Ordering::AcqRel) + 1;
        if !taken(candidate) {
            return candidate;
        }
    }
}

impl Numbers {
    fn restart(&self) {
        for number in [&self.attributes, &self.calls, &self.limits] {
            number.store(0, Ordering::Release);
        }
    }
}

impl Inner {
    /// Nothing more will be delivered. Told to the consumer behind the last delivery, so that it can let go of what it
    /// kept for it.
    fn over(&self) {
        self.open.store(false, Ordering::Release);
        self.mailbox.poke();
    }

    /// What every connection begins with: the devices behind the gateway, and the question for the session's limits.
    fn introduce(&self, again: bool) {
        let call = next(&self.numbers.calls, |_| false);
        self.numbers.limits.store(call, Ordering::Release);
        let question = (
            format!("{}{call}", names::RPC_REQUEST),
            Bytes::from_static(br#"{"method":"getSessionLimits","params":{"timeout":5000}}"#),
        );
        let mut messages = Vec::new();
        if again {
            let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
            messages.extend(announced.values().map(|text| (names::GATEWAY_CONNECT.to_owned(), text.clone())));
        }
        messages.push(question);
        self.outbox.publish_first(messages, self.config.qos);
    }

    fn translate(&self, event: Event) -> Option<Delivery> {
        match event {
            Event::Connected { again, session_present } => {
                self.introduce(again);
                self.online.send_replace(true);
                Some(Delivery::Connected { session_present })
            }
            Event::Message(message) => {
                if self.muted.load(Ordering::Acquire) {
                    return None;
                }
                Some(Delivery::Message(Incoming::from(message)))
            }
            Event::Sent { .. } | Event::Ended => None,
            Event::Rejected { topic, reason, .. } => Some(Delivery::Rejected { topic, reason }),
            Event::Skipped { topic, size } => {
                tracing::warn!(%topic, size, "skipped a message over the limit");
                None
            }
            Event::SubscriptionRefused { filter } => Some(Delivery::Unsubscribed { filter }),
            Event::LoginRefused { code } => Some(Delivery::Refused { code }),
            Event::AttemptFailed { error } => Some(Delivery::Failed { reason: error.to_string() }),
            Event::Lost { error } => {
                self.online.send_replace(false);
                Some(Delivery::Lost { reason: error.to_string() })
            }
        }
    }
}

impl Sink for Inlet {
    fn deliver(&self, batch: &mut Vec<Event>) {
        let Some(inner) = self.client.upgrade() else { return batch.clear() };
        // Decoded before the mailbox is locked.
        let deliveries: Vec<_> = batch.drain(..).filter_map(|event| inner.translate(event)).collect();
        if !deliveries.is_empty() {
            inner.mailbox.push(deliveries);
        }
    }

    fn has_room(&self) -> bool {
        self.client.upgrade().is_none_or(|inner| inner.mailbox.has_room())
    }

    fn room(&self) -> &Notify {
        &self.room
    }
}
