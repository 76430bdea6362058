//! Downlinks as V3's MQTT takes them (V3 2.6, 4.4). It drops what is wrong without a word, so all of it is looked at here.

use super::super::base64;
use super::super::model::{Antenna, ClassBC, Downlink, Options, Payload, Schedule, Topic};
use super::super::object::quoted;
use super::dev_id;
use crate::dialect::json::{Document, Kind, Value};
use crate::error::{Error, Result};
use crate::ids::{AppId, DevId};

/// Most attempts of a downlink that is to be acknowledged.
pub const MAX_ATTEMPTS: u32 = 32;
/// Longest correlation ID, in characters.
const LONGEST_ID: usize = 100;

/// What the correlation IDs of this library begin with; a token follows.
const OURS: &str = "thingslink:";

const PRIORITIES: [&str; 7] = ["LOWEST", "LOW", "BELOW_NORMAL", "NORMAL", "ABOVE_NORMAL", "HIGH", "HIGHEST"];

/// A priority from its name in any case. A name that the stack does not know would count as the lowest.
///
/// # Errors
/// [`Error::Invalid`].
pub fn priority(name: &str) -> Result<&'static str> {
    PRIORITIES.into_iter().find(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let expected = "LOWEST, LOW, BELOW_NORMAL, NORMAL, ABOVE_NORMAL, HIGH or HIGHEST";
        Error::invalid("priority", name, expected)
    })
}

/// Check a correlation ID.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_correlation_id(id: &str) -> Result<()> {
    if id.is_empty() || id.chars().count() > LONGEST_ID {
        return Err(Error::invalid("a correlation ID", id, "1 to 100 characters"));
    }
    Ok(())
}

