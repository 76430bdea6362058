//! What carries messages from MQTT into the stream: one task.
//!
//! The MQTT server is told that a message is dealt with when the stream has acknowledged it. While the stream takes nothing,
//! messages with a receipt stay with the MQTT server, which is not read any more; those without go to the spool.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::gate::Gate;
use super::hold::Hold;
use super::parcel::{Parcel, Settle};
use super::sent::Sent;
use super::spool::Spool;
use super::stats::{Counters, one};
use crate::client::Delivery;
use crate::client::lorawan::Client;
use crate::nats::{Server, trouble};
use crate::session::Hands;

/// Messages held, for each that may be on its way: devices that send a lot wait behind their own.
const HELD: usize = 4;
/// Bytes held.
const HELD_BYTES: usize = 64 << 20;
/// Deliveries taken from the client at a time.
const BATCH: usize = 256;

/// What became of the message that a device had on its way.
type Outcome = (u64, Result<PublishAck, PublishError>);

/// The task's state.
pub(super) struct Pump {
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) window: usize,
    pub(super) spool: Option<Spool>,
    pub(super) counters: Arc<Counters>,
    pub(super) sent: Arc<Sent>,
    /// Notified when the client has deliveries.
    pub(super) wake: Arc<Notify>,
    /// Messages from elsewhere than MQTT.
    pub(super) others: mpsc::Receiver<Parcel>,
    /// Until when to finish, once it is to end.
    pub(super) end: watch::Receiver<Option<Instant>>,
    pub(super) state: State,
}

/// What the task begins with.
pub(super) struct State {
    hold: Hold,
    gate: Gate,
    acks: FuturesUnordered<BoxFuture<'static, Outcome>>,
    hands: Hands<Delivery<Infallible>>,
    /// The client has, or may have, deliveries.
    available: bool,
    /// Nothing came from elsewhere, and nothing will.
    alone: bool,
    /// Messages without a receipt are being lost.
    drops: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            hold: Hold::default(),
            gate: Gate::Open,
            acks: FuturesUnordered::new(),
            hands: Hands::default(),
            available: false,
            alone: false,
            drops: false,
        }
    }
}

impl Pump {
    /// Carry until the end is asked for, and everything that is held has arrived or time is up.
    pub(super) async fn run(mut self) {
        let mut online = self.server.online();
        loop {
            let end = *self.end.borrow_and_update();
            if end.is_none() {
                self.fill();
            }
            if self.state.hold.len() == 0 && self.state.gate.rest(Instant::now()) {
                self.open();
            }
            self.unspool();
            self.send().await;
            self.show();
            if let Some(until) = end
                && (self.is_empty() || Instant::now() >= until)
            {
                break;
            }
            let takes_more = end.is_none() && self.has_room();
            let pause = self.state.gate.until();
            tokio::select! {
                Some(outcome) = self.state.acks.next() => self.settle(outcome),
                () = self.wake.notified(), if takes_more => self.state.available = true,
                parcel = self.others.recv(), if takes_more && !self.state.alone => match parcel {
                    Some(parcel) => self.take_in(parcel),
                    None => self.state.alone = true,
                },
                () = sleep(pause) => {}
                () = sleep(end) => {}
                Ok(()) = online.changed() => {
                    if *online.borrow_and_update() {
                        self.state.gate.hurry(Instant::now());
                    } else {
                        self.lose();
                    }
                }
                ended = self.end.changed() => if ended.is_err() {
                    break;
                },
            }
            // What has arrived meanwhile, before anything else is sent.
            while let Some(Some(outcome)) = futures_util::FutureExt::now_or_never(self.state.acks.next()) {
                self.settle(outcome);
            }
        }
        self.leave();
    }

    fn is_empty(&self) -> bool {
        self.state.hold.len() == 0 && self.spool.as_ref().is_none_or(|spool| spool.messages() == 0)
    }

    /// Whether more messages may be held. Those that the MQTT server does not keep are taken whatever happens.
    fn has_room(&self) -> bool {
        let hold = &self.state.hold;
        let below = hold.len() < self.window * HELD && hold.bytes() < HELD_BYTES;
        self.spool.is_some() || (below && self.state.gate.is_open())
    }

