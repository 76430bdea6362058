//! The socket of one connection, and the loop that moves bytes between it and the [`Connection`].

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::Driver;
use super::buffer::Buffer;
use super::pause::Pause;
use crate::net::Stream;
use crate::session::connect::LoggedIn;
use crate::session::connection::{Connection, Setting, Settled};
use crate::session::loss::Loss;
use crate::session::worth::Worth;

/// How long the farewell may take: writing it, and waiting for the server's side of it.
pub(in crate::session) const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) enum End {
    /// As ordered, or because the handle was dropped; or it was lost while closing, which comes to the same.
    Closed,
    /// The server refused all subscriptions of the start: these.
    Refused(Vec<String>),
    /// Without being asked.
    Lost(Loss, Worth),
}

/// Why the loop stops without a loss.
enum Stop {
    /// Everything that was to be said is said, or its time is over.
    Closing,
    /// The handle was dropped.
    Abandoned,
    /// There is nothing to listen to.
    Refused(Vec<String>),
}

struct Link<'d> {
    driver: &'d mut Driver,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    connection: Connection,
    inbound: Buffer,
    pause: Pause,
    /// The wish to close, and how long acknowledgements are waited for.
    closing: Option<Instant>,
}

/// Serve a connection until its end.
pub(super) async fn serve(driver: &mut Driver, login: LoggedIn, again: bool) -> End {
    let LoggedIn { stream, version, answer, rest } = login;
    let options = &driver.options;
    tracing::info!(
        address = %options.endpoint, session_present = answer.session_present, ?version, "connected"
    );
    let setting = Setting {
        version,
        answer,
        again,
        starting: driver.first.is_some(),
        outbox: driver.outbox.clone(),
        subscriptions: driver.subscriptions.clone(),
        pending: std::mem::take(&mut driver.pending),
        keep_alive: options.keep_alive,
        patience: options.connect_timeout,
        max_incoming_bytes: options.max_incoming_bytes,
        flushes: options.endpoint.tls,
    };
    let (reader, writer) = tokio::io::split(stream);
    let connection = Connection::new(setting, Instant::now());
    let (inbound, pause) = (Buffer::new(rest), Pause::default());
    let mut link = Link { driver, reader, writer, connection, inbound, pause, closing: None };
    let outcome = link.run().await;
    if matches!(outcome, Ok(Stop::Closing | Stop::Refused(_))) {
        link.part().await;
    }
    let Link { driver, connection, closing, .. } = link;
    let mut remains = connection.end(outcome.as_ref().err(), Instant::now());
    driver.pending = remains.pending;
    // What was decoded before the end still counts.
    driver.sink.deliver(&mut remains.events);
    match outcome {
        Ok(Stop::Refused(filters)) => End::Refused(filters),
        Ok(Stop::Closing | Stop::Abandoned) => End::Closed,
        Err(loss) if closing.is_some() => {
            tracing::debug!(%loss, "the connection was lost while closing");
            End::Closed
        }
        Err(loss) => End::Lost(loss, remains.worth),
    }
}

