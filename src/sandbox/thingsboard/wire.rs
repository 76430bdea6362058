//! Packets of both levels of MQTT, as the server reads and writes them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use rumqttc::mqttbytes::{Error as Error3, v4};
use rumqttc::v5::mqttbytes::{Error as Error5, v5};

/// A level of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    V3,
    V5,
}

/// What a client sends.
#[derive(Debug)]
pub(super) enum Request {
    Connect(Login),
    /// A login of a level that nobody speaks.
    UnknownLevel,
    Publish {
        topic: String,
        payload: Bytes,
        qos: u8,
        mid: u16,
    },
    Acknowledged,
    Subscribe {
        mid: u16,
        filters: Vec<(String, u8)>,
    },
    Unsubscribe {
        mid: u16,
        filters: Vec<String>,
    },
    Ping,
    Disconnect,
}

#[derive(Debug)]
pub(super) struct Login {
    pub(super) level: Level,
    /// Whether it is MQTT 3.1, which differs in the login alone.
    pub(super) oldest: bool,
    pub(super) clean: bool,
    pub(super) client_id: String,
    /// User name and password, if there is any of them.
    pub(super) credentials: Option<(String, String)>,
}

/// Take a packet off the front of a stream; `None` when it is not whole yet. After its length it has `max` bytes at most.
pub(super) fn read(level: Option<Level>, stream: &mut BytesMut, max: usize) -> Result<Option<Request>, String> {
    if level.is_none() && oldest(stream) {
        return read_oldest(stream, max);
    }
    let level = match level.or_else(|| announced(stream)) {
        Some(level) => level,
        None if stream.len() > 16 => return Ok(Some(Request::UnknownLevel)),
        None => return Ok(None),
    };
    match level {
        Level::V3 => read_3(stream, max),
        Level::V5 => read_5(stream, max),
    }
}

/// The first byte after a packet's length.
fn header_of(stream: &BytesMut) -> Option<usize> {
    Some(1 + stream.get(1..)?.iter().take(3).take_while(|byte| **byte & 0x80 != 0).count() + 1)
}

const OLDEST: &[u8] = &[0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3];
const NEXT: &[u8] = &[0, 4, b'M', b'Q', b'T', b'T', 4];

fn oldest(stream: &BytesMut) -> bool {
    header_of(stream).and_then(|header| stream.get(header..)).is_some_and(|body| body.starts_with(OLDEST))
}

/// A login by MQTT 3.1 is one by MQTT 3.1.1 under another name.
fn read_oldest(stream: &mut BytesMut, max: usize) -> Result<Option<Request>, String> {
    let header = header_of(stream).unwrap_or(2);
    let length = stream[1..header].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
    if length > max {
        return Err(format!("a login of {length} bytes"));
    }
    if stream.len() < header + length {
        return Ok(None);
    }
    let packet = stream.split_to(header + length);
    let body = &packet[header + OLDEST.len()..];
    let mut renamed = BytesMut::new();
    renamed.put_u8(packet[0]);
    put_length(NEXT.len() + body.len(), &mut renamed);
    renamed.put_slice(NEXT);
    renamed.put_slice(body);
    Ok(read_3(&mut renamed, max)?.map(|request| match request {
        Request::Connect(login) => Request::Connect(Login { oldest: true, ..login }),
        other => other,
    }))
}

/// Which the codec does not refuse by itself, as it does a subscription to nothing.
const NOTHING: &str = "the end of no subscription";

fn put_length(mut length: usize, out: &mut BytesMut) {
    loop {
        let digit = u8::try_from(length & 0x7F).unwrap_or_default();
        length >>= 7;
        out.put_u8(digit | if length > 0 { 0x80 } else { 0 });
        if length == 0 {
            return;
        }
    }
}

/// How many whole packets a stream begins with.
pub(super) fn count(stream: &BytesMut) -> usize {
    let (mut rest, mut count) = (&stream[..], 0);
    while let Ok(header) = rumqttc::mqttbytes::check(rest.iter(), usize::MAX) {
        rest = &rest[header.frame_length()..];
        count += 1;
    }
    count
}

/// The level that a CONNECT names: the byte after the protocol's name.
fn announced(stream: &BytesMut) -> Option<Level> {
    let header = header_of(stream)?;
    match stream.get(header..header + 7)? {
        [0, 4, b'M', b'Q', b'T', b'T', 4] => Some(Level::V3),
        [0, 4, b'M', b'Q', b'T', b'T', 5] => Some(Level::V5),
        _ => None,
    }
}

fn read_3(stream: &mut BytesMut, max: usize) -> Result<Option<Request>, String> {
    Ok(Some(match v4::Packet::read(stream, max) {
        Ok(v4::Packet::Connect(connect)) => Request::Connect(Login {
            level: Level::V3,
            oldest: false,
            clean: connect.clean_session,
            client_id: connect.client_id,
            credentials: connect.login.map(|login| (login.username, login.password)),
        }),
        Ok(v4::Packet::Publish(message)) => {
            let v4::Publish { topic, payload, qos, pkid, .. } = message;
            Request::Publish { topic, payload, qos: qos as u8, mid: pkid }
        }
        Ok(v4::Packet::PubAck(_)) => Request::Acknowledged,
        Ok(v4::Packet::Subscribe(request)) => Request::Subscribe {
            mid: request.pkid,
            filters: request.filters.into_iter().map(|filter| (filter.path, filter.qos as u8)).collect(),
        },
        Ok(v4::Packet::Unsubscribe(request)) if request.topics.is_empty() => return Err(NOTHING.to_owned()),
        Ok(v4::Packet::Unsubscribe(request)) => Request::Unsubscribe { mid: request.pkid, filters: request.topics },
        Ok(v4::Packet::PingReq) => Request::Ping,
        Ok(v4::Packet::Disconnect) => Request::Disconnect,
        Ok(other) => return Err(format!("a client does not send {other:?}")),
        Err(Error3::InsufficientBytes(_)) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }))
}