    /// Take deliveries of the client.
    fn fill(&mut self) {
        while self.state.available && self.has_room() {
            let mut taken = None;
            let more = self.state.hands.next(|delivery| {
                taken = Some(delivery);
                true
            });
            if !more {
                self.state.available = self.state.hands.take(self.client.mailbox(), BATCH);
            }
            if let Some(delivery) = taken {
                self.hear(delivery);
            }
        }
    }

    fn hear(&mut self, delivery: Delivery<Infallible>) {
        let Some(delivery) = self.client.read(delivery) else { return };
        match delivery {
            Delivery::Message(message) => {
                if let Some(parcel) = Parcel::of(self.client.config().network, &message) {
                    self.take_in(parcel);
                } else {
                    one(&self.counters.ignored);
                    message.receipt.into_iter().for_each(|receipt| self.client.acknowledge(receipt));
                }
            }
            Delivery::Sent(mid) => self.sent.settle(mid, Ok(())),
            Delivery::Rejected { mid, reason, .. } => {
                self.sent.settle(mid, Err(format!("the MQTT server refuses it (reason code {reason})")));
            }
            Delivery::Connected { .. } => tracing::info!("connected to the MQTT server"),
            Delivery::Lost(error) => {
                tracing::warn!(%error, "the connection to the MQTT server is lost; connecting anew");
            }
            Delivery::Failed(error) => tracing::warn!(%error, "the MQTT server is not reached"),
            Delivery::Refused { code } => tracing::error!(code, "the MQTT server refuses the login"),
            Delivery::Problem(error) => tracing::warn!(%error, "MQTT"),
            Delivery::Replaced | Delivery::Closed { .. } | Delivery::Unread(_) => {}
            Delivery::Own(never) => match never {},
        }
    }

    /// Hold a message, or have the spool hold it.
    fn take_in(&mut self, parcel: Parcel) {
        one(&self.counters.received);
        let Some(spool) = self.spool.as_mut() else {
            self.state.hold.push(parcel);
            return;
        };
        // Whatever is in the spool came before.
        let behind = spool.messages() > 0;
        if !behind && self.state.gate.is_open() && self.state.hold.len() < self.window * HELD {
            self.state.hold.push(parcel);
            return;
        }
        let outcome = spool.append(&parcel.subject, parcel.id.as_deref(), &parcel.payload);
        let failure = match outcome {
            Ok(true) => {
                self.state.drops = false;
                return;
            }
            Ok(false) => "the spool is full".to_owned(),
            Err(error) => format!("the spool cannot be written: {error}"),
        };
        one(&self.counters.dropped);
        if !std::mem::replace(&mut self.state.drops, true) {
            tracing::error!("messages are lost, since NATS takes none and {failure}");
        }
    }

