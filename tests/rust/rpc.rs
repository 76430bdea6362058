//! Calls of the core against the sandbox's services.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use thingslink::endpoint::Trust;
use thingslink::error::{Error, RpcCode};
use thingslink::ids::AccessKey;
use thingslink::rpc::proto::{discovery, handler};
use thingslink::rpc::{Authority, CallOptions, Channel, DISCOVERY_PORT, HANDLER_PORT, Method, Server, addresses};
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

/// Serves `answer` at an address of its own, over HTTP/2 and HTTP/1.1, until the test is over.
async fn serve(answer: fn(&hyper::Request<hyper::body::Incoming>) -> hyper::Response<tonic::body::Body>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |request| async move {
                Ok::<_, std::convert::Infallible>(answer(&request))
            });
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                let _ended = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

struct Text(Option<Bytes>);

impl hyper::body::Body for Text {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

fn response(status: u16, content_type: &str, body: &'static [u8]) -> hyper::Response<tonic::body::Body> {
    let body = tonic::body::Body::new(Text(Some(Bytes::from_static(body))));
    hyper::Response::builder().status(status).header("content-type", content_type).body(body).unwrap()
}

/// What comes of a call to a server that also speaks gRPC-web.
async fn call_by_web(address: &str) -> Result<Bytes, Error> {
    let endpoints = addresses("grpc_address", address, 8080, false).unwrap();
    let channel = Server::new(endpoints, &Trust::System).unwrap().or_by_web().channel();
    let method = Method::find("api.DeviceService", "Enqueue").unwrap();
    let options = CallOptions { timeout: Some(Duration::from_secs(10)), ..CallOptions::default() };
    let first = channel.call(&method, Bytes::from_static(b"\x10\x01"), &options).await;
    if first.is_ok() {
        // The way is known now.
        assert!(channel.call(&method, Bytes::from_static(b"\x10\x01"), &options).await.is_ok());
    }
    first.map(|reply| reply.message)
}

/// A message and its end.
const WHOLE: &[u8] = b"\0\0\0\0\x02\x0a\0\x80\0\0\0\x0fgrpc-status:0\r\n";

#[tokio::test]
async fn what_is_turned_away_over_http2_goes_by_web() {
    // A proxy that passes calls on over HTTP/1.1: the server refuses them, as seen.
    let address = serve(|request| {
        let kind = request.headers()["content-type"].to_str().unwrap();
        match (request.version(), kind) {
            (hyper::Version::HTTP_11, "application/grpc-web+proto") => response(200, kind, WHOLE),
            _ => response(400, "text/html", b"<html>"),
        }
    })
    .await;
    assert_eq!(call_by_web(&address).await.unwrap(), Bytes::from_static(b"\x0a\0"));
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    // The proxy does not know what became of the call.
    let address = serve(|request| {
        assert_eq!(request.version(), hyper::Version::HTTP_2, "it was called again");
        response(504, "text/html", b"<html>")
    })
    .await;
    let error = call_by_web(&address).await.unwrap_err();
    assert!(code(&error) == RpcCode::Unavailable && error.to_string().contains("504"), "{error}");
}

#[tokio::test]
async fn a_page_is_no_answer() {
    let address = serve(|_| response(200, "text/html", b"<html>")).await;
    let error = call_by_web(&address).await.unwrap_err();
    assert!(error.to_string().contains("answers as a web server does"), "{error}");
}

#[tokio::test]
async fn an_answer_by_web_that_is_cut_off_is_no_answer() {
    let address = serve(|request| {
        let kind = request.headers()["content-type"].to_str().unwrap();
        if kind.starts_with("application/grpc-web") {
            return response(200, kind, b"\0\0\0\0\x02\x0a\0\x80\0\0\0\x0fgrpc");
        }
        response(400, "text/html", b"")
    })
    .await;
    let error = call_by_web(&address).await.unwrap_err();
    assert!(error.to_string().contains("in the middle of an answer"), "{error}");
}
