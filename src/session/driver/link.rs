//! One logged-in connection: reading, writing, acknowledging, subscribing, pinging, parting.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Driver;
use crate::dialect::mqtt;
use crate::error::Error;
use crate::net::Stream;
use crate::session::connect::LoggedIn;
use crate::session::frame::{Frame, Frames};
use crate::session::keep_alive::{KeepAlive, Verdict};
use crate::session::outbox::{Dealt, ServerLimits};
use crate::session::packet::{Packet, Publish, Version};
use crate::session::receipts::Arrival;
use crate::session::{Control, Event, Message, QoS};

/// Size of the read buffer of a connection that has nothing to say.
const QUIET_BUFFER: usize = 2 << 10;
/// Size up to which it grows while reads fill it.
const BUSY_BUFFER: usize = 128 << 10;
/// Bytes encoded ahead of the socket.
const WRITE_AHEAD: usize = 64 << 10;
/// How long messages may be held back to go out together.
const HOLD: Duration = Duration::from_millis(5);
/// How long to wait for the server's side of the farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) enum End {
    /// As ordered.
    Closed(oneshot::Sender<()>),
    /// The handle was dropped.
    Abandoned,
    /// Without being asked.
    Lost(Error),
}

/// A subscription or its withdrawal that the server has not answered.
struct Asked {
    mid: u16,
    filters: Vec<(String, QoS)>,
}

pub(super) struct Link<'d> {
    driver: &'d mut Driver,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    version: Version,
    server: ServerLimits,
    session_present: bool,
    frames: Frames,
    inbound: BytesMut,
    outbound: BytesMut,
    /// Bytes written since the start, and for each QoS 0 message the count at which it is out.
    written: u64,
    marks: VecDeque<u64>,
    needs_flush: bool,
    events: Vec<Event>,
    subscribed: Vec<(String, QoS)>,
    /// `Connected` is still to be told; and whether it follows a loss.
    unannounced: Option<bool>,
    asked: VecDeque<Asked>,
    keep_alive: KeepAlive,
    read_size: usize,
    /// Not reading, because the consumer has no room.
    deaf: bool,
    /// Messages that were acknowledged, of which those who wait have not been told.
    acknowledged: usize,
    /// Messages are held back until then.
    held: Option<Instant>,
    closing: Option<(Instant, oneshot::Sender<()>)>,
}

impl<'d> Link<'d> {
    pub(super) fn new(login: LoggedIn, again: bool, driver: &'d mut Driver) -> Self {
        let (reader, writer) = tokio::io::split(login.stream);
        let answer = login.answer;
        let keep_alive =
            answer.keep_alive.map_or(driver.options.keep_alive, |seconds| Duration::from_secs(u64::from(seconds)));
        Self {
            reader,
            writer,
            version: login.version,
            server: ServerLimits {
                in_flight: answer.receive_maximum.map_or(usize::MAX, usize::from),
                packet_bytes: answer.max_packet.map_or(usize::MAX, |bytes| bytes as usize),
            },
            session_present: answer.session_present,
            frames: Frames::new(login.version, driver.options.max_incoming_bytes),
            inbound: login.rest,
            outbound: BytesMut::new(),
            written: 0,
            marks: VecDeque::new(),
            needs_flush: false,
            events: Vec::new(),
            subscribed: Vec::new(),
            unannounced: Some(again),
            asked: VecDeque::new(),
            keep_alive: KeepAlive::new(keep_alive, Instant::now()),
            read_size: QUIET_BUFFER,
            deaf: false,
            acknowledged: 0,
            held: None,
            closing: None,
            driver,
        }
    }

    fn lost(&self, reason: impl Into<String>) -> Error {
        Error::Lost { address: self.driver.options.endpoint.to_string(), reason: reason.into() }
    }

    fn broken(&self, reason: impl Into<String>) -> Error {
        Error::Protocol { address: self.driver.options.endpoint.to_string(), reason: reason.into() }
    }

    pub(super) async fn serve(&mut self) -> End {
        let end = self.run().await;
        // What was decoded before the end still counts.
        self.driver.sink.deliver(&mut self.events);
        for asked in self.asked.drain(..) {
            self.driver.outbox.release(asked.mid);
        }
        match end {
            Ok(end) => end,
            Err(error) => End::Lost(error),
        }
    }

