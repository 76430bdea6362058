//! What a session tells, as the consumer gets it.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Delivery, Inner};
use crate::client::Incoming;
use crate::client::inlet::Receiver;
use crate::dialect::thingsboard::names;
use crate::session::{Event, Mailbox};

impl Inner {
    /// What every connection begins with: the devices behind the gateway, and the question for the session's limits.
    fn introduce(&self, again: bool) {
        let question = (
            format!("{}{}", names::RPC_REQUEST, self.numbers.ask_for_limits()),
            Bytes::from_static(br#"{"method":"getSessionLimits","params":{"timeout":5000}}"#),
        );
        let mut messages = Vec::new();
        if again {
            let announced = self.announced.lock();
            messages.extend(announced.values().map(|text| (names::GATEWAY_CONNECT.to_owned(), text.clone())));
        }
        messages.push(question);
        self.outbox.publish_first(messages, self.config.qos);
    }
}

impl Receiver for Inner {
    type Delivery = Delivery;

    fn mailbox(&self) -> &Mailbox<Delivery> {
        &self.mailbox
    }

    fn translate(&self, event: Event) -> Option<Delivery> {
        match event {
            Event::Connected { again, session_present } => {
                self.introduce(again);
                self.online.send_replace(true);
                Some(Delivery::Connected { session_present })
            }
            Event::Message(message) => {
                if self.muted.load(Ordering::Acquire) {
                    return None;
                }
                Some(Delivery::Message(Incoming::from(message)))
            }
            Event::Sent { .. } | Event::Ended => None,
            Event::Rejected { topic, reason, .. } => Some(Delivery::Rejected { topic, reason }),
            Event::Skipped { topic, size } => {
                tracing::warn!(%topic, size, "skipped a message over the limit");
                None
            }
            Event::SubscriptionRefused { filter } => Some(Delivery::Unsubscribed { filter }),
            Event::LoginRefused { code } => Some(Delivery::Refused { code }),
            Event::AttemptFailed { error } => Some(Delivery::Failed { reason: error.to_string() }),
            Event::Lost { error } => {
                self.online.send_replace(false);
                Some(Delivery::Lost { reason: error.to_string() })
            }
        }
    }

    fn ended(&self) {}
}