/// The token in a correlation ID of ours.
pub(in super::super) fn token(id: Value<'_>) -> Option<u64> {
    let digits = id.raw().trim_matches('"').strip_prefix(OURS).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// The topic and the body. The token goes along as a correlation ID, which all events of the downlink repeat.
pub(in super::super) fn downlink(
    app_id: &AppId,
    device: &DevId,
    downlink: &Downlink,
    token: u64,
) -> Result<(String, String)> {
    dev_id(device.as_str().to_owned())?;
    let end = match downlink.schedule {
        Schedule::Replace => "replace",
        Schedule::Last => "push",
        Schedule::First => {
            let expected = "\"replace\" or \"last\": The Things Stack V3 takes nothing in front of its queue over MQTT";
            return Err(Error::invalid("schedule", "first", expected));
        }
    };
    let mut body = format!("{{\"downlinks\":[{{\"f_port\":{}", downlink.port);
    match &downlink.payload {
        Payload::Raw(text) | Payload::Either(text) => {
            // Written anew: the stack does not pass over what other readers do.
            let bytes = base64::decode(text).map_err(|_| Error::invalid("payload", text, "base64"))?;
            if bytes.is_empty() {
                let expected = "at least 1 byte: The Things Stack V3 drops empty downlinks";
                return Err(Error::invalid("payload", "", expected));
            }
            put(&mut body, ",\"frm_payload\":\"", &[&base64::encode(&bytes), "\""]);
        }
        Payload::Fields(json) => put(&mut body, ",\"decoded_payload\":", &[json]),
    }
    if downlink.confirmed {
        body.push_str(",\"confirmed\":true");
    }
    put(&mut body, ",\"correlation_ids\":[\"", &[&correlation_id(token), "\""]);
    let options = downlink.options.as_deref();
    for id in options.into_iter().flat_map(|options| &options.correlation_ids) {
        put(&mut body, ",", &[&quoted(id)]);
    }
    body.push(']');
    if let Some(options) = options {
        describe(options, &mut body);
    }
    body.push_str("}]}");
    Ok((format!("v3/{app_id}/devices/{device}/down/{end}"), body))
}

/// The correlation ID with this token.
#[must_use]
pub fn correlation_id(token: u64) -> String {
    format!("{OURS}{token:016x}")
}

/// Check what a program publishes by itself: to the stack anything but its own form of a downlink is nothing, and on
/// `down/replace` an empty list, which clears the queue (V3 2.6).
pub(in super::super) fn check_publication(app_id: &AppId, topic: &str, payload: &[u8]) -> Result<()> {
    let own = topic.strip_prefix("v3/").and_then(|topic| topic.strip_prefix(app_id.as_str()));
    let is_own = own.is_some_and(|rest| rest.starts_with("/devices/"));
    if !is_own || !matches!(super::topic(topic), Some(Topic::Downlink { .. })) {
        let expected = "\"v3/<app>/devices/<device>/down/push\" or \".../down/replace\" of this application, tenant included: \
                        The Things Stack V3 drops all else without a word";
        return Err(Error::invalid("topic", topic, expected));
    }
    let is_list = |body: Value<'_>| body.get("downlinks").is_some_and(|list| list.kind() == Kind::Array);
    if Document::parse(payload).is_ok_and(|document| is_list(document.root())) {
        return Ok(());
    }
    let expected = "{\"downlinks\": [...]}: on down/replace anything else would clear the queue";
    Err(Error::invalid("payload", String::from_utf8_lossy(payload), expected))
}

fn put(out: &mut String, name: &str, value: &[&str]) {
    out.push_str(name);
    out.extend(value.iter().copied());
}

fn describe(options: &Options, out: &mut String) {
    if let Some(priority) = options.priority {
        put(out, ",\"priority\":\"", &[priority, "\""]);
    }
    if let Some(class_b_c) = &options.class_b_c {
        put(out, ",\"class_b_c\":", &[&way(class_b_c)]);
    }
    if let Some(most) = options.max_attempts {
        put(out, ",\"confirmed_retry\":{\"max_attempts\":", &[&most.to_string(), "}"]);
    }
}

fn way(way: &ClassBC) -> String {
    let antenna = |antenna: &Antenna| {
        let Antenna { gateway_id, antenna_index, group_index } = antenna;
        let ids = format!("{{\"gateway_id\":{}}}", quoted(gateway_id));
        format!("{{\"gateway_ids\":{ids},\"antenna_index\":{antenna_index},\"group_index\":{group_index}}}")
    };
    let gateways: Vec<_> = way.gateways.iter().map(antenna).collect();
    let mut members = Vec::with_capacity(2);
    if !gateways.is_empty() {
        members.push(format!("\"gateways\":[{}]", gateways.join(",")));
    }
    members.extend(way.absolute_time.map(|time| format!("\"absolute_time\":\"{time}\"")));
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::super::super::Network;
    use super::*;

    fn app() -> AppId {
        AppId::new("greenhouse-7@ttn").unwrap()
    }

    fn dev() -> DevId {
        DevId::new("soil-probe-03").unwrap()
    }

    fn raw(schedule: Schedule, text: &str) -> Downlink {
        Downlink { port: 10, confirmed: true, schedule, payload: Payload::Raw(text.into()), options: None }
    }

    #[test]
    fn downlinks_are_never_of_v2s_form() {
        let (topic, body) = Network::V3.downlink(&app(), &dev(), &raw(Schedule::Replace, "Ag8="), 0xBEEF).unwrap();
        assert_eq!(topic, "v3/greenhouse-7@ttn/devices/soil-probe-03/down/replace");
        let expected = r#"{"downlinks":[{"f_port":10,"frm_payload":"Ag8=","confirmed":true,"correlation_ids":["thingslink:000000000000beef"]}]}"#;
        assert_eq!(body, expected);
        let (topic, _) = Network::V3.downlink(&app(), &dev(), &raw(Schedule::Last, "Ag8="), 1).unwrap();
        assert!(topic.ends_with("/down/push"));
        let fields = Downlink { payload: Payload::Fields(r#"{"on": true}"#.into()), ..raw(Schedule::Last, "") };
        let (_, body) = Network::V3.downlink(&app(), &dev(), &fields, 1).unwrap();
        assert!(body.contains(r#""decoded_payload":{"on": true}"#) && !body.contains("frm_payload"));
    }

    #[test]
    fn all_that_v3_can_be_told_is_written() {
        let antenna = Antenna { gateway_id: "rooftop-east".into(), antenna_index: 1, group_index: 0 };
        let options = Options {
            priority: Some(priority("high").unwrap()),
            class_b_c: Some(ClassBC {
                gateways: vec![antenna],
                absolute_time: Some("2025-03-14T10:00:00Z".parse().unwrap()),
            }),
            max_attempts: Some(3),
            correlation_ids: vec!["pump \"7\"".into()],
        };
        let downlink = Downlink { options: Some(options.into()), ..raw(Schedule::Last, "Ag8=") };
        let (_, body) = Network::V3.downlink(&app(), &dev(), &downlink, 1).unwrap();
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({"downlinks": [{
            "f_port": 10, "frm_payload": "Ag8=", "confirmed": true, "priority": "HIGH",
            "correlation_ids": ["thingslink:0000000000000001", "pump \"7\""],
            "class_b_c": {
                "gateways": [{"gateway_ids": {"gateway_id": "rooftop-east"}, "antenna_index": 1, "group_index": 0}],
                "absolute_time": "2025-03-14T10:00:00Z",
            },
            "confirmed_retry": {"max_attempts": 3},
        }]});
        assert_eq!(read, expected);
    }

    #[test]
    fn a_token_is_found_among_other_ids_and_nowhere_else() {
        let text = r#"{"correlation_ids":["as:downlink:01JP","pump","thingslink:7","thingslink:00000000000000ff"]}"#;
        let document = Document::parse(text.as_bytes()).unwrap();
        assert_eq!(Network::V3.tokens(document.root()).collect::<Vec<_>>(), [0xff]);
        assert_eq!(Network::V2.tokens(document.root()).count(), 0);
        for none in ["{}", "[]", r#"{"correlation_ids":7}"#, r#"{"correlation_ids":[7,{}]}"#] {
            assert_eq!(Network::V3.tokens(Document::parse(none.as_bytes()).unwrap().root()).count(), 0, "{none}");
        }
    }

    #[test]
    fn what_programs_publish_by_themselves_is_looked_at() {
        let look = |topic: &str, payload: &str| Network::V3.publication(&app(), topic, payload.as_bytes());
        let own = "v3/greenhouse-7@ttn/devices/soil-probe-03/down";
        let body = r#"{"downlinks":[]}"#;
        assert_eq!(look(&format!("{own}/replace"), body).unwrap(), None);
        let v2 = r#"{"port": 3, "confirmed": true, "schedule": "last", "payload_raw": "AQ=="}"#;
        for app in ["greenhouse-7", "greenhouse-7@ttn"] {
            let (device, downlink) = look(&format!("{app}/devices/soil-probe-03/down"), v2).unwrap().unwrap();
            assert_eq!(device, dev());
            assert_eq!(downlink, Downlink { port: 3, ..raw(Schedule::Last, "AQ==") });
        }
        for (topic, payload) in [
            (format!("{own}/replace"), v2),
            (format!("{own}/push"), "{}"),
            (format!("{own}/push"), "x"),
            (format!("{own}/push"), r#"{"downlinks":{}}"#),
            (format!("{own}/queued"), body),
            (own.to_owned(), body),
            ("v3/greenhouse-7/devices/soil-probe-03/down/push".to_owned(), body),
            ("other/devices/soil-probe-03/down".to_owned(), v2),
            ("greenhouse-7/devices/soil_probe/down".to_owned(), v2),
            ("greenhouse-7/devices/soil-probe-03/down".to_owned(), r#"{"port": 1}"#),
            ("greenhouse-7/devices/soil-probe-03/down".to_owned(), r#"{"port": 0, "payload_raw": "AQ=="}"#),
        ] {
            assert!(look(&topic, payload).is_err(), "{topic} {payload}");
        }
        assert_eq!(Network::V2.publication(&app(), "x", b"y").unwrap(), None);
    }

    #[test]
    fn what_the_stack_would_drop_in_silence_is_refused() {
        let refused = |device: &str, it| {
            Network::V3.downlink(&app(), &DevId::new(device).unwrap(), &it, 1).unwrap_err().to_string()
        };
        assert!(refused("dev-1", raw(Schedule::First, "AQ==")).contains("in front"));
        assert!(refused("dev-1", raw(Schedule::Last, "")).contains("at least 1 byte"));
        assert!(refused("dev_1", raw(Schedule::Last, "AQ==")).contains("V2 with '_'"));
        for port in [-1, 0, 224, 256] {
            assert!(Network::V3.port(port).unwrap_err().contains("but not 224"), "{port}");
        }
        assert_eq!([1, 223, 225, 255].map(|port| i64::from(Network::V3.port(port).unwrap())), [1, 223, 225, 255]);
        assert!(Network::V2.port(225).is_err() && Network::V2.port(224).is_err());
        assert!(priority("URGENT").is_err() && check_correlation_id("").is_err());
        assert!(check_correlation_id(&"é".repeat(100)).is_ok() && check_correlation_id(&"x".repeat(101)).is_err());
    }
}
