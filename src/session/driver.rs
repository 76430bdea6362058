//! The one task that owns a session's socket.
//!
//! The life of a session is here (connect, serve, lose, wait, connect anew); what one connection does is in [`Link`].
//! Nothing in the serving loop waits for a consumer: a consumer that sends while both directions are full would wait
//! for itself.

mod link;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use self::link::{End, Link};
use super::connect::{Attempt, LoggedIn, connect, speaks_no_level_5};
use super::outbox::Outbox;
use super::packet::Version;
use super::receipts::Pending;
use super::subscriptions::Subscriptions;
use super::{Control, Event, Options, Ready, Session, Sink, Start};
use crate::backoff::Backoff;
use crate::dialect::mqtt;
use crate::error::{Error, Result};

/// What outlives a single connection.
pub(super) struct Driver {
    options: Options,
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    sink: Arc<dyn Sink>,
    orders: mpsc::UnboundedReceiver<Control>,
    /// Answer to whoever started the session, until it is given.
    first: Option<oneshot::Sender<Result<()>>>,
    /// Whose place the session takes as soon as its own connection stands.
    predecessor: Option<Arc<Session>>,
    pending: Pending,
    backoff: Backoff,
    /// The version that the server is known or hoped to speak.
    version: Version,
}

/// How long a session that is replaced may wait for acknowledgements.
const HANDOVER: Duration = Duration::from_secs(1);

/// What waiting for something else led to.
enum Interrupt {
    /// The handle is gone.
    Abandoned,
    /// An order came.
    Order(Control),
}

impl Interrupt {
    /// There is no connection to part with: tell whoever ordered it.
    fn answer(self) {
        if let Self::Order(Control::Close { done, .. }) = self {
            let _nobody_waits = done.send(());
        }
    }
}

impl Driver {
    pub(super) fn new(
        options: Options,
        outbox: Arc<Outbox>,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn Sink>,
        orders: mpsc::UnboundedReceiver<Control>,
        start: Start,
    ) -> Self {
        let backoff = Backoff::new(options.pace.clone(), fastrand::Rng::new());
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
            backoff,
            version,
        }
    }

    fn tell(&self, event: Event) {
        self.sink.deliver(&mut vec![event]);
    }

    pub(super) async fn run(mut self) {
        let mut again = self.first.is_none();
        if again && let Err(interrupt) = self.pause(Duration::ZERO).await {
            return interrupt.answer();
        }
        loop {
            let error = match self.connect(!again).await {
                Err(interrupt) => return interrupt.answer(),
                Ok(Ok(login)) => match self.serve(login, again).await {
                    End::Closed(done) => {
                        let _nobody_waits = done.send(());
                        return;
                    }
                    End::Abandoned => return,
                    End::Lost(error) => {
                        if let Some(first) = self.first.take() {
                            // Lost before the subscriptions were answered: the start has failed.
                            let _nobody_waits = first.send(Err(error));
                            return;
                        }
                        tracing::warn!(%error, reconnect = self.options.reconnect, "connection lost");
                        self.tell(Event::Lost { error });
                        None
                    }
                },
                Ok(Err(error)) => Some(error),
            };
            let mut pause = Duration::ZERO;
            if let Some(error) = error {
                if let Some(first) = self.first.take() {
                    let _nobody_waits = first.send(Err(error));
                    return;
                }
                tracing::info!(%error, "reconnecting failed");
                self.tell(match error {
                    Error::Refused { code, .. } => {
                        if mqtt::asks_for_pause(code) {
                            pause = Duration::from_secs(1);
                        }
                        Event::LoginRefused { code }
                    }
                    error => Event::AttemptFailed { error },
                });
            }
            if !self.options.reconnect {
                return self.tell(Event::Ended);
            }
            again = true;
            if let Err(interrupt) = self.pause(pause).await {
                return interrupt.answer();
            }
        }
    }

    /// Wait before the next attempt, longer by `more`.
    async fn pause(&mut self, more: Duration) -> Result<(), Interrupt> {
        let delay = self.backoff.next().unwrap_or_default() + more;
        tokio::select! {
            interrupt = interrupt(&mut self.orders) => Err(interrupt),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    /// One attempt; or two, when the server turns out to speak no version 5.
    async fn connect(&mut self, first: bool) -> Result<Result<LoggedIn>, Interrupt> {
        // On version 5 the flag is for this connection alone, on 3.1.1 for the session.
        let clean = |version| self.options.clean_session && (first || version == Version::V311);
        let attempt = Attempt { version: self.version, clean: clean(self.version) };
        let outcome = self.attempt(attempt).await?;
        let (Err(error), Version::V5, true) = (&outcome, self.version, self.options.fallback) else {
            return Ok(outcome);
        };
        if !speaks_no_level_5(error) {
            return Ok(outcome);
        }
        tracing::info!(%error, "the server may speak no MQTT 5: trying 3.1.1");
        let attempt = Attempt { version: Version::V311, clean: self.options.clean_session };
        match self.attempt(attempt).await? {
            Ok(login) => {
                self.version = Version::V311;
                Ok(Ok(login))
            }
            // Refused for another reason, that is the one to tell: version 3.1.1 was understood.
            Err(second @ Error::Refused { .. }) => Ok(Err(second)),
            Err(_) => Ok(outcome),
        }
    }

    async fn attempt(&mut self, attempt: Attempt) -> Result<Result<LoggedIn>, Interrupt> {
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
            interrupt = interrupt(&mut self.orders) => Err(interrupt),
            outcome = connect(&self.options, attempt, opened) => Ok(outcome),
        }
    }

    async fn serve(&mut self, login: LoggedIn, again: bool) -> End {
        take_over(&mut self.predecessor, self.sink.as_ref()).await;
        let session_present = login.answer.session_present;
        self.outbox.rewind();
        self.pending.connected(session_present);
        tracing::info!(address = %self.options.endpoint, session_present, version = ?login.version, "connected");
        let mut link = Link::new(login, again, self);
        link.serve().await
    }
}

/// The new connection stands: the session whose place it takes ends, before anything is said on the new one.
async fn take_over(predecessor: &mut Option<Arc<Session>>, sink: &dyn Sink) {
    if let Some(predecessor) = predecessor.take() {
        predecessor.close(HANDOVER).await;
        sink.deliver(&mut vec![Event::Replaced]);
    }
}

async fn interrupt(orders: &mut mpsc::UnboundedReceiver<Control>) -> Interrupt {
    match orders.recv().await {
        Some(order) => Interrupt::Order(order),
        None => Interrupt::Abandoned,
    }
}
