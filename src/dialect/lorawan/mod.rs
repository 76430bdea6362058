//! LoRaWAN networks over MQTT: one form inside ([`Topic`], [`Filter`], [`Downlink`], …), one file for each network's wire.

mod about;
pub mod base64;
mod chirpstack;
mod fields;
#[cfg(test)]
mod fuzz;
pub mod hosted;
mod model;
mod network;
mod object;
pub mod region;
mod shape;
mod told;
mod v2;
mod v3;

use std::borrow::Cow;

pub use self::about::About;
pub use self::chirpstack::{
    Command, Form, Topics, dev_eui, event_topic, item_token, may_be_told, queue_item_id, read as read_chirpstack, uuid,
};
pub use self::fields::{Fields, Unreadable, timestamp};
pub use self::model::{Antenna, ClassBC, Downlink, EventKind, Filter, Options, Payload, Schedule, Step, Topic};
pub use self::network::Network;
pub use self::shape::{Direct, Part, anew};
pub use self::told::Told;
pub use self::v3::{
    MAX_ATTEMPTS, UPLINK, check_correlation_id, correlation_id, priority, published_to, take_uplinks_alone,
};
use crate::dialect::json::{Document, ScanError, Value};
use crate::error::{Error, Result};
use crate::ids::{AppId, DevId};

impl Network {
    /// The MQTT topic filters that together take what is listened to.
    #[must_use]
    pub fn filters(self, app_id: &AppId, filter: &Filter) -> Vec<String> {
        match (self, filter) {
            (_, Filter::Any(filter)) => vec![filter.clone()],
            (Self::V2, filter) => vec![v2::filter(app_id, filter)],
            (Self::V3, filter) => v3::filters(app_id, filter),
            (Self::ChirpStack, filter) => chirpstack::filters(app_id, filter),
        }
    }

