//! MQTT 5, as much of it as a client needs that uses no properties of its own.

use bytes::{Buf as _, Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, Filter, LastWill, Login as Credentials, Packet as Wire, Publish as Message, Subscribe,
    Unsubscribe,
};
use rumqttc::v5::mqttbytes::{Error, QoS as V5QoS};

use super::{Answer, Login, Malformed, Packet, Publish, Unreadable};
use crate::dialect::mqtt::code;

pub(super) fn read(stream: &mut BytesMut, max_bytes: usize) -> Result<Packet, Unreadable> {
    if let Some(packet) = answer(stream, max_bytes) {
        return Ok(packet);
    }
    let most = u32::try_from(max_bytes).unwrap_or(u32::MAX);
    let arrived = stream.len();
    Ok(match Wire::read(stream, Some(most)) {
        Ok(Wire::Publish(message)) => {
            let Message { dup, qos, retain, topic, pkid, payload, .. } = message;
            let topic = String::from_utf8(topic.to_vec()).map_err(|error| Unreadable::Broken(error.into()))?;
            let qos = match qos {
                V5QoS::AtMostOnce => QoS::AtMostOnce,
                V5QoS::AtLeastOnce => QoS::AtLeastOnce,
                V5QoS::ExactlyOnce => {
                    return Err(Unreadable::Broken(Malformed::ExactlyOnce));
                }
            };
            Packet::Publish(Publish { topic, payload, qos, retain, dup, mid: pkid })
        }
        Ok(Wire::ConnAck(answer)) => Packet::Login(accepted(&answer)),
        Err(Error::InvalidConnectReturnCode(code)) => Packet::Login(Answer { code, ..Answer::default() }),
        Ok(Wire::UnsubAck(ack)) => Packet::Unsubscribed { mid: ack.pkid },
        Ok(Wire::PingResp(_)) => Packet::Pong,
        Ok(other) => Packet::Strange(match other {
            Wire::Auth(_) => "AUTH",
            Wire::Connect(..) => "CONNECT",
            Wire::PubRec(_) => "PUBREC",
            Wire::PubRel(_) => "PUBREL",
            Wire::PubComp(_) => "PUBCOMP",
            Wire::Subscribe(_) => "SUBSCRIBE",
            Wire::Unsubscribe(_) => "UNSUBSCRIBE",
            _ => "PINGREQ",
        }),
        Err(Error::InsufficientBytes(count)) if stream.len() == arrived => return Err(Unreadable::Incomplete(count)),
        // The packet is whole and was taken: what is missing would never come.
        Err(Error::InsufficientBytes(_)) => return Err(Unreadable::Broken(Malformed::Cut)),
        Err(Error::PayloadSizeLimitExceeded { pkt_size, .. }) => return Err(Unreadable::TooLarge(pkt_size)),
        Err(error) => return Err(Unreadable::Broken(error.into())),
    })
}

/// A number of one to four bytes, and how many.
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Packets that the codec refuses in their shortest form, or whose reason codes it knows too few of.
fn answer(stream: &mut BytesMut, max_bytes: usize) -> Option<Packet> {
    let first = *stream.first()?;
    let (length, width) = variable(stream.get(1..)?)?;
    let body = stream.get(1 + width..1 + width + length).filter(|_| length <= max_bytes)?;
    let mid = || Some(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let packet = match first >> 4 {
        // A server that knows only MQTT 3.1.1 answers in its own form.
        2 if length == 2 => Packet::Login(Answer { code: body[1], ..Answer::default() }),
        4 => Packet::Acknowledged { mid: mid()?, reason: body.get(2).copied().unwrap_or(0) },
        9 => {
            let (properties, width) = variable(body.get(2..)?)?;
            let codes = body.get(2 + width + properties..)?.to_vec();
            Packet::Subscribed { mid: mid()?, codes }
        }
        14 => Packet::Disconnect { reason: body.first().copied().unwrap_or(0) },
        _ => return None,
    };
    stream.advance(1 + width + length);
    Some(packet)
}

fn accepted(answer: &ConnAck) -> Answer {
    let properties = answer.properties.as_ref();
    Answer {
        code: number(answer),
        session_present: answer.session_present,
        receive_maximum: properties.and_then(|properties| properties.receive_max),
        max_packet: properties.and_then(|properties| properties.max_packet_size),
        keep_alive: properties.and_then(|properties| properties.server_keep_alive),
    }
}

fn number(answer: &ConnAck) -> u8 {
    // The codec's enumeration has no numbers. Written once more it does: the fourth byte of the shortest form.
    let mut bytes = BytesMut::new();
    let bare = ConnAck { properties: None, ..answer.clone() };
    match bare.write(&mut bytes) {
        Ok(_) => bytes.get(3).copied().unwrap_or(code::UNSPECIFIED),
        Err(_) => code::UNSPECIFIED,
    }
}

fn v5_qos(qos: QoS) -> V5QoS {
    match qos {
        QoS::AtMostOnce => V5QoS::AtMostOnce,
        QoS::AtLeastOnce => V5QoS::AtLeastOnce,
        QoS::ExactlyOnce => V5QoS::ExactlyOnce,
    }
}

fn write(packet: &Wire, out: &mut BytesMut) -> Result<(), Malformed> {
    packet.write(out, None)?;
    Ok(())
}

pub(super) fn login(login: &Login<'_>, out: &mut BytesMut) -> Result<(), Malformed> {
    let connect = Connect {
        keep_alive: login.keep_alive,
        client_id: login.client_id.to_owned(),
        clean_start: login.clean,
        properties: None,
    };
    let credentials = (!login.username.is_empty() || !login.password.is_empty())
        .then(|| Credentials { username: login.username.to_owned(), password: login.password.to_owned() });
    let will = login.will.map(|will| LastWill {
        topic: Bytes::copy_from_slice(will.topic.as_bytes()),
        message: will.payload.clone(),
        qos: v5_qos(will.qos),
        retain: will.retain,
        properties: None,
    });
    write(&Wire::Connect(connect, will, credentials), out)
}

pub(super) fn publish(message: Publish, out: &mut BytesMut) -> Result<(), Malformed> {
    let Publish { topic, payload, qos, retain, dup, mid } = message;
    let message = Message { dup, qos: v5_qos(qos), retain, topic: topic.into(), pkid: mid, payload, properties: None };
    write(&Wire::Publish(message), out)
}

pub(super) fn subscribe(mid: u16, filters: &[(String, QoS)], out: &mut BytesMut) -> Result<(), Malformed> {
    let filters = filters.iter().map(|(filter, qos)| Filter::new(filter.clone(), v5_qos(*qos)));
    let mut packet = Subscribe::new_many(filters, None);
    packet.pkid = mid;
    write(&Wire::Subscribe(packet), out)
}

pub(super) fn unsubscribe(mid: u16, filters: Vec<String>, out: &mut BytesMut) -> Result<(), Malformed> {
    write(&Wire::Unsubscribe(Unsubscribe { pkid: mid, filters, properties: None }), out)
}
