//! The services, for listeners.

use std::sync::Arc;

use tonic::service::Routes;

use super::addresses::Addresses;
use super::discovery::{Announced, Directory};
use super::manager::Manager;
use crate::rpc::proto::discovery::discovery_server::DiscoveryServer;
use crate::rpc::proto::handler::application_manager_server::ApplicationManagerServer;
use crate::rpc::proto::lorawan::dev_addr_manager_server::DevAddrManagerServer;
use crate::sandbox::http2;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;
use crate::sandbox::v2::Network;

/// Methods of gRPC, for a listener.
pub(in crate::sandbox::v2) struct GrpcService {
    routes: Routes,
    network: Arc<Network>,
}

impl GrpcService {
    /// Discovery.
    pub(in crate::sandbox::v2) fn discovery(network: Arc<Network>, announced: Announced) -> Arc<Self> {
        let directory = Directory { network: network.clone(), announced };
        Arc::new(Self { routes: Routes::new(DiscoveryServer::new(directory)).prepare(), network })
    }

    #[cfg(test)]
    pub(super) fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// The handler's managers.
    pub(in crate::sandbox::v2) fn handler(network: Arc<Network>) -> Arc<Self> {
        let manager = ApplicationManagerServer::new(Manager(network.clone())).max_decoding_message_size(64 << 20);
        let addresses = DevAddrManagerServer::new(Addresses(network.clone()));
        Arc::new(Self { routes: Routes::new(manager).add_service(addresses).prepare(), network })
    }
}

impl Service for GrpcService {
    fn refuses_connections(&self) -> bool {
        self.network.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.network.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: Socket,
    {
        http2::serve(stream, self.routes.clone(), arrival, std::future::pending()).await;
    }
}
