//! What programs listen to, whichever way they are told.

use crate::dialect::json::Document;
use crate::dialect::lorawan::{About, Filter, Network, Topic};
use crate::ids::DevId;

/// What a program listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::py) enum Subject {
    /// Decoded uplinks.
    Uplink(Option<DevId>),
    /// Uplinks as they came.
    Raw(Option<DevId>),
    /// One payload field.
    Field(Option<DevId>, String),
    /// Events, of one name or all.
    Event(Option<DevId>, Option<String>),
    /// Whatever an MQTT topic filter takes, as it came.
    Topic(String),
    /// The connection came about or was refused.
    Connect,
    /// The connection ended.
    Close,
    /// A downlink went out.
    Downlink,
    /// Something failed that stops nothing.
    Error,
}

impl Subject {
    /// What the network must be asked for, if anything.
    pub(in crate::py) fn filter(&self) -> Option<Filter> {
        match self {
            Self::Uplink(dev_id) | Self::Raw(dev_id) => Some(Filter::Uplink(dev_id.clone())),
            Self::Field(dev_id, field) => Some(Filter::Field(dev_id.clone(), field.clone())),
            Self::Event(dev_id, name) => Some(Filter::Event(dev_id.clone(), name.clone())),
            Self::Topic(filter) => Some(Filter::Any(filter.clone())),
            Self::Connect | Self::Close | Self::Downlink | Self::Error => None,
        }
    }

    /// What its callbacks get, in a word.
    pub(super) fn first(&self) -> &'static str {
        match self {
            Self::Uplink(_) | Self::Raw(_) | Self::Topic(_) => "msg",
            Self::Field(..) => "value",
            Self::Event(..) => "event",
            Self::Connect | Self::Close => "res",
            Self::Downlink => "mid",
            Self::Error => "error",
        }
    }

    /// The single field that it is for, and where that stands in an uplink, of a network that publishes uplinks alone.
    pub(in crate::py) fn field_in(
        &self,
        network: Network,
        about: &About<'_>,
        document: &Document,
    ) -> Option<(&str, u32)> {
        let (Self::Field(wanted, field), Topic::Uplink { .. }) = (self, about.topic) else { return None };
        if wanted.as_ref().is_some_and(|wanted| !about.is_of(wanted)) {
            return None;
        }
        network.single_field(document.root(), field).map(|value| (field.as_str(), value.index()))
    }

    /// Whether a message about this is for it.
    pub(in crate::py) fn takes(&self, about: &About<'_>) -> bool {
        let device = |wanted: &Option<DevId>| wanted.as_ref().is_none_or(|wanted| about.is_of(wanted));
        match (self, about.topic) {
            (Self::Uplink(wanted) | Self::Raw(wanted), Topic::Uplink { .. }) => device(wanted),
            (Self::Field(wanted, field), Topic::Field { field: came, .. }) => device(wanted) && field == came,
            (Self::Event(wanted, name), Topic::Event { .. }) => {
                device(wanted) && name.as_ref().is_none_or(|name| about.is_event(name))
            }
            _ => false,
        }
    }
}
