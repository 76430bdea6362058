//! Messages that the server waits to have acknowledged.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;

use super::packet::Publish;

/// Right to acknowledge one incoming message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    packet_id: u16,
    /// Tells apart messages that used the same packet ID.
    serial: u64,
}

impl Receipt {
    /// Of a message that has no packet ID, by the number that whoever received it knows it by.
    #[must_use]
    pub fn numbered(serial: u64) -> Self {
        Self { packet_id: 0, serial }
    }

    /// That number.
    #[must_use]
    pub fn serial(self) -> u64 {
        self.serial
    }

    /// The packet ID that the server gave the message.
    #[must_use]
    pub fn packet_id(self) -> u16 {
        self.packet_id
    }
}

/// What a consumer says of a message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dealt {
    /// The server may forget it.
    With,
    /// It stays with the server.
    Not {
        /// What went wrong, where that is known.
        why: Option<String>,
    },
}

/// What to do with an incoming message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Deliver it.
    New(Receipt),
    /// A repetition of one that is being dealt with: nothing yet.
    InHand,
    /// A repetition of one that was dealt with while there was no connection: acknowledge it.
    Done,
}

/// Incoming QoS 1 messages that are not acknowledged.
///
/// After a reconnect the server sends them again. Those that were delivered already are recognised and not delivered
/// twice. That it really is the same message is decided by a hash of topic and payload, since servers may renumber.
#[derive(Debug)]
pub(super) struct Pending {
    by_packet_id: HashMap<u16, Entry>,
    serial: u64,
    connection: u64,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    hash: u64,
    /// The connection it last arrived on: only there may it be acknowledged.
    connection: u64,
    done: bool,
    /// How it came again there, while it was being dealt with.
    again: Option<Publish>,
}

impl Default for Pending {
    fn default() -> Self {
        // Not from the same number for each session: a receipt of an earlier one must not fit here.
        let serial = u64::from(fastrand::u32(..)) << 24;
        Self { by_packet_id: HashMap::new(), serial, connection: 0, hasher: RandomState::new() }
    }
}

impl Pending {
    /// A new connection; without `session_present` the server neither repeats nor awaits anything.
    pub(super) fn connected(&mut self, session_present: bool) {
        self.connection += 1;
        if !session_present {
            self.by_packet_id.clear();
        }
    }

    /// Note an arrival.
    pub(super) fn arrived(&mut self, packet_id: u16, dup: bool, topic: &str, payload: &Bytes) -> Arrival {
        let hash = self.hasher.hash_one((topic, payload));
        if dup
            && let Some(known) = self.by_packet_id.get_mut(&packet_id)
            && known.hash == hash
        {
            if known.done {
                self.by_packet_id.remove(&packet_id);
                return Arrival::Done;
            }
            known.connection = self.connection;
            known.again = None;
            return Arrival::InHand;
        }
        self.serial += 1;
        let entry = Entry { serial: self.serial, hash, connection: self.connection, done: false, again: None };
        self.by_packet_id.insert(packet_id, entry);
        Arrival::New(Receipt { packet_id, serial: self.serial })
    }

    /// The packet ID to acknowledge now, if there is one.
    pub(super) fn settle(&mut self, receipt: Receipt) -> Option<u16> {
        let entry = self.by_packet_id.get_mut(&receipt.packet_id)?;
        if entry.serial != receipt.serial {
            return None;
        }
        if entry.connection != self.connection {
            entry.done = true;
            return None;
        }
        self.by_packet_id.remove(&receipt.packet_id);
        Some(receipt.packet_id)
    }

    /// Keep the repetition of a message that is in hand: the server sends it on this connection no more.
    pub(super) fn hold(&mut self, repetition: Publish) {
        if let Some(entry) = self.by_packet_id.get_mut(&repetition.mid) {
            entry.again = Some(repetition);
        }
    }

    /// It was not dealt with, and is a new message when it comes again: now, if it has done so on this connection.
    pub(super) fn forget(&mut self, receipt: Receipt) -> Option<Publish> {
        let entry = self.by_packet_id.get(&receipt.packet_id)?;
        if entry.serial != receipt.serial {
            return None;
        }
        let entry = self.by_packet_id.remove(&receipt.packet_id)?;
        entry.again.filter(|_| entry.connection == self.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::QoS;

    const BODY: Bytes = Bytes::from_static(b"1");

    fn new(arrival: Arrival) -> Receipt {
        match arrival {
            Arrival::New(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repetition_is_recognised_while_its_message_is_in_hand() {
        let mut pending = Pending::default();
        pending.connected(false);
        let receipt = new(pending.arrived(7, false, "t", &BODY));
        pending.connected(true);
        assert_eq!(pending.arrived(7, true, "t", &BODY), Arrival::InHand);
        assert_eq!(pending.settle(receipt), Some(7));
        new(pending.arrived(7, true, "t", &BODY));
    }

    #[test]
    fn what_was_dealt_with_offline_is_acknowledged_when_it_comes_again() {
        let mut pending = Pending::default();
        let receipt = new(pending.arrived(7, false, "t", &BODY));
        pending.connected(true);
        assert_eq!(pending.settle(receipt), None);
        assert_eq!(pending.arrived(7, true, "t", &BODY), Arrival::Done);
    }

    #[test]
    fn a_renumbered_message_is_not_taken_for_a_repetition() {
        let mut pending = Pending::default();
        let old = new(pending.arrived(7, false, "t", &BODY));
        let fresh = new(pending.arrived(7, true, "t", &Bytes::from_static(b"2")));
        assert_eq!(pending.settle(old), None);
        assert_eq!(pending.settle(fresh), Some(7));
        assert_eq!(pending.settle(fresh), None);
    }

    #[test]
    fn what_was_not_dealt_with_is_new_when_it_comes_again() {
        let mut pending = Pending::default();
        let receipt = new(pending.arrived(7, false, "t", &BODY));
        assert!(pending.forget(receipt).is_none());
        assert_eq!(pending.settle(receipt), None);
        pending.connected(true);
        new(pending.arrived(7, true, "t", &BODY));
    }

    #[test]
    fn what_was_not_dealt_with_is_given_anew_where_it_has_come_again_meanwhile() {
        let again =
            || Publish { topic: "t".into(), payload: BODY, qos: QoS::AtLeastOnce, retain: false, dup: true, mid: 7 };
        let mut pending = Pending::default();
        let receipt = new(pending.arrived(7, false, "t", &BODY));
        pending.connected(true);
        assert_eq!(pending.arrived(7, true, "t", &BODY), Arrival::InHand);
        pending.hold(again());
        assert!(pending.forget(receipt).is_some_and(|message| message.mid == 7));
        let receipt = new(pending.arrived(7, true, "t", &BODY));
        assert!(pending.forget(receipt).is_none(), "once for each time that it comes");
        let receipt = new(pending.arrived(7, true, "t", &BODY));
        pending.connected(true);
        assert_eq!(pending.arrived(7, true, "t", &BODY), Arrival::InHand);
        pending.hold(again());
        pending.connected(true);
        assert!(pending.forget(receipt).is_none(), "it comes again on that connection");
    }

    #[test]
    fn a_forgotten_session_awaits_nothing() {
        let mut pending = Pending::default();
        let receipt = new(pending.arrived(7, false, "t", &BODY));
        pending.connected(false);
        assert_eq!(pending.settle(receipt), None);
        new(pending.arrived(7, true, "t", &BODY));
    }
}
