//! Packets as the session sees them, whatever version of MQTT the connection speaks. rumqttc's codecs do the work.

mod malformed;
mod v311;
mod v5;

use bytes::{Bytes, BytesMut};
pub use rumqttc::mqttbytes::QoS;

pub(super) use self::malformed::Malformed;

/// A version of the MQTT protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    #[default]
    V311,
    /// MQTT 5.
    V5,
}

/// A message on its way, in either direction.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) mid: u16,
}

/// What a server sends.
#[derive(Debug)]
pub(super) enum Packet {
    /// Answer to a login.
    Login(Answer),
    /// A message.
    Publish(Publish),
    /// A message is acknowledged; from 128 on the reason tells why it was refused. MQTT 3.1.1 knows no refusal.
    Acknowledged { mid: u16, reason: u8 },
    /// Answer to a subscription: for each filter the version granted, or from 128 on why it was refused.
    Subscribed { mid: u16, codes: Vec<u8> },
    /// Answer to the end of a subscription.
    Unsubscribed { mid: u16 },
    /// Answer to a probe.
    Pong,
    /// The server parts; MQTT 5 only.
    Disconnect { reason: u8 },
    /// What a server does not send.
    Strange(&'static str),
}

/// How a login was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0 for success; up to 5 by MQTT 3.1.1, from 128 on by MQTT 5.
    pub(super) code: u8,
    pub(super) session_present: bool,
    /// How many messages at QoS 1 the server takes at once.
    pub(super) receive_maximum: Option<u16>,
    /// Largest packet that the server takes.
    pub(super) max_packet: Option<u32>,
    /// The keep-alive that the server insists on, in seconds.
    pub(super) keep_alive: Option<u16>,
}

/// What a login says.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) client_id: &'a str,
    /// Empty for none.
    pub(super) username: &'a str,
    /// Empty for none.
    pub(super) password: &'a str,
    pub(super) clean: bool,
    pub(super) keep_alive: u16,
    pub(super) will: Option<&'a Will>,
}

/// What the server publishes for a client that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Version of delivery.
    pub qos: QoS,
    /// Whether the server keeps it.
    pub retain: bool,
}

/// Why no packet could be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// At least so many bytes are missing.
    Incomplete(usize),
    /// The packet is over the limit; its size after the fixed header.
    TooLarge(usize),
    /// The stream cannot be followed any further.
    Broken(Malformed),
}

impl Version {
    /// Take a packet off the front of a stream.
    pub(super) fn read(self, stream: &mut BytesMut, max_bytes: usize) -> Result<Packet, Unreadable> {
        match self {
            Self::V311 => v311::read(stream, max_bytes),
            Self::V5 => v5::read(stream, max_bytes),
        }
    }

    /// Append a login.
    pub(super) fn login(self, login: &Login<'_>, out: &mut BytesMut) -> Result<(), Malformed> {
        match self {
            Self::V311 => v311::login(login, out),
            Self::V5 => v5::login(login, out),
        }
    }

    /// Append a message.
    pub(super) fn publish(self, message: Publish, out: &mut BytesMut) -> Result<(), Malformed> {
        match self {
            Self::V311 => v311::publish(message, out),
            Self::V5 => v5::publish(message, out),
        }
    }

    /// Append a request for subscriptions.
    pub(super) fn subscribe(self, mid: u16, filters: &[(String, QoS)], out: &mut BytesMut) -> Result<(), Malformed> {
        match self {
            Self::V311 => v311::subscribe(mid, filters, out),
            Self::V5 => v5::subscribe(mid, filters, out),
        }
    }

    /// Append the end of subscriptions.
    pub(super) fn unsubscribe(self, mid: u16, filters: &[(String, QoS)], out: &mut BytesMut) -> Result<(), Malformed> {
        let topics = filters.iter().map(|(topic, _)| topic.clone()).collect();
        match self {
            Self::V311 => v311::unsubscribe(mid, topics, out),
            Self::V5 => v5::unsubscribe(mid, topics, out),
        }
    }

    /// Append the acknowledgement of a message: the same bytes on both levels.
    pub(super) fn acknowledge(mid: u16, out: &mut BytesMut) {
        let [high, low] = mid.to_be_bytes();
        out.extend_from_slice(&[0x40, 2, high, low]);
    }

    /// Append a probe: the same bytes on both levels.
    pub(super) fn ping(out: &mut BytesMut) {
        out.extend_from_slice(&[0xC0, 0]);
    }

