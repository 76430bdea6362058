//! What passes through a sandbox, for those who watch.

use bytes::Bytes;
use tokio::sync::broadcast;

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

/// The journal: costs nothing while nobody follows it.
#[derive(Debug)]
pub(super) struct Journal {
    followers: broadcast::Sender<Entry>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { followers: broadcast::Sender::new(16_384) }
    }
}

impl Journal {
    /// Write an entry, if somebody follows.
    pub(super) fn write(&self, entry: impl FnOnce() -> Entry) {
        if self.followers.receiver_count() > 0 {
            // The last follower may leave in between; then nobody misses the entry.
            let _followers = self.followers.send(entry());
        }
    }

    /// Follow from now on. A follower that is 16,384 entries late loses the oldest and is told how many.
    pub(super) fn follow(&self) -> broadcast::Receiver<Entry> {
        self.followers.subscribe()
    }
}
