//! Connections through a SOCKS proxy.

use std::io;

use tokio::net::TcpStream;
use tokio_socks::Error as SocksError;
use tokio_socks::tcp::{Socks4Stream, Socks5Stream};

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::AccessKey;

/// Which protocol a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// SOCKS 4a.
    Socks4,
    /// SOCKS 5.
    Socks5,
}

/// A proxy, which also resolves the names of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its protocol.
    pub kind: ProxyKind,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password, where it wants them.
    pub login: Option<(String, AccessKey)>,
}

impl Proxy {
    /// Have the proxy connect to a server.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<TcpStream> {
        let address = format!("proxy {}:{} on the way to {endpoint}", self.host, self.port);
        let fail = |source: io::Error| Error::unreachable(address.as_str(), source);
        let refused = |error: SocksError| match error {
            SocksError::Io(source) => fail(source),
            other => fail(io::Error::other(other.to_string())),
        };
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(fail)?;
        let target = (endpoint.host.as_str(), endpoint.port);
        match (self.kind, &self.login) {
            (ProxyKind::Socks4, None) => {
                Socks4Stream::connect_with_socket(socket, target).await.map(Socks4Stream::into_inner)
            }
            (ProxyKind::Socks4, Some((user, _))) => {
                Socks4Stream::connect_with_userid_and_socket(socket, target, user).await.map(Socks4Stream::into_inner)
            }
            (ProxyKind::Socks5, None) => {
                Socks5Stream::connect_with_socket(socket, target).await.map(Socks5Stream::into_inner)
            }
            (ProxyKind::Socks5, Some((user, password))) => {
                Socks5Stream::connect_with_password_and_socket(socket, target, user, password.reveal())
                    .await
                    .map(Socks5Stream::into_inner)
            }
        }
        .map_err(refused)
    }
}
