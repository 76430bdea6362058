//! The stack's broker: whatever a client sends.

use std::sync::Arc;

use bytes::BytesMut;
use fastrand::Rng;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::{Connect, Packet};

use super::packet;
use crate::fuzz::{BASE, Shape, Target};
use crate::sandbox::fuzz::converse;
use crate::sandbox::listener::Service as _;
use crate::sandbox::v3::fuzz::{KEY, stack};
use crate::sandbox::v3::stack::Stack;

/// What a client is answered: packets, of which the last may be cut where the server has hung up.
fn answers(stack: &Arc<Stack>, bytes: &[u8], rng: &mut Rng) -> Vec<Packet> {
    let stack = stack.clone();
    let mut answer = converse(|stream, arrival| stack.serve(stream, arrival), bytes, rng);
    let mut packets = Vec::new();
    loop {
        match Packet::read(&mut answer, usize::MAX) {
            Ok(packet) => packets.push(packet),
            Err(Error::InsufficientBytes(_)) => return packets,
            // The answer to a subscription to nothing.
            Err(Error::MalformedPacket) => {}
            Err(error) => panic!("answered with {error}"),
        }
    }
}

/// What is read when bytes come in pieces of this size, in words.
fn packets(bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut stream, mut packets) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        stream.extend_from_slice(piece);
        loop {
            let before = stream.len();
            match packet::read(&mut stream, 1 << 16) {
                Ok(None) => {
                    assert_eq!(stream.len(), before, "taken and not told");
                    break;
                }
                Ok(Some(packet)) => {
                    assert!(stream.len() < before, "nothing taken for {packet:?}");
                    packets.push(format!("{packet:?}"));
                }
                Err(reason) => {
                    packets.push(reason.to_owned());
                    return packets;
                }
            }
        }
    }
    packets
}

fn target(name: &'static str, inputs: usize, memory: (usize, usize)) -> Target {
    let words: &[&[u8]] = &[
        b"v3/app1/devices/node-1/down/push",
        b"v3/app1/#",
        b"+/",
        b"/#",
        b"/",
        b"{\"downlinks\":[{\"f_port\":1,\"frm_payload\":\"AQ==\"}]}",
        b"\x80",
        b"\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\xc0\0",
        b"\xe0\0",
        b"\x62\x02\0\x01",
    ];
    let corpus: &[&str] = &["mqtt311/v3_client.hex", "mqtt311/lorawan_client.hex", "mqtt311/server.hex"];
    Target { name, corpus, shape: Shape::Packets, words, inputs, memory }
}

#[test]
fn packets_are_read_alike_in_any_pieces() {
    target("packets of MQTT 3.1.1, stack", 2000, (BASE, 64)).run(|bytes, rng| {
        let whole = packets(bytes, usize::MAX);
        assert_eq!(packets(bytes, 1), whole, "byte by byte");
        assert_eq!(packets(bytes, rng.usize(2..9)), whole, "in pieces");
    });
}

#[test]
fn a_connection_of_mqtt_311_survives_any_client() {
    target("MQTT 3.1.1, stack", 600, (1 << 20, 512)).run_on(stack, |stack, bytes, rng| {
        let _answers = answers(&stack, bytes, rng);
        // Whoever comes next is served.
        let mut next = BytesMut::new();
        let mut connect = Connect::new("next");
        connect.set_login("app1", KEY);
        connect.write(&mut next).unwrap();
        Packet::PingReq.write(&mut next, usize::MAX).unwrap();
        let answered = answers(&stack, &next, rng);
        assert!(matches!(answered[..], [Packet::ConnAck(_), Packet::PingResp]), "{answered:?}");
    });
}
