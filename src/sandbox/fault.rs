//! Faults on request of a test.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::watch;

/// Faults that are switched on. All are off at the start.
#[derive(Debug, Default)]
pub struct Faults {
    /// CONNACK code that every login gets; 0 for none.
    refuse_logins: AtomicU8,
    /// Connections are closed as soon as they are accepted.
    refuse_connections: AtomicBool,
    /// Nobody knows keys any more, as without the database of V3's Identity Server.
    lose_identity: AtomicBool,
    /// Nothing is read or written any more, connections stay open.
    silent: watch::Sender<bool>,
    /// How long each message waits before it goes out, in milliseconds.
    delay_ms: AtomicU64,
    /// How many of the next messages to clients go out twice.
    duplicate: AtomicU32,
    /// How many of the next messages to clients have their payload garbled.
    garble: AtomicU32,
    /// How many of the next acknowledgements to clients are withheld.
    withhold_acks: AtomicU32,
}

fn take(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

impl Faults {
    /// Refuse every login with this CONNACK code, 1–255; 0 ends it.
    pub fn refuse_logins(&self, code: u8) {
        self.refuse_logins.store(code, Ordering::Relaxed);
    }

    /// Close every new connection at once, or no longer.
    pub fn refuse_connections(&self, on: bool) {
        self.refuse_connections.store(on, Ordering::Relaxed);
    }

    /// Refuse logins and calls as a stack does whose Identity Server has no database, or no longer.
    pub fn lose_identity(&self, on: bool) {
        self.lose_identity.store(on, Ordering::Relaxed);
    }

    /// Neither read nor write on any connection, or go on.
    pub fn go_silent(&self, on: bool) {
        self.silent.send_replace(on);
    }

    /// Wait as long as nothing is read or written, and as long as messages are held back: for calls.
    pub(super) async fn pause(&self) {
        let mut silent = self.silent.subscribe();
        // Ends only with the sandbox itself.
        let _ended = silent.wait_for(|silent| !silent).await.map(drop);
        let delay = self.delay_ms.load(Ordering::Relaxed);
        // Even no sleep at all takes until the timer's next tick, a millisecond away.
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }

    /// Hold every message to clients back for so long.
    pub fn delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Send the next messages to clients twice.
    pub fn duplicate(&self, count: u32) {
        self.duplicate.store(count, Ordering::Relaxed);
    }

    /// Garble the payload of the next messages to clients.
    pub fn garble(&self, count: u32) {
        self.garble.store(count, Ordering::Relaxed);
    }

    /// Do not acknowledge the next messages of clients.
    pub fn withhold_acks(&self, count: u32) {
        self.withhold_acks.store(count, Ordering::Relaxed);
    }

    /// Switch all faults off.
    pub fn clear(&self) {
        self.refuse_logins(0);
        self.refuse_connections(false);
        self.lose_identity(false);
        self.go_silent(false);
        self.delay(Duration::ZERO);
        self.duplicate(0);
        self.garble(0);
        self.withhold_acks(0);
    }

    pub(super) fn login_code(&self) -> u8 {
        self.refuse_logins.load(Ordering::Relaxed)
    }

    pub(super) fn refuses_connections(&self) -> bool {
        self.refuse_connections.load(Ordering::Relaxed)
    }

    pub(super) fn has_lost_identity(&self) -> bool {
        self.lose_identity.load(Ordering::Relaxed)
    }

    /// Whether silence is kept, and a way to wait for its end.
    pub(super) fn silence(&self) -> watch::Receiver<bool> {
        self.silent.subscribe()
    }

    pub(super) fn message_delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Relaxed))
    }

    pub(super) fn takes_duplicate(&self) -> bool {
        self.duplicate.load(Ordering::Relaxed) > 0 && take(&self.duplicate)
    }

    pub(super) fn withholds_ack(&self) -> bool {
        self.withhold_acks.load(Ordering::Relaxed) > 0 && take(&self.withhold_acks)
    }

    /// Garble the end of an encoded message, its payload, if one is due.
    pub(super) fn garble_tail(&self, encoded: &mut BytesMut, payload: usize) {
        if payload > 0 && self.garble.load(Ordering::Relaxed) > 0 && take(&self.garble) {
            let start = encoded.len() - payload;
            for byte in &mut encoded[start..] {
                *byte ^= 0x5A;
            }
        }
    }
}
