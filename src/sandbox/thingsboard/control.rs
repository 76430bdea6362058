//! What the program that runs the server asks of it: devices, their data, calls, and trouble.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::device::{Credentials, Device, Scope};
use super::hub::Hub;
use super::limits::TransportLimits;
use super::state::CALLS;
use crate::dialect::mqtt::{code, is_refusal};
use crate::dialect::thingsboard::{Package, names};
use crate::error::{Error, Result};

impl Hub {
    pub(super) fn add_device(&self, name: &str, profile: &str, gateway: bool, credentials: Credentials) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("name", name, "the name of a device"));
        }
        let mut state = self.state();
        let taken = credentials != Credentials::None
            && state.devices.iter().any(|(other, device)| other != name && device.credentials == credentials);
        if taken {
            return Err(Error::invalid("credentials", "***", "credentials that no other device has"));
        }
        match state.devices.get_mut(name) {
            Some(device) => {
                let changed = device.credentials != credentials;
                (device.credentials, device.gateway) = (credentials, gateway);
                profile.clone_into(&mut device.profile);
                if changed {
                    state.end_sessions(name, code::ADMINISTRATIVE_ACTION);
                }
            }
            None => {
                state.devices.insert(name.to_owned(), Device::new(profile, gateway, credentials));
            }
        }
        Ok(())
    }

    pub(super) fn delete_device(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        state.device(name)?;
        state.devices.remove(name);
        state.end_sessions(name, code::ADMINISTRATIVE_ACTION);
        for member in state.members.values_mut() {
            member.behind.remove(name);
        }
        Ok(())
    }

    pub(super) fn devices(&self) -> Vec<String> {
        self.state().devices.keys().cloned().collect()
    }

    pub(super) fn describe(&self, name: &str) -> Option<Value> {
        self.state().devices.get(name).map(|device| device.describe(name))
    }

    pub(super) fn connected(&self) -> Vec<String> {
        let state = self.state();
        let all = state.members.values().flat_map(|member| member.device.iter().chain(&member.behind));
        all.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn telemetry(&self, device: &str) -> Vec<Value> {
        self.state().devices.get(device).map(|device| device.telemetry.clone()).unwrap_or_default()
    }

    pub(super) fn attributes(&self, device: &str, scope: Scope) -> Map<String, Value> {
        self.state().devices.get_mut(device).map(|device| device.scope(scope).clone()).unwrap_or_default()
    }

    pub(super) fn set_attributes(&self, device: &str, scope: Scope, values: Map<String, Value>) -> Result<()> {
        let mut state = self.state();
        state.device(device)?.scope(scope).extend(values.clone());
        if scope == Scope::Shared {
            state.push_attributes(device, &Value::Object(values));
        }
        Ok(())
    }

    pub(super) fn delete_shared(&self, device: &str, keys: &[String]) -> Result<()> {
        let mut state = self.state();
        state.device(device)?.shared.retain(|key, _| !keys.contains(key));
        state.push_attributes(device, &json!({"deleted": keys}));
        Ok(())
    }

    pub(super) fn offer_package(
        &self,
        device: &str,
        package: Package,
        attributes: Map<String, Value>,
        data: Vec<u8>,
    ) -> Result<()> {
        self.state().device(device)?.packages.insert(package, data);
        self.set_attributes(device, Scope::Shared, attributes)
    }

    pub(super) async fn call(&self, device: &str, method: &str, params: Value, within: Duration) -> Result<Value> {
        let (answer, answered) = oneshot::channel();
        let number = {
            let mut state = self.state();
            let known = state.device(device)?;
            let number = known.next_call;
            let mut told = false;
            for (member, behind) in state.reaching(device) {
                told |= if behind {
                    let data = json!({"id": number, "method": method, "params": params});
                    member.push_json(names::GATEWAY_RPC, &json!({"device": device, "data": data}))
                } else if let Some(filter) = member.follows(CALLS) {
                    let topic = format!("{}{number}", filter.trim_end_matches('+'));
                    member.push_json(&topic, &json!({"method": method, "params": params}))
                } else {
                    false
                };
            }
            if !told {
                return Err(Error::invalid("device", device, "a device that is connected and takes calls"));
            }
            state.device(device)?.next_call += 1;
            state.calls.insert((device.to_owned(), number), answer);
            number
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(within, answered).await {
            return answer.map_err(|text| Error::invalid("answer", &text, "JSON, or nothing"));
        }
        self.state().calls.remove(&(device.to_owned(), number));
        Err(Error::Timeout { what: format!("the call of {method:?} at {device:?}"), after: within })
    }

    pub(super) fn script(&self, method: &str, answer: Option<Value>) {
        self.state().scripts.insert(method.to_owned(), answer);
    }

    pub(super) fn allow_provisioning(&self, key_and_secret: Option<(String, String)>) {
        self.state().provisioning = key_and_secret;
    }

    pub(super) fn limit(&self, limits: TransportLimits) {
        let mut state = self.state();
        state.allowances.clear();
        state.gateway_allowances.clear();
        state.limits = limits;
    }

    pub(super) fn reject(&self, prefix: &str, reason: u8, count: u32) {
        let reason = if is_refusal(reason) { reason } else { code::IMPLEMENTATION_SPECIFIC };
        self.state().rejections.push((prefix.to_owned(), reason, count));
    }

    pub(super) fn refuse_level_5(&self, on: bool) {
        self.refuses_level_5.store(on, Ordering::Relaxed);
    }

    pub(super) fn drop_device(&self, device: &str, reason: u32) {
        let mut state = self.state();
        for member in state.members.values_mut() {
            if member.behind.remove(device) {
                let text = json!({"device": device, "reason": reason}).to_string();
                member.push(names::GATEWAY_DISCONNECT, text);
            }
        }
    }

    pub(super) fn push_raw(&self, device: &str, topic: &str, payload: Vec<u8>) -> usize {
        let payload = Bytes::from(payload);
        let state = self.state();
        state.reaching(device).filter(|(member, _)| member.push(topic, payload.clone())).count()
    }

    pub(super) fn cut(&self) -> usize {
        let state = self.state();
        for member in state.members.values() {
            member.cut.notify_one();
        }
        state.members.len()
    }
}
