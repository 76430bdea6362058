//! What every connection begins with.

use std::time::Instant;

use bytes::Bytes;

use super::Device;
use crate::dialect::thingsboard::names;
use crate::session::Outbox;

/// What the server charges as messages before a client says anything: the opening of the session, and the subscriptions
/// to attributes and to calls.
const OPENING: f64 = 3.0;

impl Device {
    /// The question for the session's limits, which everything else keeps to; then the devices behind the gateway.
    pub(super) fn introduce(&self, outbox: &Outbox, again: bool) {
        for meters in self.tolls.all() {
            meters.begin();
        }
        self.tolls.own.messages.limit().deduct(OPENING, Instant::now());
        outbox.greet(
            format!("{}{}", names::RPC_REQUEST, self.numbers.ask_for_limits()),
            Bytes::from_static(br#"{"method":"getSessionLimits","params":{"timeout":5000}}"#),
            self.config.qos,
        );
        if again {
            self.announced.again(outbox, self.config.qos);
        }
    }
}
