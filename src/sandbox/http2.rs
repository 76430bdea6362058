//! Serves gRPC on what a listener accepts, and HTTP/1.1 beside it where a server has both on one port.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service as HttpService;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};
use tonic::body::Body;
use tonic::service::Routes;

use super::listener::{Arrival, LOGIN_BYTES, LOGIN_TIME, Socket, turns};

/// What a client says first (RFC 9113, 3.4).
const PREFACE: usize = 24;
/// How often a client is asked whether it lives.
const PROBE: Duration = Duration::from_secs(20);
/// How long it may take to answer that.
const PROBE_ANSWER: Duration = Duration::from_secs(10);

/// The same certificate, with the protocol that clients of gRPC agree on.
pub(super) fn with_http2(tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

/// Serve a connection until it ends or is to stop. Once it is `aged` it takes no more calls, and ends after those that it
/// has.
pub(super) async fn serve<S: Socket>(stream: S, routes: Routes, arrival: Arrival, aged: impl Future<Output = ()>) {
    let Arrival { login_by, mut stop, .. } = arrival;
    let stream = Greeted { stream, missing: PREFACE, patience: Box::pin(sleep_until(login_by)) };
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PROBE)
        .keep_alive_timeout(PROBE_ANSWER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let mut aged = std::pin::pin!(aged);
    let mut is_aged = false;
    loop {
        tokio::select! {
            () = turns(&mut stop, true) => return,
            () = aged.as_mut(), if !is_aged => {
                is_aged = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "gRPC connection ended");
                }
                return;
            }
        }
    }
}

/// Serve a connection of HTTP/2 or HTTP/1.1, whichever the client speaks, until it ends or is to stop.
pub(super) async fn serve_either<S, F>(stream: S, service: F, arrival: Arrival)
where
    S: Socket,
    F: HttpService<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send,
    F::Future: Send + 'static,
{
    let Arrival { login_by, mut stop, .. } = arrival;
    let stream = Greeted { stream, missing: 1, patience: Box::pin(sleep_until(login_by)) };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(LOGIN_TIME).max_buf_size(LOGIN_BYTES);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PROBE).keep_alive_timeout(PROBE_ANSWER);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        () = turns(&mut stop, true) => {}
        ended = connection.as_mut() => if let Err(error) = ended {
            tracing::debug!(%error, "connection of the API ended");
        },
    }
}

/// A stream whose client must have sent its preface in time: hyper itself would wait for ever.
struct Greeted<S> {
    stream: S,
    /// Bytes of the preface that have not come yet.
    missing: usize,
    patience: Pin<Box<Sleep>>,
}

impl<S: Socket> AsyncRead for Greeted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.missing > 0 && self.patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.missing = self.missing.saturating_sub(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Greeted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
