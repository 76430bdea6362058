//! The discovery service (V2 2.3).

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::access::number;
use crate::rpc::proto::discovery::discovery_server::Discovery;
use crate::rpc::proto::discovery::metadata::Metadata as Of;
use crate::rpc::proto::discovery::{
    Announcement, AnnouncementsResponse, GetByAppEuiRequest, GetByAppIdRequest, GetByGatewayIdRequest, GetRequest,
    GetServiceRequest, Metadata, MetadataRequest,
};
use crate::sandbox::v2::Network;
use crate::sandbox::v2::gateway_ids;

/// What the sandbox announces of itself.
#[derive(Clone, Debug)]
pub(in crate::sandbox::v2) struct Announced {
    /// gRPC address of the handler.
    pub(in crate::sandbox::v2) net_address: String,
    /// PEM, if the handler speaks TLS.
    pub(in crate::sandbox::v2) certificate: String,
    pub(in crate::sandbox::v2) mqtt_address: String,
}

/// The service.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) network: Arc<Network>,
    pub(super) announced: Announced,
}

impl Directory {
    fn component(&self, id: &str, service: &str) -> Announcement {
        Announcement {
            id: id.to_owned(),
            service_name: service.to_owned(),
            service_version: concat!("thingslink-", env!("CARGO_PKG_VERSION")).to_owned(),
            description: "thingslink sandbox".to_owned(),
            net_address: self.announced.net_address.clone(),
            certificate: self.announced.certificate.clone(),
            ..Announcement::default()
        }
    }

    fn handler(&self) -> Announcement {
        Announcement {
            mqtt_address: self.announced.mqtt_address.clone(),
            ..self.component("sandbox-handler", "handler")
        }
    }

    fn router(&self) -> Announcement {
        self.component("sandbox-router", "router")
    }

    /// Every component, with what it is responsible for.
    fn all(&self) -> Vec<Announcement> {
        let of = |metadata| Metadata { metadata: Some(metadata) };
        let applications = self.network.registry().applications();
        let prefix =
            vec![of(Of::DevAddrPrefix(vec![16, 0x26, 1, 0, 0])), of(Of::DevAddrPrefix(vec![16, 0x26, 2, 0, 0]))];
        vec![
            Announcement {
                metadata: gateway_ids().map(|id| of(Of::GatewayId(id.to_owned()))).collect(),
                ..self.router()
            },
            Announcement { metadata: prefix, ..self.component("sandbox-broker", "broker") },
            Announcement { metadata: applications.into_iter().map(|id| of(Of::AppId(id))).collect(), ..self.handler() },
        ]
    }
}

fn not_found(what: &str, id: &str) -> Status {
    Status::not_found(format!("{what} {id} not found"))
}

fn only_components<T>() -> Result<Response<T>, Status> {
    Err(Status::permission_denied("permission denied: only components of the network announce themselves"))
}

#[tonic::async_trait]
impl Discovery for Directory {
    async fn announce(&self, _request: Request<Announcement>) -> Result<Response<()>, Status> {
        only_components()
    }

    async fn get_all(&self, request: Request<GetServiceRequest>) -> Result<Response<AnnouncementsResponse>, Status> {
        self.network.faults.pause().await;
        let (limit, offset) = (number(request.metadata(), "limit"), number(request.metadata(), "offset"));
        let wanted = request.into_inner().service_name;
        let services = self.all().into_iter().filter(|known| wanted.is_empty() || known.service_name == wanted);
        let limit = if limit == 0 { usize::MAX } else { limit };
        Ok(Response::new(AnnouncementsResponse { services: services.skip(offset).take(limit).collect() }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Announcement>, Status> {
        self.network.faults.pause().await;
        let GetRequest { id, service_name } = request.into_inner();
        let found = self.all().into_iter().find(|known| known.id == id && known.service_name == service_name);
        found.map(Response::new).ok_or_else(|| not_found(&service_name, &id))
    }

    async fn add_metadata(&self, _request: Request<MetadataRequest>) -> Result<Response<()>, Status> {
        only_components()
    }

    async fn delete_metadata(&self, _request: Request<MetadataRequest>) -> Result<Response<()>, Status> {
        only_components()
    }

    async fn get_by_app_id(&self, request: Request<GetByAppIdRequest>) -> Result<Response<Announcement>, Status> {
        self.network.faults.pause().await;
        let app_id = request.into_inner().app_id;
        let registered = {
            let mut registry = self.network.registry();
            registry.welcome(&app_id);
            registry.is_registered(&app_id)
        };
        if registered {
            return Ok(Response::new(self.handler()));
        }
        Err(not_found("AppID", &app_id))
    }

    async fn get_by_gateway_id(
        &self,
        request: Request<GetByGatewayIdRequest>,
    ) -> Result<Response<Announcement>, Status> {
        self.network.faults.pause().await;
        let gateway_id = request.into_inner().gateway_id;
        if gateway_ids().any(|known| known == gateway_id) {
            return Ok(Response::new(self.router()));
        }
        Err(not_found("GatewayID", &gateway_id))
    }

    async fn get_by_app_eui(&self, request: Request<GetByAppEuiRequest>) -> Result<Response<Announcement>, Status> {
        self.network.faults.pause().await;
        let app_eui = request.into_inner().app_eui;
        if self.network.registry().serves_app_eui(&app_eui) {
            return Ok(Response::new(self.handler()));
        }
        Err(not_found("AppEUI", &hex::encode_upper(&app_eui)))
    }
}
