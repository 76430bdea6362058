//! Serves gRPC on what a listener accepts.

use std::sync::Arc;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tonic::service::Routes;

use super::addresses::Addresses;
use super::discovery::{Announced, Directory};
use super::manager::Manager;
use crate::rpc::proto::discovery::discovery_server::DiscoveryServer;
use crate::rpc::proto::handler::application_manager_server::ApplicationManagerServer;
use crate::rpc::proto::lorawan::dev_addr_manager_server::DevAddrManagerServer;
use crate::sandbox::listener::{Service, turns};
use crate::sandbox::lorawan::Network;

/// Methods of gRPC, for a listener.
pub(in crate::sandbox) struct GrpcService {
    routes: Routes,
    network: Arc<Network>,
}

impl GrpcService {
    /// Discovery.
    pub(in crate::sandbox) fn discovery(network: Arc<Network>, announced: Announced) -> Arc<Self> {
        let directory = Directory { network: network.clone(), announced };
        Arc::new(Self { routes: Routes::new(DiscoveryServer::new(directory)).prepare(), network })
    }

    #[cfg(test)]
    pub(super) fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// The handler's managers.
    pub(in crate::sandbox) fn handler(network: Arc<Network>) -> Arc<Self> {
        let manager = ApplicationManagerServer::new(Manager(network.clone())).max_decoding_message_size(64 << 20);
        let addresses = DevAddrManagerServer::new(Addresses(network.clone()));
        Arc::new(Self { routes: Routes::new(manager).add_service(addresses).prepare(), network })
    }
}

/// The same certificate, with the protocol that clients of gRPC agree on.
pub(in crate::sandbox) fn with_http2(tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

impl Service for GrpcService {
    fn refuses_connections(&self) -> bool {
        self.network.faults.refuses_connections()
    }

    async fn serve<S>(self: Arc<Self>, stream: S, _shown: Option<Vec<u8>>, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(self.routes.clone());
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            () = turns(&mut stop, true) => {}
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "gRPC connection ended");
            },
        }
    }
}
