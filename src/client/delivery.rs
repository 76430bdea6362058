//! What a client hands to its consumer, in order.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::json::{Document, ScanError, Value};
use crate::error::Error;
use crate::session::{Item, Message, QoS, Receipt};

/// One step of a client's life. `O` is what only clients of one platform have.
#[derive(Debug)]
pub enum Delivery<O> {
    /// Logged in and subscribed.
    Connected {
        /// Whether the server has kept the session.
        session_present: bool,
    },
    /// The server refused a login.
    Refused {
        /// CONNACK code: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5.
        code: u8,
    },
    /// An attempt to connect failed before the login was answered; there will be another one.
    Failed(Error),
    /// The connection was lost.
    Lost(Error),
    /// A new connection has taken the place of the one before.
    Replaced,
    /// Closed on request.
    Closed {
        /// Whether there was a connection until then.
        online: bool,
    },
    /// A message was written (QoS 0) or acknowledged (QoS 1), by its message ID.
    Sent(u16),
    /// The server refused a message.
    Rejected {
        /// Its message ID.
        mid: u16,
        /// Its topic.
        topic: String,
        /// MQTT 5's reason code, 128 or more.
        reason: u8,
    },
    /// Something that the user should know of and that stops nothing.
    Problem(Error),
    /// A message arrived.
    Message(Incoming),
    /// The same, and its consumer has yet to read it: see [`Line::read`](super::Line::read).
    Unread(Message),
    /// What only clients of this platform have.
    Own(O),
}

impl<O> Delivery<O> {
    /// Whether it is a message.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Unread(_))
    }

    /// Whether it tells of the connection itself.
    pub(super) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Connected { .. } | Self::Refused { .. } | Self::Failed(_) | Self::Lost(_))
    }
}

impl<O: Send + 'static> Item for Delivery<O> {
    fn weight(&self) -> usize {
        match self {
            Self::Message(message) => message.size(),
            Self::Unread(message) => weight_of(message),
            _ => 0,
        }
    }

    fn is_droppable(&self) -> bool {
        match self {
            Self::Message(message) => message.receipt.is_none(),
            Self::Unread(message) => message.receipt.is_none(),
            _ => false,
        }
    }
}

/// What a message that is not read yet counts: what it will take.
fn weight_of(message: &Message) -> usize {
    Document::size_for(message.payload.len()) + message.topic.len() + size_of::<Incoming>()
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
    /// Its bytes, where they are no JSON and its body is what they say in JSON.
    came: Option<Bytes>,
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
        reason: ScanError,
    },
}

impl Body {
    /// The outermost value, of JSON.
    #[must_use]
    pub fn value(&self) -> Option<Value<'_>> {
        match self {
            Self::Json(document) => Some(document.root()),
            Self::Undecodable { .. } => None,
        }
    }
}

impl Incoming {
    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.weight
    }

    /// The bytes as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match (&self.came, &self.body) {
            (Some(came), _) => came,
            (None, Body::Json(document)) => document.text().as_bytes(),
            (None, Body::Undecodable { payload, .. }) => payload,
        }
    }

    /// A message whose body was read. `is_other` tells whether it came in another form than JSON.
    pub(super) fn new(message: Message, read: Result<Document, ScanError>, is_other: bool) -> Self {
        let Message { topic, payload, qos, retain, receipt } = message;
        let came = (is_other && read.is_ok()).then(|| Bytes::copy_from_slice(&payload));
        let (body, size) = match read {
            Ok(document) => {
                let size = document.size() + came.as_ref().map_or(0, Bytes::len);
                (Body::Json(Arc::new(document)), size)
            }
            // Copied, so that a few undecodable messages do not keep whole read buffers.
            Err(reason) => {
                let size = payload.len();
                (Body::Undecodable { payload: Bytes::copy_from_slice(&payload), reason }, size)
            }
        };
        let weight = size + topic.len() + size_of::<Self>();
        Self { topic, body, qos, retain, receipt, came, weight }
    }

    /// The same, which counts against a bound what it counted before.
    pub(super) fn counting(self, weight: usize) -> Self {
        Self { weight, ..self }
    }
}

impl From<Message> for Incoming {
    fn from(message: Message) -> Self {
        let read = Document::parse(&message.payload);
        Self::new(message, read, false)
    }
}
