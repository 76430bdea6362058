//! One client's connection, from its login to its end.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    Connect, LastWill, Packet, PubAck, PubComp, PubRec, Publish, SubAck, Subscribe, SubscribeReasonCode, UnsubAck,
};
use rumqttc::mqttbytes::{Error as CodecError, Protocol, QoS, valid_filter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout_at;

use super::House;
use super::session::{ClientSession, Outgoing};
use crate::dialect::mqtt::is_too_deep;
use crate::sandbox::exchange::{Exchange, READ_BYTES};
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::{Arrival, LOGIN_BYTES, Socket, turns};

/// Largest packet taken from a client.
const MAX_PACKET: usize = 16 << 20;
/// Bytes encoded ahead of the socket.
const WRITE_AHEAD: usize = 256 << 10;

/// Serve a connection until it ends or is to stop.
pub(in crate::sandbox) async fn serve<S: Socket>(mut stream: S, network: &Arc<impl House>, arrival: Arrival) {
    let Arrival { shown, login_by, mut stop } = arrival;
    let mut inbound = BytesMut::with_capacity(READ_BYTES);
    let login = tokio::select! {
        () = turns(&mut stop, true) => return,
        login = timeout_at(login_by, log_in(&mut stream, &mut inbound, network, shown.as_deref())) => login,
    };
    let Ok(Ok(Some((connect, session)))) = login else { return };
    let serial = network.router().next_serial();
    let evict = Arc::new(Notify::new());
    let (ask, asked) = mpsc::unbounded_channel();
    session.attach(serial, evict.clone(), ask);
    network.journal().write(Entry::Connected { client_id: session.client_id.clone(), app_id: session.name.clone() });
    let keep_alive = Duration::from_secs(u64::from(connect.keep_alive));
    let longest_silence = (!keep_alive.is_zero()).then(|| keep_alive.mul_f64(1.5));
    let mut connection = ClientConnection {
        network,
        session: &session,
        exchange: Exchange::new(stream, inbound, asked, longest_silence),
        unreleased: HashSet::new(),
    };
    let clean = tokio::select! {
        () = turns(&mut stop, true) => false,
        () = evict.notified() => false,
        outcome = connection.run() => match outcome {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(client_id = %session.client_id, %error, "connection ended");
                false
            }
        },
    };
    let served = session.detach(serial);
    if served && session.clean {
        network.router().forget(&session);
    }
    network.journal().write(Entry::Disconnected { client_id: session.client_id.clone(), clean });
    if let Some(will) = connect.last_will.filter(|_| !clean) {
        let LastWill { topic, message, qos, retain } = will;
        network.published(&session, &topic, &message, qos, retain);
    }
}

/// Read CONNECT and answer it. `None` when the login is refused.
async fn log_in<S: Socket>(
    stream: &mut S,
    inbound: &mut BytesMut,
    network: &Arc<impl House>,
    shown: Option<&[u8]>,
) -> io::Result<Option<(Connect, Arc<ClientSession>)>> {
    let packet = loop {
        match Packet::read(inbound, LOGIN_BYTES) {
            Err(CodecError::InsufficientBytes(_)) => {
                if stream.read_buf(inbound).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            outcome => break outcome,
        }
    };
    let mut silence = network.faults().silence();
    turns(&mut silence, false).await;
    let (code, accepted) = match packet {
        Ok(Packet::Connect(connect)) if connect.last_will.as_ref().is_some_and(|will| is_too_deep(&will.topic)) => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a will whose topic has too many levels"));
        }
        Ok(Packet::Connect(connect)) => judge(connect, network, shown),
        Err(CodecError::InvalidProtocol | CodecError::InvalidProtocolLevel(_)) => (1, None),
        Ok(_) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
    };
    let present = accepted.as_ref().is_some_and(|(_, _, present)| *present);
    stream.write_all(&[0x20, 2, u8::from(present), code]).await?;
    stream.flush().await?;
    if code != 0 {
        stream.shutdown().await?;
    }
    Ok(accepted.map(|(connect, session, _)| (connect, session)))
}

fn judge(
    mut connect: Connect,
    network: &Arc<impl House>,
    shown: Option<&[u8]>,
) -> (u8, Option<(Connect, Arc<ClientSession>, bool)>) {
    let login = connect.login.take();
    let refuse = |code: u8| {
        let app_id = login.as_ref().map(|login| login.username.clone()).unwrap_or_default();
        network.journal().write(Entry::Refused { app_id, code });
        (code, None)
    };
    let fault = network.faults().login_code();
    if fault != 0 {
        return refuse(fault);
    }
    if connect.protocol != Protocol::V4 {
        return refuse(1);
    }
    if connect.client_id.is_empty() {
        if !connect.clean_session {
            return refuse(2);
        }
        connect.client_id = format!("sandbox-{}", network.router().next_serial());
    }
    let guest = match network.admit(login.as_ref(), shown) {
        Ok(guest) => guest,
        Err(code) => return refuse(code),
    };
    let (session, present) = network.router().open(guest, &connect.client_id, connect.clean_session);
    (0, Some((connect, session, present)))
}

struct ClientConnection<'c, S, H> {
    network: &'c Arc<H>,
    session: &'c Arc<ClientSession>,
    exchange: Exchange<S>,
    /// QoS 2 messages that were taken and not released.
    unreleased: HashSet<u16>,
}

