//! One client's connection, from its login to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::hub::{Hub, Seat};
use super::state::Order;
use super::verdict::Verdict;
use super::wire::{self, Level, Login, Request, read};
use crate::dialect::mqtt::code;
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::{Arrival, LOGIN_BYTES, turns};

/// Most packets that may come before a login is answered.
const EARLY_PACKETS: usize = 100;
/// Silence after which a session ends, whatever the client promised.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// How long a client may take to read its farewell.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

struct DeviceConnection<'h, S> {
    hub: &'h Arc<Hub>,
    session: Seat,
    level: Level,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    inbound: BytesMut,
    outbound: BytesMut,
    orders: mpsc::UnboundedReceiver<Order>,
    last_mid: u16,
    heard: Instant,
}

/// How a session came to its end.
enum End {
    /// The client has said goodbye.
    Left,
    /// The server ends it, and says why if it can.
    Ended(Option<u8>),
}

/// Serve a connection until it ends or is to stop.
pub(super) async fn serve<S>(stream: S, hub: &Arc<Hub>, arrival: Arrival)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let Arrival { shown, login_by, mut stop } = arrival;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut inbound = BytesMut::with_capacity(4 << 10);
    let login = tokio::select! {
        () = turns(&mut stop, true) => return,
        login = timeout_at(login_by, log_in(&mut reader, &mut writer, &mut inbound, shown, hub)) => login,
    };
    let Ok(Ok(Some((level, session, orders)))) = login else { return };
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
        orders,
        last_mid: 0,
        heard: Instant::now(),
    };
    let ended = tokio::select! {
        () = turns(&mut stop, true) => None,
        () = cut.notified() => None,
        outcome = connection.run() => outcome.map_err(|error| tracing::debug!(%client_id, %error, "connection ended")).ok(),
    };
    hub.leave(&connection.session);
    let clean = matches!(ended, Some(End::Left));
    hub.journal.write(Entry::Disconnected { client_id, clean });
    if let Some(End::Ended(reason)) = ended {
        tokio::select! {
            () = turns(&mut stop, true) => {}
            parted = tokio::time::timeout(FAREWELL_TIME, connection.part(reason)) => drop(parted),
        }
    }
}

type LoggedIn = (Level, Seat, mpsc::UnboundedReceiver<Order>);

