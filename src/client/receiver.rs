//! Where a client's messages come from: a session of MQTT, or a stream that it shares with others.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "nats")]
use super::shared;
use super::stats::Tally;
use crate::error::Result;
use crate::session::{Options, Outbox, Session, Sink, Subscriptions};

/// What receives and sends for a client now. Clones are the same; when the last one goes it is cut off.
#[derive(Clone, Debug)]
pub(super) enum Receiver {
    /// A connection to an MQTT server.
    Session(Arc<Session>),
    /// A member of a group that shares a stream.
    #[cfg(feature = "nats")]
    Worker(Arc<shared::Worker>),
}

impl Receiver {
    /// Whether it has ended, or is about to.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Session(session) => session.is_over(),
            #[cfg(feature = "nats")]
            Self::Worker(worker) => worker.is_over(),
        }
    }

    /// Send what was accepted and part with the server, at most `within`.
    pub(super) async fn close(&self, within: Duration) {
        match self {
            Self::Session(session) => session.close(within).await,
            #[cfg(feature = "nats")]
            Self::Worker(worker) => worker.close(within).await,
        }
    }
}

/// How to begin to receive.
#[derive(Debug)]
pub(super) enum Source {
    /// From an MQTT server.
    Session(Box<Options>),
    /// From a stream.
    #[cfg(feature = "nats")]
    Stream(Box<shared::Options>),
}

impl Source {
    /// Where it is, as errors name it.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Session(options) => options.endpoint.to_string(),
            #[cfg(feature = "nats")]
            Self::Stream(options) => options.nats.address.to_string(),
        }
    }

    /// Bound on each attempt to connect.
    pub(super) fn connect_timeout(&self) -> Duration {
        match self {
            Self::Session(options) => options.connect_timeout,
            #[cfg(feature = "nats")]
            Self::Stream(options) => options.nats.timeout,
        }
    }

    /// Whether a lost connection comes back.
    pub(super) fn reconnects(&self) -> bool {
        match self {
            Self::Session(options) => options.reconnect,
            #[cfg(feature = "nats")]
            Self::Stream(options) => options.reconnect,
        }
    }

    /// Begin. A `predecessor` goes on until the new connection stands, and is closed then.
    #[cfg_attr(not(feature = "nats"), expect(unused_variables, reason = "only members of a group count otherwise"))]
    pub(super) async fn start(
        &self,
        outbox: &Arc<Outbox>,
        subscriptions: &Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
        tally: &Arc<Tally>,
        predecessor: Option<Receiver>,
    ) -> Result<Receiver> {
        let (outbox, subscriptions) = (outbox.clone(), subscriptions.clone());
        match self {
            Self::Session(options) => {
                let (session, other) = match predecessor {
                    Some(Receiver::Session(session)) => (Some(session), None),
                    other => (None, other),
                };
                let started = Session::start((**options).clone(), outbox, subscriptions, sink, session).await?;
                if let Some(other) = other {
                    other.close(Duration::ZERO).await;
                }
                Ok(Receiver::Session(Arc::new(started)))
            }
            #[cfg(feature = "nats")]
            Self::Stream(options) => {
                let ends = shared::Ends { outbox, subscriptions, sink, tally: tally.clone() };
                // On the heap: few clients are members of a group, and all would carry its room.
                let joined = Box::pin(shared::Joined::join((**options).clone())).await?;
                let replaces = predecessor.is_some();
                if let Some(predecessor) = predecessor {
                    // What it has in hand goes to the group, of which we are one.
                    predecessor.close(Duration::ZERO).await;
                }
                Ok(Receiver::Worker(Arc::new(joined.work(ends, replaces))))
            }
        }
    }

    /// Go on as after a loss, where that can be done without a connection.
    #[cfg_attr(not(feature = "nats"), expect(clippy::unnecessary_wraps, reason = "members of a group cannot"))]
    pub(super) fn resume(
        self,
        outbox: Arc<Outbox>,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
    ) -> Option<Receiver> {
        match self {
            Self::Session(options) => {
                Some(Receiver::Session(Arc::new(Session::resume(*options, outbox, subscriptions, sink))))
            }
            #[cfg(feature = "nats")]
            Self::Stream(_) => None,
        }
    }
}
