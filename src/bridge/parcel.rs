//! One message on its way into the stream.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use async_nats::Subject;
use bytes::Bytes;

use super::spool::Place;
use crate::client::{Body, Incoming};
use crate::dialect::json::Document;
use crate::dialect::lorawan::Network;
use crate::nats::{message_id, subject};
use crate::session::Receipt;

/// A message as the stream gets it.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// Where it goes.
    pub(super) subject: Subject,
    /// What tells it from others, where something does.
    pub(super) id: Option<String>,
    /// Its body, as the network has published it.
    pub(super) payload: Bytes,
    /// What is to be told when the stream has it.
    pub(super) settle: Settle,
}

/// Who is told that the stream has a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settle {
    /// Nobody: it came without a receipt.
    Nobody,
    /// The MQTT server.
    Server(Receipt),
    /// The spool.
    Spool(Place),
}

impl Parcel {
    /// A message that came over MQTT; `None` for one that is not carried.
    pub(super) fn of(network: Network, message: &Incoming) -> Option<Self> {
        let subject = subject::of_topic(network, &message.topic)?;
        let id = match &message.body {
            Body::Json(document) => id(network, &subject, document),
            Body::Undecodable { .. } => None,
        };
        let payload = Bytes::copy_from_slice(message.bytes());
        let settle = message.receipt.map_or(Settle::Nobody, Settle::Server);
        Some(Self { subject: subject.into(), id, payload, settle })
    }

    /// Which messages it must not overtake: those of its device.
    pub(super) fn device(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // Application and device; what is in common to two devices only makes them wait for each other.
        self.subject.split('.').take(3).for_each(|token| token.hash(&mut hasher));
        hasher.finish()
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.subject.len() + self.payload.len() + self.id.as_ref().map_or(0, String::len)
    }
}

/// What tells a message from others.
pub(super) fn id(network: Network, subject: &str, document: &Document) -> Option<String> {
    message_id::of(network, &subject::Subject::parse(subject)?, document.root())
}
