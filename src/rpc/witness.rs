//! Looks at what a server says first, to tell who it is when it turns out to be no gRPC server.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::endpoint::Endpoint;
use crate::net::{Stream, Tongue};
use crate::sync::Mutex;

/// The name of HTTP/1.1 in the handshake of TLS (RFC 7301, 6).
pub(super) const HTTP1: &[u8] = b"http/1.1";
/// Bytes that are looked at.
const FIRST: usize = 16;

/// What was seen of the connections to a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// The server that was reached last.
    reached: Option<Endpoint>,
    /// During the handshake of TLS it has chosen HTTP/1.1.
    chose_http1: bool,
    /// What was heard last; while the next connection is as yet silent, that is of the one before.
    heard: Option<Heard>,
    /// It has been found out otherwise who it is.
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Heard {
    server: Endpoint,
    first: Vec<u8>,
    ended: bool,
}

impl Witness {
    /// Look at a connection.
    pub(super) fn watch(&self, endpoint: &Endpoint, stream: Stream) -> Watched {
        let mut seen = self.0.lock();
        (seen.reached, seen.chose_http1) = (Some(endpoint.clone()), stream.protocol() == Some(HTTP1));
        drop(seen);
        let heard = Heard { server: endpoint.clone(), first: Vec::new(), ended: false };
        Watched { stream, witness: self.clone(), heard, settled: false }
    }

    /// Whether the server that was reached last does not speak HTTP/2: what was sent there nobody has read. Who does begins with
    /// its settings (RFC 9113, 3.4).
    pub(super) fn lacks_http2(&self) -> bool {
        let seen = self.0.lock();
        let heard = seen.heard.as_ref().filter(|heard| seen.reached.as_ref() == Some(&heard.server));
        let speaks = heard.is_none_or(|heard| match Tongue::of_all(&heard.first) {
            Some(tongue) => tongue == Tongue::Grpc,
            None => !heard.ended,
        });
        seen.reached.is_some() && (seen.chose_http1 || !speaks)
    }

    /// Nothing is to be found out any more of who is called.
    pub(super) fn rest(&self) {
        self.0.lock().is_known = true;
    }

    /// The server that was reached last; empty if none was.
    pub(super) fn address(&self) -> String {
        self.0.lock().reached.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Where a connection was given up: who is there in a gRPC server's place, and what to do: `ports` says where such servers are.
    pub(super) fn stranger(&self, ports: &str) -> Option<String> {
        let heard = {
            let seen = self.0.lock();
            seen.heard.clone().filter(|_| !seen.is_known)?
        };
        let Heard { server, first, ended } = &heard;
        match Tongue::of_all(first) {
            Some(Tongue::Grpc) => None,
            Some(Tongue::Tls) => {
                Some(format!("{server} speaks TLS at this port: leave out insecure_channel, and give its certificate"))
            }
            Some(tongue) => Some(format!("{server} speaks {tongue} at this port, and not gRPC: {ports}")),
            None if *ended => {
                let how = if server.tls { "with TLS" } else { "without TLS, as insecure_channel=True asks for" };
                Some(format!("{server} hangs up without a word: does it speak gRPC {how}? {ports}"))
            }
            None => None,
        }
    }

    /// The same where nothing more was heard in the time that there was.
    pub(super) fn stranger_at_last(&self, ports: &str) -> Option<String> {
        let (reached, heard) = {
            let seen = self.0.lock();
            (seen.reached.clone().filter(|_| !seen.is_known)?, seen.heard.clone())
        };
        match heard.map(|heard| Tongue::of_all(&heard.first)) {
            Some(Some(Tongue::Grpc)) => None,
            Some(Some(tongue)) => Some(format!("{reached} speaks {tongue} at this port, and not gRPC: {ports}")),
            _ => Some(format!("{reached} has not said a word: does it speak gRPC? {ports}")),
        }
    }
}

/// A connection that is looked at.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    witness: Witness,
    heard: Heard,
    /// Enough is known.
    settled: bool,
}

impl Watched {
    /// Whether the server wants HTTP/1.1 and nothing else.
    pub(super) fn is_of_http1(&self) -> bool {
        self.stream.protocol() == Some(HTTP1)
    }

    /// Nothing can be written any more, so nobody will read what the server has said before it hung up.
    fn hear_the_last(&mut self) {
        if self.settled {
            return;
        }
        let mut space = [0; FIRST];
        let count = self.stream.last_words(&mut space);
        self.take(&space[..count], true);
    }

    /// Take in what was read.
    fn take(&mut self, bytes: &[u8], ended: bool) {
        let room = FIRST.saturating_sub(self.heard.first.len());
        self.heard.first.extend(bytes.iter().take(room));
        self.heard.ended = ended;
        self.settled = ended || self.heard.first.len() >= FIRST;
        self.witness.0.lock().heard = Some(self.heard.clone());
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, asked) = (buf.filled().len(), buf.remaining() > 0);
        let outcome = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
        if !this.settled && (asked || outcome.is_err()) {
            let new = &buf.filled()[before..];
            this.take(new, new.is_empty());
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = ready!(Pin::new(&mut this.stream).poll_write(cx, buf));
        if outcome.is_err() {
            this.hear_the_last();
        }
        Poll::Ready(outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = ready!(Pin::new(&mut this.stream).poll_flush(cx));
        if outcome.is_err() {
            this.hear_the_last();
        }
        Poll::Ready(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
