//! The LoRaWAN network's broker: whatever a client sends.

use std::sync::Arc;

use bytes::BytesMut;
use fastrand::Rng;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::{Connect, Packet};

use crate::fuzz::{Shape, Target};
use crate::ids::AccessKey;
use crate::sandbox::broker::serve;
use crate::sandbox::fuzz::converse;
use crate::sandbox::v2::{Network, Right};

/// A network with the application of the corpus and a device.
fn network() -> Arc<Network> {
    let network = Network::default();
    let mut registry = network.registry();
    let rights = Right::NORMAL.into_iter().chain([Right::WriteUplinks]);
    for key in ["ttn-account-v2.demo", "k"] {
        registry.add_application("demo-app", AccessKey::new(key), rights.clone().collect()).unwrap();
    }
    registry.register("demo-app", "node-1").unwrap();
    drop(registry);
    Arc::new(network)
}

/// What a client of this network is answered: packets, of which the last may be cut where the server has hung up.
fn answers(network: &Arc<Network>, bytes: &[u8], rng: &mut Rng) -> Vec<Packet> {
    let network = network.clone();
    let mut answer = converse(|stream, arrival| async move { serve(stream, &network, arrival).await }, bytes, rng);
    let mut packets = Vec::new();
    loop {
        match Packet::read(&mut answer, usize::MAX) {
            Ok(packet) => packets.push(packet),
            Err(Error::InsufficientBytes(_)) => return packets,
            Err(error) => panic!("answered with {error}"),
        }
    }
}

#[test]
fn a_connection_of_mqtt_311_survives_any_client() {
    let words: &[&[u8]] = &[
        b"demo-app/devices/node-1/down",
        b"demo-app/#",
        b"+/",
        b"/#",
        b"/",
        b"{\"payload_raw\":\"AQ==\"}",
        b"\x80",
        b"\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\xc0\0",
        b"\xe0\0",
        b"\x62\x02\0\x01",
        b"\x40\x02\0\x01",
    ];
    let target = Target {
        name: "MQTT 3.1.1, broker",
        corpus: &["mqtt311/lorawan_client.hex", "mqtt311/server.hex", "mqtt311/thingsboard_client.hex"],
        shape: Shape::Packets,
        words,
        inputs: 600,
        memory: (1 << 20, 256),
    };
    target.run_on(network, |network, bytes, rng| {
        let _answers = answers(&network, bytes, rng);
        let mut next = BytesMut::new();
        let mut connect = Connect::new("next");
        connect.set_login("demo-app", "k");
        connect.write(&mut next).unwrap();
        Packet::PingReq.write(&mut next, usize::MAX).unwrap();
        // Whoever comes next is served.
        let answered = answers(&network, &next, rng);
        assert!(matches!(answered[..], [Packet::ConnAck(_), Packet::PingResp]), "{answered:?}");
    });
}
