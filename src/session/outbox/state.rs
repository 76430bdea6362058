//! Which message goes out next, and what becomes of it. Pure: under the outbox's lock.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::gate::Gate;
use super::limits::{MOST, OVERHEAD, OutboxLimits, ServerLimits};
use super::ticket::Ticket;
use crate::dialect::mqtt::{self, code};
use crate::session::QoS;
use crate::session::packet::Publish;
use crate::session::receipts::{Dealt, Receipt};

/// Losses in a row that a message may be first in line at before it is set aside.
const LOSSES: u8 = 3;
/// A full window is written to again when this part of it is free: one packet for each acknowledgement would cost a
/// system call each.
const REFILL: usize = 4;

/// A message and who wants to know of its end.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) message: Publish,
    pub(super) ticket: Option<Arc<Ticket>>,
    /// Connections that the server ended while it was the first in line.
    losses: u8,
    /// It was set aside for its losses and is tried alone, once more.
    on_trial: bool,
    /// Nobody has paid for the time that it goes out next.
    unpaid: bool,
    /// It opens a connection, and ends with it.
    is_greeting: bool,
    /// Values in it.
    points: usize,
}

impl Kept {
    pub(super) fn weight(&self) -> usize {
        self.message.topic.len() + self.message.payload.len()
    }

    fn packet_bytes(&self) -> usize {
        self.weight() + OVERHEAD
    }

    pub(super) fn settle(&self, reason: u8) {
        if let Some(ticket) = &self.ticket {
            ticket.settle(reason);
        }
    }

    /// Whether it may go out as far as the gate is concerned; else says for how long not.
    fn is_paid(&mut self, gate: Option<&dyn Gate>, held_back: &mut Option<Duration>) -> bool {
        if self.unpaid {
            let paid = gate.map_or(Ok(()), |gate| gate.pay(&self.message.topic, self.points));
            *held_back = paid.err();
            self.unpaid = held_back.is_some();
        }
        !self.unpaid
    }
}

/// A message that was ended because the server ends each connection over it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct GivenUp {
    pub(in crate::session) mid: u16,
    pub(in crate::session) topic: String,
    /// Bytes of topic and payload.
    pub(in crate::session) size: usize,
}

/// What an acknowledgement was for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Acknowledged {
    /// A message with this topic.
    Message(String),
    /// One that was withdrawn meanwhile.
    Withdrawn,
}

/// What a loss says of the messages that were on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session) struct Verdict {
    /// The server ended the connection when it had the first one in line: with this reason code.
    pub(in crate::session) blamed: Option<u8>,
    /// What goes out again must do so slowly.
    pub(in crate::session) paced: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) limits: OutboxLimits,
    pub(super) last_mid: u16,
    /// IDs that the protocol still uses: unacknowledged messages and subscriptions.
    pub(super) used: HashSet<u16>,
    /// Accepted, not yet given to the driver.
    pub(super) waiting: VecDeque<Kept>,
    /// Given to the driver at QoS 0, not yet written.
    unwritten: VecDeque<Kept>,
    /// Given to the driver at QoS 1, not yet acknowledged, in order.
    unacknowledged: VecDeque<Kept>,
    /// How many of `unacknowledged`, from the front, this connection has been given.
    given: usize,
    /// Withdrawn after this connection was given them: the server holds them to be on the way until it acknowledges them.
    owed: HashSet<u16>,
    /// The window was full and is left to empty somewhat before more is written.
    pub(super) saturated: bool,
    /// The window while it grows from one message again; `None` when it is as wide as it may be.
    ramp: Option<usize>,
    pub(super) bytes: usize,
    pub(super) receipts: Vec<(Receipt, Dealt)>,
    pub(super) gate: Option<Arc<dyn Gate>>,
    /// How long the gate holds the next message back.
    pub(super) held_back: Option<Duration>,
    /// What this connection says before anything else.
    greetings: VecDeque<Kept>,
}

impl State {
    pub(super) fn new(limits: OutboxLimits) -> Self {
        let mut state = Self::default();
        state.set_limits(limits);
        state
    }

    pub(super) fn set_limits(&mut self, limits: OutboxLimits) {
        self.limits = OutboxLimits { messages: limits.messages.min(MOST), ..limits };
        self.saturated = false;
    }

