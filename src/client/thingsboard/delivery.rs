//! What a ThingsBoard client hands to its consumer, in order.

use crate::client::Incoming;
use crate::session::Item;

/// One step of a client's life.
#[derive(Debug)]
pub enum Delivery {
    /// Logged in and subscribed.
    Connected {
        /// Whether the server has kept the session.
        session_present: bool,
    },
    /// The server refused a login; it will be tried again.
    Refused {
        /// CONNACK code: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5.
        code: u8,
    },
    /// An attempt to connect failed before the login was answered; there will be another one.
    Failed {
        /// How.
        reason: String,
    },
    /// The connection was lost; it will be made anew.
    Lost {
        /// How it ended.
        reason: String,
    },
    /// The connection was closed on request.
    Closed,
    /// The server refused a message.
    Rejected {
        /// Its topic.
        topic: String,
        /// MQTT 5's reason code, 128 or more.
        reason: u8,
    },
    /// The server refused a subscription.
    Unsubscribed {
        /// The filter.
        filter: String,
    },
    /// A message arrived.
    Message(Incoming),
    /// A request was not answered in time.
    Expired(Request),
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// For attributes, by its number.
    Attributes(u64),
    /// A call to the server, by its number.
    Call(u64),
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
