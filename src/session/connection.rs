//! What one logged-in connection does: reading, writing, acknowledging, subscribing, pinging. Pure: bytes and the time
//! come in, bytes and events go out; the socket is in `driver/link.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::asked::Asked;
use super::frame::{Frame, Frames};
use super::keep_alive::{self, KeepAlive};
use super::loss::Loss;
use super::outbox::{Acknowledged, Outbox, ServerLimits, Verdict};
use super::packet::{Answer, Malformed, Packet, Publish, Version};
use super::receipts::{Arrival, Dealt, Pending};
use super::subscriptions::Subscriptions;
use super::worth::{Cause, Worth};
use super::writer::Writer;
use super::{Event, Message, QoS};
use crate::dialect::mqtt::{self, code};

/// Most room that is made for what a packet announces before it comes.
const READ_AHEAD: usize = 64 << 10;
/// How long messages may be held back to go out together.
const HOLD: Duration = Duration::from_millis(5);
/// A server that closes so soon after it has answered a subscription closes because of it.
const AFTER_ANSWER: Duration = Duration::from_millis(100);
/// A server that closes so soon after a message at QoS 0 may close because of it.
const AFTER_MESSAGE: Duration = Duration::from_secs(1);

/// What a connection is made with.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) version: Version,
    pub(super) answer: Answer,
    /// Whether it follows a loss.
    pub(super) again: bool,
    /// Whether somebody waits for the start, which fails if every subscription is refused.
    pub(super) starting: bool,
    pub(super) outbox: Arc<Outbox>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) pending: Pending,
    /// Unless the server insists on another one.
    pub(super) keep_alive: Duration,
    /// Bound on the answer to a subscription.
    pub(super) patience: Duration,
    pub(super) max_incoming_bytes: usize,
    /// Whether the stream holds bytes back until it is flushed.
    pub(super) flushes: bool,
}

/// How the subscriptions were answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// There is something to listen to, or nothing was asked for.
    Standing,
    /// All these are refused, and nothing else was asked for.
    Refused(Vec<String>),
}

/// What is left of a connection.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) pending: Pending,
    /// What was not delivered yet.
    pub(super) events: Vec<Event>,
    pub(super) worth: Worth,
}

/// One logged-in connection.
#[derive(Debug)]
pub(super) struct Connection {
    version: Version,
    server: ServerLimits,
    session_present: bool,
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    pending: Pending,
    frames: Frames,
    writer: Writer,
    events: Vec<Event>,
    /// `Connected` is still to be told; and whether it follows a loss.
    unannounced: Option<bool>,
    starting: bool,
    asked: Asked,
    settled: Option<Settled>,
    keep_alive: KeepAlive,
    /// Messages are not taken any more.
    closing: bool,
    /// Messages that were acknowledged, of which those who wait have not been told.
    progressed: usize,
    /// Messages are held back until then.
    held: Option<Instant>,
    begun: Instant,
    /// Messages that were delivered or acknowledged.
    useful: u64,
    /// When the subscriptions were answered last.
    answered_at: Option<Instant>,
    /// When a message at QoS 0 went out last.
    written_at: Option<Instant>,
    /// The gate holds messages back until then.
    gated: Option<Instant>,
    /// Version of the subscriptions that the server was told of.
    subscribed: u64,
}

