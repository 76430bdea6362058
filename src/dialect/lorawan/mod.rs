//! LoRaWAN networks over MQTT: one form inside ([`Topic`], [`Filter`], [`Downlink`], …), one file for each network's wire.

pub mod base64;
mod fields;
#[cfg(test)]
mod fuzz;
pub mod hosted;
mod model;
pub mod region;
mod v2;
mod v3;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub use self::fields::{Fields, Unreadable, timestamp};
pub use self::model::{Antenna, ClassBC, Downlink, EventKind, Filter, Options, Payload, Schedule, Step, Topic};
pub use self::v3::{
    Direct, MAX_ATTEMPTS, Part, Told, UPLINK, check_correlation_id, correlation_id, priority, take_uplinks_alone,
};
use crate::dialect::json::{Document, Value};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId};

/// A network, by what it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// The Things Network V2.
    #[default]
    V2,
    /// The Things Stack V3.
    V3,
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            other => Err(Error::invalid("network", other, "\"v2\" or \"v3\"")),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        })
    }
}

impl Network {
    /// The network that a key and the server's host belong to.
    #[must_use]
    pub fn of(access_key: &AccessKey, host: Option<&str>) -> Self {
        if access_key.is_of_stack() || host.is_some_and(hosted::is_hosted) { Self::V3 } else { Self::V2 }
    }

    /// The application as the network's login has it. `host` is the server's, if it is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no application of the network.
    pub fn app_id(self, app_id: AppId, host: Option<&str>) -> Result<AppId> {
        match self {
            Self::V2 => Ok(app_id),
            Self::V3 => v3::app_id(app_id, host),
        }
    }

    /// The application as messages have it.
    #[must_use]
    pub fn plain(self, app_id: &AppId) -> &str {
        self.plain_text(app_id.as_str())
    }

    /// As [`Network::plain`], of an application in a topic.
    #[must_use]
    pub fn plain_text(self, app_id: &str) -> &str {
        match self {
            Self::V2 => app_id,
            Self::V3 => v3::plain(app_id),
        }
    }

    /// Check a device ID.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no device of the network.
    pub fn dev_id(self, id: impl Into<String>) -> Result<DevId> {
        match self {
            Self::V2 => DevId::new(id),
            Self::V3 => v3::dev_id(id.into()),
        }
    }

    /// Read the address of its server. On V3 a key goes without TLS to this machine alone, unless `tls` is `Some(false)`.
    ///
    /// # Errors
    /// As [`Endpoint::parse`], and [`Error::Invalid`] for an address without TLS.
    pub fn endpoint(self, address: &str, tls: Option<bool>) -> Result<Endpoint> {
        let endpoint = Endpoint::parse(address, tls)?;
        if self == Self::V2 || endpoint.tls || tls == Some(false) || endpoint.is_loopback() {
            return Ok(endpoint);
        }
        endpoint.secured(address)
    }

    /// User name and password of an application's login.
    #[must_use]
    pub fn login(self, app_id: &AppId, access_key: &AccessKey) -> (String, AccessKey) {
        match self {
            Self::V2 => v2::login(app_id, access_key),
            Self::V3 => v3::login(app_id, access_key),
        }
    }

    /// A login of this application that the server on this host refused, in the network's own words.
    #[must_use]
    pub fn refused(self, code: u8, app_id: &AppId, host: &str) -> Error {
        match self {
            Self::V2 => v2::refused(code),
            Self::V3 => v3::refused(code, app_id, host),
        }
    }

