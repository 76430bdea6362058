//! Connections through a proxy: SOCKS, or HTTP with CONNECT.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    /// HTTP, with the method CONNECT.
    Http,
}

/// Longest answer of an HTTP proxy.
const MAX_ANSWER_BYTES: usize = 16 << 10;

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
            (ProxyKind::Http, _) => return self.tunnel(socket, endpoint).await.map_err(fail),
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

    /// Have an HTTP proxy pass everything on to a server from now on.
    async fn tunnel(&self, mut socket: TcpStream, endpoint: &Endpoint) -> io::Result<TcpStream> {
        // Written with its port, and brackets where it is an IPv6 address.
        let target = endpoint.to_string();
        let login = self.login.as_ref().map_or_else(String::new, |(user, password)| {
            let login = BASE64.encode(format!("{user}:{}", password.reveal()));
            format!("Proxy-Authorization: Basic {login}\r\n")
        });
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the answer is the server's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MAX_ANSWER_BYTES {
                return Err(io::Error::other("its answer to CONNECT is not HTTP, or too long"));
            }
            answer.push(socket.read_u8().await.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::other("it hung up over CONNECT"),
                _ => error,
            })?);
        }
        let text = String::from_utf8_lossy(&answer);
        let status = text.lines().next().unwrap_or_default();
        match status.strip_prefix("HTTP/1.").and_then(|rest| rest.split_once(' ')) {
            Some((_, status)) if status.starts_with('2') => Ok(socket),
            Some((_, status)) => Err(io::Error::other(format!("it answered CONNECT with {status:?}"))),
            None => Err(io::Error::other(format!("it answered CONNECT with {status:?}, which is not HTTP"))),
        }
    }
}
