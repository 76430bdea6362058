//! Whatever stands in an uplink or a topic of a LoRaWAN network.

use super::fields::timestamp;
use super::{Network, Part, base64};
use crate::dialect::json::Document;
use crate::fuzz::{BASE, JSON, Shape, Target};

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
        b"/devices/",
        b"/up",
        b"/events/",
    ];
    let target =
        Target { name: "LoRaWAN, client", corpus: JSON, shape: Shape::Bytes, words, inputs: 3000, memory: (BASE, 64) };
    target.run(|bytes, _| [Network::V2, Network::V3].into_iter().for_each(|network| read(network, bytes)));
}

fn read(network: Network, bytes: &[u8]) {
    let field = match network {
        Network::V2 => "payload_raw ",
        Network::V3 => "frm_payload ",
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
        assert!(text.contains(&format!("/devices/{}/", topic.dev_id())) && text.contains(topic.app_id()), "{topic:?}");
    }
}