impl Connection {
    pub(super) fn new(setting: Setting, now: Instant) -> Self {
        let answer = setting.answer;
        let keep_alive = answer.keep_alive.map_or(setting.keep_alive, |seconds| Duration::from_secs(seconds.into()));
        let mut pending = setting.pending;
        pending.connected(answer.session_present);
        setting.outbox.rewind();
        Self {
            version: setting.version,
            server: ServerLimits {
                in_flight: answer.receive_maximum.map_or(usize::MAX, usize::from),
                packet_bytes: answer.max_packet.map_or(usize::MAX, |bytes| bytes as usize),
            },
            session_present: answer.session_present,
            outbox: setting.outbox,
            subscriptions: setting.subscriptions,
            pending,
            frames: Frames::new(setting.version, setting.max_incoming_bytes),
            writer: Writer::new(setting.flushes),
            events: Vec::new(),
            unannounced: Some(setting.again),
            starting: setting.starting,
            asked: Asked::new(setting.patience),
            settled: None,
            keep_alive: KeepAlive::new(keep_alive, now),
            closing: false,
            progressed: 0,
            held: None,
            begun: now,
            useful: 0,
            answered_at: None,
            written_at: None,
            gated: None,
            subscribed: 0,
        }
    }

    /// What happened and was not taken yet.
    pub(super) fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// The outbound side.
    pub(super) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// How the subscriptions were answered, once.
    pub(super) fn take_settled(&mut self) -> Option<Settled> {
        self.settled.take()
    }

    /// Whether nothing is read.
    pub(super) fn is_deaf(&self) -> bool {
        self.asked.is_deaf()
    }

    /// Reading stops, or goes on.
    pub(super) fn set_deaf(&mut self, deaf: bool, now: Instant) {
        if self.is_deaf() && !deaf {
            self.keep_alive.listening(now);
        }
        self.asked.set_deaf(deaf, now);
    }

