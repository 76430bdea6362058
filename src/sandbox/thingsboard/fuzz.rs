//! The offline ThingsBoard: whatever a client sends.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use rumqttc::mqttbytes::v4::Packet as Packet3;
use rumqttc::v5::mqttbytes::Error as Error5;
use rumqttc::v5::mqttbytes::v5::Packet as Packet5;
use serde_json::{Map, Value, json};

use super::connection::serve;
use super::decimal::Decimal;
use super::hub::Hub;
use super::json::Json;
use super::values::kept;
use super::wire::{Level, read};
use super::{Credentials, Scope};
use crate::dialect::thingsboard::Package;
use crate::fuzz::{BASE, JSON, JSON_WORDS, Shape, Target};
use crate::sandbox::fuzz::converse;

/// A server with the devices of the corpus.
fn hub() -> Arc<Hub> {
    let hub = Hub::default();
    let token = |token: &str| Credentials::Token(token.to_owned());
    // The corpus does not tell devices and gateways apart.
    hub.add_device("gateway", "default", true, token("<token>")).unwrap();
    hub.add_device("other gateway", "default", true, token("<gateway>")).unwrap();
    hub.set_attributes("gateway", Scope::Shared, Map::from_iter([("a".to_owned(), json!(1))])).unwrap();
    hub.offer_package("gateway", Package::Firmware, Map::new(), vec![7; 1000]).unwrap();
    hub.allow_provisioning(Some(("<key>".to_owned(), "<secret>".to_owned())));
    hub.script("echo", Some(json!({"a": []})));
    Arc::new(hub)
}

const WORDS: &[&[u8]] = &[
    b"v1/devices/me/telemetry",
    b"v1/devices/me/attributes",
    b"/request/1",
    b"/response/1",
    b"v1/gateway/",
    b"connect",
    b"rpc",
    b"claim",
    b"v2/fw/request/1/chunk/0",
    b"/provision/request",
    b"{\"device\":\"A\"}",
    b"{\"A\":[{\"ts\":1,\"values\":{\"a\":1}}]}",
    b"{\"method\":\"echo\",\"params\":{}}",
    b"\x80",
    b"\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xc0\0",
    b"\xe0\0",
    b"+",
    b"#",
    b"/",
];

const V3: &[&str] = &["mqtt311/thingsboard_client.hex", "mqtt311/lorawan_client.hex", "mqtt311/server.hex"];
const V5: &[&str] = &["mqtt5/client.hex", "mqtt5/thingsboard_client.hex", "mqtt5/server.hex"];

fn target(name: &'static str, corpus: &'static [&'static str], inputs: usize, memory: (usize, usize)) -> Target {
    Target { name, corpus, shape: Shape::Packets, words: WORDS, inputs, memory }
}

fn answer(hub: &Arc<Hub>, bytes: &[u8], rng: &mut Rng) -> BytesMut {
    let hub = hub.clone();
    converse(|stream, arrival| async move { serve(stream, &hub, arrival).await }, bytes, rng)
}

fn any_client(hub: &Arc<Hub>, bytes: &[u8], rng: &mut Rng) {
    let mut answered = answer(hub, bytes, rng);
    let is_5 = bytes.windows(5).any(|bytes| bytes == b"MQTT\x05");
    while let Ok(header) = rumqttc::mqttbytes::check(answered.iter(), usize::MAX) {
        let mut packet = answered.split_to(header.frame_length());
        let whole = packet.clone();
        // The codec of MQTT 5 does not know all codes of refusals.
        let known = match Packet5::read(&mut packet, None) {
            Ok(_) | Err(Error5::InvalidConnectReturnCode(_) | Error5::InvalidReason(_)) => is_5,
            Err(_) => false,
        };
        assert!(known || Packet3::read(&mut whole.clone(), usize::MAX).is_ok(), "answered with {}", hex::encode(whole));
    }
    // Whoever comes next is served.
    let next = b"\x10\x15\0\x04MQTT\x04\x82\0\x3c\0\0\0\x07<token>\xc0\0";
    let answered = answer(hub, next, rng);
    assert_eq!(answered[..], [0x20, 2, 0, 0, 0xD0, 0]);
}

#[test]
fn a_connection_of_mqtt_311_survives_any_client() {
    target("MQTT 3.1.1, ThingsBoard", V3, 600, (1 << 20, 512))
        .run_on(hub, |hub, bytes, rng| any_client(&hub, bytes, rng));
}

#[test]
fn a_connection_of_mqtt_5_survives_any_client() {
    target("MQTT 5, ThingsBoard", V5, 900, (1 << 20, 512)).run_on(hub, |hub, bytes, rng| any_client(&hub, bytes, rng));
}

/// What is read when bytes come in pieces of this size, in words.
fn requests(mut level: Option<Level>, bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut stream, mut requests) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        stream.extend_from_slice(piece);
        loop {
            let before = stream.len();
            match read(level, &mut stream, 1 << 16) {
                Ok(None) => {
                    assert_eq!(stream.len(), before, "taken and not told");
                    break;
                }
                Ok(Some(request)) => {
                    requests.push(format!("{request:?}"));
                    match request {
                        super::wire::Request::Connect(login) => level = level.or(Some(login.level)),
                        // It ends the connection.
                        super::wire::Request::UnknownLevel => return requests,
                        _ => assert!(stream.len() < before, "nothing taken for {request:?}"),
                    }
                }
                Err(reason) => {
                    requests.push(reason);
                    return requests;
                }
            }
        }
    }
    requests
}