impl<S: Socket, H: House> ClientConnection<'_, S, H> {
    /// Until DISCONNECT (`Ok`) or anything else (`Err`).
    async fn run(&mut self) -> io::Result<()> {
        let mut silence = self.network.faults().silence();
        loop {
            self.exchange.keep_silent(&mut silence).await;
            if self.decode()? {
                return Ok(());
            }
            self.fill()?;
            self.exchange.turn(true, &mut silence, &self.session.wake).await?;
        }
    }

    fn encode(&mut self, packet: &Packet) -> io::Result<()> {
        packet.write(&mut self.exchange.outbound, usize::MAX).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(())
    }

    /// Handle all packets that are complete; tells whether the client has said goodbye.
    fn decode(&mut self) -> io::Result<bool> {
        loop {
            match Packet::read(&mut self.exchange.inbound, MAX_PACKET) {
                Ok(Packet::Disconnect) => return Ok(true),
                Ok(packet) => self.handle(packet)?,
                // Not what a packet announces: that may never come.
                Err(CodecError::InsufficientBytes(_)) => {
                    self.exchange.inbound.reserve(READ_BYTES);
                    return Ok(false);
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
            }
        }
    }

    fn handle(&mut self, packet: Packet) -> io::Result<()> {
        match packet {
            Packet::Publish(message) => self.published(message),
            Packet::PubAck(ack) => {
                self.session.acknowledged(ack.pkid);
                Ok(())
            }
            Packet::PubRel(release) => {
                self.unreleased.remove(&release.pkid);
                self.encode(&Packet::PubComp(PubComp::new(release.pkid)))
            }
            Packet::Subscribe(request) => self.subscribe(request),
            Packet::Unsubscribe(request) if !request.topics.is_empty() => {
                for filter in &request.topics {
                    self.network.router().unsubscribe(self.session, filter);
                }
                self.encode(&Packet::UnsubAck(UnsubAck::new(request.pkid)))
            }
            Packet::PingReq => self.encode(&Packet::PingResp),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn published(&mut self, message: Publish) -> io::Result<()> {
        let Publish { qos, topic, payload, retain, pkid, .. } = message;
        if is_too_deep(&topic) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a topic of too many levels"));
        }
        if qos == QoS::ExactlyOnce && !self.unreleased.insert(pkid) {
            return self.encode(&Packet::PubRec(PubRec::new(pkid)));
        }
        self.network.published(self.session, &topic, &payload, qos, retain);
        match qos {
            QoS::AtMostOnce => Ok(()),
            QoS::AtLeastOnce if self.network.faults().withholds_ack() => Ok(()),
            QoS::AtLeastOnce => self.encode(&Packet::PubAck(PubAck::new(pkid))),
            QoS::ExactlyOnce => self.encode(&Packet::PubRec(PubRec::new(pkid))),
        }
    }

    fn subscribe(&mut self, request: Subscribe) -> io::Result<()> {
        let mut codes = Vec::with_capacity(request.filters.len());
        let mut granted = Vec::new();
        for filter in request.filters {
            let allowed = valid_filter(&filter.path)
                && !is_too_deep(&filter.path)
                && self.session.grant.may_subscribe(&filter.path);
            let qos = if filter.qos == QoS::AtMostOnce { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            self.network.journal().write(Entry::Subscribed {
                client_id: self.session.client_id.clone(),
                filter: filter.path.clone(),
                qos: allowed.then_some(qos as u8),
            });
            if allowed {
                codes.push(SubscribeReasonCode::Success(qos));
                granted.push((filter.path, qos));
            } else {
                codes.push(SubscribeReasonCode::Failure);
            }
        }
        self.encode(&Packet::SubAck(SubAck::new(request.pkid, codes)))?;
        for (filter, qos) in granted {
            self.network.router().subscribe(self.session, &filter, qos);
        }
        Ok(())
    }

    /// Encode messages for the client as far as the write buffer goes.
    fn fill(&mut self) -> io::Result<()> {
        while self.exchange.outbound.len() < WRITE_AHEAD {
            match self.session.next() {
                Ok(delivery) => {
                    if self.network.faults().takes_duplicate() {
                        self.deliver(&delivery)?;
                        self.deliver(&Outgoing { dup: delivery.qos != QoS::AtMostOnce, ..delivery })?;
                    } else {
                        self.deliver(&delivery)?;
                    }
                }
                Err(again) => {
                    self.exchange.look_again = again;
                    break;
                }
            }
        }
        Ok(())
    }

    fn deliver(&mut self, delivery: &Outgoing) -> io::Result<()> {
        let message = &delivery.message;
        let packet = Publish {
            dup: delivery.dup,
            qos: delivery.qos,
            retain: delivery.retain,
            topic: message.topic.clone(),
            pkid: delivery.packet_id,
            payload: message.payload.clone(),
        };
        packet.write(&mut self.exchange.outbound).map_err(|error| io::Error::other(error.to_string()))?;
        self.network.faults().garble_tail(&mut self.exchange.outbound, message.payload.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode};

    use super::*;

    #[test]
    fn the_answer_to_a_login_is_what_the_codec_reads() {
        let mut bytes = BytesMut::from(&[0x20, 2, 1, 0][..]);
        let expected = ConnAck::new(ConnectReturnCode::Success, true);
        assert_eq!(Packet::read(&mut bytes, 100).unwrap(), Packet::ConnAck(expected));
    }
}
