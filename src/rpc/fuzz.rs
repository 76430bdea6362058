//! Whatever a server of gRPC answers.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _};

use super::json;
use super::message::{decode, descriptor, elements, encode, merge, same};
use super::proto::{discovery, handler, lorawan};
use super::to_text;
use super::web::Frames;
use crate::fuzz::{BASE, JSON, PROTOBUF, Shape, Target};

/// All that clients read.
const MESSAGES: [&str; 7] = [
    "handler.Device",
    "handler.Application",
    "handler.DryUplinkResult",
    "handler.DryDownlinkResult",
    "discovery.Announcement",
    "lorawan.DevAddrResponse",
    "lorawan.PrefixesResponse",
];

/// Whether the generated code reads a message, too.
fn generated(name: &str, bytes: &[u8]) -> bool {
    match name {
        "handler.Device" => handler::Device::decode(bytes).is_ok(),
        "handler.Application" => handler::Application::decode(bytes).is_ok(),
        "handler.DryUplinkResult" => handler::DryUplinkResult::decode(bytes).is_ok(),
        "handler.DryDownlinkResult" => handler::DryDownlinkResult::decode(bytes).is_ok(),
        "discovery.Announcement" => discovery::Announcement::decode(bytes).is_ok(),
        "lorawan.DevAddrResponse" => lorawan::DevAddrResponse::decode(bytes).is_ok(),
        "lorawan.PrefixesResponse" => lorawan::PrefixesResponse::decode(bytes).is_ok(),
        other => panic!("{other}"),
    }
}

/// A message that was read is written and read again as the same, alone and merged into nothing.
fn stays(message: &DynamicMessage) {
    let bytes = Bytes::from(encode(message));
    let again = decode(&message.descriptor(), bytes.clone()).unwrap();
    assert_eq!(encode(&again).len(), bytes.len());
    let mut merged = DynamicMessage::new(message.descriptor());
    merge(&mut merged, &bytes).unwrap();
    // A number that is none is not the same as itself.
    if !to_text(message).contains("nan") {
        assert!(same(&again, message), "{again:?} {message:?}");
        assert!(same(&merged, message), "{merged:?} {message:?}");
    }
}

#[test]
fn any_message_is_read_or_refused() {
    let words: &[&[u8]] = &[
        b"\x9a\x06\x03new",
        b"\x9b\x06",
        b"\x9c\x06",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\0",
        b"\x6a\0",
    ];
    // Fields of two bytes that are not known, each with a place of its own in several forms of the message at once.
    let target = Target {
        name: "protobuf, client",
        corpus: PROTOBUF,
        shape: Shape::Fields,
        words,
        inputs: 1000,
        memory: (BASE, 1024),
    };
    // The descriptions are read once, and not counted.
    let described = || MESSAGES.map(descriptor);
    target.run_on(described, |described, bytes, _| {
        for (name, described) in MESSAGES.iter().zip(described) {
            let read = decode(&described, Bytes::copy_from_slice(bytes));
            assert_eq!(read.is_ok(), generated(name, bytes), "{name}: {read:?}");
            match read {
                Ok(message) => stays(&message),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        }
        for list in ["handler.DeviceList", "discovery.AnnouncementsResponse"] {
            let reply = Bytes::copy_from_slice(bytes);
            if let Ok(elements) = elements(list, reply.clone()) {
                // They share the reply's memory.
                let range = reply.as_ptr_range();
                assert!(elements.iter().all(|each| each.is_empty() || range.contains(&each.as_ptr())));
            }
        }
    });
}

/// What an answer of gRPC-web that comes in such pieces is as one of gRPC: its messages, and what ends it; `None` for what is none.
fn answer(bytes: &[u8], piece: usize) -> Option<(Vec<u8>, Vec<String>, bool)> {
    let (mut frames, mut data, mut ends) = (Frames::default(), Vec::new(), Vec::new());
    for part in bytes.chunks(piece) {
        let mut left = Bytes::copy_from_slice(part);
        while let Some(frame) = frames.take(&mut left).ok()? {
            match frame.into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(frame) => ends.push(format!("{:?}", frame.into_trailers())),
            }
        }
        assert!(left.is_empty(), "all of it was looked at");
    }
    Some((data, ends, frames.is_over()))
}

#[test]
fn any_answer_of_grpc_web_is_read_however_it_comes() {
    let words: &[&[u8]] = &[
        b"\0\0\0\0\0",
        b"\0\0\0\0\x02ab",
        b"\x80\0\0\0\x0fgrpc-status:0\r\n",
        b"\x80\0\0\0\0",
        b"\x80\0\x01\0\x01",
        b"\x01\xff\xff\xff\xff",
    ];
    let target = Target {
        name: "gRPC-web",
        corpus: &["grpc_web/answers.hex"],
        shape: Shape::Bytes,
        words,
        inputs: 3000,
        memory: (BASE, 64),
    };
    target.run(|bytes, random| {
        let whole = answer(bytes, bytes.len().max(1));
        assert_eq!(answer(bytes, random.usize(1..=8)), whole, "in pieces it is another");
        let Some((data, ends, is_over)) = whole else { return };
        assert!(data.len() <= bytes.len() && ends.len() == usize::from(is_over));
    });
}

#[test]
fn any_json_is_a_message_or_refused() {
    let words: &[&[u8]] = &[
        b"{\"end_device\":{",
        b"\"ids\":{\"dev_eui\":",
        b"\"70B3D57ED00000B1\"",
        b"\"mac_settings\":{\"rx1_delay\":",
        b"\"created_at\":\"2030-01-01T00:00:00Z\"",
        b"\"lorawan_version\":",
        b"\"locations\":{\"user\":{\"latitude\":1e400}}",
        b"\"field_mask\":",
        b"4294967295",
        b"-1",
        b"[",
        b"null",
    ];
    let target =
        Target { name: "JSON, messages", corpus: JSON, shape: Shape::Bytes, words, inputs: 3000, memory: (BASE, 4096) };
    // The descriptions are read once, and not counted.
    let _described = descriptor("google.protobuf.Struct");
    target.run(|bytes, _| {
        let Ok(value) = json::parse(bytes) else { return };
        for name in ["ttn.lorawan.v3.SetEndDeviceRequest", "ttn.lorawan.v3.ApplicationUp", "google.protobuf.Struct"] {
            let Ok(message) = json::read(&descriptor(name), &value) else { continue };
            let written = json::write(&message);
            let again = json::parse(written.as_bytes()).expect("JSON is written");
            assert_eq!(json::write(&json::read(&descriptor(name), &again).expect("what was written is read")), written);
        }
    });
}
