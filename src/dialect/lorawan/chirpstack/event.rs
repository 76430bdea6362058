//! Events of `ChirpStack` in V2's shape (CS 5.3).

use super::super::object::{Object, quoted};
use super::super::shape::{Direct, text};
use super::uplink::{Radio, application, capitals, gateway_id, name, time};
use crate::dialect::json::{Kind, Value};

/// What all events have.
const COMMON: [&str; 3] = ["deduplicationId", "time", "deviceInfo"];

/// Whether a device has acknowledged.
pub(super) fn is_acknowledged(message: Value<'_>) -> bool {
    message.get("acknowledged").is_some_and(|value| value.kind() == Kind::True)
}

fn code(message: Value<'_>) -> &str {
    message.get("code").and_then(text).map_or("", Value::raw)
}

/// What V2 calls what a `log` event tells.
pub(super) fn of_log(message: Value<'_>) -> &'static str {
    match code(message) {
        "OTAA" | "UPLINK_MIC" => "activations/errors",
        code if code.starts_with("UPLINK_") => "up/errors",
        "EXPIRED" | "F_CNT_DOWN" => "down/errors",
        code if code.starts_with("DOWNLINK_") => "down/errors",
        _ => "log",
    }
}

/// Whether a downlink that failed will not be sent any more.
pub(super) fn is_final(message: Value<'_>) -> bool {
    code(message) != "DOWNLINK_GATEWAY"
}

/// Why something has failed.
pub(in crate::dialect::lorawan) fn failure(message: Value<'_>) -> String {
    let description = message.get("description").and_then(Value::as_str).unwrap_or_default();
    match (code(message), description.as_ref()) {
        ("", description) => description.to_owned(),
        (code, "") => code.to_owned(),
        (code, description) => format!("{code}: {description}"),
    }
}

/// The body of an event as V2 would have written it; of events that V2 does not have, what `ChirpStack` says of it. The name
/// is as callbacks have it.
pub(in crate::dialect::lorawan) fn event(event: &str, message: Value<'_>) -> String {
    let mut out = Object::new(String::with_capacity(256));
    match event {
        "activations" => activation(message, &mut out),
        "activations/errors" => {
            out.raw("error", &quoted(&failure(message)));
            activation(message, &mut out);
        }
        "up/errors" => {
            out.raw("error", &quoted(&failure(message)));
            identify(message, &mut out);
        }
        "down/errors" => {
            out.raw("error", &quoted(&failure(message)));
            out.with("message", |out| identify(message, out));
        }
        "down/sent" => sent(message, &mut out),
        "down/acks" | "down/nack" => out.with("message", |out| identify(message, out)),
        _ => {
            for (name, value) in message.members().filter(|(name, _)| !COMMON.contains(&name.raw())) {
                out.raw(name.raw(), &super::super::shape::anew(value));
            }
        }
    }
    out.end()
}

fn identify(message: Value<'_>, out: &mut Object) {
    let info = message.get("deviceInfo");
    out.maybe("app_id", info.and_then(application));
    out.maybe("dev_id", info.and_then(name));
}

fn activation(message: Value<'_>, out: &mut Object) {
    identify(message, out);
    let info = |key: &str| message.get("deviceInfo").and_then(|info| info.get(key));
    // It stands in a refusal alone.
    let join_eui = message.get("context").and_then(|context| context.get("join_eui"));
    for (name, value) in [("app_eui", join_eui), ("dev_eui", info("devEui")), ("dev_addr", message.get("devAddr"))] {
        out.raw(name, &value.and_then(text).map_or_else(|| "\"\"".to_owned(), capitals));
    }
    out.with("metadata", |out| match message.get("time").and_then(text).map(time) {
        Some(Direct::There(value)) => out.value("time", value),
        Some(Direct::Text(text)) => out.raw("time", &text),
        _ => out.raw("time", "\"\""),
    });
}

fn sent(message: Value<'_>, out: &mut Object) {
    out.with("message", |out| identify(message, out));
    if let Some(id) = message.get("gatewayId").and_then(text) {
        out.raw("gateway_id", &gateway_id(id));
    }
    let number =
        |value: Option<Value<'_>>| value.filter(|value| value.kind() == Kind::Int).map(|value| value.raw().to_owned());
    let radio = message.get("txInfo").filter(|radio| radio.kind() == Kind::Object).map(Radio);
    let members = [
        ("modulation", radio.and_then(Radio::modulation).map(|name| format!("\"{name}\""))),
        ("data_rate", radio.and_then(Radio::data_rate)),
        ("bit_rate", radio.and_then(Radio::bit_rate).map(|rate| rate.raw().to_owned())),
        ("counter", number(message.get("fCntDown"))),
        ("frequency", radio.and_then(Radio::frequency).map(|hertz| hertz.to_string())),
        ("power", number(radio.and_then(|radio| radio.0.get("power")))),
    ];
    out.with("config", |out| {
        for (name, value) in members {
            if let Some(value) = value {
                out.raw(name, &value);
            }
        }
    });
}
