//! LoRaWAN networks over MQTT: one form inside ([`Topic`], [`Filter`], [`Downlink`], …), one file for each network's wire.

pub mod base64;
mod fields;
#[cfg(test)]
mod fuzz;
pub mod hosted;
mod model;
pub mod region;
mod v2;

pub use self::fields::{Fields, Unreadable, timestamp};
pub use self::model::{Downlink, EventKind, Filter, Payload, Schedule, Topic};
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId};

/// A network, by what it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// The Things Network V2.
    #[default]
    V2,
}

impl Network {
    /// User name and password of an application's login.
    #[must_use]
    pub fn login(self, app_id: &AppId, access_key: &AccessKey) -> (String, AccessKey) {
        match self {
            Self::V2 => v2::login(app_id, access_key),
        }
    }

    /// A refused login in the network's own words.
    #[must_use]
    pub fn refused(self, code: u8) -> Error {
        match self {
            Self::V2 => v2::refused(code),
        }
    }

    /// Why a server may refuse a client with this key, as the end of a sentence; empty where nothing is known.
    #[must_use]
    pub fn hint(self, access_key: &AccessKey) -> &'static str {
        match self {
            Self::V2 => access_key.hint(),
        }
    }

    /// The MQTT topic filters that together take what is listened to.
    #[must_use]
    pub fn filters(self, app_id: &AppId, filter: &Filter) -> Vec<String> {
        match (self, filter) {
            (_, Filter::Any(filter)) => vec![filter.clone()],
            (Self::V2, filter) => vec![v2::filter(app_id, filter)],
        }
    }

    /// Read the topic of a message; `None` if it is none of the network's.
    #[must_use]
    pub fn topic(self, topic: &str) -> Option<Topic<'_>> {
        match self {
            Self::V2 => v2::topic(topic),
        }
    }

    /// The topic and the body of a downlink.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the network cannot be asked for; V2 can be asked for all of it.
    pub fn downlink(self, app_id: &AppId, dev_id: &DevId, downlink: &Downlink) -> Result<(String, String)> {
        match self {
            Self::V2 => Ok(v2::downlink(app_id, dev_id, downlink)),
        }
    }

    /// What an event of that name tells.
    #[must_use]
    pub fn event_kind(self, name: &str) -> EventKind {
        match self {
            Self::V2 => v2::event_kind(name),
        }
    }

    /// Every event name that the network emits.
    #[must_use]
    pub fn event_names(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &v2::EVENT_NAMES,
        }
    }

    /// Where in an uplink the values stand that the library reads itself.
    #[must_use]
    pub fn fields(self) -> &'static Fields {
        match self {
            Self::V2 => &v2::FIELDS,
        }
    }
}
