//! What every connection begins with.

use bytes::Bytes;

use super::Device;
use crate::dialect::thingsboard::names;
use crate::session::Outbox;

impl Device {
    /// The devices behind the gateway, and the question for the session's limits, before all that waits.
    pub(super) fn introduce(&self, outbox: &Outbox, again: bool) {
        let question = (
            format!("{}{}", names::RPC_REQUEST, self.numbers.ask_for_limits()),
            Bytes::from_static(br#"{"method":"getSessionLimits","params":{"timeout":5000}}"#),
        );
        let mut messages = Vec::new();
        if again {
            messages
                .extend(self.announced.lock().values().map(|text| (names::GATEWAY_CONNECT.to_owned(), text.clone())));
        }
        messages.push(question);
        outbox.publish_first(messages, self.config.qos);
    }
}