impl Link<'_> {
    async fn run(&mut self) -> Result<Stop, Loss> {
        let outbox = self.driver.outbox.clone();
        let subscriptions = self.driver.subscriptions.clone();
        let sink = self.driver.sink.clone();
        let alarm = tokio::time::sleep_until(Instant::now());
        tokio::pin!(alarm);
        let mut alarm_at = Instant::now();
        self.connection.subscribe(Instant::now())?;
        self.connection.read(&mut self.inbound.bytes, Instant::now())?;
        loop {
            if self.settle_deliveries() {
                // By a thread that this task may share.
                tokio::task::yield_now().await;
            }
            match self.connection.take_settled() {
                Some(Settled::Refused(filters)) => return Ok(Stop::Refused(filters)),
                // Only now that everything is delivered: the starter may look at what was told.
                Some(Settled::Standing) => self.driver.answer(Ok(())),
                None => {}
            }
            self.connection.fill(Instant::now)?;
            if !self.connection.events().is_empty() {
                // What was not dealt with had come again.
                continue;
            }
            if self.is_done() {
                return Ok(Stop::Closing);
            }
            let pause = self.pause();
            let due = self.due()?;
            let due = pause.map_or(due, |until| due.min(until));
            if due < alarm_at || alarm.is_elapsed() {
                alarm.as_mut().reset(due);
                alarm_at = due;
            }
            let deaf = self.connection.is_deaf();
            let wants_write = self.connection.writer().wants_write();
            tokio::select! {
                order = self.driver.orders.recv() => match order {
                    None => return Ok(Stop::Abandoned),
                    Some(close) => {
                        self.closing = Some(close.until);
                        self.connection.close();
                    }
                },
                result = push(&mut self.writer, self.connection.writer().buffer()), if wants_write => {
                    self.connection.wrote(result?, Instant::now());
                }
                result = self.reader.read_buf(&mut self.inbound.bytes), if !deaf && pause.is_none() => match result? {
                    0 => return Err(Loss::Closed),
                    _ => self.read()?,
                },
                () = outbox.wake.notified() => {}
                () = subscriptions.changed.notified() => self.connection.renew(Instant::now())?,
                () = sink.room().notified(), if deaf || pause.is_some() => {}
                () = &mut alarm => alarm_at = Instant::now() + Duration::from_secs(86_400),
            }
        }
    }

    /// Hand over what was decoded, and stop or resume reading as the consumer has room. Tells whether somebody is to handle
    /// something now.
    fn settle_deliveries(&mut self) -> bool {
        let events = self.connection.events();
        let delivered = !events.is_empty() && self.driver.sink.deliver(events);
        // Until the start is answered reading goes on: the consumer itself may be waiting for it.
        let deaf = self.closing.is_none() && self.driver.first.is_none() && !self.driver.sink.has_room();
        if deaf != self.connection.is_deaf() {
            self.connection.set_deaf(deaf, Instant::now());
        }
        // The buffer is free again only now, after the delivery.
        self.inbound.make_room();
        delivered
    }

    /// Until when not to read, so that a consumer that is close stays close.
    fn pause(&mut self) -> Option<Instant> {
        let ahead = self.closing.is_none() && self.driver.first.is_none();
        let ahead = ahead && self.driver.sink.is_ahead(self.pause.is_on());
        self.pause.until(ahead, Instant::now())
    }

    fn read(&mut self) -> Result<(), Loss> {
        self.inbound.was_read();
        self.connection.read(&mut self.inbound.bytes, Instant::now())
    }

    /// When to look again.
    fn due(&mut self) -> Result<Instant, Loss> {
        let (due, pinged) = self.connection.due(Instant::now())?;
        if pinged {
            self.inbound.shrink();
        }
        Ok(self.closing.map_or(due, |until| due.min(until)))
    }

    fn is_done(&self) -> bool {
        self.closing.is_some_and(|until| self.connection.is_done() || Instant::now() >= until)
    }

    /// DISCONNECT, end of writing, and reading on until the server has closed: a socket that is closed while bytes are
    /// unread is reset, and the server throws away what it had not read yet.
    async fn part(&mut self) {
        self.connection.part();
        let outbound = self.connection.writer().buffer();
        let farewell = async {
            self.writer.write_all_buf(outbound).await?;
            self.writer.shutdown().await?;
            let mut rest = [0; 4096];
            while self.reader.read(&mut rest).await? > 0 {}
            std::io::Result::Ok(())
        };
        match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection ended during the farewell"),
            Err(_) => tracing::debug!("the server did not close its side in time"),
        }
    }
}

/// Write some of `outbound`, or flush when there is nothing: then 0. May be cancelled without losing a byte.
async fn push(writer: &mut WriteHalf<Stream>, outbound: &mut BytesMut) -> std::io::Result<usize> {
    if outbound.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write_buf(outbound).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}