/// Read CONNECT and answer it. `None` when the login is refused.
async fn log_in<S: AsyncRead + AsyncWrite>(
    reader: &mut ReadHalf<S>,
    writer: &mut WriteHalf<S>,
    inbound: &mut BytesMut,
    shown: Option<Vec<u8>>,
    hub: &Arc<Hub>,
) -> io::Result<Option<LoggedIn>> {
    let request = loop {
        match read(None, inbound, hub.largest().min(LOGIN_BYTES)) {
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
    let mut out = BytesMut::new();
    let (level, present, outcome) = match request {
        // MQTT 3.1 has no empty client ID; the server does not even say so.
        Request::Connect(login) if login.oldest && login.client_id.is_empty() => return Ok(None),
        Request::Connect(login) => {
            take_early(reader, inbound).await?;
            if wire::count(inbound) > EARLY_PACKETS {
                login.level.disconnect(code::QUOTA_EXCEEDED, &mut out);
                writer.write_all(&out).await?;
                writer.shutdown().await?;
                return Ok(None);
            }
            (Some(login.level), !login.clean, hub.log_in(login, shown.as_deref()))
        }
        Request::UnknownLevel => (None, false, Err(code::V311_UNSUPPORTED_VERSION)),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    // A server that knows only MQTT 3.1.1 answers in its form, whatever it was asked in.
    let answered = if matches!(outcome, Err(code::V311_UNSUPPORTED_VERSION)) { None } else { level };
    let refusal = outcome.as_ref().err().copied();
    Level::login(answered, present && refusal.is_none(), refusal.unwrap_or(code::SUCCESS), &mut out);
    if let (Some(level), Some(code)) = (answered, refusal) {
        level.disconnect(code, &mut out);
    }
    writer.write_all(&out).await?;
    writer.flush().await?;
    if let (Some(level), Ok((session, orders))) = (level, outcome) {
        return Ok(Some((level, session, orders)));
    }
    writer.shutdown().await?;
    Ok(None)
}

/// Take what has already come after a CONNECT, without waiting for more.
async fn take_early<S: AsyncRead>(reader: &mut ReadHalf<S>, inbound: &mut BytesMut) -> io::Result<()> {
    while wire::count(inbound) <= EARLY_PACKETS {
        inbound.reserve(4 << 10);
        tokio::select! {
            biased;
            count = reader.read_buf(inbound) => if count? == 0 { return Ok(()) },
            () = std::future::ready(()) => return Ok(()),
        }
    }
    Ok(())
}

impl<S: AsyncRead + AsyncWrite> DeviceConnection<'_, S> {
    async fn run(&mut self) -> io::Result<End> {
        let mut silence = self.hub.faults.silence();
        loop {
            if *silence.borrow_and_update() {
                turns(&mut silence, false).await;
                self.heard = Instant::now();
            }
            if let Some(end) = self.decode().await? {
                return Ok(end);
            }
            tokio::select! {
                () = turns(&mut silence, true) => {}
                count = self.reader.read_buf(&mut self.inbound) => {
                    if count? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.heard = Instant::now();
                }
                Some(order) = self.orders.recv() => {
                    let ended = self.obey(order)?;
                    let ended = if ended.is_none() { self.obey_all()? } else { ended };
                    self.write().await?;
                    if let Some(reason) = ended {
                        return Ok(End::Ended(Some(reason)));
                    }
                }
                () = tokio::time::sleep_until(self.heard + LONGEST_SILENCE) => return Err(io::ErrorKind::TimedOut.into()),
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

    /// Say goodbye, and wait until the client has gone: what it still sends would otherwise keep it from reading.
    async fn part(&mut self, reason: Option<u8>) -> io::Result<()> {
        if let Some(reason) = reason {
            self.level.disconnect(reason, &mut self.outbound);
        }
        self.write().await?;
        self.writer.shutdown().await?;
        loop {
            self.inbound.clear();
            if self.reader.read_buf(&mut self.inbound).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Do all that has been ordered, up to the end of the session with its reason.
    fn obey_all(&mut self) -> io::Result<Option<u8>> {
        while let Ok(order) = self.orders.try_recv() {
            if let Some(reason) = self.obey(order)? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    fn obey(&mut self, order: Order) -> io::Result<Option<u8>> {
        let push = match order {
            Order::Push(push) => push,
            Order::End(reason) => return Ok(Some(reason)),
        };
        let mid = push.acknowledged.then(|| {
            self.last_mid = self.last_mid.checked_add(1).unwrap_or(1);
            self.last_mid
        });
        self.level.publish(&push.topic, &push.payload, mid, &mut self.outbound).map_err(io::Error::other)?;
        Ok(None)
    }

    /// Handle all packets that are complete; tells whether the session has ended.
    async fn decode(&mut self) -> io::Result<Option<End>> {
        loop {
            match read(Some(self.level), &mut self.inbound, self.hub.largest()) {
                Ok(Some(Request::Disconnect)) => return Ok(Some(End::Left)),
                Ok(Some(request)) => {
                    let ended = self.handle(request);
                    if ended.is_some() {
                        // What the server had to say comes first.
                        self.obey_all()?;
                        return Ok(ended);
                    }
                }
                Ok(None) => {
                    self.inbound.reserve(4 << 10);
                    self.write().await?;
                    return Ok(None);
                }
                Err(reason) => {
                    tracing::debug!(client_id = %self.session.client_id, reason, "packet not taken");
                    return Ok(Some(End::Ended(Some(code::MALFORMED_PACKET))));
                }
            }
        }
    }

    /// Handle a packet; tells whether the session ends.
    fn handle(&mut self, request: Request) -> Option<End> {
        match request {
            Request::Publish { topic, payload, qos, mid } => {
                let verdict = self.hub.published(&self.session, &topic, &payload, qos);
                return self.answer(verdict, qos, mid);
            }
            Request::Acknowledged => {}
            Request::Subscribe { mid, filters } => {
                let codes = self.hub.subscribe(&self.session, self.level, filters);
                self.level.subscribed(mid, &codes, &mut self.outbound);
            }
            Request::Unsubscribe { mid, filters } => {
                let codes = self.hub.unsubscribe(&self.session, &filters);
                self.level.unsubscribed(mid, &codes, &mut self.outbound);
            }
            Request::Ping => Level::pong(&mut self.outbound),
            // The server answers once more, and goes on as before.
            Request::Connect(Login { clean, .. }) => {
                Level::login(Some(self.level), !clean, code::SUCCESS, &mut self.outbound);
            }
            Request::UnknownLevel | Request::Disconnect => return Some(End::Ended(Some(code::PROTOCOL_ERROR))),
        }
        None
    }

    fn answer(&mut self, verdict: Verdict, qos: u8, mid: u16) -> Option<End> {
        let told = self.level == Level::V5;
        let (acknowledged, end) = match verdict {
            Verdict::Taken if qos > 0 && self.hub.faults.withholds_ack() => (None, None),
            Verdict::Taken => (Some(code::SUCCESS), None),
            Verdict::Unanswered => (None, None),
            Verdict::Refused(reason) if told && qos > 0 => (Some(reason), None),
            Verdict::Refused(reason) | Verdict::Fatal(reason) => (None, Some(End::Ended(Some(reason)))),
            Verdict::Passed(reason) => (Some(reason), None),
            Verdict::Rejected(reason) => (Some(reason), Some(End::Ended(Some(reason)))),
            Verdict::Overrun(reason) => (Some(reason), Some(End::Ended(None))),
        };
        if let Some(reason) = acknowledged.filter(|_| qos > 0) {
            self.level.acknowledge(mid, reason, &mut self.outbound);
        }
        end
    }
}
