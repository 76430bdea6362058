//! Topics (V2 1.3): `<app>/devices/<dev>/…`.

use crate::ids::{AppId, DevId};

/// What a message is about, read off its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'a> {
    /// `…/up`.
    Uplink {
        /// Sending device.
        dev_id: &'a str,
    },
    /// `…/up/<field>[/<sub>…]`.
    Field {
        /// Sending device.
        dev_id: &'a str,
        /// Path of the field, its levels joined by `/`.
        field: &'a str,
    },
    /// `…/events/<name>`.
    Event {
        /// Device concerned.
        dev_id: &'a str,
        /// Everything behind `events/`, such as `down/sent`.
        name: &'a str,
    },
    /// `…/down`.
    Downlink {
        /// Receiving device.
        dev_id: &'a str,
    },
}

impl<'a> Topic<'a> {
    /// Read a topic; `None` if it is none of the network's.
    #[must_use]
    pub fn parse(topic: &'a str) -> Option<Self> {
        let (_app, rest) = topic.split_once('/')?;
        let (dev_id, rest) = rest.strip_prefix("devices/")?.split_once('/')?;
        if rest == "up" {
            return Some(Self::Uplink { dev_id });
        }
        if rest == "down" {
            return Some(Self::Downlink { dev_id });
        }
        if let Some(field) = rest.strip_prefix("up/") {
            return Some(Self::Field { dev_id, field });
        }
        rest.strip_prefix("events/").map(|name| Self::Event { dev_id, name })
    }

    /// The device.
    #[must_use]
    pub fn dev_id(self) -> &'a str {
        match self {
            Self::Uplink { dev_id }
            | Self::Field { dev_id, .. }
            | Self::Event { dev_id, .. }
            | Self::Downlink { dev_id } => dev_id,
        }
    }
}

/// What an application can listen to; `None` for the device means all devices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// Uplinks.
    Uplink(Option<DevId>),
    /// One payload field of the uplinks, its levels joined by `/`.
    Field(Option<DevId>, String),
    /// One kind of event, or all of them.
    Event(Option<DevId>, Option<String>),
    /// Whatever this MQTT topic filter takes.
    Any(String),
}

impl Filter {
    /// The MQTT topic filter.
    #[must_use]
    pub fn to_topic(&self, app_id: &AppId) -> String {
        let (dev_id, rest) = match self {
            Self::Uplink(dev_id) => (dev_id, "up".to_owned()),
            Self::Field(dev_id, field) => (dev_id, format!("up/{field}")),
            Self::Event(dev_id, Some(name)) => (dev_id, format!("events/{name}")),
            Self::Event(dev_id, None) => (dev_id, "events/#".to_owned()),
            Self::Any(filter) => return filter.clone(),
        };
        format!("{app_id}/devices/{}/{rest}", dev_id.as_ref().map_or("+", DevId::as_str))
    }
}

/// The topic that takes a device's downlinks.
#[must_use]
pub fn downlink_topic(app_id: &AppId, dev_id: &DevId) -> String {
    format!("{app_id}/devices/{dev_id}/down")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_the_contract_are_read() {
        for (topic, expected) in [
            ("a/devices/d/up", Some(Topic::Uplink { dev_id: "d" })),
            ("a/devices/d/up/tank/level", Some(Topic::Field { dev_id: "d", field: "tank/level" })),
            ("a/devices/d/events/down/sent", Some(Topic::Event { dev_id: "d", name: "down/sent" })),
            ("a/devices/d/down", Some(Topic::Downlink { dev_id: "d" })),
            ("a/events/x", None),
            ("a/devices/d", None),
            ("a/devices/d/other", None),
            ("", None),
        ] {
            assert_eq!(Topic::parse(topic), expected, "{topic}");
        }
    }

    #[test]
    fn filters_are_written_as_the_contract_has_them() {
        let app = AppId::new("demo-app").unwrap();
        let dev = || Some(DevId::new("node-1").unwrap());
        for (filter, expected) in [
            (Filter::Uplink(None), "demo-app/devices/+/up"),
            (Filter::Uplink(dev()), "demo-app/devices/node-1/up"),
            (Filter::Field(None, "tank/level".into()), "demo-app/devices/+/up/tank/level"),
            (Filter::Event(dev(), None), "demo-app/devices/node-1/events/#"),
            (Filter::Event(None, Some("down/acks".into())), "demo-app/devices/+/events/down/acks"),
            (Filter::Any("+/devices/#".into()), "+/devices/#"),
        ] {
            assert_eq!(filter.to_topic(&app), expected);
        }
    }
}
