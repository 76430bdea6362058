//! A client of ThingsBoard's MQTT side: a device, or a gateway with devices behind it.

mod announced;
mod introduce;
mod limits;
mod meters;
mod numbers;
mod provision;
mod request;
mod sending;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::announced::Announced;
pub use self::announced::announcement;
use self::introduce::OPENING;
use self::meters::{ClientLimits, LEARNING, MessageLimits};
pub use self::meters::{Meter, Meters, Traffic};
use self::numbers::Numbers;
pub use self::provision::provision;
pub use self::request::{Request, Unanswered};
pub use self::sending::{Sending, Sent};
use crate::backoff::Pace;
use crate::client::receiver::Source;
use crate::client::{Delivery, Line, Platform};
use crate::dialect::mqtt::{self, code};
use crate::dialect::thingsboard::{Topic, names};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::ids::AccessKey;
use crate::net::{Proxy, Tls};
use crate::session::{
    Event, Gate, MailboxLimits, Message, Options, Outbox, OutboxLimits, QoS, Ready, Subscriptions, Ticket, Version,
    Will,
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
    /// Version of delivery of the device's own subscriptions.
    pub qos: QoS,
    /// Whether it is a gateway.
    pub gateway: bool,
    /// The version of MQTT to try first.
    pub version: Version,
    /// The part of the server's limits that is used, in percent.
    pub percentage: u64,
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The server.
    pub endpoint: Endpoint,
    /// TLS settings; needed when the endpoint speaks TLS.
    pub tls: Option<Tls>,
    /// Longest silence before the connection is probed.
    pub keep_alive: Duration,
    /// What the server publishes when the client is lost.
    pub will: Option<Will>,
    /// The proxy on the way to the server.
    pub proxy: Option<Proxy>,
    /// Bound on the opening of each connection, login included.
    pub timeout: Duration,
}

/// A client: a device or a gateway.
pub type Client = Line<Device>;

/// What is particular to clients of ThingsBoard.
#[derive(Debug)]
pub struct Device {
    config: Config,
    pace: Pace,
    limits: Arc<ClientLimits>,
    announced: Announced,
    numbers: Numbers,
    keeps_limits: AtomicBool,
    /// The server has told limits once.
    limits_known: AtomicBool,
    stopped: AtomicBool,
    stopping: Notify,
}

impl Platform for Device {
    type Own = Unanswered;
    const AWAITS_FAREWELL: bool = false;
    const SENT: &'static str = "messages";
    const JSON_ONLY: bool = false;

    fn overhear(&self, event: &Event, outbox: &Outbox, _tell: &mut dyn FnMut(Delivery<Unanswered>)) -> bool {
        match event {
            Event::Connected { again, .. } => self.introduce(outbox, *again),
            Event::Message(Message { topic, payload, .. }) => match Topic::parse(topic) {
                Topic::RpcResponse(call) if self.numbers.is_question(call) => self.hear_limits(payload, outbox),
                // The server neither acknowledges what it refuses so nor stays: it would be asked again for ever.
                Topic::PieceRefused => {
                    outbox.withdraw(names::is_package_request, code::IMPLEMENTATION_SPECIFIC);
                }
                _ => {}
            },
            Event::Lost { strained: true, .. } => {
                for meters in self.limits.all() {
                    meters.strain(LEARNING);
                }
            }
            Event::LoginRefused { code } if mqtt::asks_for_pause(*code) => self.limits.own.strain(LEARNING),
            Event::Rejected { topic, reason: code::QUOTA_EXCEEDED, .. } if topic.starts_with(names::GATEWAY) => {
                self.limits.devices.strain(Duration::ZERO);
            }
            _ => {}
        }
        true
    }

    fn gate(&self) -> Option<Arc<dyn Gate>> {
        Some(self.limits.clone())
    }

    fn rest(&self) -> Duration {
        self.limits.own.messages.limit().refilled(OPENING, Instant::now()).min(LONGEST_REST)
    }

    fn begin(&self, outbox: &Outbox) {
        if outbox.is_empty() {
            // What waits to be sent again may be a request: its number must not come twice.
            self.numbers.restart();
        }
    }

    fn max_incoming_bytes(&self) -> usize {
        MAX_INCOMING_BYTES
    }
}

