//! The client's side of MQTT: whatever a server sends, in whatever pieces.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use fastrand::Rng;
use tokio::time::Instant;

use super::connection::{Connection, Setting};
use super::frame::{Frame, Frames};
use super::loss::Loss;
use super::packet::{Answer, Packet, Publish, Version};
use super::receipts::Pending;
use super::{Event, Outbox, OutboxLimits, QoS, Receipt, Subscriptions};
use crate::fuzz::{BASE, Shape, Target};

const LARGEST: usize = 256;

fn target(name: &'static str, corpus: &'static [&'static str], inputs: usize) -> Target {
    let words: &[&[u8]] =
        &[b"\x80", b"\xff\xff\xff\x7f", b"\xff\xff", b"\x30\0", b"\x40\x02\0\x01", b"\x90\x03\0\x01\0", b"\xd0\0"];
    // A little more than twice what is read: read once in one piece, and once byte by byte.
    Target { name, corpus, shape: Shape::Packets, words, inputs, memory: (BASE, 64) }
}

const V311: &[&str] = &["mqtt311/server.hex", "mqtt311/thingsboard_server.hex", "mqtt311/lorawan_client.hex"];
const V5: &[&str] = &["mqtt5/server.hex", "mqtt5/thingsboard_server.hex", "mqtt5/client.hex", "mqtt311/server.hex"];

/// What is read when the bytes come in pieces of this size, each frame in words.
fn frames(version: Version, largest: usize, bytes: &[u8], piece: usize) -> Vec<String> {
    let mut frames = Frames::new(version, largest);
    let (mut stream, mut read) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        stream.extend_from_slice(piece);
        loop {
            let before = stream.len();
            match frames.next(&mut stream) {
                Ok(Frame::Incomplete(count)) => {
                    assert!(count > 0, "more is asked for, but nothing");
                    break;
                }
                Ok(Frame::Packet(packet)) => {
                    assert!(stream.len() < before, "nothing was taken for {packet:?}");
                    read.push(format!("{packet:?}"));
                    if let Packet::Publish(message) = packet {
                        reads_as_written(version, message);
                    }
                }
                Ok(other) => read.push(format!("{other:?}")),
                Err(malformed) => {
                    read.push(malformed.to_string());
                    return read;
                }
            }
        }
    }
    read
}

fn reads_as_written(version: Version, message: Publish) {
    let said = format!("{message:?}");
    let mut out = BytesMut::new();
    // A packet ID of 0, which a server may not give, is not written.
    if version.publish(message, &mut out).is_ok() {
        match version.read(&mut out, usize::MAX) {
            Ok(Packet::Publish(again)) => assert_eq!(format!("{again:?}"), said),
            other => panic!("{said} is written and read as {other:?}"),
        }
        assert!(out.is_empty(), "{said} is written with more");
    }
}

fn pieces_do_not_matter(version: Version, bytes: &[u8], rng: &mut Rng) {
    for largest in [LARGEST, 1 << 20] {
        let whole = frames(version, largest, bytes, usize::MAX);
        assert_eq!(frames(version, largest, bytes, 1), whole, "byte by byte");
        assert_eq!(frames(version, largest, bytes, rng.usize(2..9)), whole, "in pieces");
    }
}

#[test]
fn packets_of_mqtt_311_are_read_alike_in_any_pieces() {
    let target = target("packets of MQTT 3.1.1, client", V311, 3000);
    target.run(|bytes, rng| pieces_do_not_matter(Version::V311, bytes, rng));
}

#[test]
fn packets_of_mqtt_5_are_read_alike_in_any_pieces() {
    let target = target("packets of MQTT 5, client", V5, 3000);
    target.run(|bytes, rng| pieces_do_not_matter(Version::V5, bytes, rng));
}

/// A client, with what it may do at any time.
struct Client {
    version: Version,
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    connection: Connection,
    receipts: Vec<Receipt>,
    now: Instant,
}

impl Client {
    fn new(version: Version, rng: &mut Rng) -> Self {
        let limits = OutboxLimits { messages: 20, bytes: 4 << 10, in_flight: rng.usize(1..5), packet_bytes: 1 << 10 };
        let outbox = Arc::new(Outbox::new(limits));
        let subscriptions = Arc::new(Subscriptions::new(QoS::AtLeastOnce));
        subscriptions.set(["a/#".to_owned(), "b".to_owned()]);
        let now = Instant::now();
        let connection = Self::log_in(version, &outbox, &subscriptions, Pending::default(), now, rng);
        Self { version, outbox, subscriptions, connection, receipts: Vec::new(), now }
    }

