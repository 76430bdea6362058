//! Calls of the core against the sandbox's services.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use thingslink::endpoint::Trust;
use thingslink::error::{Error, RpcCode};
use thingslink::ids::AccessKey;
use thingslink::rpc::proto::{discovery, handler};
use thingslink::rpc::{Authority, CallOptions, Channel, DISCOVERY_PORT, HANDLER_PORT, Method, addresses};
use thingslink::sandbox::v2::{Options, Right, Sandbox};

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(Options { insecure: true, ..Options::default() }).await.unwrap();
    sandbox.add_application("demo-app", AccessKey::new("key"), Right::NORMAL.into()).unwrap();
    sandbox
}

fn options(key: &str) -> CallOptions {
    let authority = Authority::Key(AccessKey::new(key));
    CallOptions { timeout: Some(Duration::from_secs(10)), authority, metadata: Vec::new() }
}

fn application() -> Bytes {
    handler::ApplicationIdentifier { app_id: "demo-app".into() }.encode_to_vec().into()
}

fn code(error: &Error) -> RpcCode {
    match error {
        Error::Rpc { code, .. } => *code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn discovery_leads_to_the_handler() {
    let sandbox = sandbox().await;
    let endpoints = addresses("discovery_address", &sandbox.discovery_address(), DISCOVERY_PORT, false).unwrap();
    let channel = Channel::new(endpoints, &Trust::System).unwrap();
    let method = Method::find("discovery.Discovery", "GetByAppID").unwrap();
    let request = discovery::GetByAppIdRequest { app_id: "demo-app".into() }.encode_to_vec();
    let reply = channel.call(&method, request.into(), &CallOptions::default()).await.unwrap();
    let found = discovery::Announcement::decode(reply.message).unwrap();
    assert_eq!((found.net_address, found.mqtt_address), (sandbox.handler_address(), sandbox.mqtt_address()));
}

#[tokio::test]
async fn addresses_are_tried_in_order_and_failures_say_where() {
    let sandbox = sandbox().await;
    let method = Method::find("handler.ApplicationManager", "GetApplication").unwrap();
    let both = format!("127.0.0.1:1, {}", sandbox.handler_address());
    let channel =
        Channel::new(addresses("handler_address", &both, HANDLER_PORT, false).unwrap(), &Trust::System).unwrap();
    assert!(channel.call(&method, application(), &options("key")).await.is_ok());
    assert_eq!(
        code(&channel.call(&method, application(), &options("x")).await.unwrap_err()),
        RpcCode::PermissionDenied
    );
    let nobody = addresses("handler_address", "127.0.0.1:1", HANDLER_PORT, false).unwrap();
    let error = Channel::new(nobody, &Trust::System).unwrap().call(&method, application(), &options("key")).await;
    let error = error.unwrap_err();
    assert!(code(&error) == RpcCode::Unavailable && error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn a_key_that_cannot_travel_is_refused_without_being_shown() {
    let sandbox = sandbox().await;
    let endpoints = addresses("handler_address", &sandbox.handler_address(), HANDLER_PORT, false).unwrap();
    let channel = Channel::new(endpoints, &Trust::System).unwrap();
    let method = Method::find("handler.ApplicationManager", "GetApplication").unwrap();
    let error = channel.call(&method, application(), &options("5ec7e7\n")).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && !error.to_string().contains("5ec7e7"), "{error}");
}

#[test]
fn only_harmless_methods_are_repeated() {
    let repeatable = |name| Method::find("handler.ApplicationManager", name).unwrap().is_repeatable();
    assert!(["GetDevice", "SetDevice", "SetApplication", "DryUplink"].into_iter().all(repeatable));
    assert!(!["RegisterApplication", "DeleteDevice", "SimulateUplink"].into_iter().any(repeatable));
    assert!(Method::find("handler.ApplicationManager", "Nonsense").is_none() && Method::find("none", "Get").is_none());
}
