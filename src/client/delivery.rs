//! What a client hands to its consumer, in order.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::json::Document;
use crate::error::Error;
use crate::session::{Item, Message, QoS, Receipt};

/// One step of a client's life.
#[derive(Debug)]
pub enum Delivery {
    /// Logged in (`true`), or an attempt to connect was refused or failed (`false`).
    Connected(bool),
    /// Closed on request (`true`) or lost (`false`).
    Closed(bool),
    /// A downlink was written (QoS 0) or acknowledged (QoS 1).
    Sent(u16),
    /// A message arrived.
    Message(Incoming),
    /// Something that the user should know of and that stops nothing.
    Problem(Error),
}

impl Item for Delivery {
    fn weight(&self) -> usize {
        match self {
            Self::Message(message) => message.size(),
            _ => 0,
        }
    }

    fn is_droppable(&self) -> bool {
        matches!(self, Self::Message(message) if message.receipt.is_none())
    }
}

/// A message with its body decoded.
#[derive(Debug)]
pub struct Incoming {
    /// Topic it was published to.
    pub topic: String,
    /// What it says.
    pub body: Body,
    /// Level of delivery.
    pub qos: QoS,
    /// Whether the server had kept it.
    pub retain: bool,
    /// To be acknowledged when its callbacks have returned; QoS 1 only.
    pub receipt: Option<Receipt>,
    weight: usize,
}

/// The body of a message.
#[derive(Debug)]
pub enum Body {
    /// JSON.
    Json(Arc<Document>),
    /// Something else.
    Undecodable {
        /// The bytes.
        payload: Bytes,
        /// Why they are no JSON.
        reason: String,
    },
}

impl Body {
    /// The bytes as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Json(document) => document.text().as_bytes(),
            Self::Undecodable { payload, .. } => payload,
        }
    }
}

impl Incoming {
    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.weight
    }
}

impl From<Message> for Incoming {
    fn from(message: Message) -> Self {
        let Message { topic, payload, qos, retain, receipt } = message;
        let (body, size) = match Document::parse(&payload) {
            Ok(document) => {
                let size = document.size();
                (Body::Json(Arc::new(document)), size)
            }
            // Copied, so that a few undecodable messages do not keep whole read buffers.
            Err(error) => {
                let size = payload.len();
                (Body::Undecodable { payload: Bytes::copy_from_slice(&payload), reason: error.to_string() }, size)
            }
        };
        let weight = size + topic.len() + size_of::<Self>();
        Self { topic, body, qos, retain, receipt, weight }
    }
}
