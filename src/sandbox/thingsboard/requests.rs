//! The device API (TB 1): one function for each topic.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::device::{Credentials, Device};
use super::state::State;
use super::verdict::{IMPLEMENTATION_SPECIFIC, NOT_AUTHORISED, PAYLOAD_FORMAT_INVALID, TOPIC_NAME_INVALID, Verdict};
use crate::dialect::thingsboard::{Package, names};

/// Filters that may be subscribed to; other topics are no business of clients.
const FILTERS: [&str; 13] = [
    names::ATTRIBUTES,
    "v1/devices/me/attributes/response/+",
    "v1/devices/me/rpc/request/+",
    "v1/devices/me/rpc/response/+",
    "v2/fw/response/+/chunk/+",
    names::FIRMWARE_ERROR,
    "v2/sw/response/+/chunk/+",
    names::SOFTWARE_ERROR,
    "v1/gateway/+",
    names::GATEWAY_ATTRIBUTES,
    names::GATEWAY_ATTRIBUTES_RESPONSE,
    names::GATEWAY_RPC,
    names::GATEWAY_DISCONNECT,
];

/// The kinds of packages, with the topics of requests for their pieces and of the answers.
const PACKAGES: [(Package, &str, &str); 2] = [
    (Package::Firmware, names::FIRMWARE_REQUEST, names::FIRMWARE_RESPONSE),
    (Package::Software, names::SOFTWARE_REQUEST, names::SOFTWARE_RESPONSE),
];

pub(super) fn may_subscribe(filter: &str, provisioning: bool) -> bool {
    if provisioning { filter == names::PROVISION_RESPONSE } else { FILTERS.contains(&filter) }
}

pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// How many values a message holds; `None` for what is no telemetry.
pub(super) fn points(topic: &str, payload: &[u8]) -> Option<usize> {
    if !topic.ends_with("telemetry") && !topic.ends_with("attributes") {
        return None;
    }
    Some(serde_json::from_slice(payload).map_or(1, |value| count(&value)))
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(entries) => entries.iter().map(count).sum(),
        Value::Object(entry) => match entry.get("values") {
            Some(Value::Object(values)) if entry.contains_key("ts") => values.len(),
            _ => entry.len(),
        },
        _ => 1,
    }
}

/// A message on a topic of the device API.
pub(super) fn take(state: &mut State, serial: u64, device: &str, topic: &str, payload: &Bytes) -> Verdict {
    for (package, request, response) in PACKAGES {
        if let Some(rest) = topic.strip_prefix(request) {
            return piece(state, serial, device, (package, response, rest), payload);
        }
    }
    let body =
        if topic == names::CLAIM && payload.is_empty() { Ok(json!({})) } else { serde_json::from_slice(payload) };
    if let Some(number) = topic.strip_prefix(names::RPC_RESPONSE) {
        // Any text will do for an answer.
        let answer = body.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(payload)));
        state.answer_call(device, number, answer);
        return Verdict::Taken;
    }
    let Ok(body) = body else { return Verdict::Refused(PAYLOAD_FORMAT_INVALID) };
    let Some(known) = state.devices.get_mut(device) else { return Verdict::Ignored };
    let refused_unless = |good: bool| if good { Verdict::Taken } else { Verdict::Refused(PAYLOAD_FORMAT_INVALID) };
    if topic == names::TELEMETRY {
        return refused_unless(known.take_telemetry(&body, now_ms()));
    }
    if topic == names::ATTRIBUTES {
        return match body {
            Value::Object(values) => {
                known.client.extend(values);
                Verdict::Taken
            }
            _ => Verdict::Refused(PAYLOAD_FORMAT_INVALID),
        };
    }
    if topic == names::CLAIM {
        known.claim = Some(body);
        return Verdict::Taken;
    }
    if let Some(number) = topic.strip_prefix(names::ATTRIBUTES_REQUEST) {
        let keys = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let answer = known.answer(keys("clientKeys").as_deref(), keys("sharedKeys").as_deref());
        let topic = format!("{}{number}", names::ATTRIBUTES_RESPONSE);
        if let Some(member) = state.members.get(&serial) {
            member.push_json(&topic, &answer);
        }
        return Verdict::Taken;
    }
    if let Some(number) = topic.strip_prefix(names::RPC_REQUEST) {
        let gateway = known.gateway;
        let method = body.get("method").and_then(Value::as_str).unwrap_or_default();
        if let Some(answer) = state.scripted(method, gateway) {
            let topic = format!("{}{number}", names::RPC_RESPONSE);
            if let Some(member) = state.members.get(&serial) {
                member.push_json(&topic, &answer);
            }
        }
        return Verdict::Taken;
    }
    Verdict::Refused(TOPIC_NAME_INVALID)
}

