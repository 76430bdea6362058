//! The one task that owns a session's socket.
//!
//! The life of a session is here: connect, serve, lose, wait, connect anew. What one connection does is in
//! `connection.rs`, its socket in `driver/link.rs`. Nothing in the serving loop waits for a consumer: a consumer that
//! sends while both directions are full would wait for itself.

mod buffer;
mod link;
mod pause;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub(super) use self::link::FAREWELL;
use self::link::{End, serve};
use super::connect::{Attempt, LoggedIn, connect, speaks_no_version_5};
use super::outbox::Outbox;
use super::packet::Version;
use super::receipts::Pending;
use super::subscriptions::Subscriptions;
use super::worth::{Cause, Patience};
use super::{Close, Event, Options, Ready, Session, Sink, Start};
use crate::backoff::Backoff;
use crate::dialect::mqtt;
use crate::error::{Error, Result};

/// How long a session that is replaced may wait for acknowledgements.
const HANDOVER: Duration = Duration::from_secs(1);
/// Longer pause for servers that ask for one.
const PAUSE: Duration = Duration::from_secs(1);

/// What outlives a single connection.
pub(super) struct Driver {
    options: Options,
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    sink: Arc<dyn Sink>,
    orders: mpsc::UnboundedReceiver<Close>,
    /// Answer to whoever started the session, until it is given.
    first: Option<oneshot::Sender<Result<()>>>,
    /// Whose place the session takes as soon as its own connection stands.
    predecessor: Option<Arc<Session>>,
    pending: Pending,
    patience: Patience,
    /// The version that the server is known or hoped to speak.
    version: Version,
}

/// The session is closed, or its handle gone: there is nothing to part with.
struct Stopped;

/// What came of an attempt to connect.
enum Outcome {
    LoggedIn(LoggedIn),
    Failed(Error),
    /// The session is closed, or its handle gone: there is nothing to part with.
    Stopped,
}

impl Driver {
    pub(super) fn new(
        options: Options,
        outbox: Arc<Outbox>,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
        orders: mpsc::UnboundedReceiver<Close>,
        start: Start,
    ) -> Self {
        let patience = Patience::new(Backoff::new(options.pace.clone(), fastrand::Rng::new()));
        let version = options.version;
        let pending = Pending::default();
        Self {
            options,
            outbox,
            subscriptions,
            sink,
            orders,
            first: start.first,
            predecessor: start.predecessor,
            pending,
            patience,
            version,
        }
    }

    fn tell(&self, event: Event) {
        self.sink.deliver(&mut vec![event]);
    }

    /// Answer whoever started the session, if that was not done yet.
    fn answer(&mut self, outcome: Result<()>) {
        if let Some(first) = self.first.take() {
            let _nobody_waits = first.send(outcome);
        }
    }

    pub(super) async fn run(mut self) {
        let mut again = self.first.is_none();
        if again {
            let delay = self.patience.after_failure();
            if self.pause(delay).await.is_err() {
                return;
            }
        }
        loop {
            let delay = match self.connect(!again).await {
                Outcome::Stopped => return,
                Outcome::Failed(error) if self.first.is_some() => return self.answer(Err(error)),
                Outcome::Failed(error) => self.failed(error),
                Outcome::LoggedIn(login) => match self.serve(login, again).await {
                    End::Closed => return,
                    End::Refused(filters) => {
                        return self.answer(Err(Error::SubscriptionRefused { filter: filters.join(", "), hint: "" }));
                    }
                    End::Lost(loss, worth) => {
                        let strained = loss.may_be_about_the_rate(worth.cause == Cause::Messages);
                        let error = loss.into_error(self.options.endpoint.to_string());
                        if self.first.is_some() {
                            // Before the subscriptions were answered: the start has failed.
                            return self.answer(Err(error));
                        }
                        tracing::warn!(%error, reconnect = self.options.reconnect, "connection lost");
                        self.tell(Event::Lost { error, strained });
                        let (delay, warning) = self.patience.after_loss(worth);
                        if let Some(cause) = warning.filter(|_| self.options.reconnect) {
                            tracing::warn!("the connection was short for the third time in a row: {cause}");
                        }
                        delay
                    }
                },
            };
            if !self.options.reconnect {
                return self.tell(Event::Ended);
            }
            again = true;
            if self.pause(delay.max(self.sink.rest())).await.is_err() {
                return;
            }
        }
    }

    /// Wait before the next attempt; an error when the session is closed meanwhile, or its handle gone.
    async fn pause(&mut self, delay: Duration) -> Result<(), Stopped> {
        tokio::select! {
            _ = self.orders.recv() => Err(Stopped),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    /// An attempt to connect anew has failed: how long to wait.
    fn failed(&mut self, error: Error) -> Duration {
        tracing::info!(%error, "reconnecting failed");
        let mut delay = self.patience.after_failure();
        self.tell(match error {
            Error::Refused { code, .. } => {
                if mqtt::asks_for_pause(code) {
                    delay += PAUSE;
                }
                Event::LoginRefused { code }
            }
            error => Event::AttemptFailed { error },
        });
        delay
    }

    /// One attempt; or two, when the server turns out to speak no version 5.
    async fn connect(&mut self, first: bool) -> Outcome {
        // On version 5 the flag is for this connection alone, on 3.1.1 for the session.
        let clean = self.options.clean_session && (first || self.version == Version::V311);
        let error = match self.attempt(Attempt { version: self.version, clean }).await {
            Outcome::Failed(error) => error,
            outcome => return outcome,
        };
        if self.version != Version::V5 || !self.options.fallback || !speaks_no_version_5(&error) {
            return Outcome::Failed(error);
        }
        tracing::info!(%error, "the server may speak no MQTT 5: trying 3.1.1");
        match self.attempt(Attempt { version: Version::V311, clean: self.options.clean_session }).await {
            Outcome::LoggedIn(login) => {
                self.version = Version::V311;
                Outcome::LoggedIn(login)
            }
            // Refused for another reason, that is the one to tell: version 3.1.1 was understood.
            Outcome::Failed(second @ Error::Refused { .. }) => Outcome::Failed(second),
            Outcome::Failed(_) => Outcome::Failed(error),
            Outcome::Stopped => Outcome::Stopped,
        }
    }

    async fn attempt(&mut self, attempt: Attempt) -> Outcome {
        let (first, predecessor, sink) = (&mut self.first, &mut self.predecessor, &self.sink);
        let ready = self.options.ready;
        let opened = async || {
            if ready == Ready::Open {
                take_over(predecessor, sink.as_ref()).await;
                if let Some(first) = first.take() {
                    let _nobody_waits = first.send(Ok(()));
                }
            }
        };
        tokio::select! {
            _ = self.orders.recv() => Outcome::Stopped,
            outcome = connect(&self.options, attempt, opened) => match outcome {
                Ok(login) => Outcome::LoggedIn(login),
                Err(error) => Outcome::Failed(error),
            },
        }
    }

    async fn serve(&mut self, login: LoggedIn, again: bool) -> End {
        take_over(&mut self.predecessor, self.sink.as_ref()).await;
        serve(self, login, again).await
    }
}

/// The new connection stands: the session whose place it takes ends, before anything is said on the new one.
async fn take_over(predecessor: &mut Option<Arc<Session>>, sink: &dyn Sink) {
    if let Some(predecessor) = predecessor.take() {
        predecessor.close(HANDOVER).await;
        sink.deliver(&mut vec![Event::Replaced]);
    }
}
