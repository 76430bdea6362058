//! What tells one event from another, and where it was published (CS 3.2, 4.6): the same event comes over MQTT and out of what
//! the server keeps of each device.

use super::super::fields::timestamp;
use super::super::model::Topic;
use super::super::told::Told;
use super::{ENDS, Topics, topic};
use crate::dialect::json::Value;
use crate::dialect::mqtt::covers;

/// Read what all events have; `None` for what is none. The ID is one for each frame that came, the same in all that is told of
/// that frame; what is told of no frame has none.
pub(in crate::dialect::lorawan) fn told<'a>(to: &'a str, event: Value<'a>) -> Option<Told<'a>> {
    let topic = topic(to)?;
    let (dev_id, kind, is_uplink) = match topic {
        Topic::Uplink { dev_id, .. } => (dev_id, "up", true),
        Topic::Event { dev_id, name, .. } => (dev_id, name, false),
        _ => return None,
    };
    let at = event.get("time").and_then(timestamp)?;
    let mark = event.get("deduplicationId").and_then(Value::as_str).unwrap_or_default();
    let instant = mark.is_empty().then(|| at.as_nanosecond());
    Some(Told { dev_id: dev_id.into(), kind: kind.into(), is_uplink, mark, counter: 0, at, instant })
}

/// Where an event of this name is published.
#[must_use]
pub fn event_topic(application: &str, dev_eui: &str, name: &str) -> String {
    format!("application/{application}/device/{dev_eui}/event/{name}")
}

/// Whether these filters, for topics as the server writes them, take events of a device: uplinks, and others.
#[must_use]
pub fn may_be_told(filters: &[&str], topics: &Topics, application: &str, dev_eui: &str) -> (bool, bool) {
    let is_taken = |name: &str| {
        let topic = event_topic(application, dev_eui, name);
        filters.iter().any(|filter| covers(filter, &topics.of_server(&topic)))
    };
    (is_taken("up"), ENDS.iter().any(|name| is_taken(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    const APPLICATION: &str = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b";
    const DEVICE: &str = "70b3d57ed005f1a2";

    #[test]
    fn events_of_a_frame_have_its_id_and_others_their_time() {
        let text = r#"{"deduplicationId":"9dba2047-74e6-45c4-a8e9-cf009e2a785e","time":"2026-11-26T00:20:06.670489916+00:00"}"#;
        let document = Document::parse(text.as_bytes()).unwrap();
        let to = event_topic(APPLICATION, DEVICE, "up");
        let uplink = told(&to, document.root()).unwrap();
        assert!(uplink.is_uplink && uplink.instant.is_none());
        assert_eq!((&*uplink.dev_id, &*uplink.kind), (DEVICE, "up"));
        let to = event_topic(APPLICATION, DEVICE, "ack");
        assert_ne!(told(&to, document.root()).unwrap(), uplink, "of the same frame");
        let document = Document::parse(br#"{"time":"2026-11-26T00:20:06.670489916+00:00"}"#).unwrap();
        let to = event_topic(APPLICATION, DEVICE, "txack");
        let sent = told(&to, document.root()).unwrap();
        assert_eq!((&*sent.mark, sent.instant), ("", Some(1_795_652_406_670_489_916)));
    }

    #[test]
    fn what_is_no_event_is_none() {
        let document = Document::parse(br#"{"time":"2026-11-26T00:20:06+00:00"}"#).unwrap();
        let to = format!("application/{APPLICATION}/device/{DEVICE}/command/down");
        assert_eq!(told(&to, document.root()), None);
        let document = Document::parse(b"{}").unwrap();
        assert_eq!(told(&event_topic(APPLICATION, DEVICE, "up"), document.root()), None, "without a time");
    }

    #[test]
    fn filters_say_what_is_taken() {
        let taken = |filters: &[&str]| may_be_told(filters, &Topics::default(), APPLICATION, DEVICE);
        let all = format!("application/{APPLICATION}/device/+/event/up");
        assert_eq!(taken(&[&all]), (true, false));
        assert_eq!(taken(&["application/+/device/+/event/join"]), (false, true));
        assert_eq!(taken(&["#"]), (true, true));
        assert_eq!(taken(&["application/+/device/70b3d57ed005f1a3/event/up"]), (false, false));
    }
}
