//! The device API (TB 1): what messages of a device lead to.

use bytes::Bytes;
use serde_json::Value;

use super::json::{Json, Misfit};
use super::state::{ATTRIBUTES, CALLS, State};
use super::verdict::Verdict;
use super::{packages, telemetry, values};
use crate::dialect::mqtt::code;
use crate::dialect::thingsboard::names;

/// Filters that may be subscribed to besides those for attribute updates and calls.
const FILTERS: [&str; 13] = [
    "v1/devices/me/attributes/response/+",
    "v2/a/res/+",
    "v2/a/res/j/+",
    "v1/devices/me/rpc/response/+",
    "v2/r/res/+",
    "v2/r/res/j/+",
    "v2/fw/response/+/chunk/+",
    names::FIRMWARE_ERROR,
    "v2/sw/response/+/chunk/+",
    names::SOFTWARE_ERROR,
    names::GATEWAY_ATTRIBUTES,
    names::GATEWAY_ATTRIBUTES_RESPONSE,
    names::GATEWAY_RPC,
];

/// Topics of requests that end in a number, each with the topic of the answer: long, short, and short for JSON.
const ATTRIBUTE_REQUESTS: [(&str, &str); 3] = [
    (names::ATTRIBUTES_REQUEST, names::ATTRIBUTES_RESPONSE),
    ("v2/a/req/j/", "v2/a/res/j/"),
    ("v2/a/req/", "v2/a/res/"),
];
const RPC: [(&str, &str); 3] =
    [(names::RPC_REQUEST, names::RPC_RESPONSE), ("v2/r/req/j/", "v2/r/res/j/"), ("v2/r/req/", "v2/r/res/")];

const NO_JSON: Verdict = Verdict::Refused(code::PAYLOAD_FORMAT_INVALID);

pub(super) fn may_subscribe(filter: &str, provisioning: bool) -> bool {
    if provisioning {
        return filter == names::PROVISION_RESPONSE;
    }
    costs(filter) || FILTERS.contains(&filter)
}

/// Whether a subscription is charged as a message.
pub(super) fn costs(filter: &str) -> bool {
    ATTRIBUTES.contains(&filter) || CALLS.contains(&filter)
}

/// A message on a topic of the device API.
pub(super) fn take(state: &mut State, serial: u64, device: &str, topic: &str, payload: &Bytes) -> Verdict {
    match topic {
        names::TELEMETRY | "v2/t" | "v2/t/j" => return take_telemetry(state, device, payload),
        names::ATTRIBUTES | "v2/a" | "v2/a/j" => return take_attributes(state, device, payload),
        names::CLAIM => return claim(state, device, payload),
        _ => {}
    }
    if let Some(verdict) = packages::take(state, serial, device, topic, payload) {
        return verdict;
    }
    for (request, response) in ATTRIBUTE_REQUESTS {
        if let Some(number) = topic.strip_prefix(request) {
            return ask_attributes(state, serial, device, (response, number), payload);
        }
    }
    for (request, response) in RPC {
        if let Some(number) = topic.strip_prefix(request) {
            return call(state, serial, device, (response, number), payload);
        }
        if let Some(number) = topic.strip_prefix(response) {
            return answer(state, device, number, payload);
        }
    }
    Verdict::Passed(code::TOPIC_NAME_INVALID)
}

/// What exceeds the limits ends the session.
fn within(limits: bool) -> Result<(), Verdict> {
    if limits { Ok(()) } else { Err(Verdict::Fatal(code::IMPLEMENTATION_SPECIFIC)) }
}

/// The verdict of a step that may already know it.
fn verdict(outcome: Result<Verdict, Verdict>) -> Verdict {
    outcome.unwrap_or_else(|verdict| verdict)
}

fn take_telemetry(state: &mut State, device: &str, payload: &[u8]) -> Verdict {
    let mut take = || {
        let entries = telemetry::read(&Json::read(payload).ok_or(NO_JSON)?)?;
        if entries.is_empty() {
            return Err(Verdict::Unanswered);
        }
        within(state.charge(device, entries.iter().map(telemetry::Entry::points).sum()))?;
        let known = state.devices.get_mut(device).ok_or(Verdict::Unanswered)?;
        known.telemetry.extend(entries.into_iter().map(telemetry::Entry::into_value));
        Ok(Verdict::Taken)
    };
    verdict(take())
}