/// A request for a piece of a package: its kind, the topic of the answer, and the numbers.
fn piece(
    state: &mut State,
    serial: u64,
    device: &str,
    (package, response, rest): (Package, &str, &str),
    payload: &Bytes,
) -> Verdict {
    let Some((request, chunk)) = rest.split_once("/chunk/") else { return Verdict::Refused(TOPIC_NAME_INVALID) };
    let fail = |state: &State, text: &'static str| {
        if let Some(member) = state.members.get(&serial) {
            member.push(names::FIRMWARE_ERROR, text, true);
        }
        Verdict::Taken
    };
    let Some(known) = state.devices.get_mut(device) else { return Verdict::Ignored };
    let Ok(chunk) = chunk.parse::<usize>() else { return fail(state, "NOT_FOUND") };
    let asked = std::str::from_utf8(payload).ok().and_then(|text| text.trim().parse::<usize>().ok());
    if let Some(size) = asked.filter(|size| *size > 0) {
        known.chunk_sizes.insert(request.to_owned(), size);
    }
    let data = known.packages.get(&package).map(Vec::as_slice).unwrap_or_default();
    let size = known.chunk_sizes.get(request).copied().unwrap_or(data.len());
    let begin = chunk.saturating_mul(size);
    if data.is_empty() || begin >= data.len() {
        return fail(state, "NOT_FOUND");
    }
    let end = begin.saturating_add(size).min(data.len());
    let data = Bytes::copy_from_slice(&data[begin..end]);
    let topic = format!("{response}{request}/chunk/{chunk}");
    if let Some(member) = state.members.get(&serial) {
        member.push(&topic, data, true);
    }
    Verdict::Taken
}

/// A provisioning request (TB 1.6) and its answer.
pub(super) fn provision(state: &mut State, request: &Value, serial: u64) -> Value {
    let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
    let given = text("provisionDeviceKey").zip(text("provisionDeviceSecret"));
    if given.is_none() || given != state.provisioning {
        return json!({"status": "NOT_FOUND", "errorMsg": "Provision data was not found!"});
    }
    let name = text("deviceName").unwrap_or_else(|| format!("provisioned-{serial}"));
    if state.devices.contains_key(&name) {
        return json!({"status": "FAILURE", "errorMsg": "Device is already provisioned!"});
    }
    let credentials = match text("credentialsType").as_deref() {
        Some("MQTT_BASIC") => {
            Credentials::Basic { client_id: text("clientId"), username: text("username"), password: text("password") }
        }
        Some("X509_CERTIFICATE") => Credentials::Certificate(text("hash").unwrap_or_default().into_bytes()),
        _ => Credentials::Token(text("token").unwrap_or_else(|| format!("token-{serial}"))),
    };
    let gateway = request.get("gateway").and_then(Value::as_bool).unwrap_or(false);
    let device = Device::new("default", gateway, credentials);
    let mut answer: Map<String, Value> =
        device.describe(&name).get("credentials").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(hash) = text("hash").filter(|_| matches!(device.credentials, Credentials::Certificate(_))) {
        answer.insert("credentialsValue".into(), Value::from(hash));
    }
    answer.insert("status".into(), Value::from("SUCCESS"));
    state.devices.insert(name, device);
    Value::Object(answer)
}

/// The only thing that a provisioning session may do.
pub(super) fn take_provisioning(state: &mut State, serial: u64, topic: &str, payload: &Bytes) -> Verdict {
    if topic != names::PROVISION_REQUEST {
        return Verdict::Refused(NOT_AUTHORISED);
    }
    let Ok(request) = serde_json::from_slice::<Value>(payload) else { return Verdict::Refused(PAYLOAD_FORMAT_INVALID) };
    // As the real server, which fails on a null.
    if request.as_object().is_none_or(|request| request.values().any(Value::is_null)) {
        return Verdict::Refused(IMPLEMENTATION_SPECIFIC);
    }
    let answer = provision(state, &request, serial);
    if let Some(member) = state.members.get(&serial) {
        member.push_json(names::PROVISION_RESPONSE, &answer);
    }
    Verdict::Taken
}
