//! The network behind the broker.

use std::sync::Arc;

use bytes::Bytes;

use super::air::Radio;
use super::registry::Registry;
use crate::sandbox::broker::{House, QoS, Router};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::Journal;
use crate::sandbox::room::Room;
use crate::sandbox::v2::grpc::Throttle;
use crate::sync::{Mutex, MutexGuard};

/// Everything that the connections of a sandbox share.
#[derive(Debug, Default)]
pub(in crate::sandbox::v2) struct Network {
    pub(in crate::sandbox::v2) router: Router,
    pub(in crate::sandbox::v2) faults: Faults,
    pub(in crate::sandbox::v2) room: Arc<Room>,
    pub(in crate::sandbox::v2) journal: Journal,
    pub(in crate::sandbox::v2) throttle: Throttle,
    registry: Mutex<Registry>,
    radio: Mutex<Radio>,
}

impl Network {
    pub(super) fn new(room: Room) -> Self {
        Self { room: Arc::new(room), ..Self::default() }
    }

    /// Applications and devices.
    pub(in crate::sandbox::v2) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    /// Downlink queues and the randomness of the air.
    pub(in crate::sandbox::v2) fn radio(&self) -> MutexGuard<'_, Radio> {
        self.radio.lock()
    }

    /// Publish for the network itself. At QoS 1, so that clients which ask for it get it at least once; the real
    /// network publishes at 0.
    pub(in crate::sandbox::v2) fn emit(&self, topic: &str, payload: Bytes) {
        House::emit(self, topic, payload, QoS::AtLeastOnce);
    }
}
