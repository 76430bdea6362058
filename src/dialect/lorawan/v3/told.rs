//! What tells one message of the stack from another, and where it was published (V3 2.3, 6.5): the same message comes over
//! MQTT and out of the storage integration.

use super::event::own;
use super::plain;
use crate::dialect::json::{Kind, Value};
use crate::dialect::lorawan::Told;
use crate::dialect::lorawan::fields::timestamp;

/// The member that a message is about, and the end of its topic.
const TOPICS: [(&str, &str); 11] = [
    (UPLINK, "up"),
    ("uplink_normalized", "up/normalized"),
    ("join_accept", "join"),
    ("downlink_queued", "down/queued"),
    ("downlink_sent", "down/sent"),
    ("downlink_ack", "down/ack"),
    ("downlink_nack", "down/nack"),
    ("downlink_failed", "down/failed"),
    ("downlink_queue_invalidated", "down/invalidated"),
    ("location_solved", "location/solved"),
    ("service_data", "service/data"),
];

/// The kind of message that uplinks are.
pub const UPLINK: &str = "uplink_message";

/// Read what all messages have; `None` for what is no message of the stack. The time is when the Application Server received it:
/// a counter tells all uplinks of a session apart, and who stores times may store microseconds.
pub(in crate::dialect::lorawan) fn told(message: Value<'_>) -> Option<Told<'_>> {
    let at = message.get("received_at").and_then(timestamp)?;
    let dev_id = message.get("end_device_ids")?.get("device_id")?.as_str()?;
    let (kind, content) = own(message).filter(|(_, content)| content.kind() == Kind::Object)?;
    let kind = kind.as_str()?;
    // What failed is one further down.
    let mark = content.get("session_key_id").and_then(Value::as_str).unwrap_or_default();
    let counter = content.get("f_cnt").and_then(Value::as_i64).unwrap_or_default();
    let is_uplink = kind == UPLINK;
    let is_counted = is_uplink && !mark.is_empty();
    let instant = (!is_counted).then(|| at.as_microsecond().into());
    Some(Told { dev_id, kind, is_uplink, mark, counter, at, instant })
}

/// The topic that a message was published to, of this application.
#[must_use]
pub fn published_to(told: &Told<'_>, app_id: &str) -> Option<String> {
    let (_, end) = TOPICS.iter().find(|(kind, _)| *kind == told.kind)?;
    Some(format!("v3/{app_id}/devices/{}/{end}", told.dev_id))
}

/// Whether these filters take nothing but uplinks.
#[must_use]
pub fn take_uplinks_alone<'a>(app_id: &str, mut filters: impl Iterator<Item = &'a str>) -> bool {
    let starts =
        [format!("v3/{app_id}/devices/"), format!("v3/{}/devices/", plain(app_id)), "v3/+/devices/".to_owned()];
    filters.all(|filter| {
        let rest = starts.iter().find_map(|start| filter.strip_prefix(start.as_str()));
        rest.and_then(|rest| rest.split_once('/')).is_some_and(|(_, end)| end == "up")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    fn told(text: &str) -> Option<(String, String, i64, Option<i128>)> {
        let document = Document::parse(text.as_bytes()).unwrap();
        let told = super::told(document.root())?;
        Some((published_to(&told, "a-1@ttn")?, told.mark.to_string(), told.counter, told.instant))
    }

    const IDS: &str = r#""end_device_ids":{"device_id":"d-1"},"received_at":"2025-03-14T09:26:53.412718605Z""#;
    const AT: i128 = 1_741_944_413_412_718;

    #[test]
    fn uplinks_of_a_session_are_told_apart_by_their_counter() {
        let text = format!(r#"{{{IDS},"uplink_message":{{"session_key_id":"AZ==","f_cnt":7}}}}"#);
        assert_eq!(told(&text), Some(("v3/a-1@ttn/devices/d-1/up".into(), "AZ==".into(), 7, None)));
        let text = format!(r#"{{{IDS},"uplink_message":{{"f_port":1}}}}"#);
        assert_eq!(told(&text), Some(("v3/a-1@ttn/devices/d-1/up".into(), String::new(), 0, Some(AT))));
    }

    #[test]
    fn all_else_is_told_apart_by_its_time() {
        for (kind, end) in TOPICS.iter().skip(1) {
            let text = format!(r#"{{{IDS},"correlation_ids":["a"],"{kind}":{{"session_key_id":"AZ==","f_cnt":7}}}}"#);
            assert_eq!(told(&text), Some((format!("v3/a-1@ttn/devices/d-1/{end}"), "AZ==".into(), 7, Some(AT))));
        }
    }

    #[test]
    fn what_is_no_message_of_the_stack_is_none() {
        for text in [
            "{}",
            "[]",
            "null",
            &format!("{{{IDS}}}"),
            &format!(r#"{{{IDS},"uplink_message":7}}"#),
            &format!(r#"{{{IDS},"what_is_new":{{}}}}"#),
            r#"{"received_at":"yesterday","end_device_ids":{"device_id":"d-1"},"uplink_message":{}}"#,
            r#"{"received_at":"2025-03-14T09:26:53Z","uplink_message":{}}"#,
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn filters_are_looked_at() {
        let alone = |filters: &[&str]| take_uplinks_alone("a-1@ttn", filters.iter().copied());
        assert!(alone(&["v3/a-1@ttn/devices/+/up", "v3/a-1@ttn/devices/d-1/up", "v3/+/devices/+/up"]));
        for other in ["#", "v3/a-1@ttn/devices/+/down/+", "v3/a-1@ttn/devices/+/up/#", "v3/a-1@ttn/devices/+/join"] {
            assert!(!alone(&["v3/a-1@ttn/devices/+/up", other]), "{other}");
        }
    }
}
