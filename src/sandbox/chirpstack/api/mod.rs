//! The server's API (CS 4): gRPC and gRPC-web on one port, in plain text.

mod access;
mod application;
mod device;
mod gateway;
mod internal;
mod page;
mod profile;
mod queue;
mod services;
mod web;

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

use self::profile::Profiles;
use self::web::{Tongue, call, empty, tongue};
use super::server::Server;
use crate::rpc::proto::chirpstack::api::application_service_server::ApplicationServiceServer;
use crate::rpc::proto::chirpstack::api::device_service_server::DeviceServiceServer;
use crate::rpc::proto::chirpstack::api::gateway_service_server::GatewayServiceServer;
use crate::rpc::proto::chirpstack::api::internal_service_server::InternalServiceServer;
use crate::rpc::proto::chirpstack::api::tenant_service_server::TenantServiceServer;
use crate::sandbox::http2;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;

/// All services.
#[derive(Clone, Debug)]
struct Api(Arc<Server>);

/// The API, for a listener.
pub(super) struct ApiService {
    routes: Routes,
    server: Arc<Server>,
}

impl ApiService {
    pub(super) fn new(server: Arc<Server>) -> Arc<Self> {
        let api = Api(server.clone());
        let routes = Routes::new(DeviceServiceServer::new(api.clone()))
            .add_service(ApplicationServiceServer::new(api.clone()))
            .add_service(GatewayServiceServer::new(api.clone()))
            .add_service(TenantServiceServer::new(api.clone()))
            .add_service(InternalServiceServer::new(api.clone()))
            .add_service(Profiles(api));
        Arc::new(Self { routes: routes.prepare(), server })
    }

    #[cfg(test)]
    pub(super) fn routes(&self) -> Routes {
        self.routes.clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let mut routes = self.routes.clone();
        match (tongue(request.headers()), request.version()) {
            (Tongue::Web { is_text }, _) => Ok(call(routes, request, is_text).await),
            (Tongue::Grpc, Version::HTTP_2) => routes.call(request.map(Body::new)).await,
            (Tongue::Grpc, _) => Ok(empty(StatusCode::BAD_REQUEST)),
            // The web interface, which is not served here; there is no REST (seen).
            (Tongue::Other, _) => Ok(empty(StatusCode::NOT_FOUND)),
        }
    }
}

impl Service for ApiService {
    fn refuses_connections(&self) -> bool {
        self.server.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.server.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: Socket,
    {
        let service = service_fn(move |request| {
            let api = self.clone();
            async move { api.answer(request).await }
        });
        http2::serve_either(stream, service, arrival).await;
    }
}
