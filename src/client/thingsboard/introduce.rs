//! What every connection begins with.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Device;
use super::meters::LEARNING;
use crate::dialect::thingsboard::names;
use crate::session::Outbox;

/// What the server charges as messages before a client says anything: the opening of the session, and the subscriptions
/// to attributes and to calls. A subscription over the limit is granted, and not carried out.
pub(super) const OPENING: f64 = 3.0;

impl Device {
    /// The question for the session's limits, which everything else keeps to; then the devices behind the gateway.
    pub(super) fn introduce(&self, outbox: &Outbox, again: bool) {
        let waits = |known: bool| {
            if known && self.keeps_limits.load(Ordering::Acquire) { LEARNING } else { Duration::ZERO }
        };
        // Some servers never answer: the client's own messages wait for one that has. Devices come in their hundreds.
        self.limits.own.begin(waits(self.limits_known.load(Ordering::Acquire)));
        self.limits.devices.begin(waits(true));
        self.limits.own.messages.limit().deduct(OPENING, Instant::now());
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
