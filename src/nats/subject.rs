//! MQTT topics of LoRaWAN networks as subjects of NATS, and back; the lanes of devices.
//!
//! What devices send is `things.<app>.<dev>.up` and `things.<app>.<dev>.events.<event>`, what they are sent
//! `things.<app>.<dev>.down.push` (or `replace`). The stream puts the device's lane in front: `l.<lane>.things.…`.

use std::fmt::Write as _;

use crate::dialect::lorawan::Network;

/// Lanes of a stream. Devices would change lanes with another number, and lose their order: it is never changed.
pub const LANES: u16 = 256;

/// What all subjects begin with.
const ROOT: &str = "things";

/// What a text is as one token of a subject: everything that has a meaning there is percent-encoded.
#[must_use]
pub fn token(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b".*>%".contains(&byte);
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            token.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _infallible = write!(token, "%{byte:02X}");
        }
    }
    token
}

/// The text that a token stands for; `None` if it stands for none.
#[must_use]
pub fn text(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// What the subjects of an application's uplinks and events match, without lanes.
#[must_use]
pub fn filters(app: &str) -> Vec<String> {
    let app = token(app);
    vec![format!("{ROOT}.{app}.*.up"), format!("{ROOT}.{app}.*.events.>")]
}

/// What the subjects of an application's downlinks match.
#[must_use]
pub fn downlinks(app: &str) -> String {
    format!("{ROOT}.{}.*.down.*", token(app))
}

/// What puts the lane in front of a subject: source and destination, as the server reads them.
#[must_use]
pub fn lanes() -> (String, String) {
    let destination = format!("l.{{{{partition({LANES},1,2)}}}}.{ROOT}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.>");
    (format!("{ROOT}.*.*.>"), destination)
}

/// What the subjects in one lane of a stream match.
#[must_use]
pub fn lane(lane: u16) -> String {
    format!("l.{lane}.>")
}

/// A subject as it was published, whether it has come out of a stream with lanes or not.
#[must_use]
pub fn without_lane(subject: &str) -> &str {
    let rest = subject.strip_prefix("l.").and_then(|rest| rest.split_once('.'));
    rest.map_or(subject, |(_, plain)| plain)
}

/// What the subjects of one device in a stream match, whatever its lane.
#[must_use]
pub fn device(app: &str, dev_id: &str) -> String {
    format!("l.*.{ROOT}.{}.{}.>", token(app), token(dev_id))
}

/// The subject of a message that the network has published; `None` for a topic that is not carried.
#[must_use]
pub fn of_topic(network: Network, topic: &str) -> Option<String> {
    let (app, dev_id, tail) = split_topic(network, topic)?;
    let kind = match (network, tail) {
        (Network::V2 | Network::V3, "up") => "up".to_owned(),
        (Network::V2, tail) => format!("events.{}", tokens(tail.strip_prefix("events/")?)?),
        // No bridge carries ChirpStack's messages.
        (Network::V3, "down/push" | "down/replace") | (Network::ChirpStack, _) => return None,
        (Network::V3, tail) => format!("events.{}", tokens(tail)?),
    };
    Some(format!("{ROOT}.{}.{}.{kind}", token(network.plain_text(app)), token(dev_id)))
}

/// The subject of a downlink that is to be published on this topic of the network; `None` where it is none.
#[must_use]
pub fn of_downlink(network: Network, topic: &str) -> Option<String> {
    let (app, dev_id, tail) = split_topic(network, topic)?;
    let kind = match (network, tail) {
        (Network::V2, "down") | (Network::V3, "down/push") => "push",
        (Network::V3, "down/replace") => "replace",
        _ => return None,
    };
    Some(format!("{ROOT}.{}.{}.down.{kind}", token(network.plain_text(app)), token(dev_id)))
}

/// A subject, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Its lane, where it has come out of a stream with lanes.
    pub lane: Option<u16>,
    app: &'a str,
    device: &'a str,
    kind: &'a str,
}

