//! The gateway API (TB 2).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::device::{Credentials, Device};
use super::json::Json;
use super::state::State;
use super::verdict::Verdict;
use super::{telemetry, values};
use crate::dialect::mqtt::code;
use crate::dialect::thingsboard::names;

/// JSON of a shape that is not expected.
const WRONG: Verdict = Verdict::Rejected(code::IMPLEMENTATION_SPECIFIC);
const NO_JSON: Verdict = Verdict::Refused(code::PAYLOAD_FORMAT_INVALID);
const OVER_LIMIT: Verdict = Verdict::Overrun(code::QUOTA_EXCEEDED);
/// What a device that is connected costs: its session, and what it subscribes to.
const CONNECTING: usize = 2;

/// A message on a topic of the gateway API, from a gateway.
pub(super) fn take(state: &mut State, serial: u64, gateway: &str, topic: &str, payload: &Bytes) -> Verdict {
    let Some(body) = Json::read(payload) else { return NO_JSON };
    let mut session = Session { state, serial, gateway };
    let outcome = match topic {
        names::GATEWAY_CONNECT => session.take_connect(&body),
        names::GATEWAY_DISCONNECT => session.take_disconnect(&body),
        names::GATEWAY_TELEMETRY => session.take_telemetry(&body),
        names::GATEWAY_ATTRIBUTES => session.take_attributes(&body),
        names::GATEWAY_ATTRIBUTES_REQUEST => session.ask_attributes(&body),
        names::GATEWAY_RPC => session.take_answer(&body),
        names::GATEWAY_CLAIM => session.claim(&body),
        _ => Err(Verdict::Passed(code::TOPIC_NAME_INVALID)),
    };
    outcome.map_or_else(|verdict| verdict, |()| Verdict::Taken)
}

/// The name of the device that a message is about.
fn device_in(body: &Json) -> Result<String, Verdict> {
    body.get("device").and_then(|name| name.text().ok()).filter(|name| !name.is_empty()).ok_or(WRONG)
}

/// What a message holds for each device; nothing is an error.
fn devices_in(body: &Json) -> Result<&[(String, Json)], Verdict> {
    match body {
        Json::Object(devices) if !devices.is_empty() => Ok(devices),
        _ => Err(WRONG),
    }
}

struct Session<'s> {
    state: &'s mut State,
    serial: u64,
    gateway: &'s str,
}