    /// Read the topic of a message; `None` if it is none of the network's.
    #[must_use]
    pub fn topic(self, topic: &str) -> Option<Topic<'_>> {
        match self {
            Self::V2 => v2::topic(topic),
            Self::V3 => v3::topic(topic),
            Self::ChirpStack => chirpstack::topic(topic),
        }
    }

    /// What a message on this topic is about, as programs are told: of `ChirpStack` much of it stands in the body.
    #[must_use]
    pub fn about<'a>(self, topic: Topic<'a>, body: Option<Value<'a>>) -> About<'a> {
        About::new(self, topic, body)
    }

    /// Read the body of a message on this topic. Gives as well whether it came in another form than JSON.
    ///
    /// # Errors
    /// [`ScanError`] for what cannot be read.
    pub fn read(self, topic: &str, payload: &[u8]) -> (Result<Document, ScanError>, bool) {
        match self {
            Self::V2 | Self::V3 => (Document::parse(payload), false),
            Self::ChirpStack => read_chirpstack(topic, payload),
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
            // It cuts others to 8 bits.
            Self::ChirpStack => (255, "a LoRaWAN FPort, 1 to 255"),
        };
        let is_for_tests = |port: u8| port == 224 && self != Self::ChirpStack;
        u8::try_from(number).ok().filter(|port| (1..=last).contains(port) && !is_for_tests(*port)).ok_or(expected)
    }

    /// Longest payload of a downlink, in bytes; what a device may get at its data rate is less.
    #[must_use]
    pub fn max_payload_bytes(self) -> usize {
        match self {
            // At the fastest data rates.
            Self::V2 | Self::ChirpStack => 242,
            // The server's own bound.
            Self::V3 => 255,
        }
    }

    /// The topic and the body of a downlink, of networks whose devices have topics of their names. `token` is what the network is to repeat in all that it tells of it, where it
    /// can: see [`Network::token`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the network cannot be asked for.
    pub fn downlink(self, app_id: &AppId, dev_id: &DevId, downlink: &Downlink, token: u64) -> Result<(String, String)> {
        match self {
            Self::V2 => Ok(v2::downlink(app_id, dev_id, downlink)),
            Self::V3 => v3::downlink(app_id, dev_id, downlink, token),
            Self::ChirpStack => Err(Error::invalid("dev_id", dev_id.as_str(), "a device whose DevEUI is known")),
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
            return match self {
                Self::ChirpStack => chirpstack::check_publication(app_id, topic, payload).map(|()| None),
                _ => v3::check_publication(app_id, topic, payload).map(|()| None),
            };
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

    /// Whether a message on this topic may tell of downlinks.
    #[must_use]
    pub fn may_tell_of_downlinks(self, topic: &str) -> bool {
        match self {
            Self::V2 | Self::V3 => topic.contains("/down/"),
            Self::ChirpStack => chirpstack::may_tell_of_downlinks(topic),
        }
    }

    /// The device and the step of its downlink that a message on this topic tells of.
    #[must_use]
    pub fn step<'a>(self, topic: &'a str, event: Value<'_>) -> Option<(&'a str, Step)> {
        let Topic::Event { dev_id, name, .. } = self.topic(topic)? else { return None };
        match self {
            Self::V2 | Self::V3 => Some((dev_id, Step::of(name)?)),
            Self::ChirpStack => Some((dev_id, chirpstack::step(name, event)?)),
        }
    }

    /// The filters of all that is told of downlinks.
    #[must_use]
    pub fn steps(self, app_id: &AppId) -> Vec<String> {
        match self {
            Self::V2 => vec![format!("{app_id}/devices/+/events/down/+")],
            Self::V3 => vec![format!("v3/{app_id}/devices/+/down/+")],
            Self::ChirpStack => chirpstack::steps(app_id),
        }
    }

    /// The tokens of downlinks that an event repeats.
    pub fn tokens(self, event: Value<'_>) -> impl Iterator<Item = u64> {
        let own = (self == Self::ChirpStack).then(|| chirpstack::token(event)).flatten();
        self.repeated(event).filter_map(v3::token).chain(own)
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
            Self::ChirpStack => chirpstack::failure(event),
        }
    }

    /// What an event of that name tells.
    #[must_use]
    pub fn event_kind(self, name: &str) -> EventKind {
        match self {
            Self::V2 => v2::event_kind(name),
            Self::V3 => v3::event_kind(name),
            Self::ChirpStack => chirpstack::event_kind(name),
        }
    }

    /// The name of an event as callbacks have it, from any spelling; `None` for one that is not known.
    #[must_use]
    pub fn event_name(self, name: &str) -> Option<&'static str> {
        match self {
            Self::V2 => v2::EVENT_NAMES.into_iter().find(|known| *known == name),
            Self::V3 => v3::event_name(name),
            Self::ChirpStack => chirpstack::event_name(name),
        }
    }

    /// Whether it is an event of another network that this one tells nobody.
    #[must_use]
    pub fn never_tells(self, name: &str) -> bool {
        match self {
            Self::V2 => false,
            Self::V3 => v3::UNTOLD.contains(&name),
            Self::ChirpStack => chirpstack::UNTOLD.contains(&name),
        }
    }

    /// The body of an event in V2's shape; `None` where it has that shape already.
    #[must_use]
    pub fn event(self, name: &str, message: Value<'_>) -> Option<String> {
        match self {
            Self::V2 => None,
            Self::V3 => Some(v3::event(name, message)),
            Self::ChirpStack => Some(chirpstack::event(name, message)),
        }
    }

    /// An uplink, or a part of it, in V2's shape; `None` where it has that shape already.
    #[must_use]
    pub fn in_v2_shape(self, part: Part, value: Value<'_>) -> Option<String> {
        match self {
            Self::V2 => None,
            Self::V3 => Some(shape::in_v2_shape(v3::direct, part, value)),
            Self::ChirpStack => Some(shape::in_v2_shape(chirpstack::direct, part, value)),
        }
    }

    /// A field of an uplink, or of a part of it, in V2's shape, without making all of it.
    #[must_use]
    pub fn direct<'a>(self, part: Part, value: Value<'a>, name: &str) -> Direct<'a> {
        match self {
            Self::V2 => value.get(name).map_or(Direct::Absent, Direct::There),
            Self::V3 => v3::direct(part, value, name),
            Self::ChirpStack => chirpstack::direct(part, value, name),
        }
    }

    /// The value of a single payload field in an uplink, where the network does not publish it by itself.
    #[must_use]
    pub fn single_field<'a>(self, uplink: Value<'a>, field: &str) -> Option<Value<'a>> {
        match self {
            Self::V2 => None,
            Self::V3 => v3::single_field(uplink, field),
            Self::ChirpStack => chirpstack::single_field(uplink, field),
        }
    }

    /// A payload field as V2 would have written it; `None` where it is the same.
    #[must_use]
    pub fn field_in_v2_shape(self, value: Value<'_>) -> Option<String> {
        (self == Self::ChirpStack).then(|| anew(value))
    }

    /// The payload of an uplink as bytes; `None` for a frame without application payload.
    ///
    /// # Errors
    /// [`Unreadable`], naming the field.
    pub fn payload(self, uplink: Value<'_>) -> Result<Option<Vec<u8>>, Unreadable> {
        let payload = self.fields().payload(uplink)?;
        let has_port = || self.fields().port(uplink).is_some_and(|port| port > 0);
        Ok(match self {
            Self::V2 => payload,
            // The stack leaves out what is empty.
            Self::V3 => payload.or_else(|| has_port().then(Vec::new)),
            // ChirpStack writes an empty one of a frame that has none, too.
            Self::ChirpStack => {
                payload.filter(|bytes| !bytes.is_empty() || has_port()).or_else(|| has_port().then(Vec::new))
            }
        })
    }

    /// The text of the time at which the network received an uplink: see [`timestamp`].
    #[must_use]
    pub fn received_at(self, uplink: Value<'_>) -> Option<Value<'_>> {
        let outer = || if self == Self::V3 { uplink.get("received_at") } else { None };
        self.fields().received_at(uplink).or_else(outer)
    }

    /// What tells a message from others of a network that keeps them; `None` for what it does not keep.
    #[must_use]
    pub fn told<'a>(self, topic: &'a str, message: Value<'a>) -> Option<Told<'a>> {
        match self {
            Self::V2 => None,
            Self::V3 => v3::told(message),
            Self::ChirpStack => chirpstack::told(topic, message),
        }
    }

    /// Every event name that the network emits.
    #[must_use]
    pub fn event_names(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &v2::EVENT_NAMES,
            Self::V3 => &v3::EVENT_NAMES,
            Self::ChirpStack => &chirpstack::EVENT_NAMES,
        }
    }

    /// Where in an uplink the values stand that the library reads itself.
    #[must_use]
    pub fn fields(self) -> &'static Fields {
        match self {
            Self::V2 => &v2::FIELDS,
            Self::V3 => &v3::FIELDS,
            Self::ChirpStack => &chirpstack::FIELDS,
        }
    }
}
