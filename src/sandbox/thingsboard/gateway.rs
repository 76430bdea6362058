//! The gateway API (TB 2).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::device::{Credentials, Device};
use super::requests::now_ms;
use super::state::State;
use super::verdict::{PAYLOAD_FORMAT_INVALID, TOPIC_NAME_INVALID, Verdict};
use crate::dialect::thingsboard::names;

/// A message on a topic of the gateway API.
pub(super) fn take(state: &mut State, serial: u64, topic: &str, payload: &Bytes) -> Verdict {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(payload) else {
        return Verdict::Refused(PAYLOAD_FORMAT_INVALID);
    };
    let device = body.get("device").and_then(Value::as_str).unwrap_or_default().to_owned();
    match topic {
        names::GATEWAY_CONNECT if !device.is_empty() => {
            let profile = body.get("type").and_then(Value::as_str).unwrap_or("default").to_owned();
            connect(state, serial, &device, &profile);
            Verdict::Taken
        }
        names::GATEWAY_DISCONNECT if !device.is_empty() => {
            if let Some(member) = state.members.get_mut(&serial) {
                member.behind.remove(&device);
            }
            Verdict::Taken
        }
        names::GATEWAY_TELEMETRY => telemetry(state, serial, &body),
        names::GATEWAY_ATTRIBUTES => attributes(state, serial, &body),
        names::GATEWAY_ATTRIBUTES_REQUEST => request(state, serial, &device, &body),
        names::GATEWAY_RPC => {
            let number = body.get("id").map(Value::to_string).unwrap_or_default();
            state.answer_call(&device, &number, body.get("data").cloned().unwrap_or_default());
            Verdict::Taken
        }
        names::GATEWAY_CLAIM => {
            for (device, claim) in body {
                connect(state, serial, &device, "default");
                if let Some(known) = state.devices.get_mut(&device) {
                    known.claim = Some(claim);
                }
            }
            Verdict::Taken
        }
        names::GATEWAY_CONNECT | names::GATEWAY_DISCONNECT => Verdict::Refused(PAYLOAD_FORMAT_INVALID),
        _ => Verdict::Refused(TOPIC_NAME_INVALID),
    }
}

/// A device is there: it is made when it is new.
fn connect(state: &mut State, serial: u64, device: &str, profile: &str) {
    state.devices.entry(device.to_owned()).or_insert_with(|| Device::new(profile, false, Credentials::None));
    if let Some(member) = state.members.get_mut(&serial) {
        member.behind.insert(device.to_owned());
    }
}

fn telemetry(state: &mut State, serial: u64, body: &Map<String, Value>) -> Verdict {
    let mut taken = false;
    // Whoever sends no array for a device is passed over, as at the real server.
    for (device, entries) in body.iter().filter(|(_, entries)| entries.is_array()) {
        connect(state, serial, device, "default");
        let known = state.devices.get_mut(device);
        taken |= known.is_some_and(|known| known.take_telemetry(entries, now_ms()));
    }
    if taken { Verdict::Taken } else { Verdict::Refused(PAYLOAD_FORMAT_INVALID) }
}

fn attributes(state: &mut State, serial: u64, body: &Map<String, Value>) -> Verdict {
    if !body.values().all(Value::is_object) {
        return Verdict::Refused(PAYLOAD_FORMAT_INVALID);
    }
    for (device, values) in body {
        connect(state, serial, device, "default");
        if let (Some(known), Value::Object(values)) = (state.devices.get_mut(device), values) {
            known.client.extend(values.clone());
        }
    }
    Verdict::Taken
}

fn request(state: &mut State, serial: u64, device: &str, body: &Map<String, Value>) -> Verdict {
    let single = body.get("key").and_then(Value::as_str).map(|key| vec![key.to_owned()]);
    let several = body
        .get("keys")
        .and_then(Value::as_array)
        .map(|keys| keys.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    let (Some(keys), Some(number)) = (single.or(several), body.get("id")) else {
        return Verdict::Refused(PAYLOAD_FORMAT_INVALID);
    };
    let of_client = body.get("client").and_then(Value::as_bool).unwrap_or(false);
    let mut found = Map::new();
    if let Some(known) = state.devices.get(device) {
        let scope = if of_client { &known.client } else { &known.shared };
        found.extend(keys.iter().filter_map(|key| Some((key.clone(), scope.get(key)?.clone()))));
    }
    let mut answer = json!({"id": number, "device": device});
    match (keys.as_slice(), found.is_empty()) {
        (_, true) => {}
        ([key], false) => answer["value"] = found.get(key).cloned().unwrap_or_default(),
        _ => answer["values"] = Value::Object(found),
    }
    if let Some(member) = state.members.get(&serial) {
        member.push_json(names::GATEWAY_ATTRIBUTES_RESPONSE, &answer);
    }
    Verdict::Taken
}
