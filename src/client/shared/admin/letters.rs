//! Dead letters: listed, looked at, handed to their group again, dropped.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{DeleteMessageErrorKind, LastRawMessageErrorKind, Stream};
use serde::Serialize;

use super::Admin;
use super::stored::{Span, Stored, StoredMessage, hand_on};
use crate::client::shared::dead;
use crate::error::Result;
use crate::nats::refused;
use crate::nats::subject::Subject;

/// A message that failed again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its number among the dead letters.
    pub number: u64,
    /// The group whose workers failed.
    pub group: String,
    /// The device.
    pub dev_id: String,
    /// What it is about: `up`, `events.…`.
    pub kind: String,
    /// When it was given up, in nanoseconds since 1970.
    pub given_up_ns: i64,
    /// When it was stored first.
    pub stored_at_ns: Option<i64>,
    /// Its number in the stream.
    pub sequence: Option<u64>,
    /// How often it was delivered.
    pub deliveries: Option<u64>,
    /// What went wrong: a traceback, as a rule.
    pub error: String,
    /// The message itself.
    #[serde(skip)]
    pub payload: bytes::Bytes,
}

impl DeadLetter {
    /// Read one; `None` for what is none.
    #[must_use]
    pub fn read(message: &StoredMessage) -> Option<Self> {
        let group = dead::group_of(&message.subject)?;
        let subject = Subject::parse(dead::original(&message.subject)?)?;
        let number = |name: &str| message.header(name)?.parse().ok();
        let error = message.header(dead::ERROR).unwrap_or_default();
        Some(Self {
            number: message.sequence,
            group: group.to_owned(),
            dev_id: subject.dev_id()?,
            kind: subject.kind().to_owned(),
            given_up_ns: message.stored_at_ns,
            stored_at_ns: message.header(dead::STORED_AT).and_then(|text| text.parse().ok()),
            sequence: number(dead::SEQUENCE),
            deliveries: number(dead::DELIVERIES),
            error: serde_json::from_str(error).unwrap_or_else(|_| error.to_owned()),
            payload: message.payload.clone(),
        })
    }
}

impl Admin {
    /// Read the dead letters of a group and a device, or of all; nothing where there never was one.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] and a lost connection.
    pub async fn dead_letters(&self, group: Option<&str>, span: &Span) -> Result<Option<Stored>> {
        let Some(stream) = self.find(dead::name(&self.app)).await? else { return Ok(None) };
        let filter = dead::filter(&self.app, group, span.dev_id.as_deref());
        self.read(&stream, filter, span).await.map(Some)
    }

    /// One of them; `None` if there is none of this number.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] and a lost connection.
    pub async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>> {
        let found = self.letter(number).await?;
        Ok(found.and_then(|(_, message)| DeadLetter::read(&message)))
    }

    /// Hand one to its group again, with as many tries as a new message has, and delete it. Tells whether there was one.
    ///
    /// # Errors
    /// [`crate::Error::Stream`]: it is still there.
    pub async fn retry(&self, number: u64) -> Result<bool> {
        let Some((stream, message)) = self.letter(number).await? else { return Ok(false) };
        let (Some(group), Some(original)) = (dead::group_of(&message.subject), dead::original(&message.subject)) else {
            return Ok(false);
        };
        // When it is deleted only after a second call, the server recognises it.
        let id = format!("retry/{number}/{}", message.stored_at_ns);
        let stored = hand_on(&self.server, group, original, message.payload.clone(), &id).await?;
        stored.await.map_err(|error| refused(original, &error))?;
        self.delete(&stream, number).await?;
        Ok(true)
    }

    /// Delete one. Tells whether there was one.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] and a lost connection.
    pub async fn drop_letter(&self, number: u64) -> Result<bool> {
        let Some((stream, _)) = self.letter(number).await? else { return Ok(false) };
        self.delete(&stream, number).await
    }

    async fn letter(&self, number: u64) -> Result<Option<(Stream, StoredMessage)>> {
        let name = dead::name(&self.app);
        let Some(stream) = self.find(name.clone()).await? else { return Ok(None) };
        match stream.get_raw_message(number).await {
            Ok(message) => {
                let found = StoredMessage {
                    sequence: message.sequence,
                    stored_at_ns: i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or_default(),
                    subject: message.subject.to_string(),
                    headers: message.headers,
                    payload: message.payload,
                };
                Ok(Some((stream, found)))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(refused(name, &error)),
        }
    }

    async fn delete(&self, stream: &Stream, number: u64) -> Result<bool> {
        match stream.delete_message(number).await {
            Ok(deleted) => Ok(deleted),
            // Somebody else was faster.
            Err(error) if is_gone(&error.kind()) => Ok(false),
            Err(error) => Err(refused(dead::name(&self.app), &error)),
        }
    }
}

fn is_gone(kind: &DeleteMessageErrorKind) -> bool {
    matches!(kind, DeleteMessageErrorKind::JetStream(error)
        if [ErrorCode::NO_MESSAGE_FOUND, ErrorCode::SEQUENCE_NOT_FOUND].contains(&error.error_code()))
}