    /// Take no message any more: what is unacknowledged stays with the server.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Whether everything that was accepted is written and acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.writer.is_empty() && self.outbox.is_empty()
    }

    /// Append the farewell.
    pub(super) fn part(&mut self) {
        Version::disconnect(self.writer.buffer());
    }

    /// Bytes came in: handle all packets that are complete.
    pub(super) fn read(&mut self, inbound: &mut BytesMut, now: Instant) -> Result<(), Loss> {
        self.keep_alive.heard(now);
        let outcome = self.decode(inbound, now);
        if std::mem::take(&mut self.progressed) > 0 {
            self.outbox.progressed();
        }
        outcome
    }

    fn decode(&mut self, inbound: &mut BytesMut, now: Instant) -> Result<(), Loss> {
        loop {
            match self.frames.next(inbound)? {
                Frame::Packet(packet) => self.handle(packet, now)?,
                Frame::Oversize { topic, packet_id, size } => {
                    // It can never be taken in: without an acknowledgement the server would send it for ever.
                    if let Some(mid) = packet_id {
                        Version::acknowledge(mid, self.writer.buffer());
                    }
                    self.events.push(Event::Skipped { topic, size });
                }
                Frame::Incomplete(count) => {
                    inbound.reserve(count.min(READ_AHEAD));
                    return Ok(());
                }
            }
        }
    }

    fn handle(&mut self, packet: Packet, now: Instant) -> Result<(), Loss> {
        match packet {
            Packet::Publish(message) => self.arrived(message)?,
            Packet::Acknowledged { mid, reason } => self.acknowledged(mid, reason),
            Packet::Subscribed { mid, codes } => {
                if self.asked.subscribed(mid, &codes)? {
                    self.outbox.release(mid);
                    self.settle(now);
                }
            }
            Packet::Unsubscribed { mid } => {
                if self.asked.unsubscribed(mid) {
                    self.outbox.release(mid);
                    self.settle(now);
                }
            }
            Packet::Pong => {}
            Packet::Disconnect { reason } => return Err(Loss::Parted(reason)),
            Packet::Login(_) => return Err(Malformed::SecondLogin.into()),
            Packet::Strange(name) => return Err(Malformed::Strange(name).into()),
        }
        Ok(())
    }

    fn acknowledged(&mut self, mid: u16, reason: u8) {
        self.progressed += 1;
        let Some(acknowledged) = self.outbox.acknowledged(mid, reason) else {
            tracing::debug!(mid, "acknowledgement of nothing that was sent");
            return;
        };
        self.useful += 1;
        self.writer.acknowledged();
        let Acknowledged::Message(topic) = acknowledged else { return };
        self.events.push(if mqtt::is_refusal(reason) {
            Event::Rejected { mid, topic, reason }
        } else {
            Event::Sent { mid }
        });
    }

    fn arrived(&mut self, message: Publish) -> Result<(), Malformed> {
        if self.closing {
            return Ok(());
        }
        let receipt = match message.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => {
                match self.pending.arrived(message.mid, message.dup, &message.topic, &message.payload) {
                    Arrival::New(receipt) => Some(receipt),
                    Arrival::InHand => {
                        self.pending.hold(message);
                        return Ok(());
                    }
                    Arrival::Done => {
                        Version::acknowledge(message.mid, self.writer.buffer());
                        return Ok(());
                    }
                }
            }
            QoS::ExactlyOnce => return Err(Malformed::ExactlyOnce),
        };
        self.announce();
        self.useful += 1;
        let Publish { topic, payload, qos, retain, .. } = message;
        self.events.push(Event::Message(Message { topic, payload, qos, retain, receipt }));
        Ok(())
    }

    /// Tell of the connection: when the subscriptions are answered, so that who hears of it misses nothing from then on;
    /// but before the first message of a session that the server has kept.
    fn announce(&mut self) {
        if let Some(again) = self.unannounced.take() {
            self.events.push(Event::Connected { again, session_present: self.session_present });
        }
    }

    /// Everything that was asked for may be answered by now.
    fn settle(&mut self, now: Instant) {
        if !self.asked.is_settled() {
            return;
        }
        self.answered_at = Some(now);
        if self.starting && self.asked.is_all_refused() {
            self.settled = Some(Settled::Refused(self.asked.take_refused()));
            return;
        }
        self.starting = false;
        self.announce();
        let refused = self.asked.take_refused();
        self.events.extend(refused.into_iter().map(|filter| Event::SubscriptionRefused { filter }));
        self.settled = Some(Settled::Standing);
    }

    /// Make the server's subscriptions those that are wanted.
    pub(super) fn subscribe(&mut self, now: Instant) -> Result<(), Loss> {
        // Before the look: a change that comes meanwhile is looked at once more.
        self.subscribed = self.subscriptions.version();
        let (more, fewer) = self.asked.want(self.subscriptions.wanted());
        let batch = self.subscriptions.batch;
        for filters in more.chunks(batch) {
            let mid = self.outbox.reserve();
            self.asked.subscribing(mid, filters.to_vec(), now);
            self.version.subscribe(mid, filters, self.writer.buffer())?;
        }
        for filters in fewer.chunks(batch) {
            let mid = self.outbox.reserve();
            self.asked.unsubscribing(mid, filters.to_vec());
            self.version.unsubscribe(mid, filters, self.writer.buffer())?;
        }
        self.settle(now);
        Ok(())
    }

    /// The same where something has changed since.
    pub(super) fn renew(&mut self, now: Instant) -> Result<(), Loss> {
        if self.is_outdated() { self.subscribe(now) } else { Ok(()) }
    }

    fn is_outdated(&self) -> bool {
        self.subscribed != self.subscriptions.version()
    }

    /// Encode acknowledgements, and messages as far as the write buffer goes.
    pub(super) fn fill(&mut self, now: impl Fn() -> Instant) -> Result<(), Loss> {
        for (receipt, dealt) in self.outbox.take_receipts() {
            if matches!(dealt, Dealt::Not { .. }) {
                if let Some(again) = self.pending.forget(receipt) {
                    self.arrived(again)?;
                }
            } else if let Some(mid) = self.pending.settle(receipt) {
                self.useful += 1;
                Version::acknowledge(mid, self.writer.buffer());
            }
        }
        if self.held.is_some_and(|until| now() >= until) {
            self.outbox.release_held();
        }
        if self.unannounced.is_some() && self.outbox.is_gated() {
            return Ok(());
        }
        while self.writer.has_room() {
            let Some(message) = self.outbox.next(&self.server) else { break };
            // What was subscribed to before a message was accepted is asked for before it goes out.
            if self.is_outdated() {
                self.subscribe(now())?;
            }
            self.writer.publish(self.version, message)?;
        }
        self.gated = self.outbox.held_back().map(|wait| now() + wait);
        self.held = match self.held {
            _ if !self.outbox.is_holding(&self.server) => None,
            Some(until) if now() < until => Some(until),
            _ => Some(now() + HOLD),
        };
        Ok(())
    }

    /// The socket took so many bytes, or with 0 was flushed.
    pub(super) fn wrote(&mut self, count: usize, now: Instant) {
        if count > 0 {
            self.keep_alive.sent(now);
        }
        let out = self.writer.wrote(count);
        if out > 0 {
            self.written_at = Some(now);
            let events = &mut self.events;
            self.outbox.written(out, |mid| events.push(Event::Sent { mid }));
        }
    }

    /// Ping if it is time to, and tell when to look again, and whether a ping went out.
    pub(super) fn due(&mut self, now: Instant) -> Result<(Instant, bool), Loss> {
        let mut pinged = false;
        let mut due = loop {
            match self.keep_alive.check(now, self.asked.is_deaf()) {
                keep_alive::Verdict::Wait(until) => break until,
                keep_alive::Verdict::Dead => return Err(Loss::Silent),
                keep_alive::Verdict::Ping if pinged => break now,
                keep_alive::Verdict::Ping => {
                    Version::ping(self.writer.buffer());
                    self.keep_alive.sent(now);
                    pinged = true;
                }
            }
        };
        // Who is closing listens to nothing any more.
        if let Some(until) = self.asked.due().filter(|_| !self.closing) {
            if now >= until {
                return Err(Loss::Unanswered(self.asked.patience()));
            }
            due = due.min(until);
        }
        let due = [self.held, self.gated].into_iter().flatten().fold(due, Instant::min);
        Ok((due, pinged))
    }

    /// The connection is over: judge what it was worth and what its end says of the messages that were on the way.
    /// `loss` is `None` if it was ended by us.
    pub(super) fn end(mut self, loss: Option<&Loss>, now: Instant) -> Remains {
        for mid in self.asked.mids() {
            self.outbox.release(mid);
        }
        let cause = loss.map_or(Cause::Network, |loss| self.cause(loss, now));
        let verdict = loss.map_or_else(Verdict::default, |loss| Verdict {
            blamed: (loss.may_be_about_a_message() && self.writer.has_begun()).then(|| loss.code()),
            paced: matches!(loss, Loss::Parted(_)) || cause == Cause::Messages,
        });
        if let (Some(given_up), Some(loss)) = (self.outbox.lost(verdict), loss) {
            let (topic, size) = (given_up.topic, given_up.size);
            tracing::error!(%topic, size, "given up: the server ends each connection over this message: {loss}");
            self.events.push(Event::Rejected { mid: given_up.mid, topic, reason: loss.code() });
        }
        let worth = Worth { lasted: now - self.begun, useful: self.useful > 0, cause };
        Remains { pending: self.pending, events: self.events, worth }
    }

    /// What most probably made the server end the connection.
    fn cause(&self, loss: &Loss, now: Instant) -> Cause {
        let within = |at: Option<Instant>, most| at.is_some_and(|at| now - at < most);
        match loss {
            loss if !loss.is_by_server() => Cause::Network,
            Loss::Parted(code::SESSION_TAKEN_OVER) => Cause::Unprovoked,
            _ if self.writer.has_begun() || within(self.written_at, AFTER_MESSAGE) => Cause::Messages,
            _ if !self.asked.is_settled() || within(self.answered_at, AFTER_ANSWER) => Cause::Subscription,
            _ => Cause::Unprovoked,
        }
    }
}

#[cfg(test)]
mod tests;
