//! A client's life, once for all platforms: connect, stay connected, close.
//!
//! What a program wishes last holds, whoever of its threads and callbacks says it: each call of `connect` or `close` is a
//! wish with a number, one after the other takes the session's place, and a newer wish ends the waiting of an older one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::{MutexGuard, watch};
use tokio::time::Instant;

use super::backlog::Backlog;
use super::beginning::Beginning;
use super::inlet::{Hold, Inlet};
use super::online::Online;
use super::platform::Platform;
use super::receiver::{Receiver, Source};
use super::stats::{Counters, Tally, add, read};
use super::wanted::{News, Wanted};
use super::wish::{Call, Wishes};
use super::{Delivery, Stats};
use crate::error::{Error, Result};
use crate::session::{Mailbox, MailboxLimits, Outbox, OutboxLimits, Receipt, Subscriptions};

/// A session whose time to connect is over says why nothing came, and is given the time to.
const SAY_WHY: Duration = Duration::from_millis(200);

/// A client. Cheap to clone; all clones are the same client.
pub struct Line<P: Platform> {
    pub(super) inner: Arc<Inner<P>>,
}

/// What all clones of a client share.
#[derive(Debug)]
pub(super) struct Inner<P: Platform> {
    pub(super) platform: P,
    pub(super) outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    pub(super) mailbox: Mailbox<Delivery<P::Own>>,
    pub(super) news: News<P::Own>,
    pub(super) counters: Counters,
    /// Messages that wait for older ones.
    pub(super) backlog: Backlog<P::Own>,
    tally: Arc<Tally>,
    /// The session's place, held while connecting and closing so that these come one after another.
    place: tokio::sync::Mutex<Option<Place<P>>>,
    wishes: Wishes,
    pub(super) online: watch::Sender<bool>,
    /// Whether there is a session that may yet deliver something.
    open: watch::Sender<bool>,
    /// CONNACK code of the login that was refused; 0 if none was, or one was accepted after it.
    pub(super) refusal: AtomicU8,
    /// Messages are not taken any more: the client is closing.
    pub(super) muted: AtomicBool,
}

/// What messages come from, and where they lead into the client.
#[derive(Debug)]
struct Place<P: Platform> {
    receiver: Receiver,
    inlet: Arc<Inlet<P>>,
    /// The wish that it came of.
    serial: u64,
}

impl<P: Platform> Clone for Place<P> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), inlet: self.inlet.clone(), serial: self.serial }
    }
}

impl<P: Platform> Clone for Line<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<P: Platform> fmt::Debug for Line<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("platform", &self.inner.platform).finish_non_exhaustive()
    }
}

impl<P: Platform> Line<P> {
    /// A client that is not connected yet. `wake` must see to it that somebody takes deliveries out of
    /// [`Line::mailbox`] soon, and must not block.
    pub(super) fn make(
        platform: P,
        queue: MailboxLimits,
        outbox: OutboxLimits,
        subscriptions: Subscriptions,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let outbox = match platform.gate() {
            Some(gate) => Outbox::gated(outbox, gate),
            None => Outbox::new(outbox),
        };
        let inner = Inner {
            platform,
            outbox: Arc::new(outbox),
            subscriptions: Arc::new(subscriptions),
            mailbox: Mailbox::new(queue, wake),
            news: News::default(),
            counters: Counters::default(),
            backlog: Backlog::default(),
            tally: Arc::default(),
            place: tokio::sync::Mutex::default(),
            wishes: Wishes::default(),
            online: watch::Sender::new(false),
            open: watch::Sender::new(false),
            refusal: AtomicU8::new(0),
            muted: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where deliveries wait for the consumer.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox<Delivery<P::Own>> {
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

    /// Tell the consumer this and no more, beside messages; it is told everything unless this is called. A login that
    /// nobody has been told of is told now, if it is wanted and the connection still stands.
    pub fn want(&self, wanted: Wanted) {
        if let Some(delivery) = self.inner.news.want(wanted) {
            self.inner.mailbox.push([delivery]);
        }
    }

    /// Whether there is a session, be it connected or connecting anew. A loss without leave to reconnect ends it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.is_open()
    }

    /// Wait until there is no session that may yet deliver something.
    pub async fn over(&self) {
        // The sender is ours: it does not go meanwhile.
        drop(self.inner.open.subscribe().wait_for(|open| !open).await);
    }

    /// Whether the client is logged in now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.inner.online.borrow()
    }

    /// Whether the client is closing, or closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.inner.muted.load(Ordering::Acquire)
    }

    /// To wait for the connection with.
    #[must_use]
    pub fn online(&self) -> Online {
        Online(self.inner.online.subscribe())
    }

    /// CONNACK code of the login that was refused, if that is the last word of the server; else 0.
    #[must_use]
    pub fn last_refusal(&self) -> u8 {
        self.inner.refusal.load(Ordering::Acquire)
    }

    fn wish(&self, closed: bool) -> Call {
        self.inner.wishes.add(closed, || self.inner.muted.store(closed, Ordering::Release))
    }

