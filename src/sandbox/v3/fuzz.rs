//! The offline Things Stack V3: whatever a client sends, and whatever stands in a payload formatter.

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Code, Request};

use super::downlink;
use super::formatter;
use super::grpc::GrpcService;
use super::registry::Registry;
use super::stack::Stack;
use crate::fuzz::{BASE, JSON, Shape, Target};
use crate::rpc::AsIs;
use crate::rpc::message::descriptor;
use crate::rpc::proto::v3::{MessagePayloadFormatters, PayloadFormatter};
use crate::sandbox::fuzz::{FUNCTION_WORDS, FUNCTIONS};
use crate::sandbox::room::Room;

/// Of an application that is taken as it comes.
pub(super) const KEY: &str =
    "NNSXS.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

/// A stack that takes applications as they come, and knows one already.
pub(super) fn stack() -> Arc<Stack> {
    let stack = Stack::new("localhost".to_owned(), Registry::new(None, true), Room::default(), Some(7), true);
    assert!(stack.registry().log_in("app1", KEY).is_some());
    Arc::new(stack)
}

#[test]
fn any_downlink_is_read_or_dropped() {
    let words: &[&[u8]] = &[
        b"{\"downlinks\":[{",
        b"\"f_port\":",
        b"\"frmPayload\":\"AQ\"",
        b"\"decoded_payload\":{",
        b"\"priority\":",
        b"\"HIGH\"",
        b"\"correlation_ids\":[",
        b"\"class_b_c\":{\"absolute_time\":\"2030-01-01T00:00:00Z\"}",
        b"\"confirmed_retry\":{\"max_attempts\":33}",
        b"4294967295",
        b"1e400",
        b"null",
        b"-1",
    ];
    let target = Target {
        name: "downlinks, stack",
        corpus: JSON,
        shape: Shape::Bytes,
        words,
        inputs: 3000,
        memory: (BASE, 1024),
    };
    target.run(|bytes, _| {
        for read in downlink::read(bytes).into_iter().flatten() {
            let _checked = read.check(0);
            let written = read.to_json();
            let value: serde_json::Value = serde_json::from_str(&written).expect("JSON is written");
            assert!(value.is_object(), "{written}");
        }
    });
}

const METHODS: [&str; 41] = [
    "ApplicationRegistry/Get",
    "ApplicationRegistry/Delete",
    "ApplicationAccess/ListRights",
    "As/SetLink",
    "As/GetLink",
    "As/DeleteLink",
    "EndDeviceRegistry/Create",
    "EndDeviceRegistry/Get",
    "EndDeviceRegistry/List",
    "EndDeviceRegistry/Update",
    "NsEndDeviceRegistry/Set",
    "NsEndDeviceRegistry/Get",
    "AsEndDeviceRegistry/Set",
    "AsEndDeviceRegistry/Get",
    "JsEndDeviceRegistry/Set",
    "JsEndDeviceRegistry/Get",
    "Ns/GenerateDevAddr",
    "AppAs/DownlinkQueuePush",
    "AppAs/DownlinkQueueReplace",
    "AppAs/DownlinkQueueList",
    "AppAs/SimulateUplink",
    "AppAs/EncodeDownlink",
    "AppAs/DecodeUplink",
    "NsEndDeviceRegistry/Delete",
    "AsEndDeviceRegistry/Delete",
    "EndDeviceRegistry/Delete",
    "EntityAccess/AuthInfo",
    "ApplicationRegistry/Create",
    "ApplicationRegistry/List",
    "ApplicationRegistry/Update",
    "ApplicationRegistry/IssueDevEUI",
    "ApplicationAccess/CreateAPIKey",
    "AppAs/GetMQTTConnectionInfo",
    "Ns/GetNetID",
    "Js/GetDefaultJoinEUI",
    "EndDeviceBatchRegistry/Get",
    "EndDeviceBatchRegistry/Delete",
    "NsEndDeviceBatchRegistry/Delete",
    "As/GetConfiguration",
    "Ns/GetDefaultMACSettings",
    "Configuration/ListFrequencyPlans",
];

#[test]
fn any_message_is_answered_by_every_method() {
    let words: &[&[u8]] = &[b"app1", b"node-1", b"session.keys", b"name", b"\x0a\0", b"\xff\xff\xff\xff\x0f"];
    let target = Target {
        name: "protobuf, stack",
        corpus: &["protobuf/v3.hex"],
        shape: Shape::Fields,
        words,
        inputs: 200,
        memory: (1 << 20, 4096),
    };
    target.run_on(
        || {
            // The descriptions are read once, and not counted.
            let _described = descriptor("ttn.lorawan.v3.EndDevice");
            GrpcService::new(stack())
        },
        |service, bytes, _| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                for method in METHODS {
                    let mut request = Request::new(Bytes::copy_from_slice(bytes));
                    request.metadata_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
                    let path = format!("/ttn.lorawan.v3.{method}").parse().unwrap();
                    let mut client = tonic::client::Grpc::new(service.routes());
                    client.ready().await.unwrap();
                    if let Err(status) = client.unary(request, path, AsIs).await {
                        // The words are missing where there is no such method at all.
                        let is_unknown = status.code() == Code::Unimplemented && status.message().is_empty();
                        assert!(!is_unknown, "{method}: {status:?}");
                    }
                }
            });
        },
    );
}

#[test]
fn any_formatter_ends_and_harms_no_other() {
    let target = Target {
        name: "payload formatters, V3",
        corpus: FUNCTIONS,
        shape: Shape::Bytes,
        words: FUNCTION_WORDS,
        inputs: 200,
        memory: (1 << 20, 4096),
    };
    target.run(|bytes, _| {
        let code = String::from_utf8_lossy(bytes).into_owned();
        let formatters = MessagePayloadFormatters {
            up_formatter: PayloadFormatter::FormatterJavascript.into(),
            up_formatter_parameter: code.clone(),
            down_formatter: PayloadFormatter::FormatterJavascript.into(),
            down_formatter_parameter: code,
        };
        if let Ok(decoded) = formatter::decode(&formatters, &[1, 2], 1) {
            assert!(decoded.data.is_some_and(|data| data.is_object()));
        }
        let _encoded = formatter::encode(&formatters, &serde_json::json!({"a": 1}), 1);
    });
}
