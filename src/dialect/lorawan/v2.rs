//! The Things Network V2 (V2 1 of the wire contract): topics `<app>/devices/<dev>/…`, the original's JSON and its words.

use super::fields::Fields;
use super::model::{Downlink, EventKind, Filter, Payload, Schedule, Topic};
use crate::dialect::json::{Kind, Value};
use crate::error::Error;
use crate::ids::{AccessKey, AppId, DevId};

/// Of an uplink (V2 1.4).
pub(super) const FIELDS: Fields =
    Fields { payload: &["payload_raw"], port: &["port"], received_at: &["metadata", "time"] };

/// Device events (V2 1.7–1.10).
pub(super) const EVENT_NAMES: [&str; 10] = [
    "activations",
    "activations/errors",
    "create",
    "update",
    "delete",
    "down/scheduled",
    "down/sent",
    "down/acks",
    "down/errors",
    "up/errors",
];

pub(super) fn event_kind(name: &str) -> EventKind {
    match name {
        "activations" | "activations/errors" => EventKind::Activation,
        "down/scheduled" | "down/sent" | "down/acks" | "down/errors" => EventKind::Downlink,
        "create" | "update" | "delete" => EventKind::Registration,
        "up/errors" => EventKind::UplinkError,
        _ => EventKind::Other,
    }
}

pub(super) fn login(app_id: &AppId, access_key: &AccessKey) -> (String, AccessKey) {
    (app_id.as_str().to_owned(), access_key.clone())
}

/// The texts of the `ttn` package for the CONNACK codes, which users search for (V2 3.3).
pub(super) fn refused(code: u8) -> Error {
    let text = match code {
        1 => "connection refused- incorrect protocol version",
        2 => "connection refused -invalid client identifier",
        3 => "connection refused -server unavailable",
        4 => "connection refused -bad app_id or access_key",
        // To a wrong key the network's servers answer 4.
        5 => {
            "connection refused -not authorised 6-255: currently unused: is this a server of The Things Stack V3, whose API \
             keys begin with NNSXS., of ThingsBoard, or a broker with users of its own?"
        }
        _ => "connection refused -not authorised 6-255: currently unused",
    };
    Error::Refused { code, text: text.into() }
}

/// Read a topic (V2 1.3).
pub(super) fn topic(topic: &str) -> Option<Topic<'_>> {
    let (app_id, rest) = topic.split_once('/')?;
    let (dev_id, rest) = rest.strip_prefix("devices/")?.split_once('/')?;
    match rest {
        "up" => return Some(Topic::Uplink { app_id, dev_id }),
        "down" => return Some(Topic::Downlink { app_id, dev_id }),
        _ => {}
    }
    if let Some(field) = rest.strip_prefix("up/") {
        return Some(Topic::Field { app_id, dev_id, field });
    }
    rest.strip_prefix("events/").map(|name| Topic::Event { app_id, dev_id, name })
}

/// The MQTT topic filter (V2 1.3).
pub(super) fn filter(app_id: &AppId, filter: &Filter) -> String {
    let (dev_id, rest) = match filter {
        Filter::Uplink(dev_id) => (dev_id, "up".to_owned()),
        Filter::Field(dev_id, field) => (dev_id, format!("up/{field}")),
        Filter::Event(dev_id, Some(name)) => (dev_id, format!("events/{name}")),
        Filter::Event(dev_id, None) => (dev_id, "events/#".to_owned()),
        Filter::Any(filter) => return filter.clone(),
    };
    format!("{app_id}/devices/{}/{rest}", dev_id.as_ref().map_or("+", DevId::as_str))
}

/// Topic and body of a downlink (V2 1.6), byte for byte as the `ttn` package wrote them.
pub(super) fn downlink(app_id: &AppId, dev_id: &DevId, downlink: &Downlink) -> (String, String) {
    // Pieces put together, since formatting them is a quarter of the work of sending.
    let (key, quote, value) = match &downlink.payload {
        // Base64 needs no escaping.
        Payload::Raw(text) | Payload::Either(text) => ("payload_raw", "\"", text),
        Payload::Fields(json) => ("payload_fields", "", json),
    };
    let schedule = match downlink.schedule {
        Schedule::Replace => "replace",
        Schedule::First => "first",
        Schedule::Last => "last",
    };
    let (port, confirmed) = (downlink.port.to_string(), if downlink.confirmed { "true" } else { "false" });
    let body = [
        "{\"port\": ",
        &port,
        ", \"confirmed\": ",
        confirmed,
        ", \"schedule\": \"",
        schedule,
        "\", \"",
        key,
        "\": ",
        quote,
        value,
        quote,
        "}",
    ];
    ([app_id.as_str(), "/devices/", dev_id.as_str(), "/down"].concat(), body.concat())
}

