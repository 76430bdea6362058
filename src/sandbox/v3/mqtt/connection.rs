//! One client's connection, from its login to its end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use super::filter::within;
use super::packet::{self, Connect, Packet, Publish, answer, message, pieces};
use super::session::{Login, Outgoing, Session};
use crate::sandbox::exchange::{Exchange, READ_BYTES};
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::{Arrival, LOGIN_BYTES, Socket, turns};
use crate::sandbox::v3::downlink;
use crate::sandbox::v3::limit::DOWN;
use crate::sandbox::v3::right::TRAFFIC_DOWN_WRITE;
use crate::sandbox::v3::stack::Stack;

/// Longest packet: the protocol's own limit.
const LONGEST: usize = 268_435_455;
/// Longest silence of a client that promises no keep-alive.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);
/// Answers that may wait for a client that does not read; then nothing more is read of it.
const ANSWERS: usize = 3 * 64;

/// Serve a connection until it ends or is to stop.
pub(super) async fn serve<S: Socket>(mut stream: S, stack: &Arc<Stack>, arrival: Arrival) {
    let Arrival { login_by, mut stop, .. } = arrival;
    let mut inbound = BytesMut::with_capacity(READ_BYTES);
    let (ask, asked) = mpsc::unbounded_channel();
    let login = tokio::select! {
        () = turns(&mut stop, true) => return,
        login = timeout_at(login_by, log_in(&mut stream, &mut inbound, stack, ask)) => login,
    };
    let Ok(Ok(Some((connect, session)))) = login else { return };
    stack.journal.write(Entry::Connected { client_id: session.client_id.clone(), app_id: session.app_id.clone() });
    let keep_alive = Duration::from_secs(u64::from(connect.keep_alive)).mul_f64(1.5);
    let longest_silence = if keep_alive.is_zero() { LONGEST_SILENCE } else { keep_alive };
    let mut connection = ClientConnection {
        stack,
        session: &session,
        exchange: Exchange::new(stream, inbound, asked, Some(longest_silence)),
        pieces: VecDeque::new(),
        has_parted: false,
    };
    tokio::select! {
        () = turns(&mut stop, true) => {}
        () = session.evict.notified() => {}
        outcome = connection.run() => if let Err(error) = outcome {
            tracing::debug!(client_id = %session.client_id, %error, "connection ended");
        },
    }
    let clean = connection.has_parted;
    stack.router.close(&session);
    stack.journal.write(Entry::Disconnected { client_id: session.client_id.clone(), clean });
    if let Some((topic, payload)) = connect.will.filter(|_| !clean) {
        stack.published(&session, &topic, &payload, 0);
    }
}

/// Read CONNECT and answer it. `None` when the login is refused.
async fn log_in<S: Socket>(
    stream: &mut S,
    inbound: &mut BytesMut,
    stack: &Arc<Stack>,
    ask: mpsc::UnboundedSender<oneshot::Sender<()>>,
) -> io::Result<Option<(Connect, Arc<Session>)>> {
    let mut connect = loop {
        match packet::read(inbound, LOGIN_BYTES) {
            Ok(Some(Packet::Connect(connect))) => break connect,
            Ok(Some(_)) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            Ok(None) if stream.read_buf(inbound).await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(None) => {}
        }
    };
    turns(&mut stack.faults.silence(), false).await;
    let accepted = stack.judge(&mut connect);
    let code = accepted.as_ref().err().copied().unwrap_or(0);
    for piece in pieces(0x20, vec![0, code]) {
        stream.write_all(&piece).await?;
        stream.flush().await?;
    }
    match accepted {
        Ok(login) => Ok(Some((connect, stack.router.open(login, ask)))),
        Err(_) => stream.shutdown().await.map(|()| None),
    }
}

impl Stack {
    /// Who logs in, or the code that refuses it.
    fn judge(&self, connect: &mut Connect) -> Result<Login, u8> {
        let (username, password) = (std::mem::take(&mut connect.username), std::mem::take(&mut connect.password));
        let fault = self.faults.login_code();
        let accepted = match (fault, connect.is_spoken) {
            // The same code as for a wrong key (seen).
            (0, true) if self.faults.has_lost_identity() => None,
            (0, true) => {
                let mut registry = self.registry();
                registry.log_in(&username, &password).map(|(app_id, rights)| (registry.uid(&app_id), app_id, rights))
            }
            _ => None,
        };
        let Some((uid, app_id, rights)) = accepted else {
            let code = if fault != 0 {
                fault
            } else if connect.is_spoken {
                5
            } else {
                1
            };
            self.journal.write(Entry::Refused { app_id: username, code });
            return Err(code);
        };
        // Of the key only its ID, which is no secret.
        let key_id = password.split('.').nth(1).unwrap_or_default();
        let limited = format!("{uid} {key_id}");
        Ok(Login { client_id: std::mem::take(&mut connect.client_id), app_id, uid, rights, limited })
    }