    /// Open a session, all of it within `timeout`; what it waits for is in the options. A session that exists goes on
    /// until the new one stands, and stays if that does not come about.
    pub(super) async fn open(&self, source: Source, timeout: Duration) -> Result<()> {
        let call = self.wish(false);
        let address = source.address();
        let late = || Error::Timeout { what: format!("connecting to {address}"), after: timeout };
        let deadline = Instant::now() + timeout;
        let opening = async {
            // Somebody who is closing waits for nothing any more now that this is wished.
            let place = tokio::time::timeout_at(deadline, self.inner.place.lock()).await.map_err(|_| late())?;
            self.replace(place, source, &call, deadline).await
        };
        tokio::select! {
            outcome = opening => outcome,
            () = call.overtaken(true) => Err(Error::Lost { address, reason: "closed while connecting".into() }),
        }
    }

    async fn replace(
        &self,
        mut place: MutexGuard<'_, Option<Place<P>>>,
        source: Source,
        call: &Call,
        deadline: Instant,
    ) -> Result<()> {
        let inner = &self.inner;
        let old = place.clone().filter(|old| !old.receiver.is_over());
        let hold = old.as_ref().map(|old| Hold::on(&old.inlet));
        inner.open.send_replace(true);
        let beginning = old.is_none().then(|| Beginning::of(inner));
        if old.is_none() {
            inner.platform.begin(&inner.outbox);
        }
        let inlet = Inlet::into(inner);
        let predecessor = old.as_ref().map(|old| old.receiver.clone());
        let start = source.start(&inner.outbox, &inner.subscriptions, inlet.clone(), &inner.tally, predecessor);
        let late = |_| {
            Err(Error::Timeout { what: format!("connecting to {}", source.address()), after: source.connect_timeout() })
        };
        let outcome = tokio::time::timeout_at(deadline + SAY_WHY, start).await.unwrap_or_else(late);
        if let Some(beginning) = beginning {
            beginning.ended();
        }
        let error = match outcome {
            Ok(receiver) => {
                if let Some(hold) = hold {
                    hold.forget();
                }
                // A session that lost its connection meanwhile without leave to connect anew has closed it.
                inner.open.send_replace(true);
                *place = Some(Place { receiver, inlet, serial: call.serial });
                return Ok(());
            }
            Err(error) => error,
        };
        let goes_on = old.as_ref().is_some_and(|old| !old.receiver.is_over());
        if let Error::Refused { code, .. } = error {
            inner.refused(code);
            inner.tell(Delivery::Refused { code });
        } else if !goes_on && inner.online.send_replace(false) {
            // Logged in, and lost before the subscriptions were answered.
            inner.tell(Delivery::Lost(Error::Lost { address: source.address(), reason: error.to_string() }));
        }
        if !goes_on {
            let again = old.is_some() && source.reconnects() && !matches!(error, Error::SubscriptionRefused { .. });
            *place = again.then(|| self.resume(source, call.serial)).flatten();
            if place.is_none() {
                inner.over();
            }
        }
        drop(hold);
        Err(error)
    }

    /// A session in place of one that was given up for a connection that then failed: what was connected once goes on
    /// connecting.
    fn resume(&self, source: Source, serial: u64) -> Option<Place<P>> {
        let inlet = Inlet::into(&self.inner);
        let (outbox, subscriptions) = (self.inner.outbox.clone(), self.inner.subscriptions.clone());
        let receiver = source.resume(outbox, subscriptions, inlet.clone())?;
        Some(Place { receiver, inlet, serial })
    }

    /// Deliver what has arrived, send what was accepted, part with the server and tell the consumer: all of it at most
    /// `within`. What is left then is dropped if it came at QoS 0, and stays with the server at QoS 1. Tells whether
    /// there was a session.
    ///
    /// Must not be called by the consumer while it handles a delivery: see [`Line::close_soon`].
    pub async fn close(&self, within: Duration) -> bool {
        let call = self.wish(true);
        self.finish(&call, within, false).await
    }

    /// Begin to close and return at once: for the consumer's own use while it handles a delivery, which is finished and
    /// acknowledged first. Deliveries that nobody has begun with are dropped, or stay with the server at QoS 1.
    pub fn close_soon(&self, within: Duration) {
        let call = self.wish(true);
        self.discard_messages();
        // The callback that asked sees at once that it was heard.
        let online = self.inner.online.send_replace(false);
        let line = self.clone();
        tokio::spawn(async move { line.finish(&call, within, online).await });
    }

    /// Send what was accepted and part with the server, at most `within`, without a thought for the consumer.
    pub async fn close_quietly(&self, within: Duration) {
        self.wish(true);
        let deadline = Instant::now() + within;
        let Ok(mut place) = tokio::time::timeout_at(deadline, self.inner.place.lock()).await else { return };
        if let Some(old) = place.take() {
            self.part(old, deadline, false).await;
        }
    }

