//! Accepts connections until it is told to stop, and then waits for all of them to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::room::{Place, Room};
use crate::endpoint::check_host;
use crate::error::{Error, Result};

/// How long a client may take until it has logged in, from the moment it connects: TLS is part of it.
pub(super) const LOGIN_TIME: Duration = Duration::from_secs(10);
/// Most bytes that are taken of a client for its login.
pub(super) const LOGIN_BYTES: usize = 64 << 10;

/// What a connection is served on.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether bytes have arrived that nobody has read. Asked of the kernel, which knows at once what a program on this
    /// machine has written; whoever reads is woken later.
    fn has_unread(&self) -> bool;
}

impl Socket for TcpStream {
    #[cfg(target_os = "linux")]
    fn has_unread(&self) -> bool {
        // A socket that cannot be asked has ended.
        rustix::io::ioctl_fionread(self).is_ok_and(|bytes| bytes > 0)
    }

    #[cfg(not(target_os = "linux"))]
    fn has_unread(&self) -> bool {
        false
    }
}

impl Socket for TlsStream<TcpStream> {
    fn has_unread(&self) -> bool {
        self.get_ref().0.has_unread()
    }
}

/// What is behind a listener.
pub(super) trait Service: Send + Sync + 'static {
    /// Whether connections are closed as soon as they are accepted.
    fn refuses_connections(&self) -> bool;

    /// Where its connections have their places.
    fn room(&self) -> &Arc<Room>;

    /// Serve a connection until it ends or is to stop.
    fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival) -> impl Future<Output = ()> + Send
    where
        S: Socket;
}

/// What is known of a connection that has just come.
pub(super) struct Arrival {
    /// The certificate of a TLS client.
    pub(super) shown: Option<Vec<u8>>,
    /// When it is closed unless it has logged in.
    pub(super) login_by: Instant,
    /// Turns true when it is to end.
    pub(super) stop: watch::Receiver<bool>,
}

impl Arrival {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { shown: None, login_by: Instant::now() + LOGIN_TIME, stop }
    }
}

/// Wait until a switch stands so. Switches live longer than those who wait for them.
pub(super) async fn turns(switch: &mut watch::Receiver<bool>, to: bool) {
    drop(switch.wait_for(|now| *now == to).await);
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A socket that is bound, so that its address is known, and serves nothing yet.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Bound {
    /// Bind `host:port`; port 0 takes a free one.
    pub(super) async fn bind(host: &str, port: u16, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let fail =
            |error: std::io::Error| Error::Sandbox { reason: format!("cannot listen on {host}:{port}: {error}") };
        check_host(host)?;
        let socket = TcpListener::bind((host, port)).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        Ok(Self { address, socket, tls })
    }

    /// Serve what connects.
    pub(super) fn serve(self, service: Arc<impl Service>) -> Listener {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(self.socket, self.tls.map(TlsAcceptor::from), service, stopped));
        Listener { address: self.address, stop, task }
    }
}

/// A listening socket and everything that came through it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Listen on `host:port`; port 0 takes a free one.
    pub(super) async fn bind(
        host: &str,
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        service: Arc<impl Service>,
    ) -> Result<Self> {
        Ok(Bound::bind(host, port, tls).await?.serve(service))
    }

    /// Close the socket and all its connections.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "sandbox listener failed");
        }
    }
}

async fn accept(
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<impl Service>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    let mut is_able = true;
    loop {
        tokio::select! {
            () = turns(&mut stop, true) => break,
            // Collected as they end, so that the set does not grow.
            Some(_) = connections.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    is_able = true;
                    if let Some(place) = service.room().enter() {
                        let arrival = Arrival::new(stopping.clone());
                        connections.spawn(converse(stream, peer, tls.clone(), service.clone(), arrival, place));
                    }
                }
                Err(error) => {
                    if std::mem::take(&mut is_able) {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    // Out of file descriptors, mostly: time for open ones to end, and no busy loop meanwhile.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    service: Arc<impl Service>,
    mut arrival: Arrival,
    _place: Place,
) {
    if service.refuses_connections() {
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "connection ended at once");
        return;
    }
    let Some(tls) = tls else { return service.serve(stream, arrival).await };
    let handshake = tokio::select! {
        () = turns(&mut arrival.stop, true) => return,
        handshake = timeout_at(arrival.login_by, tls.accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            arrival.shown = shown.map(|certificate| certificate.to_vec());
            service.serve(stream, arrival).await;
        }
        Ok(Err(error)) => tracing::info!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::info!(%peer, "TLS handshake took too long"),
    }
}