/// Longest wait for the tokens that a login costs: the count is ours, not the server's.
const LONGEST_REST: Duration = Duration::from_secs(10);

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
    /// [`Line::mailbox`] soon, and must not block.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting that cannot be used.
    pub fn new(config: Config, own: Meters, devices: Meters, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        mqtt::check_text("client_id", &config.client_id)?;
        for (what, text) in [("username", config.username.as_str()), ("password", config.password.reveal())] {
            mqtt::check_secret(what, text)?;
        }
        let outbox =
            OutboxLimits { messages: usize::MAX, bytes: 1 << 30, in_flight: 60_000, ..OutboxLimits::default() };
        let subscriptions = subscriptions(&config);
        let device = Device {
            config,
            pace: Pace::default(),
            limits: Arc::new(ClientLimits { own, devices }),
            announced: Announced::default(),
            numbers: Numbers::default(),
            keeps_limits: AtomicBool::new(true),
            limits_known: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            stopping: Notify::new(),
        };
        Ok(Self::make(device, MailboxLimits::default(), outbox, subscriptions, wake))
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.platform.config
    }

    /// Delays between attempts to connect; may be changed at any time.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        &self.inner.platform.pace
    }

    /// Limits of the client's own traffic.
    #[must_use]
    pub fn own(&self) -> &Meters {
        &self.inner.platform.limits.own
    }

    /// Limits of the traffic of devices behind the gateway.
    #[must_use]
    pub fn devices(&self) -> &Meters {
        &self.inner.platform.limits.devices
    }

    fn limits_of(&self, traffic: Traffic) -> MessageLimits {
        self.inner.platform.limits.of(traffic)
    }

    /// The most values that a message of this kind may hold; 0 for any number.
    #[must_use]
    pub fn most_points(&self, traffic: Traffic) -> usize {
        self.limits_of(traffic).most_points()
    }

    /// Whether those who wait for a connection should give up.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.platform.stopped.load(Ordering::Acquire)
    }

    /// Make those who wait for a connection give up, or let them wait again.
    pub fn stop(&self, stopped: bool) {
        self.inner.platform.stopped.store(stopped, Ordering::Release);
        self.inner.platform.stopping.notify_waiters();
    }

    /// Resolves when the client is stopped. Take it before asking [`Client::is_stopped`].
    pub fn stopping(&self) -> tokio::sync::futures::Notified<'_> {
        self.inner.platform.stopping.notified()
    }

    /// Remember an announced device, to be announced again after every loss; `sent` tells what becomes of it.
    pub fn remember(&self, device: &str, kind: &str, sent: Option<Arc<Ticket>>) {
        self.inner.platform.announced.remember(device, kind, sent);
    }

    /// Announce a device no more.
    pub fn forget(&self, device: &str) {
        self.inner.platform.announced.forget(device);
    }

    /// Announce a device under its new name, now and after every loss; tells whether it was announced under the old one.
    #[must_use]
    pub fn rename(&self, from: &str, to: &str) -> bool {
        let device = &self.inner.platform;
        device.announced.rename(from, to, &self.inner.outbox, device.config.qos)
    }

    /// Whether a device is announced.
    #[must_use]
    pub fn knows(&self, device: &str) -> bool {
        self.inner.platform.announced.knows(device)
    }

    /// Tell the consumer that a request has expired, after `patience`, unless the task is aborted.
    pub async fn expire(self, request: Request, patience: Duration) {
        tokio::time::sleep(patience).await;
        self.give_up(Unanswered { request, unsent: None });
    }

    /// Tell the consumer that a request will not be answered.
    pub fn give_up(&self, unanswered: Unanswered) {
        self.mailbox().push([Delivery::Own(unanswered)]);
    }

    /// Whether the last word of the server was a refusal that will not pass by itself.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let code = self.last_refusal();
        code != 0 && !mqtt::may_pass(code)
    }

    /// Open a connection; returns when it is open, without waiting for the login, which is told as a delivery. A
    /// connection that exists is parted with when the new one is open.
    ///
    /// # Errors
    /// What kept it from opening; the client stays usable, and goes on connecting by itself if it was connected before.
    pub async fn connect(&self, how: Connection) -> Result<()> {
        let timeout = how.timeout;
        self.open(Source::Session(Box::new(self.options(how))), timeout).await
    }

    fn options(&self, how: Connection) -> Options {
        let Connection { endpoint, tls, keep_alive, will, proxy, timeout } = how;
        let config = &self.inner.platform.config;
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
            pace: self.inner.platform.pace.clone(),
            max_incoming_bytes: MAX_INCOMING_BYTES,
        }
    }
}
