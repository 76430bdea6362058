//! Whatever stands in an uplink or a topic of a LoRaWAN network.

use super::fields::timestamp;
use super::{Network, Part, base64};
use crate::dialect::json::Document;
use crate::fuzz::{BASE, JSON, PROTOBUF, Shape, Target};

#[test]
fn any_uplink_is_read_or_refused() {
    let words: &[&[u8]] = &[
        b"\"payload_raw\":",
        b"\"uplink_message\":{\"frm_payload\":",
        b"\"downlink_failed\":{\"error\":{\"message_format\":",
        b"v3/a-1@ttn",
        b"\"AQI=\"",
        b"\"port\":",
        b"255",
        b"\"metadata\":{\"time\":",
        b"\"2019-05-14T06:31:07.482913345Z\"",
        b"-009999-01-02T01:59:59Z",
        b"+23:59:59",
        b"[America/Nome]",
        b"T24",
        b":60",
        b"\\u",
        b"\"deviceInfo\":{\"devEui\":",
        b"\"object\":{\"a\":1.0",
        b"\"rxInfo\":[{\"gatewayId\":",
        b"application/a/device/",
        b"/devices/",
        b"/up",
        b"/events/",
    ];
    let target =
        Target { name: "LoRaWAN, client", corpus: JSON, shape: Shape::Bytes, words, inputs: 3000, memory: (BASE, 64) };
    target.run(|bytes, _| {
        for network in [Network::V2, Network::V3, Network::ChirpStack] {
            read(network, bytes);
        }
    });
}

#[test]
fn any_protobuf_becomes_json_or_is_refused() {
    let words: &[&[u8]] = &[
        b"\x0a\x02ab",
        b"\x12\x08\x08\xad\x91\x9e\xd8\x06\x10\x05",
        b"\x1a\x12\x42\x1070b3d57ed005f1a2",
        b"\x5a\x0a\x0a\x08\x0a\x01a\x12\x03\x1a\x01b",
        b"\x62\x09\x30\xc7\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x40\x02",
        b"\x2a\x04",
    ];
    let target = Target {
        name: "ChirpStack's protobuf",
        corpus: PROTOBUF,
        shape: Shape::Bytes,
        words,
        inputs: 3000,
        memory: (BASE, 64),
    };
    target.run(|bytes, _| {
        let bytes = [b"\x0a", bytes].concat();
        for end in ["up", "join", "ack", "txack", "log", "status", "location"] {
            let (document, is_protobuf) =
                super::read_chirpstack(&format!("application/a/device/d/event/{end}"), &bytes);
            assert!(is_protobuf);
            if let Ok(document) = document {
                read(Network::ChirpStack, document.text().as_bytes());
            }
        }
    });
}

fn read(network: Network, bytes: &[u8]) {
    let field = match network {
        Network::V2 => "payload_raw ",
        Network::V3 => "frm_payload ",
        Network::ChirpStack => "data ",
    };
    if let Ok(document) = Document::parse(bytes) {
        match network.payload(document.root()) {
            Ok(Some(payload)) => assert_eq!(base64::decode(&base64::encode(&payload)), Ok(payload)),
            Ok(None) => {}
            Err(unreadable) => assert!(unreadable.to_string().starts_with(field)),
        }
        let _port = network.fields().port(document.root());
        for shaped in
            [network.in_v2_shape(Part::Uplink, document.root()), network.event("down/errors", document.root())]
        {
            assert!(shaped.is_none_or(|text| Document::parse(text.as_bytes()).is_ok()), "readable in V2's shape");
        }
        if let Some(time) = network.received_at(document.root()).and_then(timestamp) {
            let document = Document::parse(format!("\"{time}\"").as_bytes()).unwrap();
            assert_eq!(timestamp(document.root()), Some(time), "read as it is written");
        }
    }
    if let Ok(text) = str::from_utf8(bytes)
        && let Some(topic) = network.topic(text)
    {
        let level = if network == Network::ChirpStack { "device" } else { "devices" };
        assert!(text.contains(&format!("/{level}/{}/", topic.dev_id())) && text.contains(topic.app_id()), "{topic:?}");
    }
}
