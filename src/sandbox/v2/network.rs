//! The network behind the broker: who may publish what, and where it goes.

use std::sync::Arc;

use bytes::Bytes;

use super::air::Radio;
use super::registry::Registry;
use crate::dialect::lorawan::{self, Topic};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::{Entry, Journal};
use crate::sandbox::room::Room;
use crate::sandbox::v2::grpc::Throttle;
use crate::sandbox::v2::mqtt::{QoS, Router};
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

/// A client that publishes, as the network sees it.
pub(in crate::sandbox::v2) trait Publisher {
    /// Its identifier.
    fn client_id(&self) -> &str;
    /// Whether its key permits it to publish there.
    fn may_publish(&self, topic: &str) -> bool;
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

    /// Take a message from a client. What its key does not permit is dropped without a word, as on the real network.
    pub(in crate::sandbox::v2) fn published<P: Publisher>(
        &self,
        by: Option<&Arc<P>>,
        topic: &str,
        payload: &Bytes,
        qos: QoS,
        retain: bool,
    ) {
        let allowed = by.is_none_or(|client| client.may_publish(topic));
        self.journal.write(Entry::Published {
            client_id: by.map(|client| client.client_id().to_owned()),
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos: qos as u8,
            allowed,
        });
        if !allowed {
            tracing::debug!(%topic, "dropped a message that its key does not permit");
            return;
        }
        self.router.publish(topic, payload.clone(), qos, retain, self.faults.message_delay());
        if let Some(Topic::Downlink { app_id, dev_id }) = lorawan::Network::V2.topic(topic) {
            self.take_downlink(app_id, dev_id, payload);
        }
    }

    /// Publish for the network itself. At QoS 1, so that clients which ask for it get it at least once; the real
    /// network publishes at 0.
    pub(in crate::sandbox::v2) fn emit(&self, topic: &str, payload: Bytes) {
        self.journal.write(Entry::Published {
            client_id: None,
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos: 1,
            allowed: true,
        });
        self.router.publish(topic, payload, QoS::AtLeastOnce, false, self.faults.message_delay());
    }
}
