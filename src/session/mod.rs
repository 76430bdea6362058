//! One MQTT connection that stays alive, of version 3.1.1 or 5.
//!
//! A [`Session`] is a handle; one task, the driver, owns the socket. The session moves topics and bytes and knows no
//! dialect. Why the driver is ours and only the packet codec is rumqttc's: `docs/dev/session.md`.

mod asked;
mod connect;
mod connection;
mod driver;
mod frame;
#[cfg(test)]
mod fuzz;
mod keep_alive;
mod loss;
mod outbox;
mod packet;
mod queue;
mod receipts;
mod subscriptions;
mod worth;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use self::connect::is_unanswered;
pub use self::outbox::{Gate, Outbox, OutboxLimits, Ticket};
pub use self::packet::{QoS, Version, Will};
pub use self::queue::{Hands, Item, Mailbox, MailboxLimits, Overflow, QueueStats};
pub use self::receipts::{Dealt, Receipt};
pub use self::subscriptions::Subscriptions;
use crate::backoff::{Bounds, Pace};
use crate::dialect::mqtt;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::net::Proxy;

/// How to connect and how to stay connected.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub endpoint: Endpoint,
    /// TLS settings; needed when the endpoint speaks TLS.
    pub tls: Option<crate::net::Tls>,
    /// The proxy on the way to the server.
    pub proxy: Option<Proxy>,
    /// Client identifier; empty lets the server choose, which needs `clean_session`.
    pub client_id: String,
    /// User name of the login; empty for none.
    pub username: String,
    /// Password of the login; empty for none.
    pub password: AccessKey,
    /// What the server publishes when the client is lost.
    pub will: Option<Will>,
    /// The version of MQTT to speak.
    pub version: Version,
    /// Whether to speak 3.1.1 with a server that refuses version 5.
    pub fallback: bool,
    /// What [`Session::start`] waits for.
    pub ready: Ready,
    /// Whether the server forgets subscriptions and undelivered messages when the connection ends.
    pub clean_session: bool,
    /// Longest silence before the connection is probed: whole seconds up to 65,535, zero for never.
    pub keep_alive: Duration,
    /// Bound on name lookup, connection, TLS and login together, for each attempt.
    pub connect_timeout: Duration,
    /// Whether to connect anew after a loss.
    pub reconnect: bool,
    /// Delays between attempts.
    pub pace: Pace,
    /// Largest packet taken in, in bytes; larger ones are skipped and reported.
    pub max_incoming_bytes: usize,
}

/// When a session counts as started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The connection is open; a refused login is told as an event, and tried again.
    Open,
    /// Login and subscriptions are answered.
    Subscribed,
}

impl Options {
    /// Check what the protocol cannot express.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the option.
    pub fn validate(&self) -> Result<()> {
        mqtt::check_text("client_id", &self.client_id)?;
        if !self.clean_session && self.client_id.is_empty() {
            return Err(Error::invalid("client_id", "", "an identifier, since clean_session is False"));
        }
        mqtt::check_secret("access_key", self.password.reveal())?;
        if !mqtt::is_keep_alive(self.keep_alive) {
            let given = self.keep_alive.as_secs_f64().to_string();
            return Err(Error::invalid("keep_alive", given, "whole seconds from 0 (off) to 65535"));
        }
        let Bounds { min, max } = self.pace.bounds();
        if min.is_zero() || min > max {
            let given = format!("{min:?} to {max:?}");
            let expected = "more than 0 s and not more than reconnect_max_delay";
            return Err(Error::invalid("reconnect_min_delay", given, expected));
        }
        Ok(())
    }
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub struct Message {
    /// Topic it was published to.
    pub topic: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Version of delivery.
    pub qos: QoS,
    /// Whether the server had kept it.
    pub retain: bool,
    /// To be given to [`Outbox::acknowledge`] once the message is dealt with; QoS 1 only.
    pub receipt: Option<Receipt>,
}

/// What happens on a session, in order.
#[derive(Debug)]
pub enum Event {
    /// Logged in and subscribed.
    Connected {
        /// Whether this follows a loss.
        again: bool,
        /// Whether the server has kept the session.
        session_present: bool,
    },
    /// A message arrived.
    Message(Message),
    /// A published message was written (QoS 0) or acknowledged (QoS 1).
    Sent {
        /// Its message ID.
        mid: u16,
    },
    /// The server acknowledged a message with a refusal (MQTT 5); or the message was ended since the server hung up over
    /// it, again and again.
    Rejected {
        /// Its message ID.
        mid: u16,
        /// Its topic.
        topic: String,
        /// The reason code, 128 or more.
        reason: u8,
    },
    /// A packet over the limit was skipped.
    Skipped {
        /// Its topic.
        topic: String,
        /// Size of the packet in bytes.
        size: usize,
    },
    /// The server refused a subscription.
    SubscriptionRefused {
        /// The filter.
        filter: String,
    },
    /// An attempt to connect failed at the login, and that was not told by [`Session::start`].
    LoginRefused {
        /// CONNACK code: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5.
        code: u8,
    },
    /// An attempt to connect failed before the login was answered, and that was not told by [`Session::start`].
    AttemptFailed {
        /// Why.
        error: Error,
    },
    /// The session has taken the place of another one, which is over.
    Replaced,
    /// The connection was lost.
    Lost {
        /// Why.
        error: Error,
        /// Whether a rate limit of the server may be behind it.
        strained: bool,
    },
    /// The connection was lost without leave to connect anew: the session is over. Not told of a session that is closed.
    Ended,
}

/// Where a session's events go. Called from the driver's task: must not block.
pub trait Sink: Send + Sync + 'static {
    /// Take all events out of `batch`. Tells whether somebody is to handle them now, who may share the driver's thread.
    fn deliver(&self, batch: &mut Vec<Event>) -> bool;
    /// Whether more messages may come; while not, nothing is read from the network.
    fn has_room(&self) -> bool;
    /// Whether reading is so far ahead that a moment's pause is worth it; `paused` tells that there is one.
    fn is_ahead(&self, _paused: bool) -> bool {
        false
    }
    /// Notified when there is room again, or reading is not ahead any more.
    fn room(&self) -> &Notify;
    /// How long the next login has to wait, whatever the delays between attempts are.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }
}

