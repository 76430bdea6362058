//! `ChirpStack` v4 (CS 3 of the wire contract): topics `application/<UUID>/device/<DevEUI>/…`, its JSON, or the same in
//! protobuf, in V2's shape.

mod airtime;
mod command;
mod event;
mod id;
mod protobuf;
mod schema;
mod told;
mod topics;
mod uplink;

use std::borrow::Cow;

use super::fields::Fields;
use super::model::{EventKind, Filter, Step, Topic};
use crate::dialect::json::{Document, ScanError, Value};
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId, is_access_key};

pub(super) use self::command::check_publication;
pub use self::command::{Command, Form, item_token, queue_item_id};
pub(super) use self::event::{event, failure};
pub use self::id::{dev_eui, uuid};
pub(super) use self::told::told;
pub use self::told::{event_topic, may_be_told};
pub use self::topics::Topics;
pub(super) use self::uplink::{direct, name, single_field};

/// Of an uplink (CS 3.4).
pub(super) const FIELDS: Fields = Fields { payload: &["data"], port: &["fPort"], received_at: &["time"] };

/// Names of events as callbacks have them: V2's where V2 has the event (CS 5.3).
pub(super) const EVENT_NAMES: [&str; 12] = [
    "activations",
    "activations/errors",
    "down/sent",
    "down/acks",
    "down/nack",
    "down/errors",
    "up/errors",
    "ack",
    "log",
    "status",
    "location",
    "integration",
];

/// Events of V2 that `ChirpStack` tells nobody over MQTT.
pub(super) const UNTOLD: [&str; 4] = ["create", "update", "delete", "down/scheduled"];

/// What stands at the ends of topics (CS 3.2), beside uplinks.
const ENDS: [&str; 7] = ["join", "ack", "txack", "log", "status", "location", "integration"];

/// Those that tell of downlinks.
const STEPS: [&str; 3] = ["txack", "ack", "log"];

/// The name of an event as callbacks have it, from either spelling.
pub(super) fn event_name(name: &str) -> Option<&'static str> {
    match name {
        "join" => Some("activations"),
        "txack" => Some("down/sent"),
        name => EVENT_NAMES.into_iter().find(|known| *known == name),
    }
}

/// The end of the topic that an event of this name comes on.
fn end(name: &str) -> &str {
    match name {
        "activations" => "join",
        "down/sent" => "txack",
        "down/acks" | "down/nack" => "ack",
        "down/errors" | "up/errors" | "activations/errors" => "log",
        name => name,
    }
}

/// The name of an event, which for some stands in the body alone.
pub(super) fn refined<'a>(name: &'a str, body: Value<'_>) -> &'a str {
    match name {
        "ack" if event::is_acknowledged(body) => "down/acks",
        "ack" => "down/nack",
        "log" => event::of_log(body),
        name => name,
    }
}

pub(super) fn event_kind(name: &str) -> EventKind {
    match name {
        "activations" | "activations/errors" => EventKind::Activation,
        "up/errors" => EventKind::UplinkError,
        name if name.starts_with("down/") => EventKind::Downlink,
        _ => EventKind::Other,
    }
}

/// Whether a topic may tell of downlinks.
pub(super) fn may_tell_of_downlinks(topic: &str) -> bool {
    topic.rsplit_once('/').is_some_and(|(_, end)| STEPS.contains(&end))
}

/// The step of a downlink that an event tells of (CS 3.6).
pub(super) fn step(name: &str, body: Value<'_>) -> Option<Step> {
    let name = refined(name, body);
    match name {
        // A gateway that refuses is asked again with the next uplink.
        "down/errors" if !event::is_final(body) => None,
        name => Step::of(name),
    }
}

/// The queue item that an event tells of, as a token.
pub(super) fn token(body: Value<'_>) -> Option<u64> {
    let of_log = || body.get("context").and_then(|context| context.get("queue_item_id"));
    item_token(&body.get("queueItemId").or_else(of_log)?.as_str()?)
}

/// Check an application: a UUID, or a name.
pub(super) fn app_id(app_id: AppId) -> Result<AppId> {
    match uuid(app_id.as_str()) {
        Some(uuid) => AppId::new(uuid),
        None => Ok(app_id),
    }
}

const DEV_ID: &str = "a device of ChirpStack: its tag dev_id, its name, or its DevEUI; 1 to 100 characters, none of them a \
                      control character";

