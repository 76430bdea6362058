//! The way of one send: wait for the connection, for the rate limits, for room; then into the outbox, part by part.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Client;
use super::meters::{MessageLimits, Traffic};
use crate::dialect::thingsboard::PublishCode;
use crate::error::Error;
use crate::session::{QoS, Ticket};

/// What came of a send.
#[derive(Clone, Debug)]
pub struct Sent {
    /// One for each part that was accepted.
    pub tickets: Vec<Arc<Ticket>>,
    /// Why something of it was not.
    pub refused: Option<PublishCode>,
}

/// A send under way.
#[derive(Debug)]
pub struct Sending {
    topic: String,
    qos: QoS,
    limits: MessageLimits,
    parts: VecDeque<(Bytes, usize)>,
    /// The values of the first part are paid.
    paid: bool,
    tickets: Vec<Arc<Ticket>>,
    refused: Option<PublishCode>,
}

/// What a send waits for.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    Offline,
    Limited(Duration),
    Full,
}

impl Sending {
    pub(super) fn new(topic: String, qos: QoS, limits: MessageLimits, parts: Vec<(Bytes, usize)>) -> Self {
        let tickets = Vec::with_capacity(parts.len());
        Self { topic, qos, limits, parts: parts.into(), paid: false, tickets, refused: None }
    }

    /// Something of it was left out for this reason.
    #[must_use]
    pub fn lacking(mut self, refused: Option<PublishCode>) -> Self {
        self.refused = refused;
        self
    }

    fn end(self) -> Sent {
        Sent { tickets: self.tickets, refused: self.refused }
    }

    /// What is left is not sent.
    fn give_up(mut self, code: PublishCode) -> Sent {
        tracing::debug!(topic = %self.topic, ?code, parts = self.parts.len(), "not sent");
        self.refused.get_or_insert(code);
        self.end()
    }

    fn advance(&mut self, client: &Client) -> Result<(), Obstacle> {
        while let Some((payload, points)) = self.parts.front() {
            if !client.is_connected() {
                return Err(Obstacle::Offline);
            }
            let due = !self.limits.pay_freely(*points);
            if due {
                if !std::mem::replace(&mut self.paid, true) {
                    self.limits.pay_points(*points);
                }
                let wait = self.limits.wait(*points);
                if !wait.is_zero() {
                    return Err(Obstacle::Limited(wait));
                }
                // A server that limits is not given more than its window, in the queue or on the way.
                if client.outbox().len() >= client.outbox().limits().in_flight {
                    return Err(Obstacle::Full);
                }
            }
            match client.outbox().track(self.topic.clone(), payload.clone(), self.qos, *points) {
                Ok(ticket) => self.tickets.push(ticket),
                Err(Error::Full { .. }) => return Err(Obstacle::Full),
                Err(error) => {
                    // The rest of the parts may fit.
                    tracing::debug!(topic = %self.topic, %error, "not sent");
                    self.refused.get_or_insert(PublishCode::PayloadSize);
                }
            }
            if due {
                self.limits.pay_message();
            }
            self.paid = false;
            self.parts.pop_front();
        }
        Ok(())
    }

    /// Send without waiting; gives itself back when it must wait.
    ///
    /// # Errors
    /// Itself, to be finished with [`Sending::finish`].
    pub fn start(mut self, client: &Client) -> Result<Sent, Self> {
        match self.advance(client) {
            Ok(()) => Ok(self.end()),
            Err(Obstacle::Offline) if client.is_refused() => Ok(self.give_up(PublishCode::Auth)),
            Err(_) => Err(self),
        }
    }

    /// Send, waiting at most `patience`; without one, at most [`LONGEST`] for the connection and for room, and for the
    /// limits as long as they ask for. It ends early when the client is stopped, or the login refused.
    pub async fn finish(mut self, client: Client, patience: Option<Duration>) -> Sent {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut left = LONGEST;
        loop {
            let room = client.outbox().room();
            let stopped = client.stopping();
            let online = client.online();
            let obstacle = match self.advance(&client) {
                Ok(()) => return self.end(),
                Err(Obstacle::Offline) if client.is_stopped() => return self.give_up(PublishCode::NoConn),
                Err(Obstacle::Offline) if client.is_refused() => return self.give_up(PublishCode::Auth),
                Err(obstacle) => obstacle,
            };
            let begun = Instant::now();
            let until = deadline.unwrap_or_else(|| match obstacle {
                Obstacle::Limited(wait) => begun + wait + LONGEST,
                Obstacle::Offline | Obstacle::Full => begun + left,
            });
            let opening = async {
                match obstacle {
                    Obstacle::Offline => {
                        let mut patience = PATIENCE;
                        while tokio::time::timeout(patience, online.clone().word()).await.is_err() {
                            tracing::warn!("waiting for the connection before sending");
                            patience = REMINDER;
                        }
                    }
                    // The limits may be told meanwhile.
                    Obstacle::Limited(wait) => drop(tokio::time::timeout(wait, room).await),
                    Obstacle::Full => room.await,
                }
            };
            tokio::select! {
                () = opening => {}
                () = stopped => {}
                () = tokio::time::sleep_until(until) => {
                    return self.give_up(match obstacle {
                        Obstacle::Offline => PublishCode::NoConn,
                        Obstacle::Limited(_) | Obstacle::Full => PublishCode::QueueSize,
                    });
                }
            }
            if !matches!(obstacle, Obstacle::Limited(_)) {
                left = left.saturating_sub(begun.elapsed());
            }
        }
    }
}

/// How long a send without a time of its own waits for the connection and for room, as in the original.
const LONGEST: Duration = Duration::from_secs(190);
/// After what time a wait for the connection is told: most connections come about sooner.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is told then.
const REMINDER: Duration = Duration::from_secs(10);

impl Client {
    /// A send of whole parts; see [`Client::most_points`] for how to cut them.
    #[must_use]
    pub fn sending(&self, topic: String, qos: QoS, traffic: Traffic, parts: Vec<(Bytes, usize)>) -> Sending {
        Sending::new(topic, qos, self.limits_of(traffic), parts)
    }
}
