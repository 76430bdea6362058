//! Reads and writes a client's socket at once, so that a client that does not read is still read.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::listener::Socket;

/// What is to go over a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// What went over a socket.
pub(super) struct Moved {
    /// How many bytes came; zero at the end.
    pub(super) read: Option<io::Result<usize>>,
    /// Whether bytes went, so that there is something to flush.
    pub(super) written: Option<io::Result<bool>>,
}

/// Read and write what the socket takes now, or wait until it takes something. May be cancelled.
///
/// Whoever is `asking` is told as soon as nothing is left to read: what was read before has been handled by then.
pub(super) async fn exchange<S: Socket>(
    stream: &mut S,
    inbound: &mut BytesMut,
    outbound: &mut BytesMut,
    wants: Wants,
    asking: &mut Vec<oneshot::Sender<()>>,
) -> Moved {
    poll_fn(|cx| {
        let read = match wants.read.then(|| pin!(stream.read_buf(inbound)).poll(cx)) {
            Some(Poll::Ready(count)) => Some(count),
            Some(Poll::Pending) | None => None,
        };
        if read.is_none() && !asking.is_empty() && !stream.has_unread() {
            for asking in asking.drain(..) {
                // Who asked may have waited long enough.
                let _gone = asking.send(());
            }
        }
        let written = match wants.write.then(|| pin!(write_some(stream, outbound)).poll(cx)) {
            Some(Poll::Ready(outcome)) => Some(outcome),
            Some(Poll::Pending) | None => None,
        };
        if read.is_none() && written.is_none() { Poll::Pending } else { Poll::Ready(Moved { read, written }) }
    })
    .await
}

/// Write some of `outbound`, or flush when there is nothing; tells whether bytes were written.
async fn write_some<S: Socket>(stream: &mut S, outbound: &mut BytesMut) -> io::Result<bool> {
    if outbound.is_empty() {
        stream.flush().await?;
        return Ok(false);
    }
    match stream.write_buf(outbound).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(true),
    }
}