    /// Take a message of a client. What its key does not permit is dropped without a word, as all that is wrong.
    fn published(&self, session: &Session, topic: &str, payload: &Bytes, qos: u8) {
        let within = topic.strip_prefix("v3/").and_then(|rest| rest.strip_prefix(session.uid.as_str()));
        let place = within.and_then(|rest| rest.strip_prefix("/devices/")).and_then(|rest| rest.split_once('/'));
        let order = place.and_then(|(dev_id, order)| match order {
            "down/push" => Some((dev_id, false)),
            "down/replace" => Some((dev_id, true)),
            _ => None,
        });
        let order = order.filter(|_| session.rights.has(TRAFFIC_DOWN_WRITE));
        self.note(&session.client_id, topic, payload, qos, order.is_some());
        let Some((dev_id, replaces)) = order else { return };
        let Some(downlinks) = downlink::read(payload) else {
            return tracing::debug!(%topic, "dropped downlinks that cannot be read");
        };
        if let Err(failure) = self.take_downlinks(&session.app_id, dev_id, replaces, downlinks, None) {
            tracing::debug!(%topic, ?failure, "dropped downlinks");
        }
    }
}

struct ClientConnection<'c, S> {
    stack: &'c Arc<Stack>,
    session: &'c Arc<Session>,
    exchange: Exchange<S>,
    /// What goes out next, in the pieces in which it is written, one at a time.
    pieces: VecDeque<Bytes>,
    /// Whether the client has said goodbye. It is the one to close.
    has_parted: bool,
}

impl<S: Socket> ClientConnection<'_, S> {
    /// Until the client closes, or does what the broker closes over.
    async fn run(&mut self) -> io::Result<()> {
        let mut silence = self.stack.faults.silence();
        loop {
            self.exchange.keep_silent(&mut silence).await;
            self.decode()?;
            self.fill();
            self.exchange.turn(self.pieces.len() < ANSWERS, &mut silence, &self.session.wake).await?;
        }
    }

    /// Handle all packets that are complete.
    fn decode(&mut self) -> io::Result<()> {
        while self.pieces.len() < ANSWERS {
            match packet::read(&mut self.exchange.inbound, LONGEST) {
                Ok(Some(packet)) => self.handle(packet)?,
                Ok(None) => break,
                Err(reason) => return Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
            }
        }
        self.exchange.inbound.reserve(READ_BYTES);
        Ok(())
    }

    fn handle(&mut self, packet: Packet) -> io::Result<()> {
        match packet {
            Packet::Publish(message) => return self.published(&message),
            Packet::Release(packet_id) => self.answer(answer(0x70, packet_id, &[])),
            Packet::Subscribe(packet_id, filters) => self.subscribe(packet_id, filters),
            Packet::Unsubscribe(packet_id, filters) => {
                for filter in filters.iter().filter_map(|filter| within(filter, &self.session.uid)) {
                    self.session.unsubscribe(&filter);
                }
                self.answer(answer(0xB0, packet_id, &[]));
            }
            Packet::Ping => self.answer(pieces(0xD0, Vec::new())),
            Packet::Disconnect => self.has_parted = true,
            Packet::Acknowledgement => {}
            Packet::Connect(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a second login")),
        }
        Ok(())
    }

    fn published(&mut self, message: &Publish) -> io::Result<()> {
        if !self.stack.limits.take(DOWN, &self.session.limited) {
            return Err(io::Error::other("too many messages"));
        }
        self.stack.published(self.session, &message.topic, &message.payload, message.qos);
        match message.qos {
            1 if self.stack.faults.withholds_ack() => {}
            1 => self.answer(answer(0x40, message.packet_id, &[])),
            2 => self.answer(answer(0x50, message.packet_id, &[])),
            _ => {}
        }
        Ok(())
    }

    fn subscribe(&mut self, packet_id: u16, filters: Vec<(String, u8)>) {
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, qos) in filters {
            let own = within(&filter, &self.session.uid);
            codes.push(if own.is_some() { qos } else { 0x80 });
            self.stack.journal.write(Entry::Subscribed {
                client_id: self.session.client_id.clone(),
                filter,
                qos: own.is_some().then_some(qos),
            });
            if let Some(own) = own {
                self.session.subscribe(own);
            }
        }
        self.answer(answer(0x90, packet_id, &codes));
    }

    /// Answer the client, after all messages that were published before.
    fn answer(&mut self, packet: [Bytes; 3]) {
        while let Ok(outgoing) = self.session.next() {
            self.deliver(&outgoing);
        }
        self.pieces.extend(packet);
    }

    fn deliver(&mut self, outgoing: &Outgoing) {
        let times = 1 + usize::from(self.stack.faults.takes_duplicate());
        for _ in 0..times {
            let [first, length, body] = message(&outgoing.topic, &outgoing.payload);
            let mut body = BytesMut::from(body);
            self.stack.faults.garble_tail(&mut body, outgoing.payload.len());
            self.pieces.extend([first, length, body.freeze()]);
        }
    }

    /// Have the next piece ready for the socket.
    fn fill(&mut self) {
        if !self.exchange.has_written() {
            return;
        }
        if self.pieces.is_empty() {
            match self.session.next() {
                Ok(outgoing) => self.deliver(&outgoing),
                Err(again) => self.exchange.look_again = again,
            }
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.exchange.outbound.extend_from_slice(&piece);
        }
    }
}
