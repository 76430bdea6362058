//! Messages of a stream in their order: to be looked at, or handed to a group again.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Admin;
use crate::client::shared::dead::GROUP;
use crate::error::{Error, Result};
use crate::nats::{Server, refused, subject};

/// Messages read at once, and most bytes of them.
const BATCH: (usize, usize) = (500, 4 << 20);
/// How long the server remembers a reader that asks for nothing.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// Which of the messages. Times are nanoseconds since 1970, by the server's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first one's time; from the oldest on, if there is none.
    pub since_ns: Option<i64>,
    /// Up to this time, itself not included.
    pub until_ns: Option<i64>,
    /// Of this device alone.
    pub dev_id: Option<String>,
}

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its number in the stream.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub stored_at_ns: i64,
    /// Its subject, lane included.
    pub subject: String,
    /// What goes with it.
    pub(super) headers: HeaderMap,
    /// The message.
    pub payload: Bytes,
}

impl StoredMessage {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// The group that it is for, if it is not for all of them: it was handed to that one again.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.header(GROUP)
    }
}

/// Reads messages, batch by batch, up to the one that was the last when it began.
#[derive(Debug)]
pub struct Stored {
    server: Server,
    consumer: Consumer<pull::Config>,
    /// Of the stream, for errors.
    name: String,
    until_ns: Option<i64>,
    last: u64,
    is_over: bool,
    timeout: Duration,
    /// Of this reading, for IDs of what it hands on.
    nonce: u64,
}

impl Admin {
    /// Read what is stored of a time and a device, or of all.
    ///
    /// # Errors
    /// [`Error::Stream`] and a lost connection.
    pub async fn stored(&self, span: Span) -> Result<Stored> {
        let filter = span.dev_id.as_ref().map(|dev_id| subject::device(&self.app, dev_id)).unwrap_or_default();
        self.read(&self.stream, filter, &span).await
    }

    pub(super) async fn read(&self, stream: &Stream, filter: String, span: &Span) -> Result<Stored> {
        let name = stream.cached_info().config.name.clone();
        let failed = |error: &(dyn std::error::Error + 'static)| refused(name.clone(), error);
        let last = stream.get_info().await.map_err(|error| failed(&error))?.state.last_sequence;
        let deliver_policy = match span.since_ns {
            None => DeliverPolicy::All,
            Some(since) => {
                let start_time = async_nats::datetime::from_nanos(since.into())
                    .map_err(|_| Error::invalid("since", since.to_string(), "a time that can be told"))?;
                DeliverPolicy::ByStartTime { start_time }
            }
        };
        let config = pull::Config {
            deliver_policy,
            ack_policy: AckPolicy::None,
            filter_subject: filter,
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(|error| failed(&error))?;
        Ok(Stored {
            server: self.server.clone(),
            consumer,
            name,
            until_ns: span.until_ns,
            last,
            is_over: false,
            timeout: self.timeout,
            nonce: fastrand::u64(..),
        })
    }
}

impl Stored {
    /// The next messages; none at the end.
    ///
    /// # Errors
    /// [`Error::Stream`], and [`Error::Timeout`] when the server does not answer.
    pub async fn next(&mut self) -> Result<Vec<StoredMessage>> {
        let mut found = Vec::new();
        // A batch may have nothing of the time that is wanted.
        while found.is_empty() && !self.is_over {
            let late = || Error::Timeout { what: format!("reading {}", self.name), after: self.timeout };
            let fetch = self.consumer.fetch().max_messages(BATCH.0).max_bytes(BATCH.1);
            let asked = tokio::time::timeout(self.timeout, fetch.messages()).await.map_err(|_| late())?;
            let mut batch = asked.map_err(|error| refused(self.name.clone(), &error))?;
            let mut came = false;
            while let Some(message) = tokio::time::timeout(self.timeout, batch.next()).await.map_err(|_| late())? {
                let message = message.map_err(|error| refused(self.name.clone(), error.as_ref()))?;
                came = true;
                let Ok(told) = message.info() else { continue };
                let sequence = told.stream_sequence;
                let stored_at_ns = i64::try_from(told.published.unix_timestamp_nanos()).unwrap_or(i64::MAX);
                self.is_over |= sequence >= self.last;
                // Clocks may be set back: a later message may be of an earlier time.
                if sequence > self.last || self.until_ns.is_some_and(|until| stored_at_ns >= until) {
                    continue;
                }
                let async_nats::Message { subject, payload, headers, .. } = message.message;
                let headers = headers.unwrap_or_default();
                found.push(StoredMessage { sequence, stored_at_ns, subject: subject.to_string(), headers, payload });
            }
            self.is_over |= !came;
        }
        Ok(found)
    }

    /// Hand the next messages to a group again: each is stored once more, at the end, for this group alone. What was handed
    /// to a group in this way before is left out. Gives how many; nothing at the end.
    ///
    /// # Errors
    /// [`Error::Stream`], when the stream is full or this user may not publish. What was read before it and not told of may
    /// be stored.
    pub async fn hand_to(&mut self, group: &str) -> Result<Option<usize>> {
        let messages = self.next().await?;
        if messages.is_empty() {
            return Ok(None);
        }
        let mut stored = Vec::new();
        for message in messages.into_iter().filter(|message| message.group().is_none()) {
            let id = format!("replay/{:016x}/{}", self.nonce, message.sequence);
            stored.push(hand_on(&self.server, group, &message.subject, message.payload, &id).await?);
        }
        let count = stored.len();
        for acknowledged in stored {
            acknowledged.await.map_err(|error| refused(self.name.clone(), &error))?;
        }
        Ok(Some(count))
    }
}

/// Store a message for one group.
pub(super) async fn hand_on(
    server: &Server,
    group: &str,
    subject: &str,
    payload: Bytes,
    id: &str,
) -> Result<async_nats::jetstream::context::PublishAckFuture> {
    let mut headers = HeaderMap::new();
    headers.insert(GROUP, group);
    let message = PublishMessage::build().payload(payload).headers(headers).message_id(id);
    let plain = subject::without_lane(subject);
    server.context().send_publish(plain.to_owned(), message).await.map_err(|error| refused(plain, &error))
}