/// A downlink as programs write it that publish by themselves: read back from its body.
pub(super) fn read_downlink(body: Value<'_>) -> Option<Downlink> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let payload = match (text("payload_raw"), body.get("payload_fields")) {
        (Some(raw), _) => Payload::Raw(raw.into_owned()),
        (None, Some(fields)) if fields.kind() == Kind::Object => Payload::Fields(fields.raw().to_owned()),
        _ => return None,
    };
    let schedule = match text("schedule") {
        Some(schedule) if !schedule.is_empty() => schedule.parse().ok()?,
        _ => Schedule::Replace,
    };
    let port = body.get("port").map_or(Some(1), Value::as_i64)?;
    let confirmed = body.get("confirmed").is_some_and(|confirmed| confirmed.kind() == Kind::True);
    Some(Downlink { port: u8::try_from(port).ok()?, confirmed, schedule, payload, options: None })
}

#[cfg(test)]
mod tests {
    use super::super::Network;
    use super::*;

    fn app() -> AppId {
        AppId::new("demo-app").unwrap()
    }

    fn dev() -> DevId {
        DevId::new("node-1").unwrap()
    }

    #[test]
    fn topics_of_the_contract_are_read() {
        let (app_id, dev_id) = ("a", "d");
        for (topic, expected) in [
            ("a/devices/d/up", Some(Topic::Uplink { app_id, dev_id })),
            ("a/devices/d/up/tank/level", Some(Topic::Field { app_id, dev_id, field: "tank/level" })),
            ("a/devices/d/events/down/sent", Some(Topic::Event { app_id, dev_id, name: "down/sent" })),
            ("a/devices/d/down", Some(Topic::Downlink { app_id, dev_id })),
            ("a/events/x", None),
            ("a/devices/d", None),
            ("a/devices/d/other", None),
            ("", None),
        ] {
            let read = Network::V2.topic(topic);
            assert_eq!(read, expected, "{topic}");
            assert!(read.is_none_or(|topic| (topic.app_id(), topic.dev_id()) == (app_id, dev_id)));
        }
    }

    #[test]
    fn filters_are_written_as_the_contract_has_them() {
        for (filter, expected) in [
            (Filter::Uplink(None), "demo-app/devices/+/up"),
            (Filter::Uplink(Some(dev())), "demo-app/devices/node-1/up"),
            (Filter::Field(None, "tank/level".into()), "demo-app/devices/+/up/tank/level"),
            (Filter::Event(Some(dev()), None), "demo-app/devices/node-1/events/#"),
            (Filter::Event(None, Some("down/acks".into())), "demo-app/devices/+/events/down/acks"),
            (Filter::Any("+/devices/#".into()), "+/devices/#"),
        ] {
            assert_eq!(Network::V2.filters(&app(), &filter), [expected]);
        }
    }

    #[test]
    fn the_observed_bytes_of_a_downlink_are_written() {
        let raw = Downlink {
            port: 1,
            confirmed: false,
            schedule: Schedule::Replace,
            payload: Payload::Raw("AQ==".into()),
            options: None,
        };
        let (topic, body) = Network::V2.downlink(&app(), &dev(), &raw, 0).unwrap();
        assert_eq!(topic, "demo-app/devices/node-1/down");
        assert_eq!(body, r#"{"port": 1, "confirmed": false, "schedule": "replace", "payload_raw": "AQ=="}"#);
        let payload = Payload::Fields(r#"{"on": true}"#.into());
        for (schedule, word) in [(Schedule::First, "first"), (Schedule::Last, "last")] {
            let fields = Downlink { port: 223, confirmed: true, schedule, payload: payload.clone(), options: None };
            let (_, body) = Network::V2.downlink(&app(), &dev(), &fields, 0).unwrap();
            let start = r#"{"port": 223, "confirmed": true, "schedule": ""#;
            assert_eq!(body, format!(r#"{start}{word}", "payload_fields": {{"on": true}}}}"#));
            assert_eq!(word.parse::<Schedule>().unwrap(), schedule);
        }
    }

    #[test]
    fn an_application_logs_in_with_its_id_and_key() {
        let (username, password) = Network::V2.login(&app(), &AccessKey::new("ttn-account-v2.key")).unwrap();
        assert_eq!((username.as_str(), password.reveal()), ("demo-app", "ttn-account-v2.key"));
    }

    #[test]
    fn every_event_name_has_a_kind() {
        let network = Network::V2;
        assert!(network.event_names().iter().all(|name| network.event_kind(name) != EventKind::Other));
        assert_eq!(network.event_kind("downlink/scheduled"), EventKind::Other);
    }

    #[test]
    fn a_refused_login_reads_as_in_the_original() {
        let text = |code| Network::V2.refused(code, &app(), "h").to_string();
        assert_eq!(text(1), "connection refused- incorrect protocol version");
        assert_eq!(text(4), "connection refused -bad app_id or access_key");
        assert!(
            text(5).starts_with("connection refused -not authorised 6-255: currently unused: is this a server of ")
        );
        for code in [6, 137] {
            assert_eq!(text(code), "connection refused -not authorised 6-255: currently unused");
        }
    }
}
