//! The way of one send: wait for the connection, for the rate limits, for room; then into the outbox, part by part.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Client;
use super::meters::{Toll, Traffic};
use crate::dialect::thingsboard::PublishCode;
use crate::error::Error;
use crate::session::{QoS, Ticket};

/// What came of a send.
#[derive(Clone, Debug)]
pub struct Sent {
    /// One for each part that was accepted.
    pub tickets: Vec<Arc<Ticket>>,
    /// Why the rest was not.
    pub refused: Option<PublishCode>,
}

/// A send under way.
#[derive(Debug)]
pub struct Sending {
    topic: String,
    qos: QoS,
    toll: Toll,
    parts: VecDeque<(Bytes, usize)>,
    /// The values of the first part are paid.
    paid: bool,
    tickets: Vec<Arc<Ticket>>,
}

/// What a send waits for.
#[derive(Debug)]
enum Obstacle {
    Offline,
    Limited(Duration),
    Full,
}

impl Sending {
    pub(super) fn new(topic: String, qos: QoS, toll: Toll, parts: Vec<(Bytes, usize)>) -> Self {
        let tickets = Vec::with_capacity(parts.len());
        Self { topic, qos, toll, parts: parts.into(), paid: false, tickets }
    }

    /// The message is refused for ever.
    fn impossible(self, code: PublishCode) -> Sent {
        Sent { tickets: self.tickets, refused: Some(code) }
    }

    fn advance(&mut self, client: &Client) -> Result<(), Advance> {
        while let Some((payload, points)) = self.parts.front() {
            if !client.is_connected() {
                return Err(Advance::Blocked(Obstacle::Offline));
            }
            let due = self.toll.is_due();
            if due {
                if !std::mem::replace(&mut self.paid, true) {
                    self.toll.pay_points(*points);
                }
                let wait = self.toll.wait(*points);
                if !wait.is_zero() {
                    return Err(Advance::Blocked(Obstacle::Limited(wait)));
                }
                // A server that limits is not given more than its window, in the queue or on the way.
                if client.outbox().len() >= client.outbox().limits().in_flight {
                    return Err(Advance::Blocked(Obstacle::Full));
                }
            }
            match client.outbox().track(self.topic.clone(), payload.clone(), self.qos) {
                Ok(ticket) => self.tickets.push(ticket),
                Err(Error::Full { .. }) => return Err(Advance::Blocked(Obstacle::Full)),
                Err(_) => return Err(Advance::Impossible(PublishCode::PayloadSize)),
            }
            if due {
                self.toll.pay_message();
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
            Ok(()) => Ok(Sent { tickets: self.tickets, refused: None }),
            Err(Advance::Impossible(code)) => Ok(self.impossible(code)),
            Err(Advance::Blocked(_)) => Err(self),
        }
    }

    /// Send, waiting at most `patience`, or for ever; or until the client is stopped.
    pub async fn finish(mut self, client: Client, patience: Option<Duration>) -> Sent {
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            let room = client.outbox().room();
            let stopped = client.stopping();
            if client.is_stopped() && !client.is_connected() {
                return self.impossible(PublishCode::NoConn);
            }
            let obstacle = match self.advance(&client) {
                Ok(()) => return Sent { tickets: self.tickets, refused: None },
                Err(Advance::Impossible(code)) => return self.impossible(code),
                Err(Advance::Blocked(obstacle)) => obstacle,
            };
            let online = client.online();
            let opening = async {
                match obstacle {
                    Obstacle::Offline => {
                        let mut patience = PATIENCE;
                        while tokio::time::timeout(patience, online.clone().wait()).await.is_err() {
                            tracing::warn!("waiting for the connection before sending");
                            patience = REMINDER;
                        }
                    }
                    Obstacle::Limited(wait) => tokio::time::sleep(wait).await,
                    Obstacle::Full => room.await,
                }
            };
            let code = match obstacle {
                Obstacle::Offline => PublishCode::NoConn,
                Obstacle::Limited(_) | Obstacle::Full => PublishCode::QueueSize,
            };
            let patience = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = opening => {}
                () = stopped => {}
                () = patience => {
                    tracing::warn!(topic = %self.topic, ?code, "not sent in the time that was given");
                    return self.impossible(code);
                }
            }
        }
    }
}

enum Advance {
    Blocked(Obstacle),
    Impossible(PublishCode),
}

/// After what time a wait for the connection is told: most connections come about sooner.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is told then.
const REMINDER: Duration = Duration::from_secs(10);

impl Client {
    /// A send of whole parts; see [`Client::most_points`] for how to cut them.
    #[must_use]
    pub fn sending(&self, topic: String, qos: QoS, traffic: Traffic, parts: Vec<(Bytes, usize)>) -> Sending {
        Sending::new(topic, qos, self.toll(traffic), parts)
    }
}
