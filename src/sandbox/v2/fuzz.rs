//! The LoRaWAN network: whatever stands in a downlink, and in a payload function.

use bytes::Bytes;
use serde_json::Value;

use super::body::Body;
use super::network::Network;
use super::{Settings, payload};
use crate::dialect::lorawan::base64;
use crate::fuzz::{BASE, JSON, Shape, Target};
use crate::ids::AccessKey;
use crate::sandbox::fuzz::{FUNCTION_WORDS, FUNCTIONS};

const WORDS: &[&[u8]] = &[
    b"\"payload_raw\":",
    b"\"AQI=\"",
    b"\"Payload_Fields\":{",
    b"\"port\":",
    b"255",
    b"256",
    b"-1",
    b"null",
    b"\"schedule\":",
    b"\"first\"",
    b"\"last\"",
    b"\"confirmed\":",
    b"true",
    b"[1,2,null]",
    b"1e400",
    b"\\ud800",
    b"\xff",
    b"{\"payload_fields\":{\"value_1\":327.67}}",
];

#[test]
fn any_downlink_is_read_or_dropped() {
    let target = Target {
        name: "downlinks, sandbox",
        corpus: JSON,
        shape: Shape::Bytes,
        words: WORDS,
        inputs: 3000,
        memory: (BASE, 512),
    };
    target.run(|bytes, _| {
        let read = Body::read(bytes);
        let lossy = String::from_utf8_lossy(bytes);
        let Some(body) = read else { return };
        // A number that no float holds matters to Go only where it reads it.
        let is_object = serde_json::from_str::<Value>(&lossy).map_or(true, |value| value.is_object() || value.is_null());
        assert!(is_object, "{body:?}");
        let schedule = Value::from(body.schedule.clone());
        let (raw, fields) = (base64::encode(&body.payload_raw), Value::Object(body.payload_fields.clone()));
        let written = format!(
            "{{\"port\":{},\"confirmed\":{},\"schedule\":{schedule},\"payload_raw\":\"{raw}\",\"payload_fields\":{fields}}}",
            body.port, body.confirmed
        );
        assert_eq!(Body::read(written.as_bytes()).as_ref(), Some(&body), "{written}");
    });
}

#[test]
fn a_device_goes_on_after_any_downlink() {
    let target = Target {
        name: "downlinks to a device, sandbox",
        corpus: JSON,
        shape: Shape::Bytes,
        words: WORDS,
        inputs: 400,
        memory: (1 << 20, 1024),
    };
    let make = || {
        let network = Network::default();
        network.registry().add_application("demo-app", AccessKey::new("k"), [].into()).unwrap();
        network.registry().register("demo-app", "node-1").unwrap();
        network
    };
    target.run_on(make, |network, bytes, _| {
        network.take_downlink("demo-app", "node-1", &Bytes::copy_from_slice(bytes));
        for acknowledges in [true, false, true] {
            network.open_window("demo-app", "node-1", acknowledges);
        }
    });
}

#[test]
fn any_payload_function_ends_and_harms_no_other() {
    let target = Target {
        name: "payload functions, V2",
        corpus: FUNCTIONS,
        shape: Shape::Bytes,
        words: FUNCTION_WORDS,
        inputs: 100,
        memory: (1 << 20, 4096),
    };
    target.run(|bytes, _| {
        let code = String::from_utf8_lossy(bytes).into_owned();
        let others = "function Converter(d) { return d; } function Validator(d) { return true; }";
        for (decoder, other) in [(code.clone(), others.to_owned()), ("function Decoder() { return {}; }".into(), code)]
        {
            let encoder = decoder.clone();
            let settings =
                Settings { decoder, converter: other.clone(), validator: other, encoder, ..Settings::default() };
            if let Ok(decoded) = payload::decode(&settings, &[1, 2], 1) {
                assert!(decoded.fields.is_object(), "{decoded:?}");
            }
            let _encoded = payload::encode(&settings, &serde_json::json!({"a": 1}), 1);
        }
    });
}
