//! Serves gRPC on what a listener accepts.

use std::sync::Arc;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::sync::watch;
use tonic::service::Routes;

use super::listener::{Socket, turns};

/// The same certificate, with the protocol that clients of gRPC agree on.
pub(super) fn with_http2(tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

/// Serve a connection until it ends or `stop` turns true.
pub(super) async fn serve<S: Socket>(stream: S, routes: Routes, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(routes);
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = turns(&mut stop, true) => {}
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "gRPC connection ended");
        },
    }
}