/// The order to the driver: write and wait for what is accepted, at most until then; then part in the way of the
/// protocol. It outlives the connection: a loss ends a session that is closing.
#[derive(Clone, Copy, Debug)]
struct Close {
    until: Instant,
}

/// How a session begins.
#[derive(Debug)]
struct Start {
    /// Answer to whoever starts the session, until it is given; nobody waits for the start of one that goes on.
    first: Option<oneshot::Sender<Result<()>>>,
    /// Whose place it takes.
    predecessor: Option<Arc<Session>>,
}

/// What a driver that does not end by itself is given beyond its time, before it is ended.
const GRACE: Duration = Duration::from_millis(200);

/// Handle of a running session. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Session {
    control: mpsc::UnboundedSender<Close>,
    driver: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    outbox: Arc<Outbox>,
}

impl Session {
    /// Connect, log in and subscribe; returns when the options' [`Ready`] is reached.
    ///
    /// Messages in `outbox` from an earlier session go out first. A `predecessor` goes on until the new connection
    /// stands (logged in, or merely open where that is enough), and is closed then.
    ///
    /// # Errors
    /// What kept the connection or the login from succeeding; [`Error::SubscriptionRefused`] naming all filters, if the
    /// server refused every one of them. No driver is left behind.
    pub async fn start(
        options: Options,
        outbox: Arc<Outbox>,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
        predecessor: Option<Arc<Self>>,
    ) -> Result<Self> {
        options.validate()?;
        let (first, answer) = oneshot::channel();
        let address = options.endpoint.to_string();
        let start = Start { first: Some(first), predecessor };
        let session = Self::spawn(options, outbox, subscriptions, sink, start);
        let error = match answer.await {
            Ok(Ok(())) => return Ok(session),
            Ok(Err(error)) => error,
            Err(_) => Error::Lost { address, reason: "the session ended while connecting".into() },
        };
        // It has nothing left to do.
        session.join(Instant::now()).await;
        Err(error)
    }

    /// A session as after a loss: it connects by itself, after the first of its delays.
    #[must_use]
    pub fn resume(
        options: Options,
        outbox: Arc<Outbox>,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
    ) -> Self {
        Self::spawn(options, outbox, subscriptions, sink, Start { first: None, predecessor: None })
    }

    fn spawn(
        options: Options,
        outbox: Arc<Outbox>,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
        start: Start,
    ) -> Self {
        let (control, orders) = mpsc::unbounded_channel();
        let driver = driver::Driver::new(options, outbox.clone(), subscriptions, sink, orders, start);
        Self { control, driver: tokio::sync::Mutex::new(Some(tokio::spawn(driver.run()))), outbox }
    }

    /// Whether the session has ended, or is about to.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.control.is_closed()
    }

    /// Send what was accepted, wait for acknowledgements at most `within`, and part in the way of the protocol, which
    /// takes another second at most. The driver is gone then, whatever happened. What is left in the outbox is told in the
    /// log.
    pub async fn close(&self, within: Duration) {
        let until = Instant::now() + within;
        // A driver that is gone already has nothing left to close.
        let _gone = self.control.send(Close { until });
        self.join(until + driver::FAREWELL).await;
        let messages = self.outbox.len();
        if messages > 0 {
            tracing::warn!(messages, "closed before everything was sent and acknowledged");
        }
    }

    /// Wait for the driver's end, and bring it about if it does not come in time.
    async fn join(&self, until: Instant) {
        // Held while waiting, so that whoever closes at the same time returns no sooner.
        let mut place = self.driver.lock().await;
        let Some(driver) = place.as_mut() else { return };
        let mut outcome = tokio::time::timeout_at(until + GRACE, &mut *driver).await;
        if outcome.is_err() {
            driver.abort();
            outcome = tokio::time::timeout(GRACE, &mut *driver).await;
        }
        // It is polled no more.
        *place = None;
        match outcome {
            Ok(Err(error)) if error.is_panic() => tracing::error!(%error, "session driver panicked"),
            Ok(_) => {}
            Err(_) => tracing::error!("the session's driver does not end"),
        }
    }
}