    pub(super) fn next_mid(&mut self) -> u16 {
        loop {
            self.last_mid = self.last_mid.checked_add(1).unwrap_or(1);
            // Ends: the outbox is full with far fewer than 65,535 IDs in use.
            if !self.used.contains(&self.last_mid) {
                return self.last_mid;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.greetings.len() + self.waiting.len() + self.unwritten.len() + self.unacknowledged.len()
    }

    /// Number a message and take it in; with a ticket if somebody tells how many values are in it.
    pub(super) fn accept(&mut self, topic: String, payload: Bytes, qos: QoS, tracked: Option<usize>) -> Kept {
        let mid = self.next_mid();
        if qos != QoS::AtMostOnce {
            self.used.insert(mid);
        }
        let message = Publish { topic, payload, qos, retain: false, dup: false, mid };
        let ticket = tracked.map(|_| Ticket::new(mid));
        let kept = Kept {
            message,
            ticket,
            losses: 0,
            on_trial: false,
            unpaid: false,
            is_greeting: false,
            points: tracked.unwrap_or(0),
        };
        self.bytes += kept.weight();
        kept
    }

    fn end(&mut self, kept: &Kept, reason: u8) {
        self.bytes -= kept.weight();
        self.used.remove(&kept.message.mid);
        kept.settle(reason);
    }

    /// Messages at QoS 1 that may be on the way at once.
    fn window(&self, server: &ServerLimits) -> usize {
        self.limits.in_flight.min(self.sendable(server))
    }

    /// As [`State::window`], for those that went out once already: our own bound may have been narrowed since.
    fn sendable(&self, server: &ServerLimits) -> usize {
        self.granted(server).min(self.ramp.unwrap_or(usize::MAX))
    }

    /// What the server takes, whatever our own bounds are.
    fn granted(&self, server: &ServerLimits) -> usize {
        server.in_flight.saturating_sub(self.owed.len())
    }

    /// Take a message in that a connection opens with, and that ends with it.
    pub(super) fn greet(&mut self, topic: String, payload: Bytes, qos: QoS) {
        let kept = self.accept(topic, payload, qos, None);
        self.greetings.push_back(Kept { is_greeting: true, ..kept });
    }

    /// Take a message in before those that wait, as the `at`th of its kind; the gate is asked when it goes out.
    pub(super) fn accept_first(&mut self, at: usize, topic: String, payload: Bytes, qos: QoS) -> Option<Arc<Ticket>> {
        let kept = self.accept(topic, payload, qos, Some(0));
        let ticket = kept.ticket.clone();
        self.waiting.insert(at, Kept { unpaid: self.gate.is_some(), ..kept });
        ticket
    }

    /// The payloads of the messages with this topic.
    pub(super) fn payloads(&self, topic: &str) -> Vec<Bytes> {
        let messages = self.unacknowledged.iter().chain(&self.waiting).map(|kept| &kept.message);
        messages.filter(|message| message.topic == topic).map(|message| message.payload.clone()).collect()
    }

    /// Give a message out: it is on its way from now on.
    fn give(&mut self, kept: Kept) -> Publish {
        let message = kept.message.clone();
        if message.qos == QoS::AtMostOnce {
            self.unwritten.push_back(kept);
        } else {
            self.unacknowledged.insert(self.given, kept);
            self.given += 1;
        }
        message
    }

    /// The next message to write. Counts in `ended` those that were given up on the way to it.
    pub(super) fn next(&mut self, server: &ServerLimits, ended: &mut usize) -> Option<Publish> {
        self.held_back = None;
        if let Some(greeting) = self.greetings.front() {
            if greeting.message.qos != QoS::AtMostOnce && self.given >= self.granted(server) {
                return None;
            }
            let greeting = self.greetings.pop_front()?;
            return Some(self.give(greeting));
        }
        let full = self.given >= self.sendable(server);
        if let Some(repeat) = self.unacknowledged.get_mut(self.given) {
            if full || !repeat.is_paid(self.gate.as_deref(), &mut self.held_back) {
                return None;
            }
            let repeat = Publish { dup: true, ..repeat.message.clone() };
            self.given += 1;
            return Some(repeat);
        }
        if self.unacknowledged.front().is_some_and(|first| first.on_trial) {
            return None;
        }
        loop {
            let next = self.waiting.front_mut()?;
            let (qos, size) = (next.message.qos, next.packet_bytes());
            if next.on_trial && !self.unacknowledged.is_empty() {
                return None;
            }
            if !next.is_paid(self.gate.as_deref(), &mut self.held_back) {
                return None;
            }
            let window = self.window(server);
            let open = if self.saturated { window - window / REFILL } else { window };
            if qos != QoS::AtMostOnce && self.unacknowledged.len() >= open {
                self.saturated = true;
                return None;
            }
            self.saturated = false;
            let kept = self.waiting.pop_front()?;
            let limit = server.packet_bytes.min(self.limits.packet_bytes);
            if size > limit {
                tracing::error!(topic = %kept.message.topic, size, limit, "over the server's limit: not sent");
                self.end(&kept, code::PACKET_TOO_LARGE);
                *ended += 1;
                continue;
            }
            return Some(self.give(kept));
        }
    }

    /// The oldest `count` messages at QoS 0 that were given out are written; tells their IDs.
    pub(super) fn written(&mut self, count: usize, mut each: impl FnMut(u16)) {
        for _ in 0..count {
            let Some(kept) = self.unwritten.pop_front() else { break };
            self.bytes -= kept.weight();
            each(kept.message.mid);
            kept.settle(code::SUCCESS);
        }
    }

    /// The message of that ID is acknowledged, if there was one.
    pub(super) fn acknowledged(&mut self, mid: u16, reason: u8) -> Option<Acknowledged> {
        if self.owed.remove(&mid) {
            self.used.remove(&mid);
            return Some(Acknowledged::Withdrawn);
        }
        // Servers acknowledge in order, so this looks at the first one nearly always.
        let at = self.unacknowledged.iter().position(|kept| kept.message.mid == mid)?;
        if at < self.given {
            self.given -= 1;
        }
        let mut kept = self.unacknowledged.remove(at)?;
        // A refusal may be the very limit that the window was narrowed for, and greetings are not what it is about.
        if !mqtt::is_refusal(reason) && !kept.is_greeting {
            self.ramp = self.ramp.map(|ramp| ramp * 2).filter(|ramp| *ramp < self.limits.in_flight);
        }
        let topic = std::mem::take(&mut kept.message.topic);
        self.bytes -= topic.len();
        self.end(&kept, reason);
        Some(Acknowledged::Message(topic))
    }

    /// End the messages at QoS 1, and those that wait, whose topics are such; gives how many there were.
    pub(super) fn withdraw(&mut self, which: impl Fn(&str) -> bool, reason: u8) -> usize {
        let is_meant = |kept: &Kept| which(&kept.message.topic);
        let given = self.unacknowledged.iter().take(self.given).filter(|kept| is_meant(kept));
        let given: Vec<_> = given.map(|kept| kept.message.mid).collect();
        self.given -= given.len();
        let mut gone = Vec::new();
        for queue in [&mut self.unacknowledged, &mut self.waiting] {
            let (meant, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(queue).into_iter().partition(is_meant);
            *queue = rest;
            gone.extend(meant);
        }
        for kept in &gone {
            self.end(kept, reason);
        }
        // Their IDs stay in use, so that their acknowledgements are not taken for those of others.
        self.used.extend(&given);
        self.owed.extend(given);
        gone.len()
    }

    /// Whether messages wait though the window has room, so that they go out several at a time.
    pub(super) fn is_holding(&self, server: &ServerLimits) -> bool {
        self.saturated && self.unacknowledged.len() < self.window(server) && !self.waiting.is_empty()
    }

    /// What was not written or acknowledged goes out again on the next connection, in order.
    pub(super) fn rewind(&mut self) {
        if self.gate.is_some() {
            self.unacknowledged.iter_mut().take(self.given).for_each(|kept| kept.unpaid = true);
        }
        self.drop_greetings();
        for mid in self.owed.drain() {
            self.used.remove(&mid);
        }
        self.given = 0;
        self.saturated = false;
        while let Some(message) = self.unwritten.pop_back() {
            self.waiting.push_front(message);
        }
    }

    fn drop_greetings(&mut self) {
        let mut gone = std::mem::take(&mut self.greetings);
        // They went out before all others, so that this looks at little more than them.
        while let Some(at) = self.unacknowledged.iter().take(self.given).position(|kept| kept.is_greeting) {
            gone.extend(self.unacknowledged.remove(at));
            self.given -= 1;
        }
        let (unwritten, rest) = std::mem::take(&mut self.unwritten).into_iter().partition(|kept| kept.is_greeting);
        self.unwritten = rest;
        gone.extend::<VecDeque<_>>(unwritten);
        for kept in &gone {
            self.end(kept, code::UNSPECIFIED);
        }
    }

    /// A connection is lost.
    ///
    /// A message that the server answers by hanging up would hold back all others for ever. One that was the first in
    /// line at three such losses goes to the end of the queue; there it is tried alone, so that no other is taken for the
    /// cause; and with that it has had its chances.
    pub(super) fn lost(&mut self, verdict: Verdict) -> Option<GivenUp> {
        if verdict.paced || self.ramp.is_some() {
            self.ramp = Some(1);
        }
        let given_up = match verdict.blamed {
            // It may as well have been over one that is withdrawn.
            Some(reason) if self.given > 0 && self.owed.is_empty() => self.blame(reason),
            _ => None,
        };
        self.rewind();
        given_up
    }

    fn blame(&mut self, reason: u8) -> Option<GivenUp> {
        let at = self.unacknowledged.iter().take(self.given).position(|kept| !kept.is_greeting)?;
        let first = self.unacknowledged.get_mut(at)?;
        first.losses = first.losses.saturating_add(1);
        if first.losses < LOSSES {
            return None;
        }
        let mut kept = self.unacknowledged.remove(at)?;
        self.given -= 1;
        let size = kept.weight();
        if !kept.on_trial {
            tracing::warn!(
                topic = %kept.message.topic, size,
                "set aside: the server has ended {LOSSES} connections in a row when it got this message"
            );
            kept.on_trial = true;
            kept.message.dup = true;
            kept.unpaid = self.gate.is_some();
            self.waiting.push_back(kept);
            return None;
        }
        self.end(&kept, reason);
        Some(GivenUp { mid: kept.message.mid, topic: kept.message.topic, size })
    }
}
