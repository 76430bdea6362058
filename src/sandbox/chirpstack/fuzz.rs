//! The offline ChirpStack: whatever stands in a command, and in a call.

use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use tonic::Code;

use super::api::ApiService;
use super::authority::Authority;
use super::command;
use super::key::{Key, token};
use super::registry::Kept;
use super::server::{Server, Settings};
use crate::dialect::lorawan::Topics;
use crate::fuzz::{BASE, JSON, PROTOBUF, Shape, Target};
use crate::rpc::AsIs;
use crate::rpc::proto::chirpstack::api;
use crate::sandbox::broker::QoS;
use crate::sandbox::room::Room;
use crate::sandbox::stream::Field as _;

const WORDS: &[&[u8]] = &[
    b"{\"devEui\":\"70b3d57ed1000001\",",
    b"\"fPort\":10",
    b"\"f_port\":\"257\"",
    b"\"data\":\"AQI=\"",
    b"\"object\":{",
    b"\"expiresAt\":\"2030-01-01T00:00:00+02:00\"",
    b"\"confirmed\":true",
    b"\"id\":\"3f2a1c9e-0d4b-4c5e-9f60-718293a4b5c6\"",
    b"4294967296",
    b"1e400",
    b"null",
    b"-1",
];

/// A server with an application and a device.
fn server() -> Arc<Server> {
    let settings =
        Settings { is_json: true, qos: QoS::AtMostOnce, wants_certificates: false, topics: Topics::default() };
    let server = Server::new(Room::default(), Some(7), settings, false, Authority::new("localhost").unwrap());
    let tenant_id = server.registry().tenant_id.clone();
    let application = api::Application { id: "a1".into(), name: "app1".into(), tenant_id, ..Default::default() };
    server.registry().applications.insert("a1".to_owned(), Kept::new(application));
    server.register("app1", "node-1").unwrap();
    server
}

#[test]
fn any_command_is_read_or_told_why_not() {
    for (name, corpus, is_json) in [("commands, JSON", JSON, true), ("commands, protobuf", PROTOBUF, false)] {
        let target = Target { name, corpus, shape: Shape::Bytes, words: WORDS, inputs: 3000, memory: (BASE, 1024) };
        target.run(move |bytes, _| {
            if let Err(words) = command::read(bytes, is_json) {
                assert!(!words.is_empty());
            }
        });
    }
}

#[test]
fn a_device_goes_on_after_any_command() {
    let target = Target {
        name: "commands to a device, sandbox",
        corpus: JSON,
        shape: Shape::Bytes,
        words: WORDS,
        inputs: 400,
        memory: (1 << 20, 1024),
    };
    target.run_on(server, |server, bytes, _| {
        let topic = "application/a1/device/70b3d57ed1000001/command/down";
        server.arrive(topic, &Bytes::copy_from_slice(bytes));
        server.take_commands();
        server.uplink("app1", "node-1", &crate::sandbox::frame::UplinkFrame::default()).unwrap();
    });
}

const METHODS: [&str; 10] = [
    "DeviceService/Create",
    "DeviceService/Update",
    "DeviceService/List",
    "DeviceService/Enqueue",
    "DeviceService/Activate",
    "DeviceService/CreateKeys",
    "ApplicationService/Update",
    "DeviceProfileService/Create",
    "DeviceProfileService/Update",
    "GatewayService/Create",
];

#[test]
fn any_call_is_answered() {
    let target = Target {
        name: "calls, ChirpStack",
        corpus: PROTOBUF,
        shape: Shape::Bytes,
        words: &[b"\x0a\x10", b"70b3d57ed1000001", b"a1", b"\x0a\x24"],
        inputs: 600,
        memory: (4 << 20, 4096),
    };
    let make = || {
        let server = server();
        let everything = Key { tenant_id: None, is_read_only: false, name: String::new() };
        server.keys.lock().add("k1", everything);
        server
    };
    target.run_on(make, |server, bytes, rng: &mut Rng| {
        let method = METHODS[rng.usize(..METHODS.len())];
        let api = ApiService::new(server.clone());
        let mut call = tonic::Request::new(Bytes::copy_from_slice(bytes));
        call.metadata_mut().insert("authorization", format!("Bearer {}", token("k1")).parse().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let mut client = tonic::client::Grpc::new(api.routes());
            client.ready().await.unwrap();
            client.unary(call, format!("/api.{method}").parse().unwrap(), AsIs).await.map(drop)
        });
        let code = answer.map_or_else(|status| status.code(), |()| Code::Ok);
        assert!([Code::Ok, Code::InvalidArgument, Code::NotFound, Code::Internal].contains(&code), "{code}");
        assert_eq!(server.registry().dev_eui("a1", "node-1"), Some("70b3d57ed1000001"));
    });
}