/// Check a device: its tag `dev_id`, its name, or its `DevEUI`.
pub(super) fn dev_id(id: String) -> Result<DevId> {
    if is_access_key(&id) {
        return DevId::new(id);
    }
    DevId::of_any_form(dev_eui(&id).unwrap_or(id), DEV_ID)
}

/// A refused login in words of what may be behind it (CS 2.2): the broker is the operator's own.
pub(super) fn refused(code: u8) -> Error {
    let text = match code {
        1 => "the broker refuses the version of MQTT (code 1)".to_owned(),
        3 => "the broker is not available (code 3)".to_owned(),
        code => format!(
            "the broker refuses the login (code {code}): it is the operator's own and knows users, passwords and certificates \
             of its own, mqtt_username and mqtt_password, or client_cert and client_key; ChirpStack's API keys mean nothing \
             to it"
        ),
    };
    Error::Refused { code, text: text.into() }
}

/// Why a server may refuse a client with this key.
pub(super) fn hint(_access_key: &AccessKey) -> &'static str {
    ": the broker's access control list does not let this user subscribe"
}

/// Read a topic (CS 3.2).
pub(super) fn topic(topic: &str) -> Option<Topic<'_>> {
    let (app_id, rest) = topic.strip_prefix("application/")?.split_once('/')?;
    let (dev_id, rest) = rest.strip_prefix("device/")?.split_once('/')?;
    Some(match rest.split_once('/')? {
        ("event", "up") => Topic::Uplink { app_id, dev_id },
        ("event", name) => Topic::Event { app_id, dev_id, name: event_name(name).unwrap_or(name) },
        ("command", "down") => Topic::Downlink { app_id, dev_id },
        _ => return None,
    })
}

/// The application in topics: all of them where it is known by its name alone.
fn in_topics(app_id: &AppId) -> &str {
    if uuid(app_id.as_str()).is_some() { app_id.as_str() } else { "+" }
}

/// The MQTT topic filters. Single fields are taken out of the uplinks, and devices that are not known by their `DevEUI` out of
/// all of them.
pub(super) fn filters(app_id: &AppId, filter: &Filter) -> Vec<String> {
    let (dev_id, ends): (_, Vec<&str>) = match filter {
        Filter::Uplink(dev_id) | Filter::Field(dev_id, _) => (dev_id, vec!["up"]),
        Filter::Event(_, Some(name)) if UNTOLD.contains(&name.as_str()) => return Vec::new(),
        Filter::Event(dev_id, Some(name)) => (dev_id, vec![end(name)]),
        Filter::Event(dev_id, None) => (dev_id, ENDS.to_vec()),
        Filter::Any(filter) => return vec![filter.clone()],
    };
    let dev_id = dev_id.as_ref().map(DevId::as_str).filter(|id| dev_eui(id).is_some()).unwrap_or("+");
    ends.into_iter().map(|end| format!("application/{}/device/{dev_id}/event/{end}", in_topics(app_id))).collect()
}

/// The filters of all that is told of downlinks.
pub(super) fn steps(app_id: &AppId) -> Vec<String> {
    STEPS.iter().map(|end| format!("application/{}/device/+/event/{end}", in_topics(app_id))).collect()
}

/// The application's name, of a message.
pub(super) fn app_id_in(body: Value<'_>) -> Option<Cow<'_, str>> {
    body.get("deviceInfo").and_then(uplink::application)?.as_str()
}

/// The device by its tag, its name or its `DevEUI`, of a message.
pub(super) fn dev_id_in(body: Value<'_>) -> Option<Cow<'_, str>> {
    body.get("deviceInfo").and_then(name)?.as_str()
}

/// Read the body of a message: JSON, or protobuf, which is told by its first byte and becomes the JSON that the server would
/// have written (CS 3.3). Gives as well whether it was protobuf.
///
/// # Errors
/// [`ScanError`] for what is neither.
pub fn read(topic: &str, payload: &[u8]) -> (std::result::Result<Document, ScanError>, bool) {
    let kind = || match self::topic(topic)? {
        Topic::Uplink { .. } => Some("up"),
        Topic::Event { name, .. } => Some(end(name)),
        _ => None,
    };
    let may_be = payload.first() == Some(&protobuf::FIRST);
    match may_be.then(kind).flatten().and_then(schema::of) {
        Some(message) => {
            (protobuf::transcribe(payload, message).and_then(|text| Document::parse(text.as_bytes())), true)
        }
        None => (Document::parse(payload), false),
    }
}

#[cfg(test)]
mod tests;
