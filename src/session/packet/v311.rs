//! MQTT 3.1.1.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, LastWill, Login as Credentials, Packet as Wire, Publish as Message, Subscribe,
    SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use rumqttc::mqttbytes::{Error, QoS};

use super::{Answer, Login, Malformed, Packet, Publish, Unreadable};
use crate::dialect::mqtt::code;

pub(super) fn read(stream: &mut BytesMut, max_bytes: usize) -> Result<Packet, Unreadable> {
    Ok(match Wire::read(stream, max_bytes) {
        Ok(Wire::Publish(message)) => {
            let Message { dup, qos, retain, topic, pkid, payload } = message;
            if qos == QoS::ExactlyOnce {
                return Err(Unreadable::Broken(Malformed::ExactlyOnce));
            }
            Packet::Publish(Publish { topic, payload, qos, retain, dup, mid: pkid })
        }
        Ok(Wire::PubAck(ack)) => Packet::Acknowledged { mid: ack.pkid, reason: 0 },
        Ok(Wire::ConnAck(answer)) => Packet::Login(Answer {
            code: refusal(answer.code),
            session_present: answer.session_present,
            ..Answer::default()
        }),
        Err(Error::InvalidConnectReturnCode(code)) => Packet::Login(Answer { code, ..Answer::default() }),
        Ok(Wire::SubAck(ack)) => Packet::Subscribed {
            mid: ack.pkid,
            codes: ack
                .return_codes
                .iter()
                .map(|code| match code {
                    SubscribeReasonCode::Success(qos) => *qos as u8,
                    SubscribeReasonCode::Failure => code::UNSPECIFIED,
                })
                .collect(),
        },
        Ok(Wire::UnsubAck(ack)) => Packet::Unsubscribed { mid: ack.pkid },
        Ok(Wire::PingResp) => Packet::Pong,
        Ok(other) => Packet::Strange(match other {
            Wire::Connect(_) => "CONNECT",
            Wire::PubRec(_) => "PUBREC",
            Wire::PubRel(_) => "PUBREL",
            Wire::PubComp(_) => "PUBCOMP",
            Wire::Subscribe(_) => "SUBSCRIBE",
            Wire::Unsubscribe(_) => "UNSUBSCRIBE",
            Wire::PingReq => "PINGREQ",
            _ => "DISCONNECT",
        }),
        Err(Error::InsufficientBytes(count)) => return Err(Unreadable::Incomplete(count)),
        Err(Error::PayloadSizeLimitExceeded(size)) => return Err(Unreadable::TooLarge(size)),
        Err(error) => return Err(Unreadable::Broken(error.into())),
    })
}

fn refusal(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::Success => code::SUCCESS,
        ConnectReturnCode::RefusedProtocolVersion => code::V311_UNSUPPORTED_VERSION,
        ConnectReturnCode::BadClientId => code::V311_CLIENT_ID_NOT_VALID,
        ConnectReturnCode::ServiceUnavailable => code::V311_SERVER_UNAVAILABLE,
        ConnectReturnCode::BadUserNamePassword => code::V311_BAD_LOGIN,
        ConnectReturnCode::NotAuthorized => code::V311_NOT_AUTHORISED,
    }
}

fn write(packet: &Wire, out: &mut BytesMut) -> Result<(), Malformed> {
    packet.write(out, usize::MAX)?;
    Ok(())
}

pub(super) fn login(login: &Login<'_>, out: &mut BytesMut) -> Result<(), Malformed> {
    let mut connect = Connect::new(login.client_id);
    connect.clean_session = login.clean;
    connect.keep_alive = login.keep_alive;
    connect.login = (!login.username.is_empty() || !login.password.is_empty())
        .then(|| Credentials { username: login.username.to_owned(), password: login.password.to_owned() });
    connect.last_will = login.will.map(|will| LastWill {
        topic: will.topic.clone(),
        message: will.payload.clone(),
        qos: will.qos,
        retain: will.retain,
    });
    write(&Wire::Connect(connect), out)
}

pub(super) fn publish(message: Publish, out: &mut BytesMut) -> Result<(), Malformed> {
    let Publish { topic, payload, qos, retain, dup, mid } = message;
    write(&Wire::Publish(Message { dup, qos, retain, topic, pkid: mid, payload }), out)
}

pub(super) fn subscribe(mid: u16, filters: &[(String, QoS)], out: &mut BytesMut) -> Result<(), Malformed> {
    let mut packet =
        Subscribe::new_many(filters.iter().map(|(filter, qos)| SubscribeFilter::new(filter.clone(), *qos)));
    packet.pkid = mid;
    write(&Wire::Subscribe(packet), out)
}

pub(super) fn unsubscribe(mid: u16, topics: Vec<String>, out: &mut BytesMut) -> Result<(), Malformed> {
    write(&Wire::Unsubscribe(Unsubscribe { pkid: mid, topics }), out)
}
