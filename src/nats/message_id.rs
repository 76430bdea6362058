//! What is the same message, told by its fields: two bridges that hear it give it the same ID, and the server keeps one.
//!
//! Not by its bytes, since a server of V3 may write a message for each of its listeners. Where two equal messages may be
//! meant there is no ID, and two bridges store both.

use std::borrow::Cow;

use super::subject::Subject;
use crate::dialect::json::Value;
use crate::dialect::lorawan::Network;

/// The ID of a message that the network has published, unique within its application; `None` where its fields do not tell
/// it from another one.
#[must_use]
pub fn of(network: Network, subject: &Subject<'_>, message: Value<'_>) -> Option<String> {
    let (device, kind) = (subject.dev_id()?, subject.kind());
    let time = time(network, message)?;
    let what = match (network, kind) {
        (Network::V2, "up") => {
            format!("{}/{}", whole(message.get("port")), message.get("counter")?.as_i64()?)
        }
        (Network::V2, "events.activations") => text(message.get("dev_addr"))?,
        (Network::V2, "events.create" | "events.update") => String::new(),
        // V2's other events have neither a number nor a time of their own; no bridge carries those of ChirpStack.
        (Network::V2 | Network::ChirpStack, _) => return None,
        (Network::V3, "up") => {
            let uplink = message.get("uplink_message")?;
            let session = text(uplink.get("session_key_id")).unwrap_or_else(|| whole(uplink.get("f_port")));
            // What is zero is left out.
            format!("{session}/{}", whole(uplink.get("f_cnt")))
        }
        (Network::V3, _) => correlation_id(message)?,
    };
    Some(format!("{device}/{kind}/{what}/{time}"))
}

/// When the network received it, to the nanosecond, in its own words.
fn time(network: Network, message: Value<'_>) -> Option<String> {
    let received_at = match network {
        // Of a device that was changed, in the second form (V2 1.8).
        Network::V2 => {
            message.get("metadata").map_or_else(|| message.get("update_at"), |metadata| metadata.get("time"))
        }
        Network::V3 => message.get("received_at"),
        Network::ChirpStack => None,
    };
    text(received_at).filter(|time| !time.is_empty())
}

/// The event's own correlation ID, or else the first of those that it has, by their order in the alphabet.
fn correlation_id(message: Value<'_>) -> Option<String> {
    let ids = || message.get("correlation_ids").into_iter().flat_map(Value::elements).filter_map(|id| text(Some(id)));
    ids().filter(|id| id.starts_with("as:")).min().or_else(|| ids().min())
}

fn text(value: Option<Value<'_>>) -> Option<String> {
    value?.as_str().map(Cow::into_owned)
}

fn whole(value: Option<Value<'_>>) -> String {
    value.and_then(Value::as_i64).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    fn id(network: Network, subject: &str, body: &str) -> Option<String> {
        let document = Document::parse(body.as_bytes()).unwrap();
        of(network, &Subject::parse(subject).unwrap(), document.root())
    }

    #[test]
    fn an_uplink_is_told_by_session_counter_and_time() {
        let body = r#"{"uplink_message":{"session_key_id":"AZ==","f_port":2,"f_cnt":7},"received_at":"2026-01-01T00:00:00.1Z"}"#;
        let turned = r#"{"received_at":"2026-01-01T00:00:00.1Z","uplink_message":{"f_cnt":7,"f_port":2,"session_key_id":"AZ=="}}"#;
        let expected = Some("d-1/up/AZ==/7/2026-01-01T00:00:00.1Z".to_owned());
        assert_eq!(id(Network::V3, "things.a.d-1.up", body), expected);
        assert_eq!(id(Network::V3, "l.3.things.a.d-1.up", turned), expected, "the order of keys means nothing");
        let first = r#"{"uplink_message":{"f_port":2},"received_at":"2026-01-01T00:00:00.1Z"}"#;
        assert_eq!(id(Network::V3, "things.a.d-1.up", first).unwrap(), "d-1/up/2/0/2026-01-01T00:00:00.1Z");
        let v2 = r#"{"port":1,"counter":0,"metadata":{"time":"2020-01-01T00:00:00Z"}}"#;
        assert_eq!(id(Network::V2, "things.a.d-1.up", v2).unwrap(), "d-1/up/1/0/2020-01-01T00:00:00Z");
    }

    #[test]
    fn an_event_is_told_by_its_correlation_id() {
        let body = r#"{"correlation_ids":["gs:uplink:1","as:downlink:2"],"received_at":"T","downlink_ack":{}}"#;
        assert_eq!(id(Network::V3, "things.a.d.events.down.ack", body).unwrap(), "d/events.down.ack/as:downlink:2/T");
        let join = r#"{"correlation_ids":["rpc:2","gs:uplink:1"],"received_at":"T","join_accept":{}}"#;
        assert_eq!(id(Network::V3, "things.a.d.events.join", join).unwrap(), "d/events.join/gs:uplink:1/T");
        let v2 = r#"{"dev_addr":"26012345","metadata":{"time":"T"}}"#;
        let created = id(Network::V2, "things.a.d.events.create", r#"{"update_at":"T"}"#);
        assert_eq!(created.unwrap(), "d/events.create//T");
        assert_eq!(id(Network::V2, "things.a.d.events.activations", v2).unwrap(), "d/events.activations/26012345/T");
    }

    #[test]
    fn what_may_be_meant_twice_has_no_id() {
        for (network, subject, body) in [
            (Network::V2, "things.a.d.events.down.scheduled", r#"{"message":{"port":1}}"#),
            (Network::V2, "things.a.d.events.delete", "null"),
            (Network::V2, "things.a.d.events.create", "null"),
            (Network::V2, "things.a.d.up", r#"{"port":1,"counter":4}"#),
            (Network::V2, "things.a.d.up", r#"{"port":1,"metadata":{"time":"T"}}"#),
            (Network::V3, "things.a.d.up", r#"{"uplink_message":{"f_cnt":1}}"#),
            (Network::V3, "things.a.d.events.join", r#"{"received_at":"T"}"#),
            (Network::V3, "things.a.d.up", "[]"),
        ] {
            assert_eq!(id(network, subject, body), None, "{subject} {body}");
        }
    }
}