    async fn run(&mut self) -> Result<End, Error> {
        let outbox = self.driver.outbox.clone();
        let subscriptions = self.driver.subscriptions.clone();
        let sink = self.driver.sink.clone();
        let alarm = tokio::time::sleep_until(Instant::now());
        tokio::pin!(alarm);
        let mut alarm_at = Instant::now();
        self.ask()?;
        self.decode()?;
        loop {
            if self.settle_deliveries() {
                // By a thread that this task may share.
                tokio::task::yield_now().await;
            }
            self.fill()?;
            if self.is_done() {
                return self.part().await;
            }
            let due = self.due()?;
            if due < alarm_at || alarm.is_elapsed() {
                alarm.as_mut().reset(due);
                alarm_at = due;
            }
            let wants_read = !self.deaf;
            let wants_write = !self.outbound.is_empty() || self.needs_flush;
            tokio::select! {
                order = self.driver.orders.recv() => match order {
                    None => return Ok(End::Abandoned),
                    Some(Control::Close { within, done }) => self.closing = Some((Instant::now() + within, done)),
                },
                result = push(&mut self.writer, &mut self.outbound), if wants_write => {
                    let count = result.map_err(|error| self.lost(error.to_string()))?;
                    self.wrote(count);
                }
                result = self.reader.read_buf(&mut self.inbound), if wants_read => {
                    let count = result.map_err(|error| self.lost(error.to_string()))?;
                    if count == 0 {
                        return Err(self.lost("closed by the server"));
                    }
                    self.read(count)?;
                }
                () = outbox.wake.notified() => {}
                () = subscriptions.changed.notified() => self.ask()?,
                () = sink.room().notified(), if self.deaf => {}
                () = &mut alarm => alarm_at = Instant::now() + Duration::from_secs(86_400),
            }
        }
    }

    /// Hand over what was decoded, and stop or resume reading as the consumer has room. Tells whether somebody is to handle
    /// something now.
    fn settle_deliveries(&mut self) -> bool {
        let delivered = !self.events.is_empty() && self.driver.sink.deliver(&mut self.events);
        // Until the start is answered reading goes on: the consumer itself may be waiting for it.
        let deaf = self.closing.is_none() && self.driver.first.is_none() && !self.driver.sink.has_room();
        if self.deaf && !deaf {
            self.keep_alive.listening(Instant::now());
        }
        self.deaf = deaf;
        // The buffer is free again only now, after the delivery.
        if self.inbound.capacity() - self.inbound.len() < self.read_size / 2 {
            self.inbound.reserve(self.read_size);
        }
        delivered
    }

    fn read(&mut self, count: usize) -> Result<(), Error> {
        self.keep_alive.heard(Instant::now());
        if count >= self.read_size && self.read_size < BUSY_BUFFER {
            self.read_size *= 2;
        }
        self.decode()
    }

    /// Handle all packets that are complete.
    fn decode(&mut self) -> Result<(), Error> {
        let outcome = self.decode_all();
        if std::mem::take(&mut self.acknowledged) > 0 {
            self.driver.outbox.progressed();
        }
        outcome
    }

    fn decode_all(&mut self) -> Result<(), Error> {
        loop {
            match self.frames.next(&mut self.inbound).map_err(|reason| self.broken(reason))? {
                Frame::Packet(packet) => self.handle(packet)?,
                Frame::Oversize { topic, packet_id, size } => {
                    // It can never be taken in: without an acknowledgement the server would send it for ever.
                    if let Some(mid) = packet_id {
                        Version::acknowledge(mid, &mut self.outbound);
                    }
                    self.events.push(Event::Skipped { topic, size });
                }
                Frame::Incomplete(count) => {
                    self.inbound.reserve(count);
                    return Ok(());
                }
            }
        }
    }

    fn handle(&mut self, packet: Packet) -> Result<(), Error> {
        match packet {
            Packet::Publish(message) => self.arrived(message),
            Packet::Acknowledged { mid, reason } => {
                self.acknowledged += 1;
                match self.driver.outbox.acknowledged(mid, reason) {
                    Some(topic) if mqtt::is_refusal(reason) => self.events.push(Event::Rejected { mid, topic, reason }),
                    Some(_) => self.events.push(Event::Sent { mid }),
                    None => tracing::debug!(mid, "acknowledgement of nothing that was sent"),
                }
                Ok(())
            }
            Packet::Subscribed { mid, codes } => self.subscribed(mid, &codes),
            Packet::Unsubscribed { mid } => {
                self.answered(mid);
                Ok(())
            }
            Packet::Pong => Ok(()),
            Packet::Disconnect { reason } => {
                Err(self.lost(format!("the server parted: {} (reason code {reason})", mqtt::reason(reason))))
            }
            Packet::Login(_) => Err(self.broken("a second answer to the login")),
            Packet::Strange(name) => Err(self.broken(format!("a server does not send packets of type {name}"))),
        }
    }