    /// Why a server may refuse the login of this key, as the end of a sentence; empty where nothing is known.
    #[must_use]
    pub fn hint(self, access_key: &AccessKey) -> &'static str {
        match self {
            Self::V2 => access_key.hint(),
            Self::V3 => v3::hint(access_key),
        }
    }

    /// Why a server may refuse topics of a client with this key, likewise.
    #[must_use]
    pub fn topic_hint(self, access_key: &AccessKey) -> &'static str {
        match self {
            Self::V2 => access_key.hint(),
            Self::V3 => v3::topic_hint(access_key),
        }
    }

    /// The MQTT topic filters that together take what is listened to.
    #[must_use]
    pub fn filters(self, app_id: &AppId, filter: &Filter) -> Vec<String> {
        match (self, filter) {
            (_, Filter::Any(filter)) => vec![filter.clone()],
            (Self::V2, filter) => vec![v2::filter(app_id, filter)],
            (Self::V3, filter) => v3::filters(app_id, filter),
        }
    }

    /// Read the topic of a message; `None` if it is none of the network's.
    #[must_use]
    pub fn topic(self, topic: &str) -> Option<Topic<'_>> {
        match self {
            Self::V2 => v2::topic(topic),
            Self::V3 => v3::topic(topic),
        }
    }

    /// A LoRaWAN `FPort` for downlinks.
    ///
    /// # Errors
    /// What was expected.
    pub fn port(self, number: i64) -> Result<u8, &'static str> {
        let (last, expected) = match self {
            Self::V2 => (223, "a LoRaWAN FPort, 1 to 223"),
            Self::V3 => (255, "a LoRaWAN FPort, 1 to 255, but not 224"),
        };
        u8::try_from(number).ok().filter(|port| (1..=last).contains(port) && *port != 224).ok_or(expected)
    }

    /// Longest payload of a downlink, in bytes; what a device may get at its data rate is less.
    #[must_use]
    pub fn max_payload_bytes(self) -> usize {
        match self {
            // At the fastest data rates.
            Self::V2 => 242,
            // The server's own bound.
            Self::V3 => 255,
        }
    }

    /// The topic and the body of a downlink. `token` is what the network is to repeat in all that it tells of it, where it
    /// can: see [`Network::token`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the network cannot be asked for.
    pub fn downlink(self, app_id: &AppId, dev_id: &DevId, downlink: &Downlink, token: u64) -> Result<(String, String)> {
        match self {
            Self::V2 => Ok(v2::downlink(app_id, dev_id, downlink)),
            Self::V3 => v3::downlink(app_id, dev_id, downlink, token),
        }
    }

    /// Look at what a program publishes by itself. Gives the downlink where it is one in V2's form, which this network has
    /// to be told in its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the network would drop without a word, or empty a queue over.
    pub fn publication(self, app_id: &AppId, topic: &str, payload: &[u8]) -> Result<Option<(DevId, Downlink)>> {
        if self == Self::V2 {
            return Ok(None);
        }
        let of_v2 = v2::topic(topic).filter(|topic| matches!(topic, Topic::Downlink { .. }));
        let is_own = |topic: &Topic<'_>| [app_id.as_str(), self.plain(app_id)].contains(&topic.app_id());
        let Some(topic) = of_v2.filter(is_own) else {
            return v3::check_publication(app_id, topic, payload).map(|()| None);
        };
        let document = Document::parse(payload);
        let downlink =
            document.as_ref().ok().and_then(|document| v2::read_downlink(document.root())).ok_or_else(|| {
                let expected = "a downlink in V2's form, with \"payload_raw\" or \"payload_fields\"";
                Error::invalid("payload", String::from_utf8_lossy(payload), expected)
            })?;
        let port = downlink.port;
        self.port(port.into()).map_err(|expected| Error::invalid("port", port.to_string(), expected))?;
        Ok(Some((self.dev_id(topic.dev_id())?, downlink)))
    }

    /// The device and the step of its downlink that a message on this topic tells of.
    #[must_use]
    pub fn step(self, topic: &str) -> Option<(&str, Step)> {
        match self.topic(topic)? {
            Topic::Event { dev_id, name, .. } => Some((dev_id, Step::of(name)?)),
            _ => None,
        }
    }

    /// The filter of all that is told of downlinks.
    #[must_use]
    pub fn steps(self, app_id: &AppId) -> String {
        match self {
            Self::V2 => format!("{app_id}/devices/+/events/down/+"),
            Self::V3 => format!("v3/{app_id}/devices/+/down/+"),
        }
    }

    /// The tokens of downlinks that an event repeats.
    pub fn tokens(self, event: Value<'_>) -> impl Iterator<Item = u64> {
        self.repeated(event).filter_map(v3::token)
    }

    /// The correlation IDs of an event, where the network has such a thing.
    pub fn correlation_ids(self, event: Value<'_>) -> impl Iterator<Item = Cow<'_, str>> {
        self.repeated(event).filter_map(Value::as_str)
    }

    fn repeated(self, event: Value<'_>) -> impl Iterator<Item = Value<'_>> {
        let ids = if self == Self::V3 { event.get("correlation_ids") } else { None };
        ids.into_iter().flat_map(Value::elements)
    }

    /// The port of the downlink that an event tells of, where it says so.
    #[must_use]
    pub fn port_of_event(self, event: Value<'_>) -> Option<u8> {
        event.get("message")?.get("port")?.raw().parse().ok()
    }

    /// What an event says of a downlink that has failed.
    #[must_use]
    pub fn failure(self, event: Value<'_>) -> String {
        match self {
            Self::V2 => event.get("error").and_then(Value::as_str).unwrap_or_default().into_owned(),
            Self::V3 => v3::failure(event),
        }
    }

    /// What an event of that name tells.
    #[must_use]
    pub fn event_kind(self, name: &str) -> EventKind {
        match self {
            Self::V2 => v2::event_kind(name),
            Self::V3 => v3::event_kind(name),
        }
    }

    /// The name of an event as callbacks have it, from any spelling; `None` for one that is not known.
    #[must_use]
    pub fn event_name(self, name: &str) -> Option<&'static str> {
        match self {
            Self::V2 => v2::EVENT_NAMES.into_iter().find(|known| *known == name),
            Self::V3 => v3::event_name(name),
        }
    }

    /// Whether it is an event of another network that this one tells nobody.
    #[must_use]
    pub fn never_tells(self, name: &str) -> bool {
        self == Self::V3 && v3::UNTOLD.contains(&name)
    }

    /// The body of an event in V2's shape; `None` where it has that shape already.
    #[must_use]
    pub fn event(self, name: &str, message: Value<'_>) -> Option<String> {
        match self {
            Self::V2 => None,
            Self::V3 => Some(v3::event(name, message)),
        }
    }

    /// An uplink, or a part of it, in V2's shape; `None` where it has that shape already.
    #[must_use]
    pub fn in_v2_shape(self, part: Part, value: Value<'_>) -> Option<String> {
        match self {
            Self::V2 => None,
            Self::V3 => Some(v3::in_v2_shape(part, value)),
        }
    }

    /// A field of an uplink, or of a part of it, in V2's shape, without making all of it.
    #[must_use]
    pub fn direct<'a>(self, part: Part, value: Value<'a>, name: &str) -> Direct<'a> {
        match self {
            Self::V2 => value.get(name).map_or(Direct::Absent, Direct::There),
            Self::V3 => v3::direct(part, value, name),
        }
    }

    /// The value of a single payload field in an uplink, where the network does not publish it by itself.
    #[must_use]
    pub fn single_field<'a>(self, uplink: Value<'a>, field: &str) -> Option<Value<'a>> {
        match self {
            Self::V2 => None,
            Self::V3 => v3::single_field(uplink, field),
        }
    }

    /// The payload of an uplink as bytes; `None` for a frame without application payload.
    ///
    /// # Errors
    /// [`Unreadable`], naming the field.
    pub fn payload(self, uplink: Value<'_>) -> Result<Option<Vec<u8>>, Unreadable> {
        let payload = self.fields().payload(uplink)?;
        // The stack leaves out what is empty.
        let is_empty = self == Self::V3 && self.fields().port(uplink).is_some_and(|port| port > 0);
        Ok(payload.or_else(|| is_empty.then(Vec::new)))
    }

    /// The text of the time at which the network received an uplink: see [`timestamp`].
    #[must_use]
    pub fn received_at(self, uplink: Value<'_>) -> Option<Value<'_>> {
        let outer = || if self == Self::V3 { uplink.get("received_at") } else { None };
        self.fields().received_at(uplink).or_else(outer)
    }

    /// What tells a message from others of a network that keeps them; `None` for what it does not keep.
    #[must_use]
    pub fn told(self, message: Value<'_>) -> Option<Told<'_>> {
        match self {
            Self::V2 => None,
            Self::V3 => Told::read(message),
        }
    }

    /// Every event name that the network emits.
    #[must_use]
    pub fn event_names(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &v2::EVENT_NAMES,
            Self::V3 => &v3::EVENT_NAMES,
        }
    }

    /// Where in an uplink the values stand that the library reads itself.
    #[must_use]
    pub fn fields(self) -> &'static Fields {
        match self {
            Self::V2 => &v2::FIELDS,
            Self::V3 => &v3::FIELDS,
        }
    }
}
