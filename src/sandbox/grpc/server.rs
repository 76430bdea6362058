//! Listening for gRPC. Every connection is a task of ours, so that stopping ends them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

use super::addresses::Addresses;
use super::discovery::{Announced, Directory};
use super::manager::Manager;
use crate::error::{Error, Result};
use crate::rpc::proto::discovery::discovery_server::DiscoveryServer;
use crate::rpc::proto::handler::application_manager_server::ApplicationManagerServer;
use crate::rpc::proto::lorawan::dev_addr_manager_server::DevAddrManagerServer;
use crate::sandbox::lorawan::Network;

/// A listening socket and everything that came through it.
#[derive(Debug)]
pub(in crate::sandbox) struct GrpcServer {
    socket: Option<TcpListener>,
    tls: Option<Arc<ServerConfig>>,
    pub(in crate::sandbox) address: SocketAddr,
    task: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl GrpcServer {
    /// Listen on `host:port`; port 0 takes a free one. Serves nothing yet.
    pub(in crate::sandbox) async fn bind(host: &str, port: u16, tls: Option<&Arc<ServerConfig>>) -> Result<Self> {
        let fail =
            |error: std::io::Error| Error::Sandbox { reason: format!("cannot listen on {host}:{port}: {error}") };
        let socket = TcpListener::bind((host, port)).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let tls = tls.map(|config| {
            let mut config = ServerConfig::clone(config);
            config.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(config)
        });
        Ok(Self { socket: Some(socket), tls, address, task: None })
    }

    /// Serve discovery.
    pub(in crate::sandbox) fn serve_discovery(&mut self, network: Arc<Network>, announced: Announced) {
        let directory = Directory { network: network.clone(), announced };
        self.serve(Routes::new(DiscoveryServer::new(directory)), network);
    }

    /// Serve the handler's managers.
    pub(in crate::sandbox) fn serve_handler(&mut self, network: Arc<Network>) {
        let manager = ApplicationManagerServer::new(Manager(network.clone())).max_decoding_message_size(64 << 20);
        let addresses = DevAddrManagerServer::new(Addresses(network.clone()));
        self.serve(Routes::new(manager).add_service(addresses), network);
    }

    fn serve(&mut self, routes: Routes, network: Arc<Network>) {
        let Some(socket) = self.socket.take() else { return };
        let (stop, stopped) = watch::channel(false);
        let task =
            tokio::spawn(accept(socket, self.tls.clone().map(TlsAcceptor::from), routes.prepare(), network, stopped));
        self.task = Some((stop, task));
    }

    /// Close the socket and all its connections.
    pub(in crate::sandbox) async fn stop(self) {
        if let Some((stop, task)) = self.task {
            stop.send_replace(true);
            if let Err(error) = task.await {
                tracing::error!(%error, "sandbox gRPC listener failed");
            }
        }
    }
}

async fn accept(
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Routes,
    network: Arc<Network>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            // Collected as they end, so that the set does not grow.
            Some(_) = connections.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    if !network.faults.refuses_connections() {
                        connections.spawn(converse(stream, peer, tls.clone(), routes.clone()));
                    }
                }
                Err(error) => {
                    // Out of file descriptors, mostly: time for open ones to end, and no busy loop meanwhile.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(socket);
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, routes: Routes) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%peer, %error, "connection ended at once");
    }
    match tls {
        None => speak(stream, peer, routes).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => speak(stream, peer, routes).await,
            Err(error) => tracing::info!(%peer, %error, "TLS handshake failed"),
        },
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr, routes: Routes) {
    let service = TowerToHyperService::new(routes);
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "gRPC connection ended");
    }
}
