//! The network behind the broker: who may publish what, and where it goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::broker::{QoS, Router};
use super::fault::Faults;
use super::grpc::RateLimit;
use super::journal::{Entry, Journal};
use super::radio::Radio;
use super::registry::Registry;
use crate::dialect::ttn_v2::Topic;

/// Everything that the connections of a sandbox share.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) router: Router,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) limit: RateLimit,
    registry: Mutex<Registry>,
    radio: Mutex<Radio>,
}

/// A client that publishes, as the network sees it.
pub(super) trait Publisher {
    /// Its identifier.
    fn client_id(&self) -> &str;
    /// Whether its key permits it to publish there.
    fn may_publish(&self, topic: &str) -> bool;
}

impl Network {
    /// Applications and devices.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Downlink queues and the randomness of the air.
    pub(super) fn radio(&self) -> MutexGuard<'_, Radio> {
        self.radio.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take a message from a client. What its key does not permit is dropped without a word, as on the real network.
    pub(super) fn published<P: Publisher>(
        &self,
        by: Option<&Arc<P>>,
        topic: &str,
        payload: &Bytes,
        qos: QoS,
        retain: bool,
    ) {
        let allowed = by.is_none_or(|client| client.may_publish(topic));
        self.journal.write(|| Entry::Published {
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
        if let (Some(Topic::Downlink { dev_id }), Some((app_id, _))) = (Topic::parse(topic), topic.split_once('/')) {
            self.take_downlink(app_id, dev_id, payload);
        }
    }

    /// Publish for the network itself. At QoS 1, so that clients which ask for it get it at least once; the real
    /// network publishes at 0.
    pub(super) fn emit(&self, topic: &str, payload: Bytes) {
        self.journal.write(|| Entry::Published {
            client_id: None,
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos: 1,
            allowed: true,
        });
        self.router.publish(topic, payload, QoS::AtLeastOnce, false, self.faults.message_delay());
    }
}