fn read_5(stream: &mut BytesMut, max: usize) -> Result<Option<Request>, String> {
    // The codec says that bytes are missing of a packet, too, that is whole, was taken, and ends before its contents.
    let arrived = stream.len();
    if stream.starts_with(&[0xE0, 0]) {
        // The codec takes no farewell without a reason.
        stream.advance(2);
        return Ok(Some(Request::Disconnect));
    }
    // An empty user name is one, too, which the codec does not tell from none.
    let named = header_of(stream).and_then(|header| stream.get(header + 7)).is_some_and(|flags| flags & 0x80 != 0);
    Ok(Some(match v5::Packet::read(stream, Some(u32::try_from(max).unwrap_or(u32::MAX))) {
        Ok(v5::Packet::Connect(connect, _, login)) => Request::Connect(Login {
            level: Level::V5,
            oldest: false,
            clean: connect.clean_start,
            client_id: connect.client_id,
            credentials: login.map(|login| (login.username, login.password)).or_else(|| named.then(Default::default)),
        }),
        Ok(v5::Packet::Publish(message)) => Request::Publish {
            topic: String::from_utf8(message.topic.to_vec()).map_err(|error| error.to_string())?,
            payload: message.payload,
            qos: message.qos as u8,
            mid: message.pkid,
        },
        Ok(v5::Packet::PubAck(_)) => Request::Acknowledged,
        Ok(v5::Packet::Subscribe(request)) => Request::Subscribe {
            mid: request.pkid,
            filters: request.filters.into_iter().map(|filter| (filter.path, filter.qos as u8)).collect(),
        },
        Ok(v5::Packet::Unsubscribe(request)) if request.filters.is_empty() => return Err(NOTHING.to_owned()),
        Ok(v5::Packet::Unsubscribe(request)) => Request::Unsubscribe { mid: request.pkid, filters: request.filters },
        Ok(v5::Packet::PingReq(_)) => Request::Ping,
        Ok(v5::Packet::Disconnect(_)) => Request::Disconnect,
        Ok(other) => return Err(format!("a client does not send {other:?}")),
        Err(Error5::InsufficientBytes(_)) if stream.len() == arrived => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }))
}

/// Packets to a client.
impl Level {
    /// The answer to a login. Without a level that is known, the form of MQTT 3.1.1.
    pub(super) fn login(level: Option<Self>, present: bool, code: u8, out: &mut BytesMut) {
        match level {
            Some(Self::V5) => out.put_slice(&[0x20, 3, u8::from(present), code, 0]),
            _ => out.put_slice(&[0x20, 2, u8::from(present), code]),
        }
    }

    pub(super) fn acknowledge(self, mid: u16, reason: u8, out: &mut BytesMut) {
        let [high, low] = mid.to_be_bytes();
        match (self, reason) {
            (Self::V5, 1..) => out.put_slice(&[0x40, 4, high, low, reason, 0]),
            _ => out.put_slice(&[0x40, 2, high, low]),
        }
    }

    pub(super) fn subscribed(self, mid: u16, codes: &[u8], out: &mut BytesMut) {
        self.judged(0x90, mid, codes, out);
    }

    pub(super) fn unsubscribed(self, mid: u16, codes: &[u8], out: &mut BytesMut) {
        // MQTT 3.1.1 tells nothing of them.
        self.judged(0xB0, mid, if self == Self::V5 { codes } else { &[] }, out);
    }

    fn judged(self, kind: u8, mid: u16, codes: &[u8], out: &mut BytesMut) {
        let properties: &[u8] = if self == Self::V5 { &[0] } else { &[] };
        out.put_u8(kind);
        put_length(2 + properties.len() + codes.len(), out);
        out.put_u16(mid);
        out.put_slice(properties);
        out.put_slice(codes);
    }

    pub(super) fn pong(out: &mut BytesMut) {
        out.put_slice(&[0xD0, 0]);
    }

    /// A farewell, which only MQTT 5 has.
    pub(super) fn disconnect(self, reason: u8, out: &mut BytesMut) {
        if self == Self::V5 {
            out.put_slice(&[0xE0, 2, reason, 0]);
        }
    }

    pub(super) fn publish(
        self,
        topic: &str,
        payload: &Bytes,
        mid: Option<u16>,
        out: &mut BytesMut,
    ) -> Result<(), String> {
        match self {
            Self::V3 => {
                let qos = if mid.is_some() { rumqttc::QoS::AtLeastOnce } else { rumqttc::QoS::AtMostOnce };
                let mut message = v4::Publish::from_bytes(topic, qos, payload.clone());
                message.pkid = mid.unwrap_or(0);
                message.write(out).map(drop).map_err(|error| error.to_string())
            }
            Self::V5 => {
                use rumqttc::v5::mqttbytes::QoS;
                let qos = if mid.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                let mut message = v5::Publish::new(topic, qos, payload.clone(), None);
                message.pkid = mid.unwrap_or(0);
                message.write(out).map(drop).map_err(|error| error.to_string())
            }
        }
    }
}