    /// Read what the spool has, as far as it can be sent soon.
    fn unspool(&mut self) {
        while let Some(spool) = self.spool.as_mut()
            && self.state.gate.is_open()
            && self.state.hold.len() < self.window
        {
            match spool.next() {
                Ok(Some((place, record))) => self.state.hold.push(Parcel {
                    subject: record.subject.into(),
                    id: record.id,
                    payload: record.payload,
                    settle: Settle::Spool(place),
                }),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the spool cannot be read");
                    return;
                }
            }
        }
    }

    async fn send(&mut self) {
        while self.state.hold.on_the_way() < self.window
            && self.state.hold.on_the_way() < self.state.hold.len()
            && self.state.gate.lets_through(Instant::now())
        {
            let Some((device, parcel)) = self.state.hold.next() else {
                // The one that was to try is behind one on its way.
                self.state.gate.wait(Instant::now());
                return;
            };
            let mut publish = PublishMessage::build().payload(parcel.payload.clone());
            if let Some(id) = &parcel.id {
                publish = publish.message_id(id);
            }
            let subject = parcel.subject.clone();
            match self.server.context().send_publish(subject, publish).await {
                Ok(ack) => self.state.acks.push(Box::pin(async move { (device, ack.await) })),
                Err(error) => self.settle((device, Err(error))),
            }
        }
    }

    fn settle(&mut self, (device, outcome): Outcome) {
        match outcome {
            Ok(ack) => {
                one(&self.counters.published);
                if ack.duplicate {
                    one(&self.counters.duplicates);
                }
                if self.state.gate.succeed() {
                    self.open();
                }
                self.done(device);
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                one(&self.counters.refused);
                if let Some(parcel) = self.done(device) {
                    let (subject, size) = (parcel.subject, parcel.payload.len());
                    tracing::error!(%subject, size, "a message is lost: NATS takes none of that size (max_payload)");
                }
            }
            Err(error) => {
                one(&self.counters.retried);
                self.shut(explain(&error));
                self.state.hold.again(device);
            }
        }
    }

    /// The stream takes messages again.
    fn open(&self) {
        self.counters.trouble.lock().clear();
        tracing::info!("NATS takes messages again");
    }

    /// The stream takes nothing for now.
    fn shut(&mut self, reason: String) {
        if self.state.gate.fail(Instant::now()) {
            self.tell_of_trouble(&reason);
        }
        *self.counters.trouble.lock() = reason;
    }

    fn tell_of_trouble(&self, reason: &str) {
        let then = if self.spool.is_some() { "they are kept on the disk" } else { "MQTT is not read" };
        tracing::warn!("NATS takes no messages, and until it does {then}: {reason}");
    }

    /// The connection is lost: what was on its way may have arrived, and is sent again.
    fn lose(&mut self) {
        const REASON: &str = "the connection to NATS is lost";
        self.state.acks.clear();
        self.state.hold.all_again();
        if self.state.gate.lose(Instant::now()) {
            self.tell_of_trouble(REASON);
        }
        REASON.clone_into(&mut self.counters.trouble.lock());
    }

    /// Nothing more is to be done for the message that a device had on its way.
    fn done(&mut self, device: u64) -> Option<Parcel> {
        let parcel = self.state.hold.done(device)?;
        match parcel.settle {
            Settle::Nobody => {}
            Settle::Server(receipt) => self.client.acknowledge(receipt),
            Settle::Spool(place) => {
                if let Some(Err(error)) = self.spool.as_mut().map(|spool| spool.done(place)) {
                    tracing::error!(%error, "the spool cannot be written");
                }
            }
        }
        Some(parcel)
    }

    fn show(&self) {
        self.counters.held.store(self.state.hold.len() as u64, Ordering::Relaxed);
        if let Some(spool) = &self.spool {
            self.counters.spooled.store(spool.messages(), Ordering::Relaxed);
            self.counters.spool_bytes.store(spool.bytes(), Ordering::Relaxed);
        }
    }

    /// What has not arrived stays: with the MQTT server, or in the spool for the next process.
    fn leave(mut self) {
        let Some(spool) = self.spool.as_mut() else { return };
        let left = self.state.hold.into_all().filter(|parcel| parcel.settle == Settle::Nobody);
        let left: Vec<Parcel> = left.collect();
        let records = left.iter().map(|parcel| (parcel.subject.as_str(), parcel.id.as_deref(), &parcel.payload[..]));
        match spool.put_before(records) {
            Ok(()) if spool.messages() > 0 => {
                tracing::warn!(messages = spool.messages(), "messages that NATS did not take stay on the disk");
            }
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, messages = left.len(), "messages are lost: the spool cannot be written");
            }
        }
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Why the stream does not take a message, in plain words.
fn explain(error: &PublishError) -> String {
    let text = trouble(error);
    match error.kind() {
        PublishErrorKind::TimedOut => {
            "the server does not acknowledge in time: it has too much to do, or its disk is full, of which its log tells"
                .to_owned()
        }
        PublishErrorKind::BrokenPipe => "the connection was lost".to_owned(),
        PublishErrorKind::StreamNotFound => {
            "no stream answers: JetStream is starting, or has no leader, or the stream was deleted".to_owned()
        }
        _ if text.contains("maximum bytes exceeded") || text.contains("maximum messages exceeded") => {
            format!("the stream is full ({text}): it takes more when old messages end, or when its max_bytes is raised")
        }
        _ => text,
    }
}
