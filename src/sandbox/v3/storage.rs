//! What was published to applications lately, as hosted stacks keep it (V3 3.4.14).

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;
use prost_reflect::DynamicMessage;

use crate::rpc::json;
use crate::rpc::message::descriptor;
use crate::sync::Mutex;

pub(super) const UP: &str = "ttn.lorawan.v3.ApplicationUp";
/// How many messages are kept, over all applications.
const KEPT: usize = 10_000;

/// The latest messages; none where nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Storage {
    is_on: bool,
    messages: Mutex<VecDeque<Stored>>,
}

/// A message, as it was published.
#[derive(Clone, Debug)]
struct Stored {
    uid: String,
    dev_id: String,
    payload: Bytes,
}

/// Which messages somebody wants.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) uid: String,
    pub(super) dev_id: Option<String>,
    /// Empty for all.
    pub(super) kind: String,
    pub(super) after: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    pub(super) f_port: Option<u32>,
}

/// A message as it was published, in the form that calls give.
pub(super) fn up(payload: &[u8]) -> Option<DynamicMessage> {
    json::parse(payload).and_then(|parsed| json::read(&descriptor(UP), &parsed)).ok()
}

fn received_at(up: &DynamicMessage) -> Option<Timestamp> {
    let at = up.get_field_by_name("received_at")?;
    let at = at.as_message()?;
    let (seconds, nanos) = (at.get_field_by_name("seconds")?.as_i64()?, at.get_field_by_name("nanos")?.as_i32()?);
    Timestamp::new(seconds, nanos).ok()
}

impl Wanted {
    fn takes(&self, up: &DynamicMessage) -> bool {
        let at = received_at(up);
        let is_later = |after: Timestamp| at.is_some_and(|at| at > after);
        let is_earlier = |before: Timestamp| at.is_some_and(|at| at < before);
        let kinds = up.fields().filter(|(field, _)| field.containing_oneof().is_some());
        let content =
            kinds.filter(|(field, _)| self.kind.is_empty() || field.name() == self.kind).map(|it| it.1).next();
        let port = content.and_then(|content| content.as_message()?.get_field_by_name("f_port")?.as_u32());
        content.is_some()
            && self.after.is_none_or(is_later)
            && self.before.is_none_or(is_earlier)
            && self.f_port.is_none_or(|wanted| port == Some(wanted))
    }
}

impl Storage {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, messages: Mutex::default() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) fn keep(&self, uid: &str, dev_id: &str, payload: &Bytes) {
        if !self.is_on {
            return;
        }
        let mut messages = self.messages.lock();
        if messages.len() == KEPT {
            messages.pop_front();
        }
        messages.push_back(Stored { uid: uid.to_owned(), dev_id: dev_id.to_owned(), payload: payload.clone() });
    }

    /// So many of the messages that are wanted, first to last or last to first.
    pub(super) fn find(&self, wanted: &Wanted, limit: usize, is_reversed: bool) -> Vec<DynamicMessage> {
        let of_device = |stored: &&Stored| {
            stored.uid == wanted.uid && wanted.dev_id.as_ref().is_none_or(|dev_id| *dev_id == stored.dev_id)
        };
        let mut chosen: Vec<_> =
            self.messages.lock().iter().filter(of_device).map(|stored| stored.payload.clone()).collect();
        if is_reversed {
            chosen.reverse();
        }
        // Read one after the other when the lock is free, and no more than somebody wants.
        chosen.iter().filter_map(|payload| up(payload)).filter(|up| wanted.takes(up)).take(limit).collect()
    }
}
