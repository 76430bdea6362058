//! What the server knows: devices, the sessions that reach them, and what waits for an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use rumqttc::mqttbytes::matches;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};

use super::device::Device;
use super::limits::{Allowance, Limits};
use crate::dialect::thingsboard::names;
use crate::error::{Error, Result};

/// A message to a client.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// Whether it goes at QoS 1.
    pub(super) acknowledged: bool,
}

/// The server's side of a session.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) device: Option<String>,
    /// Devices connected through it.
    pub(super) behind: BTreeSet<String>,
    pub(super) filters: Vec<(String, u8)>,
    pub(super) pushes: mpsc::UnboundedSender<Push>,
    pub(super) cut: Arc<Notify>,
    pub(super) allowance: Allowance,
}

impl Member {
    /// Send to the client; what it has not subscribed to only when it must be `told` all the same.
    pub(super) fn push(&self, topic: &str, payload: impl Into<Bytes>, told: bool) -> bool {
        let granted = self.filters.iter().filter(|(filter, _)| matches(topic, filter)).map(|(_, qos)| *qos).max();
        let Some(qos) = granted.or(told.then_some(0)) else { return false };
        let push = Push { topic: topic.to_owned(), payload: payload.into(), acknowledged: qos > 0 };
        // The connection may end in between: then nobody is there to be told.
        self.pushes.send(push).is_ok()
    }

    pub(super) fn push_json(&self, topic: &str, value: &Value) -> bool {
        self.push(topic, value.to_string(), false)
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) members: HashMap<u64, Member>,
    pub(super) limits: Limits,
    pub(super) provisioning: Option<(String, String)>,
    pub(super) scripts: HashMap<String, Option<Value>>,
    /// Calls that wait for their device's answer.
    pub(super) calls: HashMap<(String, u64), oneshot::Sender<Value>>,
    pub(super) last_call: u64,
    pub(super) rejections: Vec<(String, u8, u32)>,
}

impl State {
    /// The sessions that reach a device: its own, and those of gateways that it is connected through.
    pub(super) fn reaching<'s>(&'s self, device: &'s str) -> impl Iterator<Item = (&'s Member, bool)> {
        self.members.values().filter_map(move |member| {
            if member.device.as_deref() == Some(device) {
                Some((member, false))
            } else {
                member.behind.contains(device).then_some((member, true))
            }
        })
    }

    pub(super) fn answer_call(&mut self, device: &str, number: &str, answer: Value) {
        let waiting = number.parse().ok().and_then(|number| self.calls.remove(&(device.to_owned(), number)));
        if let Some(waiting) = waiting {
            let _nobody_waits = waiting.send(answer);
        }
    }

    /// The answer to a call of a client's; `None` leaves it unanswered.
    pub(super) fn scripted(&self, method: &str, gateway: bool) -> Option<Value> {
        match self.scripts.get(method) {
            Some(answer) => answer.clone(),
            None if method == "getSessionLimits" => Some(self.limits.answer(gateway)),
            None => Some(json!({"error": format!("no rule for the method {method:?}")})),
        }
    }

    pub(super) fn device(&mut self, name: &str) -> Result<&mut Device> {
        let unknown = || Error::invalid("device", name, "a device that is registered in this sandbox");
        self.devices.get_mut(name).ok_or_else(unknown)
    }

    /// Tell a device's sessions what became of its shared attributes.
    pub(super) fn push_attributes(&self, device: &str, data: &Value) {
        for (member, behind) in self.reaching(device) {
            if behind {
                member.push_json(names::GATEWAY_ATTRIBUTES, &json!({"device": device, "data": data}));
            } else {
                member.push_json(names::ATTRIBUTES, data);
            }
        }
    }
}
