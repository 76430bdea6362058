//! Leases of lanes, of a member that keeps the order.

use async_nats::Message;
use tokio::time::Instant;

use super::{Driver, SOON};
use crate::client::shared::leases::Round;
use crate::client::shared::supply::Supply;
use crate::error::Result;

impl Driver {
    pub(super) fn went_round(&mut self, outcome: Result<Round>) {
        let now = Instant::now();
        let regular = self.options.ack_wait / 3;
        let Supply::Lanes(lanes) = &mut self.supply else { return };
        let Round { leases, excess, short } = match outcome {
            Ok(round) => round,
            Err(error) => {
                tracing::warn!(%error, "cannot renew the leases of lanes");
                self.next_round = now + regular / 4;
                return;
            }
        };
        self.renewed = now;
        lanes.own(&leases);
        let free = lanes.leave(excess);
        self.patience = if short { (self.patience * 2).min(regular) } else { SOON };
        self.next_round = now + if short { self.patience } else { regular };
        self.release(free);
    }

    /// A member came or went: what is a fair share is another number now.
    pub(super) fn member_told(&mut self, message: &Message) {
        let Some(leases) = &self.leases else { return };
        let member = message.subject.rsplit('.').next().unwrap_or_default();
        let is_new = self.known.insert(member.to_owned());
        if member != leases.me && (is_new || message.payload.is_empty()) {
            if message.payload.is_empty() {
                self.known.remove(member);
            }
            self.patience = SOON;
            self.next_round = self.next_round.min(Instant::now() + SOON.mul_f64(fastrand::f64()));
        }
    }
}
