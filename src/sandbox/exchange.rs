//! A logged-in MQTT client's side of a connection: its bytes, in and out at once, so that a client that does not read is
//! still read; how long it may be silent; and who waits until all that has come is handled.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::listener::{Socket, turns};

/// Bytes that room is made for when there is none.
pub(super) const READ_BYTES: usize = 8 << 10;
/// Later than anything that a connection waits for.
const FAR: Duration = Duration::from_secs(86_400);

/// A connection as far as it is the same for every broker.
pub(super) struct Exchange<S> {
    stream: S,
    /// What has come and was not handled.
    pub(super) inbound: BytesMut,
    /// What is to go.
    pub(super) outbound: BytesMut,
    needs_flush: bool,
    /// Those who want to know when everything that the client has written so far is handled.
    asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    /// Those of them who wait.
    asking: Vec<oneshot::Sender<()>>,
    longest_silence: Option<Duration>,
    heard: Instant,
    /// When a message that is held back is due.
    pub(super) look_again: Option<Instant>,
}

impl<S: Socket> Exchange<S> {
    /// With the stream after the login, and what came after it.
    pub(super) fn new(
        stream: S,
        inbound: BytesMut,
        asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
        longest_silence: Option<Duration>,
    ) -> Self {
        Self {
            stream,
            inbound,
            outbound: BytesMut::new(),
            needs_flush: false,
            asked,
            asking: Vec::new(),
            longest_silence,
            heard: Instant::now(),
            look_again: None,
        }
    }

    /// Whether all that was to go has gone.
    pub(super) fn has_written(&self) -> bool {
        self.outbound.is_empty() && !self.needs_flush
    }

    /// Do nothing for as long as the server is to be silent.
    pub(super) async fn keep_silent(&mut self, silence: &mut watch::Receiver<bool>) {
        if *silence.borrow_and_update() {
            turns(silence, false).await;
            self.heard = Instant::now();
        }
    }

    /// Move bytes, unless nothing is to be read, until there is something to do: also because of `silence`, a `wake` or
    /// [`Exchange::look_again`].
    pub(super) async fn turn(
        &mut self,
        reads: bool,
        silence: &mut watch::Receiver<bool>,
        wake: &Notify,
    ) -> io::Result<()> {
        let far = Instant::now() + FAR;
        let silent_until = self.longest_silence.map_or(far, |longest| self.heard + longest);
        let wants = Wants { read: reads, write: !self.has_written() };
        tokio::select! {
            () = turns(silence, true) => {}
            moved = exchange(&mut self.stream, &mut self.inbound, &mut self.outbound, wants, &mut self.asking) => {
                let Moved { read, written } = moved;
                if let Some(count) = read {
                    if count? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.heard = Instant::now();
                }
                if let Some(written) = written {
                    self.needs_flush = written?;
                }
            }
            Some(asking) = self.asked.recv() => self.asking.push(asking),
            () = wake.notified() => {}
            () = sleep_until(self.look_again.unwrap_or(far)) => self.look_again = None,
            () = sleep_until(silent_until) => return Err(io::ErrorKind::TimedOut.into()),
        }
        Ok(())
    }
}

/// What is to go over a socket.
#[derive(Clone, Copy, Debug)]
struct Wants {
    read: bool,
    write: bool,
}

/// What went over a socket.
struct Moved {
    /// How many bytes came; zero at the end.
    read: Option<io::Result<usize>>,
    /// Whether bytes went, so that there is something to flush.
    written: Option<io::Result<bool>>,
}

/// Read and write what the socket takes now, or wait until it takes something. May be cancelled.
///
/// Whoever is `asking` is told as soon as nothing is left to read: what was read before has been handled by then.
async fn exchange<S: Socket>(
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