    fn log_in(
        version: Version,
        outbox: &Arc<Outbox>,
        subscriptions: &Arc<Subscriptions>,
        pending: Pending,
        now: Instant,
        rng: &mut Rng,
    ) -> Connection {
        let answer = Answer {
            session_present: rng.bool(),
            receive_maximum: rng.bool().then(|| rng.u16(1..4)),
            max_packet: rng.bool().then(|| rng.u32(1..200)),
            keep_alive: rng.bool().then(|| rng.u16(..100)),
            ..Answer::default()
        };
        let setting = Setting {
            version,
            answer,
            again: rng.bool(),
            starting: rng.bool(),
            outbox: outbox.clone(),
            subscriptions: subscriptions.clone(),
            pending,
            keep_alive: Duration::from_secs(rng.u64(..100)),
            patience: Duration::from_secs(10),
            max_incoming_bytes: [LARGEST, 256 << 20][rng.usize(..2)],
            flushes: rng.bool(),
        };
        let mut connection = Connection::new(setting, now);
        connection.subscribe(now).unwrap();
        connection
    }

    /// Whatever comes in between; `Err` where the connection ends.
    fn act(&mut self, rng: &mut Rng) -> Result<(), Loss> {
        let now = self.now;
        match rng.u8(..10) {
            0 => {
                let qos = if rng.bool() { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                // A full outbox is none of these tests' business.
                drop(self.outbox.publish("a/b".into(), Bytes::from(vec![b'x'; rng.usize(..300)]), qos));
            }
            1 => {
                let filter = ["a", "b", "c/+"][rng.usize(..3)];
                if rng.bool() {
                    self.subscriptions.add(filter, QoS::AtMostOnce);
                } else {
                    self.subscriptions.remove(filter);
                }
            }
            2 => self.connection.subscribe(now)?,
            3 => self.connection.set_deaf(rng.bool(), now),
            4 => self.now += Duration::from_millis(rng.u64(..20_000)),
            5 => {
                let (due, _) = self.connection.due(now)?;
                assert!(due >= now, "due before");
            }
            6 if !self.receipts.is_empty() => {
                let receipt = self.receipts.swap_remove(rng.usize(..self.receipts.len()));
                if rng.bool() { self.outbox.acknowledge(receipt) } else { self.outbox.forget(receipt, None) }
            }
            7 if rng.u8(..8) == 0 => self.connection.close(),
            _ => {
                self.connection.fill(|| now)?;
                let count = rng.usize(..=self.connection.writer().buffer().len());
                self.connection.writer().buffer().advance(count);
                self.connection.wrote(count, now);
            }
        }
        Ok(())
    }

    fn take_events(&mut self) {
        for event in self.connection.events().drain(..) {
            if let Event::Message(message) = event {
                self.receipts.extend(message.receipt);
            }
        }
        drop(self.connection.take_settled());
    }

    /// The connection ends so; there is a new one, which begins with what the old one has left.
    fn lose(self, loss: Option<&Loss>, rng: &mut Rng) -> Self {
        let Self { version, outbox, subscriptions, connection, receipts, now } = self;
        let remains = connection.end(loss, now);
        let connection = Self::log_in(version, &outbox, &subscriptions, remains.pending, now, rng);
        Self { version, outbox, subscriptions, connection, receipts, now }
    }

    /// What goes out on a new connection is whole packets, and comes to an end.
    fn writes_whole_packets(mut self, rng: &mut Rng) {
        self = self.lose(None, rng);
        let now = self.now;
        let mut written = BytesMut::new();
        for turn in 0.. {
            assert!(turn < 100, "it does not come to an end");
            self.connection.fill(|| now).unwrap();
            let out = self.connection.writer().buffer().split();
            if out.is_empty() {
                break;
            }
            self.connection.wrote(out.len(), now);
            written.unsplit(out);
        }
        while !written.is_empty() {
            self.version.read(&mut written, usize::MAX).unwrap();
        }
    }
}

fn converse(version: Version, bytes: &[u8], rng: &mut Rng) {
    let mut client = Client::new(version, rng);
    let (mut inbound, mut rest) = (BytesMut::new(), bytes);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rng.usize(1..=rest.len()));
        rest = after;
        inbound.extend_from_slice(piece);
        let outcome = client.connection.read(&mut inbound, client.now);
        let outcome = outcome.and_then(|()| (0..rng.usize(..8)).try_for_each(|_| client.act(rng)));
        client.take_events();
        if let Err(loss) = outcome {
            client = client.lose(Some(&loss), rng);
            inbound.clear();
        }
    }
    client.writes_whole_packets(rng);
}

#[test]
fn a_connection_of_mqtt_311_survives_any_server() {
    target("a connection of MQTT 3.1.1, client", V311, 3000).run(|bytes, rng| converse(Version::V311, bytes, rng));
}

#[test]
fn a_connection_of_mqtt_5_survives_any_server() {
    target("a connection of MQTT 5, client", V5, 3000).run(|bytes, rng| converse(Version::V5, bytes, rng));
}
