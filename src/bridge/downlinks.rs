//! Downlinks, from their stream to the network.
//!
//! The stream is a work queue which all bridges of an application share: each downlink goes to one of them, and to another one
//! when it is not acknowledged in time. It is acknowledged when the network has it: a V2 server has acknowledged the message,
//! The Things Stack's Application Server has taken it, or, where that is not known, has told over MQTT that it is in the
//! device's queue.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::sent::{Fate, Sent};
use super::stats::{Counters, one};
use super::turns::{Turn, Turns};
use crate::client::lorawan::{Client, Queues, State};
use crate::dialect::json::Document;
use crate::dialect::lorawan::Network;
use crate::error::{Error, Result};
use crate::ids::DevId;
use crate::nats::subject::Subject;
use crate::nats::{refused, trouble};

/// The consumer that bridges share.
const CONSUMER: &str = "bridge";
/// How long a downlink may take before another bridge gets it.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// How long the MQTT server may take to acknowledge.
const PUBACK: Duration = Duration::from_secs(10);
/// Delays before a downlink is tried again; after the last one it is given up.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// Downlinks of which the network's word is awaited.
const WAITING: i64 = 256;
/// Pause before the stream is asked again after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What hands them on.
#[derive(Clone)]
pub(super) struct Downlinks {
    pub(super) client: Client,
    /// The way to the Application Server, where it is known.
    pub(super) queues: Option<Queues>,
    pub(super) turns: Arc<Turns>,
    pub(super) counters: Arc<Counters>,
    pub(super) sent: Arc<Sent>,
    pub(super) end: watch::Receiver<Option<Instant>>,
}

/// What is wrong with a downlink.
enum Trouble {
    /// It will not be better the next time.
    Final(String),
    /// It may be.
    Passing(String),
}

/// The consumer that bridges share, made if there is none.
pub(super) async fn consumer(stream: &Stream) -> Result<pull::Config> {
    let config = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        description: Some("hands downlinks to the network".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: WAITING,
        ..pull::Config::default()
    };
    let name = || stream.cached_info().config.name.clone();
    stream.get_or_create_consumer(CONSUMER, config.clone()).await.map_err(|error| refused(name(), &error))?;
    Ok(config)
}

impl Downlinks {
    /// Hand on until the end is asked for.
    pub(super) async fn run(mut self, stream: Stream, config: pull::Config) {
        let mut end = self.end.clone();
        tokio::select! {
            () = self.forever(stream, config) => {}
            // An error: the bridge is gone.
            _ended = end.wait_for(Option::is_some) => {}
        }
    }