    fn arrived(&mut self, message: Publish) -> Result<(), Error> {
        // A client that is closing takes nothing any more: what is unacknowledged stays with the server.
        if self.closing.is_some() {
            return Ok(());
        }
        let receipt = match message.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => {
                match self.driver.pending.arrived(message.mid, message.dup, &message.topic, &message.payload) {
                    Arrival::New(receipt) => Some(receipt),
                    Arrival::InHand => return Ok(()),
                    Arrival::Done => {
                        Version::acknowledge(message.mid, &mut self.outbound);
                        return Ok(());
                    }
                }
            }
            QoS::ExactlyOnce => return Err(self.broken("a message at QoS 2, which nobody asked for")),
        };
        self.announce();
        let Publish { topic, payload, qos, retain, .. } = message;
        self.events.push(Event::Message(Message { topic, payload, qos, retain, receipt }));
        Ok(())
    }

    fn answered(&mut self, mid: u16) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.mid == mid)?;
        self.driver.outbox.release(mid);
        self.asked.remove(at)
    }

    fn subscribed(&mut self, mid: u16, codes: &[u8]) -> Result<(), Error> {
        let Some(asked) = self.answered(mid) else { return Ok(()) };
        if asked.filters.len() != codes.len() {
            return Err(self.broken("an answer to a subscription with another number of filters"));
        }
        for ((filter, _), code) in asked.filters.into_iter().zip(codes) {
            if mqtt::is_refusal(*code) {
                tracing::error!(%filter, code, "the server refused the subscription");
                self.events.push(Event::SubscriptionRefused { filter });
            }
        }
        if self.asked.is_empty() {
            self.settled();
        }
        Ok(())
    }

    /// Tell of the connection: when the subscriptions are answered, so that who hears of it misses nothing from then on;
    /// but before the first message of a session that the server has kept.
    fn announce(&mut self) {
        if let Some(again) = self.unannounced.take() {
            self.events.push(Event::Connected { again, session_present: self.session_present });
        }
    }

    /// Login and subscriptions are answered: the start has succeeded, and the next loss is met with short delays again.
    fn settled(&mut self) {
        self.announce();
        // Delivered before the starter goes on, who may look at what it tells.
        self.driver.sink.deliver(&mut self.events);
        self.driver.backoff.reset();
        if let Some(first) = self.driver.first.take() {
            let _nobody_waits = first.send(Ok(()));
        }
    }

    /// Make the server's subscriptions those that are wanted.
    fn ask(&mut self) -> Result<(), Error> {
        let wanted = self.driver.subscriptions.wanted();
        let more = without(&wanted, &self.subscribed);
        let fewer = without(&self.subscribed, &wanted);
        let batch = self.driver.subscriptions.batch;
        for filters in more.chunks(batch) {
            let mid = self.driver.outbox.reserve();
            self.version.subscribe(mid, filters, &mut self.outbound).map_err(|reason| self.broken(reason))?;
            self.asked.push_back(Asked { mid, filters: filters.to_vec() });
        }
        for filters in fewer.chunks(batch) {
            let mid = self.driver.outbox.reserve();
            self.version.unsubscribe(mid, filters, &mut self.outbound).map_err(|reason| self.broken(reason))?;
            self.asked.push_back(Asked { mid, filters: filters.to_vec() });
        }
        self.subscribed = wanted;
        if self.asked.is_empty() {
            self.settled();
        }
        Ok(())
    }

    /// Encode acknowledgements, and messages as far as the write buffer goes.
    fn fill(&mut self) -> Result<(), Error> {
        for (receipt, dealt) in self.driver.outbox.take_receipts() {
            match dealt {
                Dealt::With => {
                    if let Some(mid) = self.driver.pending.settle(receipt) {
                        Version::acknowledge(mid, &mut self.outbound);
                    }
                }
                Dealt::Not => self.driver.pending.forget(receipt),
            }
        }
        if self.held.is_some_and(|until| Instant::now() >= until) {
            self.driver.outbox.release_held();
        }
        while self.outbound.len() < WRITE_AHEAD {
            let Some(message) = self.driver.outbox.next(&self.server) else { break };
            let qos = message.qos;
            self.version.publish(message, &mut self.outbound).map_err(|reason| self.broken(reason))?;
            if qos == QoS::AtMostOnce {
                self.marks.push_back(self.written + self.outbound.len() as u64);
            }
        }
        self.held = match self.held {
            _ if !self.driver.outbox.is_holding(&self.server) => None,
            Some(until) if Instant::now() < until => Some(until),
            _ => Some(Instant::now() + HOLD),
        };
        Ok(())
    }

    fn wrote(&mut self, count: usize) {
        if count == 0 {
            self.needs_flush = false;
            return;
        }
        self.keep_alive.sent(Instant::now());
        self.written += count as u64;
        self.needs_flush = self.driver.options.endpoint.tls;
        let out = self.marks.partition_point(|mark| *mark <= self.written);
        if out > 0 {
            self.marks.drain(..out);
            let events = &mut self.events;
            self.driver.outbox.written(out, |mid| events.push(Event::Sent { mid }));
        }
        if self.outbound.is_empty() && self.outbound.capacity() > WRITE_AHEAD * 4 {
            self.outbound = BytesMut::new();
        }
    }

    /// Ping if it is time to, and tell when to look again.
    fn due(&mut self) -> Result<Instant, Error> {
        let now = Instant::now();
        let mut due = match self.keep_alive.check(now, self.deaf) {
            Verdict::Wait(until) => until,
            Verdict::Dead => return Err(self.lost("no answer to the keep-alive probe")),
            Verdict::Ping => {
                Version::ping(&mut self.outbound);
                self.keep_alive.sent(now);
                self.shrink();
                match self.keep_alive.check(now, self.deaf) {
                    Verdict::Wait(until) => until,
                    Verdict::Ping | Verdict::Dead => now,
                }
            }
        };
        if let Some((deadline, _)) = &self.closing {
            due = due.min(*deadline);
        }
        if let Some(until) = self.held {
            due = due.min(until);
        }
        Ok(due)
    }

    /// Give memory back in quiet times.
    fn shrink(&mut self) {
        if self.inbound.is_empty() && self.inbound.capacity() > QUIET_BUFFER {
            self.inbound = BytesMut::with_capacity(QUIET_BUFFER);
            self.read_size = QUIET_BUFFER;
        }
    }

    fn is_done(&self) -> bool {
        self.closing.as_ref().is_some_and(|(deadline, _)| {
            (self.outbound.is_empty() && self.driver.outbox.is_empty()) || Instant::now() >= *deadline
        })
    }

    /// DISCONNECT, end of writing, and reading on until the server has closed: a socket that is closed while bytes are
    /// unread is reset, and the server throws away what it had not read yet.
    async fn part(&mut self) -> Result<End, Error> {
        let Some((_, done)) = self.closing.take() else { return Ok(End::Abandoned) };
        let unsent = self.driver.outbox.len();
        if unsent > 0 {
            tracing::warn!(messages = unsent, "closing before everything was sent");
        }
        Version::disconnect(&mut self.outbound);
        let farewell = async {
            while self.outbound.has_remaining() {
                self.writer.write_buf(&mut self.outbound).await?;
            }
            self.writer.shutdown().await?;
            let mut rest = [0; 4096];
            while self.reader.read(&mut rest).await? > 0 {}
            std::io::Result::Ok(())
        };
        match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection ended during the farewell"),
            Err(_) => tracing::debug!("the server did not close its side in time"),
        }
        Ok(End::Closed(done))
    }
}

/// Write some of `outbound`, or flush when there is nothing: then 0. May be cancelled without losing a byte.
async fn push(writer: &mut WriteHalf<Stream>, outbound: &mut BytesMut) -> std::io::Result<usize> {
    if outbound.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write_buf(outbound).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

/// The filters that are not among `known`, in order.
fn without(filters: &[(String, QoS)], known: &[(String, QoS)]) -> Vec<(String, QoS)> {
    let known: HashSet<&str> = known.iter().map(|(filter, _)| filter.as_str()).collect();
    filters.iter().filter(|(filter, _)| !known.contains(filter.as_str())).cloned().collect()
}
