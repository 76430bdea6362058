//! A client of ThingsBoard's MQTT side: a device, or a gateway with devices behind it.

mod delivery;
mod events;
mod limits;
mod meters;
mod numbers;
mod provision;
mod sending;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use self::delivery::{Delivery, Request};
use self::meters::Toll;
pub use self::meters::{Meter, Meters, Traffic};
use self::numbers::Numbers;
pub use self::provision::provision;
pub use self::sending::{Sending, Sent};
use super::inlet::Inlet;
use crate::backoff::Pace;
use crate::dialect::thingsboard::names;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::net::Proxy;
use crate::session::{
    Mailbox, MailboxLimits, Options, Outbox, OutboxLimits, Overflow, QoS, Ready, Receipt, Session, Subscriptions,
    Version, Will,
};
use crate::sync::{Mutex, MutexGuard};

/// Everything that a client is told when it is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// User name of the login: the device's access token, or a name; empty for none.
    pub username: String,
    /// Password; empty for none.
    pub password: AccessKey,
    /// Client identifier; empty lets the server choose.
    pub client_id: String,
    /// Version of delivery of the device's own subscriptions.
    pub qos: QoS,
    /// Whether it is a gateway.
    pub gateway: bool,
    /// The version of MQTT to try first.
    pub version: Version,
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
            outbox: Arc::new(Outbox::new(OutboxLimits {
                messages: usize::MAX,
                bytes: 1 << 30,
                in_flight: 60_000,
                ..OutboxLimits::default()
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
        self.inner.announced.lock()
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
        let (outbox, subscriptions) = (self.inner.outbox.clone(), self.inner.subscriptions.clone());
        let outcome = tokio::select! {
            outcome = Session::start(options, outbox, subscriptions, Inlet::into(&self.inner)) => outcome,
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
            version: config.version,
            fallback: config.version == Version::V5,
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
        if self.is_connected() && !self.inner.mailbox.idle_until(deadline).await {
            self.discard_messages();
        }
        let rest = self.go_offline(deadline.saturating_duration_since(Instant::now()));
        self.part(session, rest).await;
        true
    }

    /// As [`Client::disconnect`], returning at once: for the consumer's own use while it handles a delivery.
    pub fn disconnect_soon(&self, within: Duration) {
        self.inner.cancel.notify_waiters();
        let Ok(mut link) = self.inner.link.try_lock() else { return };
        let Some(session) = link.take() else { return };
        self.inner.muted.store(true, Ordering::Release);
        self.discard_messages();
        let within = self.go_offline(within);
        let client = self.clone();
        let task = tokio::spawn(async move { client.part(session, within).await });
        *self.inner.parting.lock() = Some(task);
    }

    /// Go offline at once; gives how long to wait for acknowledgements: not at all for what cannot even be sent.
    fn go_offline(&self, within: Duration) -> Duration {
        if self.inner.online.send_replace(false) { within } else { Duration::ZERO }
    }

    async fn part(&self, session: Session, within: Duration) {
        let begun = Instant::now();
        session.close(within).await;
        tracing::debug!(took = ?begun.elapsed(), "parted with the server");
        self.inner.mailbox.push([Delivery::Closed]);
        self.inner.over();
    }

    async fn await_parting(&self) {
        let parting = self.inner.parting.lock().take();
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

    /// A message has been dealt with: let the server forget it.
    pub fn acknowledge(&self, receipt: Receipt) {
        self.inner.outbox.acknowledge(receipt);
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