    /// `online` tells whether there was a connection when the wish was heard, if it has been given up already.
    async fn finish(&self, call: &Call, within: Duration, online: bool) -> bool {
        let deadline = Instant::now() + within;
        self.inner.let_go();
        let Ok(mut place) = tokio::time::timeout_at(deadline, self.inner.place.lock()).await else { return true };
        // What was opened by a later wish stays.
        let Some(old) = place.take_if(|place| place.serial < call.serial) else { return false };
        if self.is_connected() || online {
            tokio::select! {
                () = self.inner.platform.hear_out(within / 4) => {}
                () = call.overtaken(false) => {}
            }
        }
        // Acknowledgements that are under way get a little time of their own.
        let handled = deadline - (within / 4).min(Duration::from_secs(1));
        if !self.idle(call, handled).await {
            self.discard_messages();
        }
        self.part(old, deadline, online).await;
        // Free for whoever connects anew in a callback that is told of the end.
        drop(place);
        if P::AWAITS_FAREWELL {
            self.idle(call, deadline).await;
        }
        true
    }

    /// Wait until the consumer is done, or a later call of `connect` makes it pointless: a callback that waits for the
    /// place may itself be waited for here. Tells whether nothing is left that should be handled before closing.
    async fn idle(&self, call: &Call, until: Instant) -> bool {
        tokio::select! {
            idle = self.inner.mailbox.idle_until(until) => idle,
            () = call.overtaken(false) => true,
        }
    }

    async fn part(&self, old: Place<P>, deadline: Instant, online: bool) {
        let online = self.inner.online.send_replace(false) || online;
        let begun = Instant::now();
        old.receiver.close(deadline.saturating_duration_since(begun)).await;
        // A login that came about just then is over as well.
        self.inner.online.send_replace(false);
        tracing::debug!(took = ?begun.elapsed(), "parted with the server");
        self.inner.tell(Delivery::Closed { online });
        self.inner.over();
    }

    /// What nobody has begun with is not handled any more; at QoS 1 the server keeps it.
    fn discard_messages(&self) {
        let held = self.inner.backlog.discard();
        add(&self.inner.counters.dropped, held as u64);
        let dropped = held + self.inner.mailbox.discard(Delivery::is_message);
        if dropped > 0 {
            tracing::warn!(messages = dropped, "closing before every message was handled");
        }
    }

    /// Wait until everything accepted is written (QoS 0) or acknowledged (QoS 1).
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub async fn flush(&self, within: Duration) -> Result<()> {
        let outbox = &self.inner.outbox;
        tokio::time::timeout(within, outbox.emptied()).await.map_err(|_| {
            let what = format!("sending {} {}", outbox.len(), P::SENT);
            Error::Timeout { what, after: within }
        })
    }

    /// A message has been dealt with: let the server forget it.
    pub fn acknowledge(&self, receipt: Receipt) {
        self.inner.outbox.acknowledge(receipt);
    }

    /// A message could not be dealt with: leave it with the server, which sends it again on the next connection.
    /// `why` is what went wrong.
    pub fn keep(&self, receipt: Receipt, why: Option<String>) {
        add(&self.inner.counters.kept, 1);
        self.inner.outbox.forget(receipt, why);
    }

    /// Count messages that the consumer is done with: handled, or dropped because nobody listens.
    pub fn count(&self, delivered: u64, dropped: u64) {
        add(&self.inner.counters.delivered, delivered);
        add(&self.inner.counters.dropped, dropped);
        self.inner.mailbox.calm().notify_waiters();
    }

    /// A callback raised an exception.
    pub fn callback_failed(&self) {
        add(&self.inner.counters.callback_errors, 1);
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &self.inner.counters;
        let queue = self.inner.mailbox.stats();
        Stats {
            received: read(&counters.received),
            delivered: read(&counters.delivered),
            dropped: read(&counters.dropped) + queue.dropped,
            undecodable: read(&counters.undecodable),
            oversize: read(&counters.oversize),
            callback_errors: read(&counters.callback_errors),
            kept: read(&counters.kept),
            sent: read(&counters.sent),
            reconnects: read(&counters.reconnects),
            queue_length: queue.messages as u64,
            queue_bytes: queue.bytes as u64,
            unsent: self.inner.outbox.len() as u64,
            backfilled: P::BACKFILLS.then(|| read(&counters.backfilled)),
            shared: self.inner.platform.shares().then(|| self.inner.tally.stats()),
        }
    }
}

impl<P: Platform> Inner<P> {
    /// Tell the consumer, if it wants to hear of that.
    pub(super) fn tell(&self, delivery: Delivery<P::Own>) {
        if let Some(delivery) = self.news.filter(delivery) {
            self.mailbox.push([delivery]);
        }
    }

    /// Deliver what waits for older messages: those do not come any more.
    pub(super) fn let_go(&self) {
        self.backlog.let_go(usize::MAX, &self.mailbox);
    }

    /// A login was refused.
    pub(super) fn refused(&self, code: u8) {
        self.refusal.store(code, Ordering::Release);
        // For those who wait for a word of the server.
        self.online.send_modify(|_| {});
    }

    /// Whether there is a session.
    pub(super) fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Nothing more will be delivered. Told to the consumer after the last delivery, so that it can let go of what it
    /// kept for it.
    pub(super) fn over(&self) {
        self.let_go();
        self.platform.over();
        self.open.send_replace(false);
        self.mailbox.poke();
    }
}
