//! Events of V3 in V2's shape (V3 4.3).

use super::super::model::EventKind;
use super::super::object::{Object, quoted};
use super::event_kind;
use crate::dialect::json::{Kind, Value};

/// The body of an event as V2 would have written it; of events that V2 does not have, what V3 says of it. The name is as
/// callbacks have it.
pub(in crate::dialect::lorawan) fn event(name: &str, message: Value<'_>) -> String {
    match (event_kind(name), name) {
        (EventKind::Activation, _) => activation(message),
        (EventKind::Downlink, "down/errors") => failed(message),
        (EventKind::Downlink, "down/invalidated") => of_its_own(message),
        (EventKind::Downlink, _) => {
            let mut out = Object::new(String::with_capacity(256));
            if let Some(downlink) = content(message).filter(|own| own.kind() == Kind::Object) {
                out.with("message", |out| describe(message, downlink, out));
            }
            out.end()
        }
        _ => of_its_own(message),
    }
}

/// What the message is about, beside the members that all have: its name and itself.
pub(super) fn own(message: Value<'_>) -> Option<(Value<'_>, Value<'_>)> {
    const COMMON: [&str; 4] = ["end_device_ids", "correlation_ids", "received_at", "simulated"];
    message.members().find(|(name, _)| !COMMON.contains(&name.raw()))
}

fn content(message: Value<'_>) -> Option<Value<'_>> {
    own(message).map(|(_, content)| content)
}

fn of_its_own(message: Value<'_>) -> String {
    content(message).filter(|own| matches!(own.kind(), Kind::Object | Kind::Array)).map_or("{}", Value::raw).to_owned()
}

fn activation(message: Value<'_>) -> String {
    let mut out = Object::new(String::with_capacity(256));
    identify(message, &mut out);
    let ids = |key: &str| message.get("end_device_ids").and_then(|ids| ids.get(key));
    for (name, key) in [("app_eui", "join_eui"), ("dev_eui", "dev_eui"), ("dev_addr", "dev_addr")] {
        match ids(key) {
            Some(value) => out.value(name, value),
            None => out.raw(name, "\"\""),
        }
    }
    let accepted = message.get("join_accept").and_then(|accepted| accepted.get("received_at"));
    match accepted.or_else(|| message.get("received_at")) {
        Some(time) => out.with("metadata", |out| out.value("time", time)),
        None => out.raw("metadata", r#"{"time":""}"#),
    }
    out.end()
}

fn failed(message: Value<'_>) -> String {
    let mut out = Object::new(String::with_capacity(512));
    let failed = message.get("downlink_failed");
    out.raw("error", &quoted(&failure(message)));
    if let Some(downlink) = failed.and_then(|failed| failed.get("downlink")).filter(|it| it.kind() == Kind::Object) {
        out.with("message", |out| describe(message, downlink, out));
    }
    out.end()
}

/// Why a downlink has failed.
pub(in crate::dialect::lorawan) fn failure(message: Value<'_>) -> String {
    let failed = message.get("downlink_failed");
    failed.and_then(|failed| failed.get("error")).map(error_text).unwrap_or_default()
}

fn identify(message: Value<'_>, out: &mut Object) {
    let ids = message.get("end_device_ids");
    let application = ids.and_then(|ids| ids.get("application_ids")).and_then(|ids| ids.get("application_id"));
    out.maybe("app_id", application);
    out.maybe("dev_id", ids.and_then(|ids| ids.get("device_id")));
}

/// The downlink as V2 would have it.
fn describe(message: Value<'_>, downlink: Value<'_>, out: &mut Object) {
    identify(message, out);
    match downlink.get("f_port").filter(|port| port.kind() == Kind::Int) {
        Some(port) => out.value("port", port),
        None => out.raw("port", "0"),
    }
    out.maybe("confirmed", downlink.get("confirmed").filter(|value| value.kind() == Kind::True));
    out.maybe("payload_raw", downlink.get("frm_payload"));
    out.maybe("payload_fields", downlink.get("decoded_payload"));
}

/// The words of an error of the stack: `namespace:name`, and its text with the attributes filled in.
fn error_text(error: Value<'_>) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut format = text("message_format").into_owned();
    for (name, value) in error.get("attributes").into_iter().flat_map(Value::members) {
        let value = value.as_str().unwrap_or_else(|| value.raw().into());
        format = format.replace(&format!("{{{}}}", name.as_str().unwrap_or_default()), &value);
    }
    let name = format!("{}:{}", text("namespace"), text("name"));
    match (name.as_str(), format.as_str()) {
        (":", _) => format,
        (_, "") => name,
        _ => format!("{name}: {format}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    fn shaped(name: &str, text: &str) -> String {
        let text = event(name, Document::parse(text.as_bytes()).unwrap().root());
        assert!(Document::parse(text.as_bytes()).is_ok(), "{text}");
        text
    }

    const IDS: &str = r#""end_device_ids":{"device_id":"d-1","application_ids":{"application_id":"a-1"},"dev_eui":"01","join_eui":"02","dev_addr":"03"}"#;

    #[test]
    fn a_join_is_an_activation() {
        let text = format!(r#"{{{IDS},"received_at":"b","join_accept":{{"received_at":"a"}}}}"#);
        let expected =
            r#"{"app_id":"a-1","dev_id":"d-1","app_eui":"02","dev_eui":"01","dev_addr":"03","metadata":{"time":"a"}}"#;
        assert_eq!(shaped("activations", &text), expected);
        assert_eq!(shaped("activations", "{}"), r#"{"app_eui":"","dev_eui":"","dev_addr":"","metadata":{"time":""}}"#);
    }

    #[test]
    fn downlinks_are_described_as_v2_does() {
        let text = format!(
            r#"{{{IDS},"downlink_queued":{{"f_port":2,"frm_payload":"AQ==","confirmed":true,"priority":"LOW"}}}}"#
        );
        let expected = r#"{"message":{"app_id":"a-1","dev_id":"d-1","port":2,"confirmed":true,"payload_raw":"AQ=="}}"#;
        assert_eq!(shaped("down/scheduled", &text), expected);
        for name in ["down/scheduled", "down/errors", "down/nack", "down/invalidated", "location/solved", "new"] {
            for odd in ["{}", "[]", "7", r#"{"downlink_failed":7}"#, r#"{"x":{}}"#, r#"{"a":"b"}"#] {
                shaped(name, odd);
            }
        }
    }

    #[test]
    fn an_errors_text_is_filled_in() {
        let text = r#"{"downlink_failed":{"downlink":{},"error":{"namespace":"pkg/ns","name":"too_long","message_format":"length {length} over {max} \"x\"","attributes":{"length":54,"max":"51"}}}}"#;
        let expected = r#"{"error":"pkg/ns:too_long: length 54 over 51 \"x\"","message":{"port":0}}"#;
        assert_eq!(shaped("down/errors", text), expected);
        assert_eq!(shaped("down/errors", "{}"), r#"{"error":""}"#);
    }

    #[test]
    fn of_what_v2_does_not_have_it_is_v3s_own_words() {
        let text = format!(r#"{{{IDS},"location_solved":{{"service":"frm-payload"}}}}"#);
        assert_eq!(shaped("location/solved", &text), r#"{"service":"frm-payload"}"#);
    }
}
