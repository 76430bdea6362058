//! Counters of a client.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the client was made. All but the queue's own only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Messages taken in from the network.
    pub received: u64,
    /// Messages whose callbacks have returned.
    pub delivered: u64,
    /// Messages dropped because callbacks were too slow, the client was closing, or nobody listened.
    pub dropped: u64,
    /// Messages that could not be decoded; raw callbacks got them all the same.
    pub undecodable: u64,
    /// Packets over the limit, skipped.
    pub oversize: u64,
    /// Exceptions that callbacks raised.
    pub callback_errors: u64,
    /// Messages left with the server because a callback raised an exception.
    pub kept: u64,
    /// Downlinks written (QoS 0) or acknowledged (QoS 1).
    pub sent: u64,
    /// Connections made anew after a loss.
    pub reconnects: u64,
    /// Messages between network and callbacks now.
    pub queue_length: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// Downlinks that are neither written nor acknowledged now.
    pub unsent: u64,
    /// Of the messages taken in, those that came out of the network's storage; of clients that fetch none there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backfilled: Option<u64>,
    /// What only a group over NATS `JetStream` has.
    #[serde(flatten)]
    pub shared: Option<SharedStats>,
}

/// Counters of a client that shares a stream with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SharedStats {
    /// Messages that had been delivered before, to this client or to another one of the group.
    pub redelivered: u64,
    /// Messages that were put among the dead letters, since they failed again and again.
    pub dead: u64,
    /// Messages that the group, or in order the lanes of this client, had not yet been given when it last heard.
    pub lag: u64,
}

/// What a receiver of a shared stream counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) redelivered: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) lag: AtomicU64,
}

impl Tally {
    pub(crate) fn stats(&self) -> SharedStats {
        SharedStats { redelivered: read(&self.redelivered), dead: read(&self.dead), lag: read(&self.lag) }
    }
}

/// The counters themselves, bumped from any thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) oversize: AtomicU64,
    pub(crate) callback_errors: AtomicU64,
    pub(crate) kept: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) backfilled: AtomicU64,
}

/// Add to a counter. Counters order nothing, so the weakest ordering serves.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Read a counter.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