    /// Append a farewell: the same bytes on both levels.
    pub(super) fn disconnect(out: &mut BytesMut) {
        out.extend_from_slice(&[0xE0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [Version; 2] = [Version::V311, Version::V5];

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for version in LEVELS {
            let mut stream = BytesMut::new();
            let payload = Bytes::from_static(b"21.5");
            let message =
                Publish { topic: "a/b".into(), payload, qos: QoS::AtLeastOnce, retain: true, dup: true, mid: 9 };
            version.publish(message, &mut stream).unwrap();
            let Ok(Packet::Publish(read)) = version.read(&mut stream, 100) else { panic!("{version:?}") };
            assert_eq!((read.topic.as_str(), &read.payload[..], read.mid), ("a/b", &b"21.5"[..], 9));
            assert!(read.retain && read.dup && read.qos == QoS::AtLeastOnce && stream.is_empty());
        }
    }

    /// Bytes from the standard: MQTT 5, sections 3.2, 3.4, 3.9, 3.11 and 3.14.
    #[test]
    fn answers_of_level_5_are_read() {
        let read = |bytes: &[u8]| Version::V5.read(&mut BytesMut::from(bytes), 100).unwrap();
        let Packet::Login(answer) = read(&[0x20, 11, 1, 0, 8, 0x21, 0, 20, 0x27, 0, 1, 0, 0]) else {
            panic!("CONNACK")
        };
        let expected =
            Answer { session_present: true, receive_maximum: Some(20), max_packet: Some(65_536), ..Answer::default() };
        assert_eq!(answer, expected);
        assert!(matches!(read(&[0x20, 3, 0, 135, 0]), Packet::Login(Answer { code: 135, .. })));
        assert!(matches!(read(&[0x40, 2, 0, 7]), Packet::Acknowledged { mid: 7, reason: 0 }));
        assert!(matches!(read(&[0x40, 3, 0, 7, 151]), Packet::Acknowledged { mid: 7, reason: 151 }));
        assert!(matches!(read(&[0x40, 4, 0, 7, 16, 0]), Packet::Acknowledged { mid: 7, reason: 16 }));
        let Packet::Subscribed { mid: 3, codes } = read(&[0x90, 6, 0, 3, 0, 1, 143, 0]) else { panic!("SUBACK") };
        assert_eq!(codes, [1, 143, 0]);
        assert!(matches!(read(&[0xB0, 4, 0, 4, 0, 0]), Packet::Unsubscribed { mid: 4 }));
        assert!(matches!(read(&[0xE0, 0]), Packet::Disconnect { reason: 0 }));
        assert!(matches!(read(&[0xE0, 1, 0x97]), Packet::Disconnect { reason: 0x97 }));
        assert!(matches!(read(&[0xE0, 2, 0x8D, 0]), Packet::Disconnect { reason: 0x8D }));
        assert!(matches!(read(&[0xD0, 0]), Packet::Pong));
        // A reason in words, so long that lengths take two bytes.
        let mut long = vec![0x40, 0x89, 1, 0, 7, 151, 0x83, 1, 0x1F, 0, 128];
        long.resize(3 + 137, b'x');
        let read = Version::V5.read(&mut BytesMut::from(&long[..]), 1000).unwrap();
        assert!(matches!(read, Packet::Acknowledged { mid: 7, reason: 151 }));
        long.splice(.., [0x90, 0x89, 1, 0, 3, 0x83, 1, 0x1F, 0, 128].into_iter().chain([b'x'; 128]).chain([1, 143]));
        let read = Version::V5.read(&mut BytesMut::from(&long[..]), 1000).unwrap();
        assert!(matches!(read, Packet::Subscribed { mid: 3, codes } if codes == [1, 143]));
    }

    #[test]
    fn a_server_of_level_3_is_understood_in_its_refusal() {
        let mut stream = BytesMut::from(&[0x20, 2, 0, 1][..]);
        assert!(matches!(Version::V5.read(&mut stream, 100), Ok(Packet::Login(Answer { code: 1, .. }))));
    }

    #[test]
    fn a_whole_packet_that_ends_before_its_contents_is_not_waited_for() {
        // A message whose properties would begin after its end.
        let mut stream = BytesMut::from(&[0x30, 3, 0, 1, b'a', 0xD0, 0][..]);
        let outcome = Version::V5.read(&mut stream, 100);
        assert!(matches!(outcome, Err(Unreadable::Broken(_))), "{outcome:?}");
    }

    #[test]
    fn unfinished_and_oversize_packets_are_told_apart() {
        for version in LEVELS {
            let read = |bytes: &[u8]| version.read(&mut BytesMut::from(bytes), 100).unwrap_err();
            assert!(matches!(read(&[0x30]), Unreadable::Incomplete(_)));
            assert!(matches!(read(&[0x40, 2, 0]), Unreadable::Incomplete(1)));
            assert!(matches!(read(&[0x30, 0x80, 1]), Unreadable::TooLarge(128)));
            assert!(matches!(read(&[0x36, 5, 0, 1, b'a', 0, 1]), Unreadable::Broken(_)));
        }
    }
}
