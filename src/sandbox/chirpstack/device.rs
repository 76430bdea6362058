//! A device: what the server knows of it, and what the simulated one does.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::registry::Kept;
use crate::rpc::proto::chirpstack::api::{self, DeviceQueueItem, LogItem};
use crate::rpc::proto::chirpstack::gw::{UplinkRxInfo, UplinkTxInfo};
use crate::sandbox::frame::Inbox;

/// Events that are kept of each device for who asks later.
const HISTORY: usize = 10;

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) record: Kept<api::Device>,
    pub(super) last_seen_at: Option<prost_types::Timestamp>,
    pub(super) status: Option<api::DeviceStatus>,
    pub(super) keys: Option<Kept<api::DeviceKeys>>,
    pub(super) session: Option<api::DeviceActivation>,
    pub(super) queue: VecDeque<DeviceQueueItem>,
    pub(super) history: VecDeque<LogItem>,
    /// How the latest frame was heard: what is sent without an uplink goes through the same gateway.
    pub(super) heard: Option<(UplinkTxInfo, UplinkRxInfo)>,
    /// Until when nothing is sent without an uplink.
    pub(super) locked_until: Option<Instant>,
    /// What the simulated device does.
    pub(super) simulated: Simulated,
}

/// The device itself.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) spreading: u8,
    pub(super) acknowledges: bool,
    /// Whether its next frame acknowledges what it has received.
    pub(super) owes: bool,
    /// Counter of its next frame.
    pub(super) counter: u32,
    pub(super) inbox: Inbox,
}

impl Default for Simulated {
    fn default() -> Self {
        Self { spreading: 7, acknowledges: true, owes: false, counter: 0, inbox: Inbox::default() }
    }
}

impl Device {
    pub(super) fn new(record: api::Device) -> Self {
        Self {
            record: Kept::new(record),
            last_seen_at: None,
            status: None,
            keys: None,
            session: None,
            queue: VecDeque::new(),
            history: VecDeque::new(),
            heard: None,
            locked_until: None,
            simulated: Simulated::default(),
        }
    }

    /// A session begins; the device counts as the server expects.
    pub(super) fn begin(&mut self, session: api::DeviceActivation) {
        self.simulated.counter = session.f_cnt_up;
        self.simulated.owes = false;
        self.session = Some(session);
    }

    /// The item that waits for its acknowledgement.
    pub(super) fn pending(&self) -> Option<usize> {
        self.queue.iter().position(|item| item.is_pending)
    }

    pub(super) fn remember(&mut self, item: LogItem) {
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(item);
    }
}