impl<'a> Subject<'a> {
    /// Read a subject, with or without a lane.
    #[must_use]
    pub fn parse(subject: &'a str) -> Option<Self> {
        let (lane, rest) = match subject.strip_prefix("l.") {
            Some(rest) => {
                let (lane, rest) = rest.split_once('.')?;
                (Some(lane.parse().ok()?), rest)
            }
            None => (None, subject),
        };
        let rest = rest.strip_prefix(ROOT)?.strip_prefix('.')?;
        let (app, rest) = rest.split_once('.')?;
        let (device, kind) = rest.split_once('.')?;
        Some(Self { lane, app, device, kind })
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> Option<String> {
        text(self.app)
    }

    /// The device.
    #[must_use]
    pub fn dev_id(&self) -> Option<String> {
        text(self.device)
    }

    /// What it is about: `up`, `events.…`, `down.push` or `down.replace`.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// The topic on which the network publishes it, or takes it; `app` is the application as the login has it.
    #[must_use]
    pub fn topic(&self, network: Network, app: &str) -> Option<String> {
        let tail = match (network, self.kind) {
            (Network::V2 | Network::V3, "up") => "up".to_owned(),
            (Network::V2, "down.push") => "down".to_owned(),
            (Network::V3, "down.push") => "down/push".to_owned(),
            (Network::V3, "down.replace") => "down/replace".to_owned(),
            (Network::V2, kind) => format!("events/{}", levels(kind.strip_prefix("events.")?)?),
            (Network::V3, kind) => levels(kind.strip_prefix("events.")?)?,
            (Network::ChirpStack, _) => return None,
        };
        let start = if network == Network::V3 { "v3/" } else { "" };
        Some(format!("{start}{app}/devices/{}/{tail}", text(self.device)?))
    }
}

fn split_topic(network: Network, topic: &str) -> Option<(&str, &str, &str)> {
    let topic = if network == Network::V3 { topic.strip_prefix("v3/")? } else { topic };
    let (app, rest) = topic.split_once('/')?;
    let (dev_id, tail) = rest.strip_prefix("devices/")?.split_once('/')?;
    (!app.is_empty() && !dev_id.is_empty()).then_some((app, dev_id, tail))
}

/// Levels of a topic as tokens of a subject; no level may be empty.
fn tokens(levels: &str) -> Option<String> {
    let tokens: Option<Vec<_>> = levels.split('/').map(|level| (!level.is_empty()).then(|| token(level))).collect();
    Some(tokens?.join("."))
}

fn levels(tokens: &str) -> Option<String> {
    let levels: Option<Vec<_>> = tokens.split('.').map(text).collect();
    Some(levels?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_become_subjects_and_come_back() {
        for (network, topic, subject) in [
            (Network::V2, "app/devices/dev-1/up", "things.app.dev-1.up"),
            (Network::V2, "app/devices/dev-1/events/down/sent", "things.app.dev-1.events.down.sent"),
            (Network::V2, "my.app/devices/dev_1/events/create", "things.my%2Eapp.dev_1.events.create"),
            (Network::V3, "v3/app@ttn/devices/dev-1/up", "things.app.dev-1.up"),
            (Network::V3, "v3/app@ttn/devices/dev-1/down/ack", "things.app.dev-1.events.down.ack"),
            (Network::V3, "v3/app@ttn/devices/dev-1/join", "things.app.dev-1.events.join"),
        ] {
            assert_eq!(of_topic(network, topic).as_deref(), Some(subject), "{topic}");
            let stored = format!("l.17.{subject}");
            for (text, lane) in [(subject, None), (&stored, Some(17))] {
                let read = Subject::parse(text).unwrap();
                let login = if network == Network::V3 { "app@ttn" } else { topic.split('/').next().unwrap() };
                assert_eq!(read.topic(network, login).as_deref(), Some(topic));
                assert_eq!(read.lane, lane);
            }
        }
    }

    #[test]
    fn downlinks_become_subjects_and_come_back() {
        for (network, topic, subject) in [
            (Network::V2, "app/devices/dev-1/down", "things.app.dev-1.down.push"),
            (Network::V3, "v3/app@ttn/devices/dev-1/down/push", "things.app.dev-1.down.push"),
            (Network::V3, "v3/app@ttn/devices/dev-1/down/replace", "things.app.dev-1.down.replace"),
        ] {
            assert_eq!(of_downlink(network, topic).as_deref(), Some(subject));
            let login = if network == Network::V3 { "app@ttn" } else { "app" };
            assert_eq!(Subject::parse(subject).unwrap().topic(network, login).as_deref(), Some(topic));
            assert_eq!(of_topic(network, topic), None, "it is not carried up");
        }
        assert_eq!(of_downlink(Network::V2, "app/devices/dev-1/up"), None);
    }

    #[test]
    fn what_has_a_meaning_in_subjects_is_encoded() {
        for (given, expected) in
            [("a b", "a%20b"), ("a.b>*%", "a%2Eb%3E%2A%25"), ("é", "%C3%A9"), ("dev_1-x", "dev_1-x")]
        {
            assert_eq!(token(given), expected);
            assert_eq!(text(expected).as_deref(), Some(given));
        }
        for bad in ["%", "%4", "%zz", "%FF"] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_message_of_a_device_is_not_carried() {
        for topic in ["app/events/x", "app/devices/dev-1", "app/devices/dev-1/up/field", "/devices/d/up", "x"] {
            assert_eq!(of_topic(Network::V2, topic), None, "{topic}");
        }
        for subject in ["things.app", "things.app.dev", "l.x.things.a.b.up", "l.1.other.a.b.up", "thingsy.a.b.up"] {
            assert_eq!(Subject::parse(subject), None, "{subject}");
        }
    }

    #[test]
    fn filters_name_one_application() {
        assert_eq!(filters("app"), ["things.app.*.up", "things.app.*.events.>"]);
        assert_eq!(downlinks("app"), "things.app.*.down.*");
        assert_eq!(device("app", "dev-1"), "l.*.things.app.dev-1.>");
        assert_eq!(lane(255), "l.255.>");
        assert_eq!(without_lane("l.255.things.app.dev-1.up"), "things.app.dev-1.up");
        assert_eq!(without_lane("things.app.dev-1.up"), "things.app.dev-1.up");
        let (source, destination) = lanes();
        assert_eq!(source, "things.*.*.>");
        assert_eq!(destination, "l.{{partition(256,1,2)}}.things.{{wildcard(1)}}.{{wildcard(2)}}.>");
    }
}
