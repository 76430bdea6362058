//! What simulated devices send and receive, whatever network they are in.

use std::collections::VecDeque;

/// What one uplink carries.
#[derive(Clone, Debug)]
pub struct UplinkFrame {
    /// Bytes; `None` for a frame without application payload.
    pub payload: Option<Vec<u8>>,
    /// Decoded fields as JSON text.
    pub fields: Option<String>,
    /// LoRaWAN FPort.
    pub port: u8,
    /// Whether the device asks for an acknowledgement.
    pub confirmed: bool,
    /// Whether it repeats the frame before.
    pub is_retry: bool,
}

impl Default for UplinkFrame {
    fn default() -> Self {
        Self { payload: Some(vec![0]), fields: None, port: 1, confirmed: false, is_retry: false }
    }
}

/// A downlink that has reached its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its bytes.
    pub payload: Vec<u8>,
    /// LoRaWAN FPort.
    pub port: u8,
    /// Whether the device is to acknowledge it.
    pub confirmed: bool,
    /// Its frame counter.
    pub counter: u32,
}

/// Downlinks that are remembered after they have reached their device.
const REMEMBERED: usize = 1000;

/// What has reached a device.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    received: VecDeque<Received>,
    /// How many of the last ones nobody has asked for one by one.
    unseen: usize,
}

impl Inbox {
    pub(super) fn remember(&mut self, received: Received) {
        if self.received.len() >= REMEMBERED {
            self.received.pop_front();
        }
        self.received.push_back(received);
        self.unseen = (self.unseen + 1).min(self.received.len());
    }

    /// First to last; of very many the latest.
    pub(super) fn all(&self) -> Vec<Received> {
        self.received.iter().cloned().collect()
    }

    /// The next one that this did not give yet.
    pub(super) fn next(&mut self) -> Option<Received> {
        let next = self.received.get(self.received.len() - self.unseen)?.clone();
        self.unseen -= 1;
        Some(next)
    }
}
