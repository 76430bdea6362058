//! What the server knows: devices, the sessions that reach them, and what waits for an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use rumqttc::mqttbytes::matches;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};

use super::device::Device;
use super::limits::{Allowance, TransportLimits};
use crate::dialect::thingsboard::names;
use crate::error::{Error, Result};

/// The forms of what is subscribed to for attribute updates.
pub(super) const ATTRIBUTES: [&str; 3] = [names::ATTRIBUTES, "v2/a", "v2/a/j"];
/// The forms of what is subscribed to for calls.
pub(super) const CALLS: [&str; 3] = ["v1/devices/me/rpc/request/+", "v2/r/req/+", "v2/r/req/j/+"];

/// A message to a client.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// Whether it goes at QoS 1.
    pub(super) acknowledged: bool,
}

/// What a device has answered: JSON, or a text that is none.
pub(super) type Answer = std::result::Result<Value, String>;

/// What a connection is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Push(Push),
    /// End for this reason.
    End(u8),
}

/// The server's side of a session.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) device: Option<String>,
    /// Devices connected through it.
    pub(super) behind: BTreeSet<String>,
    pub(super) filters: Vec<(String, u8)>,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) cut: Arc<Notify>,
}

impl Member {
    /// Send to the client. Subscriptions decide no more than whether it is acknowledged.
    pub(super) fn push(&self, topic: &str, payload: impl Into<Bytes>) -> bool {
        let granted = self.filters.iter().filter(|(filter, _)| matches(topic, filter)).map(|(_, qos)| *qos).max();
        let push = Push { topic: topic.to_owned(), payload: payload.into(), acknowledged: granted != Some(0) };
        // The connection may end in between: then nobody is there to be told.
        self.orders.send(Order::Push(push)).is_ok()
    }

    pub(super) fn push_json(&self, topic: &str, value: &Value) -> bool {
        self.push(topic, value.to_string())
    }

    /// End the session for a reason.
    pub(super) fn end(&self, reason: u8) {
        // It may have ended by itself.
        let _gone = self.orders.send(Order::End(reason));
    }

    /// The topic of attribute updates or calls that the client has asked for last, of those that this is the form of.
    pub(super) fn follows(&self, forms: [&'static str; 3]) -> Option<&'static str> {
        self.filters.iter().rev().find_map(|(filter, _)| forms.into_iter().find(|form| form == filter))
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) members: HashMap<u64, Member>,
    pub(super) limits: TransportLimits,
    pub(super) provisioning: Option<(String, String)>,
    pub(super) scripts: HashMap<String, Option<Value>>,
    /// Calls that wait for their device's answer.
    pub(super) calls: HashMap<(String, u64), oneshot::Sender<Answer>>,
    /// What devices have left of the limits; those behind a gateway share one budget under its name.
    pub(super) allowances: HashMap<String, Allowance>,
    pub(super) gateway_allowances: HashMap<String, Allowance>,
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

    /// A device has answered a call, with JSON or some other text.
    pub(super) fn answer_call(&mut self, device: &str, number: &str, answer: Answer) {
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
            // No rule answers other methods.
            None => None,
        }
    }

    /// End the sessions of a device.
    pub(super) fn end_sessions(&mut self, device: &str, reason: u8) {
        self.members.retain(|_, member| {
            let its_own = member.device.as_deref() == Some(device);
            if its_own {
                member.end(reason);
            }
            !its_own
        });
    }

    /// Charge a device for a message, with its values if it is telemetry with any; tells whether it is within the limits.
    pub(super) fn charge(&mut self, device: &str, points: usize) -> bool {
        let limits = &self.limits.own;
        self.allowances.entry(device.to_owned()).or_insert_with(|| Allowance::new(limits)).charge(points)
    }

    /// As `charge`, of what devices behind a gateway share.
    pub(super) fn charge_behind(&mut self, gateway: &str, points: usize) -> bool {
        let limits = self.limits.devices.as_ref().unwrap_or(&self.limits.own);
        self.gateway_allowances.entry(gateway.to_owned()).or_insert_with(|| Allowance::new(limits)).charge(points)
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
            } else if let Some(topic) = member.follows(ATTRIBUTES) {
                member.push_json(topic, data);
            }
        }
    }
}