#[test]
fn packets_are_read_alike_in_any_pieces() {
    for (corpus, name) in [(V3, "packets of MQTT 3.1.1, ThingsBoard"), (V5, "packets of MQTT 5, ThingsBoard")] {
        target(name, corpus, 2000, (BASE, 64)).run(|bytes, rng| {
            for level in [None, Some(Level::V3), Some(Level::V5)] {
                let whole = requests(level, bytes, usize::MAX);
                assert_eq!(requests(level, bytes, 1), whole, "byte by byte at {level:?}");
                assert_eq!(requests(level, bytes, rng.usize(2..9)), whole, "in pieces at {level:?}");
            }
        });
    }
}

/// The same, but for numbers that would be endless in digits: these are texts to the server.
fn alike(read: &Value, strict: &Value) {
    match (read, strict) {
        (Value::String(text), Value::Number(number)) => assert_eq!(text.parse::<f64>().ok(), number.as_f64(), "{text}"),
        (Value::Array(read), Value::Array(strict)) if read.len() == strict.len() => {
            read.iter().zip(strict).for_each(|(read, strict)| alike(read, strict));
        }
        (Value::Object(read), Value::Object(strict)) if read.len() == strict.len() => {
            for ((name, read), (known, strict)) in read.iter().zip(strict) {
                assert_eq!(name, known);
                alike(read, strict);
            }
        }
        _ => assert_eq!(read, strict),
    }
}

#[test]
fn json_is_read_as_serde_json_reads_it_and_beyond() {
    // A value of a few bytes, such as `,` in an array, has its place in a list that grows by doubling.
    let target = Target {
        name: "JSON, ThingsBoard",
        corpus: JSON,
        shape: Shape::Bytes,
        words: JSON_WORDS,
        inputs: 4000,
        memory: (BASE, 1024),
    };
    target.run(|bytes, _| {
        let read = Json::read(bytes);
        if let Ok(strict) = serde_json::from_slice::<Value>(bytes) {
            let read = read.as_ref().unwrap_or_else(|| panic!("{strict} is not read"));
            alike(&read.to_value(), &strict);
        }
        let Some(read) = read else { return };
        // What is passed on is JSON, and is read again as the same.
        let written = read.to_value().to_string();
        assert_eq!(Json::read(written.as_bytes()).unwrap().to_value(), read.to_value());
        drop((read.text(), read.integer()));
        // What is no number because of a zero in it loses that zero, and is digits then.
        if let Json::Object(members) = &read
            && !written.contains("\\u0000")
        {
            let kept = kept(members);
            let written = Value::Object(kept.clone()).to_string();
            let Some(Json::Object(again)) = Json::read(written.as_bytes()) else { panic!("{written}") };
            assert_eq!(super::values::kept(&again), kept, "kept once more");
        }
        if let Some(number) = str::from_utf8(bytes).ok().and_then(Decimal::parse) {
            let plain = number.plain();
            let again = Decimal::parse(&plain).unwrap();
            assert_eq!((again.plain(), again.exact(), again.wrapped()), (plain, number.exact(), number.wrapped()));
        }
    });
}

/// Whatever may be in a message, on every topic.
#[test]
fn any_payload_is_judged_on_any_topic() {
    const TOPICS: [&str; 17] = [
        "v1/devices/me/telemetry",
        "v1/devices/me/attributes",
        "v1/devices/me/attributes/request/1",
        "v1/devices/me/rpc/request/1",
        "v1/devices/me/rpc/response/0",
        "v1/devices/me/claim",
        "v2/fw/request/1/chunk/0",
        "v2/t",
        "v2/a",
        "v1/gateway/connect",
        "v1/gateway/disconnect",
        "v1/gateway/telemetry",
        "v1/gateway/attributes",
        "v1/gateway/attributes/request",
        "v1/gateway/rpc",
        "v1/gateway/claim",
        "/provision/request",
    ];
    let target = Target {
        name: "payloads, ThingsBoard",
        corpus: JSON,
        shape: Shape::Bytes,
        words: JSON_WORDS,
        inputs: 400,
        memory: (4 << 20, 4096),
    };
    target.run_on(hub, |hub, bytes, _| {
        let login = super::wire::Login {
            level: Level::V5,
            oldest: false,
            clean: true,
            client_id: String::new(),
            credentials: Some(("<token>".to_owned(), String::new())),
        };
        let (session, mut orders) = hub.log_in(login, None).unwrap();
        for topic in TOPICS {
            let _verdict = hub.published(&session, topic, &Bytes::copy_from_slice(bytes), 1);
        }
        while orders.try_recv().is_ok() {}
    });
}
