//! Counters of a bridge.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Mutex;

/// What a bridge has done since it started, and how it stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Messages taken over from MQTT, or from Pub/Sub.
    pub received: u64,
    /// Messages that the stream has acknowledged, duplicates included.
    pub published: u64,
    /// Of these, what another bridge had stored before, or this one.
    pub duplicates: u64,
    /// Messages that the stream never takes: larger than the server allows. They are lost.
    pub refused: u64,
    /// Messages on topics that are not carried.
    pub ignored: u64,
    /// Attempts that failed and were made again.
    pub retried: u64,
    /// Messages that wait in memory or for an acknowledgement now.
    pub held: u64,
    /// Messages that wait on the disk now.
    pub spooled: u64,
    /// Bytes on the disk now.
    pub spool_bytes: u64,
    /// Messages without a receipt that were lost since spool or memory were full.
    pub dropped: u64,
    /// Downlinks that the network has taken.
    pub downlinks: u64,
    /// Downlinks that the network refuses, or nobody can read. They are lost.
    pub downlinks_refused: u64,
    /// Downlinks that will be tried again.
    pub downlinks_retried: u64,
    /// Whether there is a connection to the MQTT server.
    pub mqtt_connected: bool,
    /// Whether there is a connection to NATS.
    pub nats_connected: bool,
    /// Why the stream takes nothing now; empty while it does.
    pub trouble: String,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) ignored: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) spooled: AtomicU64,
    pub(super) spool_bytes: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) downlinks: AtomicU64,
    pub(super) downlinks_refused: AtomicU64,
    pub(super) downlinks_retried: AtomicU64,
    pub(super) trouble: Mutex<String>,
}

/// Count one more.
pub(super) fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// As they are now.
    pub(super) fn read(&self, mqtt_connected: bool, nats_connected: bool) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            received: read(&self.received),
            published: read(&self.published),
            duplicates: read(&self.duplicates),
            refused: read(&self.refused),
            ignored: read(&self.ignored),
            retried: read(&self.retried),
            held: read(&self.held),
            spooled: read(&self.spooled),
            spool_bytes: read(&self.spool_bytes),
            dropped: read(&self.dropped),
            downlinks: read(&self.downlinks),
            downlinks_refused: read(&self.downlinks_refused),
            downlinks_retried: read(&self.downlinks_retried),
            mqtt_connected,
            nats_connected,
            trouble: self.trouble.lock().clone(),
        }
    }
}
