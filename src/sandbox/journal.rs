//! What passes through a sandbox, for those who watch.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::sync::Mutex;

/// Entries that are kept, and the bytes of their messages.
const KEPT_ENTRIES: usize = 1000;
const KEPT_BYTES: usize = 4 << 20;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A client logged in.
    Connected {
        /// Its identifier, as given or chosen by the broker.
        client_id: String,
        /// Its application.
        app_id: String,
    },
    /// A login was refused.
    Refused {
        /// The user name given.
        app_id: String,
        /// CONNACK code.
        code: u8,
    },
    /// A connection ended.
    Disconnected {
        /// Its client.
        client_id: String,
        /// Whether the client said goodbye.
        clean: bool,
    },
    /// A client subscribed, or tried to.
    Subscribed {
        /// The client.
        client_id: String,
        /// The filter.
        filter: String,
        /// Level granted; `None` if refused.
        qos: Option<u8>,
    },
    /// A message was published.
    Published {
        /// By this client, or by the network itself.
        client_id: Option<String>,
        /// Topic.
        topic: String,
        /// Bytes.
        payload: Bytes,
        /// Level.
        qos: u8,
        /// Whether it was allowed; what is not allowed goes nowhere.
        allowed: bool,
    },
}

impl Entry {
    fn size(&self) -> usize {
        if let Self::Published { payload, .. } = self { payload.len() } else { 0 }
    }
}

/// The journal: what happened lately, and whoever follows what happens.
#[derive(Debug)]
pub(super) struct Journal {
    lately: Mutex<Lately>,
    followers: broadcast::Sender<Entry>,
}

#[derive(Debug, Default)]
struct Lately {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Lately {
    fn keep(&mut self, entry: Entry) {
        self.bytes += entry.size();
        self.entries.push_back(entry);
        while self.entries.len() > KEPT_ENTRIES || self.bytes > KEPT_BYTES {
            self.bytes -= self.entries.pop_front().map_or(0, |entry| entry.size());
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { lately: Mutex::default(), followers: broadcast::Sender::new(16_384) }
    }
}

impl Journal {
    /// Write an entry.
    pub(super) fn write(&self, entry: Entry) {
        self.lately.lock().keep(entry.clone());
        // Without a follower nobody misses it.
        let _followers = self.followers.send(entry);
    }

    /// What happened lately, first to last: up to 1,000 entries, and no more than 4 MiB of messages.
    pub(super) fn lately(&self) -> Vec<Entry> {
        self.lately.lock().entries.iter().cloned().collect()
    }

    /// Follow from now on. A follower that is 16,384 entries late loses the oldest and is told how many.
    pub(super) fn follow(&self) -> broadcast::Receiver<Entry> {
        self.followers.subscribe()
    }
}
