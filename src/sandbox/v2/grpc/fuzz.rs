//! Discovery and handler: whatever a client sends as a message.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tonic::{Code, Request, Status};

use super::server::GrpcService;
use super::{Announced, record};
use crate::fuzz::{PROTOBUF, Shape, Target};
use crate::ids::AccessKey;
use crate::rpc::AsIs;
use crate::rpc::proto::handler;
use crate::sandbox::v2::payload;
use crate::sandbox::v2::{Network, Right};

/// Without the dry runs, whose JavaScript takes its time.
const METHODS: [&str; 18] = [
    "discovery.Discovery/Announce",
    "discovery.Discovery/GetAll",
    "discovery.Discovery/Get",
    "discovery.Discovery/AddMetadata",
    "discovery.Discovery/GetByAppID",
    "discovery.Discovery/GetByGatewayID",
    "discovery.Discovery/GetByAppEUI",
    "handler.ApplicationManager/GetApplication",
    "handler.ApplicationManager/SetApplication",
    "handler.ApplicationManager/GetDevice",
    "handler.ApplicationManager/SetDevice",
    "handler.ApplicationManager/GetDevicesForApplication",
    "handler.ApplicationManager/SimulateUplink",
    "handler.ApplicationManager/DeleteDevice",
    "handler.ApplicationManager/DeleteApplication",
    "handler.ApplicationManager/RegisterApplication",
    "lorawan.DevAddrManager/GetPrefixes",
    "lorawan.DevAddrManager/GetDevAddr",
];

struct Servers {
    network: Arc<Network>,
    discovery: Arc<GrpcService>,
    handler: Arc<GrpcService>,
}

fn servers() -> Servers {
    let network = Arc::new(Network::default());
    network.registry().add_application("demo-app", AccessKey::new("k"), Right::NORMAL.into()).unwrap();
    let announced = Announced {
        net_address: "localhost:1904".into(),
        certificate: String::new(),
        mqtt_address: "localhost:1883".into(),
    };
    let discovery = GrpcService::discovery(network.clone(), announced);
    Servers { handler: GrpcService::handler(network.clone()), discovery, network }
}

impl Servers {
    async fn call(&self, method: &str, message: &[u8]) -> Result<Bytes, Status> {
        let service = if method.starts_with("discovery") { &self.discovery } else { &self.handler };
        let mut request = Request::new(Bytes::copy_from_slice(message));
        request.metadata_mut().insert("key", "k".parse().unwrap());
        let path = format!("/{method}").parse().unwrap();
        let mut client = tonic::client::Grpc::new(service.routes());
        client.ready().await.unwrap();
        client.unary(request, path, AsIs).await.map(tonic::Response::into_inner)
    }
}

#[test]
fn any_message_is_answered_by_every_method() {
    let words: &[&[u8]] =
        &[b"demo-app", b"node-1", b"cayennelpp", b"handler", b"\xff\xff\xff\xff\x0f", b"\x10\0", b"local", b"abp"];
    let target = Target {
        name: "protobuf, sandbox",
        corpus: PROTOBUF,
        shape: Shape::Fields,
        words,
        inputs: 200,
        memory: (1 << 20, 4096),
    };
    target.run_on(servers, |servers, bytes, _| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            for method in METHODS {
                if let Err(status) = servers.call(method, bytes).await {
                    assert_ne!(status.code(), Code::Unimplemented, "{method}: {status:?}");
                }
            }
            // What was stored is as good as what was sent.
            let known = servers.network.registry().device("demo-app", "node-1").cloned();
            if let Some(device) = known {
                let wire = record::to_wire("demo-app", "node-1", &device, true);
                let again = record::from_wire(&wire, Some(&device)).expect("what was stored is valid");
                assert_eq!(
                    record::to_wire("demo-app", "node-1", &again, true).encode_to_vec().len(),
                    wire.encoded_len()
                );
            }
        });
    });
}

#[test]
fn any_uplink_is_read_by_cayenne() {
    let words: &[&[u8]] = &[b"\x67\xff", b"\x88", b"\x71", b"\x80"];
    let target = Target {
        name: "Cayenne LPP",
        corpus: PROTOBUF,
        shape: Shape::Fields,
        words,
        inputs: 2000,
        memory: (64 << 10, 512),
    };
    target.run(|bytes, _| {
        let format =
            handler::Application { payload_format: "cayennelpp".to_owned(), ..handler::Application::default() };
        let settings = record::settings(&format, String::new());
        if let Ok(decoded) = payload::decode(&settings, bytes, 1) {
            let fields = serde_json::to_string(&decoded.fields).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&fields).unwrap(), decoded.fields);
        }
        if let Ok(fields) = serde_json::from_slice(bytes) {
            drop(payload::encode(&settings, &fields, 1));
        }
    });
}
