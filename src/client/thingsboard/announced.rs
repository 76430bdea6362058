//! The devices behind the gateway that the server was told of, to be told of again after a loss.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::mqtt::{self, code};
use crate::dialect::thingsboard::{names, write_text};
use crate::session::{Outbox, QoS, Ticket};
use crate::sync::Mutex;

/// One device.
#[derive(Debug)]
struct Announcement {
    kind: String,
    /// What became of the message that announced it last.
    sent: Option<Arc<Ticket>>,
}

impl Announcement {
    /// Whether the server refuses the device itself; a limit that is reached refuses nobody for ever.
    fn is_refused(&self) -> bool {
        let outcome = self.sent.as_ref().and_then(|ticket| ticket.outcome());
        outcome.is_some_and(|reason| mqtt::is_refusal(reason) && reason != code::QUOTA_EXCEEDED)
    }
}

/// What announces a device of a type.
#[must_use]
pub fn announcement(device: &str, kind: &str) -> Bytes {
    let mut text = String::from("{\"device\":");
    write_text(device, &mut text);
    text.push_str(",\"type\":");
    write_text(kind, &mut text);
    text.push('}');
    Bytes::from(text)
}

/// Announced devices, by their names.
#[derive(Debug, Default)]
pub(super) struct Announced(Mutex<BTreeMap<String, Announcement>>);

impl Announced {
    pub(super) fn remember(&self, device: &str, kind: &str, sent: Option<Arc<Ticket>>) {
        self.0.lock().insert(device.to_owned(), Announcement { kind: kind.to_owned(), sent });
    }

    pub(super) fn forget(&self, device: &str) {
        self.0.lock().remove(device);
    }

    pub(super) fn knows(&self, device: &str) -> bool {
        self.0.lock().contains_key(device)
    }

    /// Announce a device under its new name; tells whether it was announced under the old one.
    pub(super) fn rename(&self, from: &str, to: &str, outbox: &Outbox, qos: QoS) -> bool {
        let mut announced = self.0.lock();
        let Some(Announcement { kind, .. }) = announced.remove(from) else { return false };
        let sent = outbox.publish_first([(names::GATEWAY_CONNECT.to_owned(), announcement(to, &kind))], qos).pop();
        announced.insert(to.to_owned(), Announcement { kind, sent });
        true
    }

    /// Announce all of them again, before all that waits; but those whose announcement is still on its way.
    pub(super) fn again(&self, outbox: &Outbox, qos: QoS) {
        let mut announced = self.0.lock();
        announced.retain(|device, announcement| {
            let refused = announcement.is_refused();
            if refused {
                tracing::error!(device, "not announced again: the server has refused it");
            }
            !refused
        });
        let on_the_way: HashSet<_> = outbox.payloads(names::GATEWAY_CONNECT).into_iter().collect();
        let (mut places, mut messages) = (Vec::new(), Vec::new());
        for (device, place) in &mut *announced {
            let text = announcement(device, &place.kind);
            if !on_the_way.contains(&text) {
                places.push(place);
                messages.push((names::GATEWAY_CONNECT.to_owned(), text));
            }
        }
        for (place, ticket) in places.into_iter().zip(outbox.publish_first(messages, qos)) {
            place.sent = Some(ticket);
        }
    }
}
