//! From an address to an open connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::proxy::Proxy;
use super::tls::{Tls, reason};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Stream {
    /// Without.
    Plain(TcpStream),
    /// With.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The protocol that both sides have agreed on during the handshake of TLS, if they have.
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }

    /// What the server said before it hung up, without TLS, be it that the runtime has not noticed yet; gives how many bytes.
    #[must_use]
    #[cfg_attr(not(unix), expect(unused_variables, reason = "nothing is read there"))]
    pub fn last_words(&self, space: &mut [u8]) -> usize {
        #[cfg(unix)]
        if let Self::Plain(stream) = self
            && let Ok(socket) = std::os::fd::AsFd::as_fd(stream).try_clone_to_owned()
        {
            // Does not wait: the copy shares the setting.
            return io::Read::read(&mut std::net::TcpStream::from(socket), space).unwrap_or(0);
        }
        0
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Resolve, connect and, where the endpoint speaks TLS, shake hands. Not bounded in time.
///
/// # Errors
/// [`Error::Unresolved`], [`Error::Unreachable`], [`Error::Tls`].
pub async fn open(endpoint: &Endpoint, tls: Option<&Tls>) -> Result<Stream> {
    let unresolved = |reason: &str| Error::Unresolved { host: endpoint.host.clone(), reason: reason.to_owned() };
    let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(|error| {
        let text = error.to_string();
        unresolved(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text))
    })?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => return secure(endpoint, tls, tcp).await,
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(source) => Error::unreachable(endpoint.to_string(), source),
        None => unresolved("no address"),
    })
}

/// As [`open`], through a proxy if there is one.
///
/// # Errors
/// As [`open`]; a proxy that fails is [`Error::Unreachable`].
pub async fn open_through(proxy: Option<&Proxy>, endpoint: &Endpoint, tls: Option<&Tls>) -> Result<Stream> {
    match proxy {
        Some(proxy) => secure(endpoint, tls, proxy.connect(endpoint).await?).await,
        None => open(endpoint, tls).await,
    }
}

async fn secure(endpoint: &Endpoint, tls: Option<&Tls>, tcp: TcpStream) -> Result<Stream> {
    tcp.set_nodelay(true).map_err(|source| Error::unreachable(endpoint.to_string(), source))?;
    if !endpoint.tls {
        return Ok(Stream::Plain(tcp));
    }
    let fail = |reason: String| Error::Tls { address: endpoint.to_string(), reason };
    let tls = tls.ok_or_else(|| fail("no TLS settings".into()))?;
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| fail(error.to_string()))?;
    let stream = TlsConnector::from(tls.config.clone())
        .connect(name, tcp)
        .await
        .map_err(|error| fail(reason(&error, &endpoint.host, tls.argument)))?;
    Ok(Stream::Tls(Box::new(stream)))
}