fn take_attributes(state: &mut State, device: &str, payload: &[u8]) -> Verdict {
    let Some(Json::Object(members)) = Json::read(payload) else { return NO_JSON };
    let mut take = || {
        let values = values::kept(&members);
        within(state.charge(device, values.len()))?;
        state.devices.get_mut(device).ok_or(Verdict::Unanswered)?.client.extend(values);
        Ok(Verdict::Taken)
    };
    verdict(take())
}

fn claim(state: &mut State, device: &str, payload: &[u8]) -> Verdict {
    let claim = if payload.is_empty() { Some(Json::Object(Vec::new())) } else { Json::read(payload) };
    let Some(claim) = claim.filter(Json::is_object) else { return NO_JSON };
    let mut take = || {
        within(state.charge(device, 0))?;
        state.devices.get_mut(device).ok_or(Verdict::Unanswered)?.claim = Some(claim.to_value());
        Ok(Verdict::Taken)
    };
    verdict(take())
}

/// The names in a request for attributes, by commas; nothing is cut off them.
fn names_in(request: &Json, scope: &str) -> Result<Vec<String>, Misfit> {
    let Some(names) = request.get(scope) else { return Ok(Vec::new()) };
    let text = names.text()?;
    let mut names: Vec<_> = text.split(',').map(str::to_owned).collect();
    // Nothing after the last comma is no name; nothing at all is one.
    while names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    Ok(names)
}

fn ask_attributes(
    state: &mut State,
    serial: u64,
    device: &str,
    (response, number): (&str, &str),
    payload: &[u8],
) -> Verdict {
    let mut take = || {
        let number: i32 = number.parse().map_err(|_| NO_JSON)?;
        let request = Json::read(payload).filter(Json::is_object).ok_or(NO_JSON)?;
        let client = names_in(&request, "clientKeys").map_err(|_| NO_JSON)?;
        let shared = names_in(&request, "sharedKeys").map_err(|_| NO_JSON)?;
        within(state.charge(device, 0))?;
        // The server fails over a name that is empty, and tells nobody.
        if !client.iter().chain(&shared).any(String::is_empty) {
            let answer = state.devices.get(device).ok_or(Verdict::Unanswered)?.answer(&client, &shared);
            if let Some(member) = state.members.get(&serial) {
                member.push_json(&format!("{response}{number}"), &answer);
            }
        }
        Ok(Verdict::Taken)
    };
    verdict(take())
}

fn call(state: &mut State, serial: u64, device: &str, (response, number): (&str, &str), payload: &[u8]) -> Verdict {
    let failed = Verdict::Fatal(code::SERVER_SHUTTING_DOWN);
    let mut take = || {
        let request = Json::read(payload).filter(Json::is_object).ok_or(NO_JSON)?;
        let number: i32 = number.parse().map_err(|_| failed)?;
        let method = request.get("method").ok_or(failed)?.text();
        let method = method.map_err(|misfit| if misfit == Misfit::Told { NO_JSON } else { failed })?;
        if method != "getSessionLimits" {
            within(state.charge(device, 0))?;
        }
        let gateway = state.devices.get(device).is_some_and(|device| device.gateway);
        if let (Some(answer), Some(member)) = (state.scripted(&method, gateway), state.members.get(&serial)) {
            member.push_json(&format!("{response}{number}"), &answer);
        }
        Ok(Verdict::Taken)
    };
    verdict(take())
}

/// Any text will do for an answer; only JSON, or nothing, can be told to whoever has called.
fn answer(state: &mut State, device: &str, number: &str, payload: &[u8]) -> Verdict {
    let mut take = || {
        let number: i32 = number.parse().map_err(|_| NO_JSON)?;
        within(state.charge(device, 0))?;
        let answer = if payload.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(payload) };
        state.answer_call(
            device,
            &number.to_string(),
            answer.map_err(|_| String::from_utf8_lossy(payload).into_owned()),
        );
        Ok(Verdict::Taken)
    };
    verdict(take())
}