    async fn forever(&mut self, stream: Stream, config: pull::Config) {
        let mut told = false;
        loop {
            if let Err(reason) = self.follow(&stream, &config, &mut told).await
                && !std::mem::replace(&mut told, true)
            {
                tracing::warn!("downlinks wait in their stream: {reason}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn follow(&mut self, stream: &Stream, config: &pull::Config, told: &mut bool) -> Result<(), String> {
        let consumer = stream.get_or_create_consumer(CONSUMER, config.clone()).await.map_err(|e| trouble(&e))?;
        let mut messages = consumer.messages().await.map_err(|e| trouble(&e))?;
        loop {
            if self.queues.is_none() {
                // What is asked for while the MQTT server is away could not be sent.
                self.client.online().wait().await;
            }
            let Some(message) = messages.next().await else { return Ok(()) };
            let message = message.map_err(|error| trouble(&error))?;
            *told = false;
            let begun = self.begin(&message);
            let each = self.clone();
            tokio::spawn(async move { each.finish(message, begun).await });
        }
    }

    /// Send it, or queue for sending; in the order in which they stand in the stream.
    fn begin(&self, message: &Message) -> Result<Begun, Trouble> {
        let config = self.client.config();
        let is_last = |text: String| Trouble::Final(text);
        let subject = Subject::parse(&message.subject).ok_or_else(|| is_last("its subject is none of ours".into()))?;
        let topic = subject.topic(config.network, config.app_id.as_str());
        let topic = topic.ok_or_else(|| is_last("its subject is no downlink of this network".into()))?;
        let dev_id = subject.dev_id().unwrap_or_default();
        let dev_id = config.network.dev_id(dev_id).map_err(|error| is_last(error.to_string()))?;
        if self.queues.is_some() {
            let turn = self.turns.take(dev_id.as_str());
            return Ok(Begun::Queued { dev_id, replaces: subject.kind() == "down.replace", turn });
        }
        let document = Document::parse(&message.payload).map_err(|error| is_last(format!("it is no JSON: {error}")))?;
        let mut waiting = None;
        let note = |mid| waiting = Some(self.sent.expect(mid));
        let mid = self.client.forward(&dev_id, topic, message.payload.clone(), document.root(), note);
        let mid = mid.map_err(|error| match error {
            Error::Invalid { .. } | Error::TooLarge { .. } => is_last(error.to_string()),
            error => Trouble::Passing(error.to_string()),
        })?;
        Ok(Begun::Written { mid, waiting })
    }

    async fn finish(self, message: Message, begun: Result<Begun, Trouble>) {
        let outcome = match begun {
            Ok(begun) => self.ended(begun, &message).await,
            Err(trouble) => Err(trouble),
        };
        let attempt = message.info().map_or(1, |info| info.delivered);
        let (kind, counter) = match outcome {
            Ok(()) => (AckKind::Ack, &self.counters.downlinks),
            Err(Trouble::Passing(reason)) => {
                let delay = usize::try_from(attempt - 1).ok().and_then(|before| AGAIN.get(before));
                if let Some(delay) = delay {
                    tracing::warn!(subject = %message.subject, attempt, "a downlink is tried again: {reason}");
                    (AckKind::Nak(Some(*delay)), &self.counters.downlinks_retried)
                } else {
                    tracing::error!(subject = %message.subject, attempt, "a downlink is given up: {reason}");
                    (AckKind::Term, &self.counters.downlinks_refused)
                }
            }
            Err(Trouble::Final(reason)) => {
                tracing::error!(subject = %message.subject, "a downlink is refused: {reason}");
                (AckKind::Term, &self.counters.downlinks_refused)
            }
        };
        if let Err(error) = message.ack_with(kind).await {
            // It comes again when its time is over.
            tracing::warn!(%error, "a downlink cannot be acknowledged in its stream");
        }
        one(counter);
    }

    /// What the network says of it.
    async fn ended(&self, begun: Begun, message: &Message) -> Result<(), Trouble> {
        let (mid, waiting) = match begun {
            Begun::Written { mid, waiting } => (mid, waiting),
            Begun::Queued { dev_id, replaces, turn } => return self.put(&dev_id, message, replaces, turn).await,
        };
        let network = self.client.config().network;
        if let (Network::V3, Ok(at)) = (network, self.client.downlink(mid)) {
            self.sent.forget(mid);
            let within = self.client.config().queue_timeout + PUBACK;
            return match self.client.reached(at, State::Queued, within).await {
                Ok(_) => Ok(()),
                Err(error @ Error::Downlink { state: "failed", .. }) => Err(Trouble::Final(error.to_string())),
                Err(error) => Err(Trouble::Passing(error.to_string())),
            };
        }
        let Some(waiting) = waiting else { return Ok(()) };
        match tokio::time::timeout(PUBACK, waiting).await {
            Ok(Ok(fate)) => fate.map_err(Trouble::Final),
            // Nobody will say any more.
            Ok(Err(_)) => Err(Trouble::Passing("the bridge is closing".to_owned())),
            Err(_) => {
                self.sent.forget(mid);
                Err(Trouble::Passing(format!("the MQTT server does not acknowledge it within {PUBACK:?}")))
            }
        }
    }

    /// Hand it to the Application Server.
    async fn put(&self, dev_id: &DevId, message: &Message, replaces: bool, mut turn: Turn) -> Result<(), Trouble> {
        let Some(queues) = &self.queues else { return Ok(()) };
        turn.come().await;
        queues.put(dev_id, &message.payload, replaces).await.map_err(|error| {
            let reason = error.to_string();
            if error.is_retryable() { Trouble::Passing(reason) } else { Trouble::Final(reason) }
        })
    }
}

/// A downlink that is on its way.
enum Begun {
    /// To the MQTT server.
    Written { mid: u16, waiting: Option<tokio::sync::oneshot::Receiver<Fate>> },
    /// To the Application Server, after those of its device that came before.
    Queued { dev_id: DevId, replaces: bool, turn: Turn },
}
