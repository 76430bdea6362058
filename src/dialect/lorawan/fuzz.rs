//! Whatever stands in an uplink or a topic of a LoRaWAN network.

use super::fields::timestamp;
use super::{Network, base64};
use crate::dialect::json::Document;
use crate::fuzz::{BASE, JSON, Shape, Target};

#[test]
fn any_uplink_is_read_or_refused() {
    let words: &[&[u8]] = &[
        b"\"payload_raw\":",
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
    target.run(|bytes, _| {
        let network = Network::V2;
        if let Ok(document) = Document::parse(bytes) {
            let fields = network.fields();
            match fields.payload(document.root()) {
                Ok(Some(payload)) => assert_eq!(base64::decode(&base64::encode(&payload)), Ok(payload)),
                Ok(None) => {}
                Err(unreadable) => assert!(unreadable.to_string().starts_with("payload_raw ")),
            }
            let _port = fields.port(document.root());
            if let Some(time) = fields.received_at(document.root()).and_then(timestamp) {
                let document = Document::parse(format!("\"{time}\"").as_bytes()).unwrap();
                assert_eq!(timestamp(document.root()), Some(time), "read as it is written");
            }
        }
        if let Ok(text) = str::from_utf8(bytes)
            && let Some(topic) = network.topic(text)
        {
            assert!(text.starts_with(&format!("{}/devices/{}/", topic.app_id(), topic.dev_id())), "{topic:?}");
        }
    });
}
