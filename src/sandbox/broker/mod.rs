//! A small MQTT 3.1.1 broker, on the transport crate's packet codec and on nothing of our own client. Who may log in, what
//! each may see and write, and what becomes of it, is for the network that it serves.

mod connection;
mod router;
mod session;
mod tree;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rumqttc::Login;
pub(super) use rumqttc::mqttbytes::QoS;

pub(super) use self::connection::serve;
pub(super) use self::router::Router;
pub(super) use self::session::ClientSession;
use super::fault::Faults;
use super::journal::{Entry, Journal};

/// What a login permits.
pub(super) trait Grant: fmt::Debug + Send + Sync {
    /// Whether a subscription is taken.
    fn may_subscribe(&self, filter: &str) -> bool;
    /// Whether messages on this topic are delivered to the client.
    fn may_receive(&self, topic: &str) -> bool;
    /// Whether what the client publishes there goes further.
    fn may_publish(&self, topic: &str) -> bool;
}

/// Who has logged in.
pub(super) struct Guest {
    /// What those who watch are told.
    pub(super) name: String,
    /// Within this, a client identifier stands for one session.
    pub(super) realm: String,
    pub(super) grant: Box<dyn Grant>,
}

/// The network that a broker serves.
pub(super) trait House: Send + Sync + 'static {
    fn router(&self) -> &Router;
    fn faults(&self) -> &Faults;
    fn journal(&self) -> &Journal;

    /// Judge a login, with the certificate that was shown.
    ///
    /// # Errors
    /// The code of CONNACK that refuses it.
    fn admit(&self, login: Option<&Login>, shown: Option<&[u8]>) -> Result<Guest, u8>;

    /// A client has published something that it may.
    fn take(&self, topic: &str, payload: &Bytes);

    /// Take a message from a client. What it may not publish is dropped without a word, as brokers do.
    fn published(&self, by: &Arc<ClientSession>, topic: &str, payload: &Bytes, qos: QoS, retain: bool) {
        let allowed = by.grant.may_publish(topic);
        self.journal().write(Entry::Published {
            client_id: Some(by.client_id.clone()),
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos: qos as u8,
            allowed,
        });
        if !allowed {
            tracing::debug!(%topic, "dropped a message that its login does not permit");
            return;
        }
        self.router().publish(topic, payload.clone(), qos, retain, self.faults().message_delay());
        self.take(topic, payload);
    }

    /// Publish for the network itself.
    fn emit(&self, topic: &str, payload: Bytes, qos: QoS) {
        self.journal().write(Entry::Published {
            client_id: None,
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos: qos as u8,
            allowed: true,
        });
        self.router().publish(topic, payload, qos, false, self.faults().message_delay());
    }
}
