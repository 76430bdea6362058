//! MQTT packets as the stack's broker reads them: more lenient than the standard in places, stricter in others
//! (V3 2.1, 2.2).

use bytes::{Buf as _, Bytes, BytesMut};

use super::filter::{is_filter, is_topic};

/// A packet of a client.
#[derive(Debug)]
pub(super) enum Packet {
    Connect(Connect),
    Publish(Publish),
    /// `PUBREL`, with its packet ID.
    Release(u16),
    /// Filters with the levels that are asked for.
    Subscribe(u16, Vec<(String, u8)>),
    Unsubscribe(u16, Vec<String>),
    Ping,
    Disconnect,
    /// An acknowledgement: nothing is ever sent that asks for one.
    Acknowledgement,
}

/// A login.
#[derive(Debug)]
pub(super) struct Connect {
    /// Whether protocol and level are spoken here; each is looked at for itself.
    pub(super) is_spoken: bool,
    pub(super) keep_alive: u16,
    pub(super) client_id: String,
    pub(super) will: Option<(String, Bytes)>,
    pub(super) username: String,
    pub(super) password: String,
}

/// A message.
#[derive(Debug)]
pub(super) struct Publish {
    /// 0 to 3: the broker does not mind.
    pub(super) qos: u8,
    pub(super) topic: String,
    pub(super) packet_id: u16,
    pub(super) payload: Bytes,
}

/// Why a connection ends.
pub(super) type Bad = &'static str;

/// Take the next packet, if it is complete and not longer than `most` bytes.
pub(super) fn read(inbound: &mut BytesMut, most: usize) -> Result<Option<Packet>, Bad> {
    let Some(first) = inbound.first().copied() else { return Ok(None) };
    let (mut length, mut shift, mut head) = (0_usize, 0, 1);
    loop {
        let Some(byte) = inbound.get(head) else { return Ok(None) };
        length |= usize::from(byte & 0x7F) << shift;
        head += 1;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        if shift > 21 {
            return Err("a length of more than four bytes");
        }
    }
    if length > most {
        return Err("a packet that is too long");
    }
    if inbound.len() < head + length {
        return Ok(None);
    }
    inbound.advance(head);
    decode(first, Body(inbound.split_to(length).freeze())).map(Some)
}

fn decode(first: u8, mut body: Body) -> Result<Packet, Bad> {
    Ok(match first >> 4 {
        1 => Packet::Connect(connect(&mut body)?),
        3 => Packet::Publish(publish(first, body)?),
        4 | 5 | 7 => Packet::Acknowledgement,
        6 => Packet::Release(body.number()?),
        8 => {
            let packet_id = body.number()?;
            let mut filters = Vec::new();
            while !body.0.is_empty() {
                let (filter, qos) = (body.text()?, body.byte()?);
                if !is_filter(&filter) || qos > 2 {
                    return Err("a subscription that is none");
                }
                filters.push((filter, qos));
            }
            if packet_id == 0 {
                return Err("a subscription without a packet ID");
            }
            Packet::Subscribe(packet_id, filters)
        }
        10 => {
            let packet_id = body.number()?;
            let mut filters = Vec::new();
            while !body.0.is_empty() {
                filters.push(body.text()?);
            }
            Packet::Unsubscribe(packet_id, filters)
        }
        12 => Packet::Ping,
        14 => Packet::Disconnect,
        _ => return Err("a packet that clients do not send"),
    })
}

fn connect(body: &mut Body) -> Result<Connect, Bad> {
    let (name, level, flags, keep_alive) = (body.text()?, body.byte()?, body.byte()?, body.number()?);
    let client_id = body.text()?;
    let will = if flags & 0x04 == 0 { None } else { Some((body.text()?, body.bytes()?)) };
    let username = if flags & 0x80 == 0 { String::new() } else { body.text()? };
    let password = if flags & 0x40 == 0 { String::new() } else { body.text()? };
    // At the end: of a login by MQTT 5 with a user name the reader has run out of bytes by now, since the byte that is
    // new there shifts the rest.
    let is_spoken = ["MQTT", "MQIsdp"].contains(&name.as_str()) && [3, 4].contains(&level);
    Ok(Connect { is_spoken, keep_alive, client_id: client_id.replace('/', "."), will, username, password })
}

