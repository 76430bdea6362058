//! One client's connection, from its login to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::hub::{Hub, Seat};
use super::state::Push;
use super::verdict::Verdict;
use super::wire::{Level, Request, read};
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::turns;

/// Largest packet taken from a client before its payload is judged.
const MAX_PACKET: usize = 16 << 20;
/// How long a client may take to log in.
const LOGIN_TIME: Duration = Duration::from_secs(10);

struct DeviceConnection<'h, S> {
    hub: &'h Arc<Hub>,
    session: Seat,
    level: Level,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    inbound: BytesMut,
    outbound: BytesMut,
    pushes: mpsc::UnboundedReceiver<Push>,
    last_mid: u16,
    deadline: Option<Duration>,
    heard: Instant,
}

/// Serve a connection until it ends or `stop` turns true. `shown` is the certificate of a TLS client.
pub(super) async fn serve<S>(stream: S, shown: Option<Vec<u8>>, hub: &Arc<Hub>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut inbound = BytesMut::with_capacity(4 << 10);
    let login = tokio::select! {
        () = turns(&mut stop, true) => return,
        login = tokio::time::timeout(LOGIN_TIME, log_in(&mut reader, &mut writer, &mut inbound, shown, hub)) => login,
    };
    let Ok(Ok(Some((level, keep_alive, session, pushes)))) = login else { return };
    let client_id = session.client_id.clone();
    let cut = session.cut.clone();
    let mut connection = DeviceConnection {
        hub,
        session,
        level,
        reader,
        writer,
        inbound,
        outbound: BytesMut::new(),
        pushes,
        last_mid: 0,
        deadline: (keep_alive > 0).then(|| Duration::from_secs(u64::from(keep_alive)).mul_f64(1.5)),
        heard: Instant::now(),
    };
    let clean = tokio::select! {
        () = turns(&mut stop, true) => false,
        () = cut.notified() => false,
        outcome = connection.run() => match outcome {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%client_id, %error, "connection ended");
                false
            }
        },
    };
    hub.leave(&connection.session);
    hub.journal.write(|| Entry::Disconnected { client_id, clean });
}

type LoggedIn = (Level, u16, Seat, mpsc::UnboundedReceiver<Push>);

/// Read CONNECT and answer it. `None` when the login is refused.
async fn log_in<S: AsyncRead + AsyncWrite>(
    reader: &mut ReadHalf<S>,
    writer: &mut WriteHalf<S>,
    inbound: &mut BytesMut,
    shown: Option<Vec<u8>>,
    hub: &Arc<Hub>,
) -> io::Result<Option<LoggedIn>> {
    let request = loop {
        match read(None, inbound, MAX_PACKET) {
            Ok(Some(request)) => break request,
            Ok(None) => {
                if reader.read_buf(inbound).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(reason) => return Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
        }
    };
    turns(&mut hub.faults.silence(), false).await;
    let (level, outcome) = match request {
        Request::Connect(login) => (Some(login.level), hub.log_in(login, shown.as_deref())),
        Request::UnknownLevel => (None, Err(1)),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut out = BytesMut::new();
    // A server that knows only MQTT 3.1.1 answers in its form, whatever it was asked in.
    let answered = if matches!(outcome, Err(1)) { None } else { level };
    Level::login(answered, outcome.as_ref().err().copied().unwrap_or(0), &mut out);
    writer.write_all(&out).await?;
    writer.flush().await?;
    if let (Some(level), Ok((keep_alive, session, pushes))) = (level, outcome) {
        return Ok(Some((level, keep_alive, session, pushes)));
    }
    writer.shutdown().await?;
    Ok(None)
}

impl<S: AsyncRead + AsyncWrite> DeviceConnection<'_, S> {
    /// Until DISCONNECT (`Ok`) or anything else (`Err`).
    async fn run(&mut self) -> io::Result<()> {
        let mut silence = self.hub.faults.silence();
        loop {
            if *silence.borrow_and_update() {
                turns(&mut silence, false).await;
                self.heard = Instant::now();
            }
            if self.decode().await? {
                return Ok(());
            }
            let far = Instant::now() + Duration::from_secs(86_400);
            let quiet_until = self.deadline.map_or(far, |deadline| self.heard + deadline);
            tokio::select! {
                () = turns(&mut silence, true) => {}
                count = self.reader.read_buf(&mut self.inbound) => {
                    if count? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.heard = Instant::now();
                }
                Some(push) = self.pushes.recv() => {
                    self.push(&push)?;
                    while let Ok(push) = self.pushes.try_recv() {
                        self.push(&push)?;
                    }
                    self.write().await?;
                }
                () = tokio::time::sleep_until(quiet_until) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        if self.outbound.is_empty() {
            return Ok(());
        }
        self.writer.write_all_buf(&mut self.outbound).await?;
        self.writer.flush().await
    }

    fn push(&mut self, push: &Push) -> io::Result<()> {
        let mid = push.acknowledged.then(|| {
            self.last_mid = self.last_mid.checked_add(1).unwrap_or(1);
            self.last_mid
        });
        self.level.publish(&push.topic, &push.payload, mid, &mut self.outbound).map_err(io::Error::other)
    }

    /// Handle all packets that are complete; tells whether the client has said goodbye.
    async fn decode(&mut self) -> io::Result<bool> {
        loop {
            match read(Some(self.level), &mut self.inbound, MAX_PACKET) {
                Ok(Some(Request::Disconnect)) => return Ok(true),
                Ok(Some(request)) => {
                    if !self.handle(request)? {
                        self.write().await?;
                        return Err(io::Error::other("ended by the server"));
                    }
                }
                Ok(None) => {
                    self.inbound.reserve(4 << 10);
                    self.write().await?;
                    return Ok(false);
                }
                Err(reason) => return Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
            }
        }
    }

    /// Handle a packet; tells whether the connection goes on.
    fn handle(&mut self, request: Request) -> io::Result<bool> {
        match request {
            Request::Publish { topic, payload, qos, mid } => {
                let verdict = self.hub.published(&self.session, &topic, &payload, qos);
                return Ok(self.answer(verdict, qos, mid));
            }
            Request::Acknowledged => {}
            Request::Subscribe { mid, filters } => {
                let codes = self.hub.subscribe(&self.session, self.level, filters);
                self.level.subscribed(mid, &codes, &mut self.outbound);
            }
            Request::Unsubscribe { mid, filters } => {
                self.hub.unsubscribe(&self.session, &filters);
                self.level.unsubscribed(mid, filters.len(), &mut self.outbound);
            }
            Request::Ping => Level::pong(&mut self.outbound),
            Request::Connect(_) | Request::UnknownLevel | Request::Disconnect => {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(true)
    }

    fn answer(&mut self, verdict: Verdict, qos: u8, mid: u16) -> bool {
        match verdict {
            Verdict::Taken => {
                if qos > 0 && !self.hub.faults.withholds_ack() {
                    self.level.acknowledge(mid, 0, &mut self.outbound);
                }
                true
            }
            // Only MQTT 5 can say why; otherwise the connection ends.
            Verdict::Refused(reason) if self.level == Level::V5 => {
                if qos > 0 {
                    self.level.acknowledge(mid, reason, &mut self.outbound);
                }
                true
            }
            Verdict::Refused(_) => false,
            Verdict::Ignored => true,
            Verdict::Fatal(reason) => {
                self.level.disconnect(reason, &mut self.outbound);
                false
            }
        }
    }
}
