//! What a message is about, as programs are told.

use std::borrow::Cow;

use super::chirpstack;
use super::model::Topic;
use super::network::Network;
use crate::dialect::json::Value;
use crate::ids::DevId;

/// What a message is about, as programs are told. Names that stand in the body are looked up when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What the topic says.
    pub topic: Topic<'a>,
    /// The event, as callbacks have it; empty of all else.
    pub name: &'a str,
    /// Where names stand beside the topic.
    body: Option<Value<'a>>,
}

impl<'a> About<'a> {
    pub(super) fn new(network: Network, topic: Topic<'a>, body: Option<Value<'a>>) -> Self {
        let body = body.filter(|_| network == Network::ChirpStack);
        let name = match (topic, body) {
            (Topic::Event { name, .. }, Some(body)) => chirpstack::refined(name, body),
            (Topic::Event { name, .. }, None) => name,
            _ => "",
        };
        Self { topic, name, body }
    }

    /// The application, as messages have it.
    #[must_use]
    pub fn app_id(&self) -> Cow<'a, str> {
        self.body.and_then(chirpstack::app_id_in).unwrap_or(self.topic.app_id().into())
    }

    /// The device, as messages have it.
    #[must_use]
    pub fn dev_id(&self) -> Cow<'a, str> {
        self.body.and_then(chirpstack::dev_id_in).unwrap_or(self.topic.dev_id().into())
    }

    /// Whether it is this device that it is about: some have more than one name.
    #[must_use]
    pub fn is_of(&self, dev_id: &DevId) -> bool {
        self.topic.dev_id() == dev_id.as_str() || self.dev_id() == dev_id.as_str()
    }

    /// Whether it is an event of this name: some have one of their own on the wire.
    #[must_use]
    pub fn is_event(&self, name: &str) -> bool {
        matches!(self.topic, Topic::Event { name: wire, .. } if wire == name || self.name == name)
    }
}