fn publish(first: u8, mut body: Body) -> Result<Publish, Bad> {
    let qos = (first >> 1) & 3;
    if qos == 0 && first & 8 != 0 {
        return Err("a repeated message at QoS 0");
    }
    let topic = body.text()?;
    if !is_topic(&topic) {
        return Err("a topic that is none");
    }
    let packet_id = if qos == 0 { 0 } else { body.number()? };
    Ok(Publish { qos, topic, packet_id, payload: body.0 })
}

/// What follows the length.
struct Body(Bytes);

impl Body {
    fn byte(&mut self) -> Result<u8, Bad> {
        self.0.try_get_u8().map_err(|_| "a packet that ends early")
    }

    fn number(&mut self) -> Result<u16, Bad> {
        self.0.try_get_u16().map_err(|_| "a packet that ends early")
    }

    fn bytes(&mut self) -> Result<Bytes, Bad> {
        let length = usize::from(self.number()?);
        if self.0.len() < length { Err("a packet that ends early") } else { Ok(self.0.split_to(length)) }
    }

    fn text(&mut self) -> Result<String, Bad> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }
}

/// A packet in the three pieces in which the broker writes it: first byte, length, body.
pub(super) fn pieces(first: u8, body: Vec<u8>) -> [Bytes; 3] {
    let mut length = Vec::with_capacity(4);
    let mut rest = body.len();
    loop {
        let digit = u8::try_from(rest & 0x7F).unwrap_or(0);
        rest >>= 7;
        length.push(if rest == 0 { digit } else { digit | 0x80 });
        if rest == 0 {
            break;
        }
    }
    [Bytes::from(vec![first]), length.into(), body.into()]
}

/// A message to a client: at QoS 0, whatever was asked for.
pub(super) fn message(topic: &str, payload: &[u8]) -> [Bytes; 3] {
    let length = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    pieces(0x30, [&length.to_be_bytes()[..], topic.as_bytes(), payload].concat())
}

/// A packet that is an ID and perhaps codes.
pub(super) fn answer(first: u8, packet_id: u16, codes: &[u8]) -> [Bytes; 3] {
    pieces(first, [&packet_id.to_be_bytes()[..], codes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Result<Option<Packet>, Bad> {
        read(&mut BytesMut::from(bytes), 1 << 20)
    }

    #[test]
    fn a_packet_comes_whole_or_not_at_all() {
        let whole = b"\x30\x06\x00\x03a/bx";
        for end in 0..whole.len() {
            assert!(one(&whole[..end]).unwrap().is_none());
        }
        assert!(matches!(one(whole), Ok(Some(Packet::Publish(message))) if message.topic == "a/b"));
        assert!(one(b"\x30\xFF\xFF\xFF\xFF\x01").is_err() && one(b"\x30\xFF\xFF\xFF\x7F").is_err());
    }

    #[test]
    fn a_login_by_mqtt_5_is_read_shifted() {
        let login = |level, flags, rest: &[u8]| {
            let body = [b"\x00\x04MQTT", &[level, flags, 0, 60][..], rest].concat();
            one(&[&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat())
        };
        assert!(matches!(login(4, 2, b"\x00\x01c"), Ok(Some(Packet::Connect(login))) if login.is_spoken));
        assert!(matches!(login(6, 2, b"\x00\x01c"), Ok(Some(Packet::Connect(login))) if !login.is_spoken));
        assert!(matches!(login(5, 2, b"\x00\x00\x01c"), Ok(Some(Packet::Connect(login))) if !login.is_spoken));
        assert!(login(5, 0xC2, b"\x00\x00\x03app\x00\x04user\x00\x08password").is_err());
    }

    #[test]
    fn the_length_is_a_piece_of_its_own() {
        assert_eq!(message("a", &[7; 200])[..2], [Bytes::from_static(b"\x30"), Bytes::from_static(b"\xCB\x01")]);
        assert_eq!(answer(0x90, 7, &[0x80]).concat(), b"\x90\x03\x00\x07\x80");
        assert_eq!(pieces(0xD0, Vec::new()).concat(), b"\xD0\x00");
    }
}