impl Session<'_> {
    fn charge(&mut self, points: usize) -> Result<(), Verdict> {
        if self.state.charge_behind(self.gateway, points) { Ok(()) } else { Err(OVER_LIMIT) }
    }

    /// A device is there: it is made when it is new.
    fn connect(&mut self, device: &str, profile: &str) -> Result<&mut Device, Verdict> {
        let member = self.state.members.get_mut(&self.serial).ok_or(Verdict::Unanswered)?;
        if member.behind.insert(device.to_owned()) {
            for _ in 0..CONNECTING {
                if !self.state.charge_behind(self.gateway, 0) {
                    return Err(Verdict::Fatal(code::SERVER_SHUTTING_DOWN));
                }
            }
        }
        let new = || Device::new(profile, false, Credentials::None);
        Ok(self.state.devices.entry(device.to_owned()).or_insert_with(new))
    }

    fn take_connect(&mut self, body: &Json) -> Result<(), Verdict> {
        let profile = body.get("type").and_then(|profile| profile.text().ok());
        self.connect(&device_in(body)?, profile.as_deref().unwrap_or("default")).map(drop)
    }

    fn take_disconnect(&mut self, body: &Json) -> Result<(), Verdict> {
        let device = device_in(body)?;
        if let Some(member) = self.state.members.get_mut(&self.serial) {
            member.behind.remove(&device);
        }
        Ok(())
    }

    fn take_telemetry(&mut self, body: &Json) -> Result<(), Verdict> {
        // Whoever sends no array for a device is passed over.
        let arrays: Vec<_> = devices_in(body)?.iter().filter(|(_, it)| matches!(it, Json::Array(_))).collect();
        if arrays.is_empty() {
            return Err(WRONG);
        }
        let mut answered = true;
        for (device, entries) in arrays {
            let Json::Array(items) = entries else { continue };
            if !items.iter().all(is_measured_whole) {
                return Err(NO_JSON);
            }
            let entries = telemetry::read(entries)?;
            // Of a device without a name, and of no entry at all, nothing is ever heard again.
            if device.is_empty() || entries.is_empty() {
                answered = false;
                continue;
            }
            self.connect(device, "default")?;
            self.charge(entries.iter().map(telemetry::Entry::points).sum())?;
            let known = self.connect(device, "default")?;
            known.telemetry.extend(entries.into_iter().map(telemetry::Entry::into_value));
        }
        if answered { Ok(()) } else { Err(Verdict::Unanswered) }
    }

    fn take_attributes(&mut self, body: &Json) -> Result<(), Verdict> {
        let devices = devices_in(body)?;
        if !devices.iter().all(|(_, values)| values.is_object()) {
            return Err(WRONG);
        }
        for (device, values) in devices {
            let Json::Object(members) = values else { continue };
            let values = values::kept(members);
            self.connect(device, "default")?;
            self.charge(values.len())?;
            self.connect(device, "default")?.client.extend(values);
        }
        Ok(())
    }

    fn ask_attributes(&mut self, body: &Json) -> Result<(), Verdict> {
        let number = body.get("id").and_then(|number| number.integer().ok()).ok_or(WRONG)?;
        let device = device_in(body)?;
        let Some(Json::Bool(of_client)) = body.get("client") else { return Err(WRONG) };
        let single = body.get("key").and_then(|key| key.text().ok()).map(|key| vec![key]);
        let several = match body.get("keys") {
            Some(Json::Array(keys)) => keys.iter().map(|key| key.text().ok()).collect(),
            _ => None,
        };
        let keys = single.or(several).ok_or(WRONG)?;
        self.connect(&device, "default")?;
        self.charge(0)?;
        let known = self.connect(&device, "default")?;
        let scope = if *of_client { &known.client } else { &known.shared };
        let mut found: Map<String, Value> = if keys.is_empty() {
            scope.clone()
        } else {
            keys.iter().filter_map(|key| Some((key.clone(), scope.get(key)?.clone()))).collect()
        };
        let mut answer = json!({"id": number, "device": device});
        if !found.is_empty() {
            // One key is answered by its value alone.
            match keys.as_slice() {
                [key] => answer["value"] = found.remove(key).unwrap_or_default(),
                _ => answer["values"] = Value::Object(found),
            }
        }
        if let Some(member) = self.state.members.get(&self.serial) {
            member.push_json(names::GATEWAY_ATTRIBUTES_RESPONSE, &answer);
        }
        Ok(())
    }

    fn take_answer(&mut self, body: &Json) -> Result<(), Verdict> {
        let device = device_in(body)?;
        let number = body.get("id").and_then(|number| number.integer().ok()).ok_or(WRONG)?;
        let data = body.get("data").ok_or(WRONG)?.to_value();
        self.charge(0)?;
        self.state.answer_call(&device, &number.to_string(), Ok(data));
        Ok(())
    }

    fn claim(&mut self, body: &Json) -> Result<(), Verdict> {
        for (device, claim) in devices_in(body)? {
            if !claim.is_object() {
                return Err(WRONG);
            }
            self.connect(device, "default")?;
            self.charge(0)?;
            self.connect(device, "default")?.claim = Some(claim.to_value());
        }
        Ok(())
    }
}

/// Whether an entry that is measured on its way has all of what is measured.
fn is_measured_whole(entry: &Json) -> bool {
    let metadata = entry.get("metadata");
    metadata.is_none_or(|it| ["connector", "receivedTs", "publishedTs"].iter().all(|name| it.get(name).is_some()))
}
