//! Devices, sessions and what is between them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::mqttbytes::matches;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc, oneshot};

use super::device::{Credentials, Device, Scope};
use super::limits::{Allowance, Limits};
use super::wire::{Level, Login};
use crate::dialect::thingsboard::names;
use crate::error::{Error, Result};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::{Entry, Journal};
use crate::sync::{Mutex, MutexGuard};

/// What a message leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Acknowledge it.
    Taken,
    /// Acknowledge it with this reason, or end the connection where none can be told.
    Refused(u8),
    /// Say nothing.
    Ignored,
    /// End the connection for this reason.
    Fatal(u8),
}

/// Reason codes of MQTT 5.
pub(super) const NOT_AUTHORISED: u8 = 135;
pub(super) const TOPIC_NAME_INVALID: u8 = 144;
pub(super) const PACKET_TOO_LARGE: u8 = 149;
pub(super) const QUOTA_EXCEEDED: u8 = 151;
pub(super) const PAYLOAD_FORMAT_INVALID: u8 = 153;
const TOPIC_FILTER_INVALID: u8 = 143;
const IMPLEMENTATION_SPECIFIC: u8 = 131;

/// A message to a client.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// Whether it goes at QoS 1.
    pub(super) acknowledged: bool,
}

/// A logged-in client.
#[derive(Clone, Debug)]
pub(super) struct Session {
    serial: u64,
    pub(super) client_id: String,
    /// Its device; `None` for a provisioning session.
    pub(super) device: Option<String>,
    pub(super) cut: Arc<Notify>,
}

/// The hub's side of a session.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) device: Option<String>,
    /// Devices connected through it.
    pub(super) behind: BTreeSet<String>,
    filters: Vec<(String, u8)>,
    pushes: mpsc::UnboundedSender<Push>,
    cut: Arc<Notify>,
    allowance: Allowance,
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

/// Everything that the connections share.
#[derive(Debug, Default)]
pub(super) struct Hub {
    state: Mutex<State>,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    serial: AtomicU64,
    refuses_level_5: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) members: HashMap<u64, Member>,
    pub(super) limits: Limits,
    pub(super) provisioning: Option<(String, String)>,
    scripts: HashMap<String, Option<Value>>,
    /// Calls that wait for their device's answer.
    calls: HashMap<(String, u64), oneshot::Sender<Value>>,
    last_call: u64,
    rejections: Vec<(String, u8, u32)>,
}

impl State {
    /// The sessions that reach a device: its own, and those of gateways that it is connected through.
    fn reaching<'s>(&'s self, device: &'s str) -> impl Iterator<Item = (&'s Member, bool)> {
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

    fn device(&mut self, name: &str) -> Result<&mut Device> {
        let unknown = || Error::invalid("device", name, "a device that is registered in this sandbox");
        self.devices.get_mut(name).ok_or_else(unknown)
    }
}

fn push_attributes(state: &State, device: &str, data: &Value) {
    for (member, behind) in state.reaching(device) {
        if behind {
            member.push_json(names::GATEWAY_ATTRIBUTES, &json!({"device": device, "data": data}));
        } else {
            member.push_json(names::ATTRIBUTES, data);
        }
    }
}

impl Hub {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Judge a login (TB 1.1); a refusal gives the code in the client's level.
    pub(super) fn log_in(
        &self,
        login: Login,
        shown: Option<&[u8]>,
    ) -> std::result::Result<(u16, Session, mpsc::UnboundedReceiver<Push>), u8> {
        let refuse = |code: u8| {
            self.journal.write(|| Entry::Refused { app_id: String::new(), code });
            Err(code)
        };
        if login.level == Level::V5 && self.refuses_level_5.load(Ordering::Relaxed) {
            return refuse(1);
        }
        let fault = self.faults.login_code();
        if fault != 0 {
            return refuse(fault);
        }
        let mut state = self.state();
        let provisioning = login.username == "provision" || login.client_id == "provision";
        let fits = |device: &Device| match &device.credentials {
            Credentials::Token(token) => *token == login.username && login.password.is_empty(),
            Credentials::Basic { client_id, username, password } => {
                let same =
                    |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
                same(client_id, &login.client_id) && same(username, &login.username) && same(password, &login.password)
            }
            Credentials::Certificate(wanted) => shown == Some(wanted.as_slice()),
            Credentials::None => false,
        };
        // A certificate comes before names and passwords.
        let by_certificate =
            |device: &Device| matches!(device.credentials, Credentials::Certificate(_)) && fits(device);
        let found = state.devices.iter().find(|(_, device)| by_certificate(device));
        let found = found.or_else(|| state.devices.iter().find(|(_, device)| fits(device)));
        let device = match found {
            _ if provisioning => None,
            Some((name, _)) => Some(name.clone()),
            None => {
                drop(state);
                let empty = login.username.is_empty();
                return refuse(match (login.level, empty) {
                    (Level::V3, true) => 4,
                    (Level::V3, false) => 5,
                    (Level::V5, true) => 134,
                    (Level::V5, false) => NOT_AUTHORISED,
                });
            }
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let client_id = if login.client_id.is_empty() { format!("sandbox-{serial}") } else { login.client_id };
        let (pushes, receiver) = mpsc::unbounded_channel();
        let cut = Arc::<Notify>::default();
        let member = Member {
            device: device.clone(),
            behind: BTreeSet::new(),
            filters: Vec::new(),
            pushes,
            cut: cut.clone(),
            allowance: Allowance::new(&state.limits),
        };
        state.members.insert(serial, member);
        drop(state);
        let name = device.clone().unwrap_or_else(|| "provision".to_owned());
        self.journal.write(|| Entry::Connected { client_id: client_id.clone(), app_id: name });
        Ok((login.keep_alive, Session { serial, client_id, device, cut }, receiver))
    }

    /// A session has ended.
    pub(super) fn leave(&self, session: &Session) {
        self.state().members.remove(&session.serial);
    }

    pub(super) fn subscribe(&self, session: &Session, level: Level, filters: Vec<(String, u8)>) -> Vec<u8> {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&session.serial) else { return Vec::new() };
        let provisioning = session.device.is_none();
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, asked) in filters.into_iter().take(100) {
            let allowed = super::requests::may_subscribe(&filter, provisioning);
            let qos = asked.min(1);
            codes.push(match (allowed, level) {
                (true, _) => qos,
                (false, Level::V3) => 128,
                (false, Level::V5) => TOPIC_FILTER_INVALID,
            });
            let granted = allowed.then_some(qos);
            self.journal.write(|| Entry::Subscribed {
                client_id: session.client_id.clone(),
                filter: filter.clone(),
                qos: granted,
            });
            if allowed {
                member.filters.retain(|(known, _)| *known != filter);
                member.filters.push((filter, qos));
            }
        }
        codes
    }

    pub(super) fn unsubscribe(&self, session: &Session, filters: &[String]) {
        if let Some(member) = self.state().members.get_mut(&session.serial) {
            member.filters.retain(|(filter, _)| !filters.contains(filter));
        }
    }

    /// Take a message from a client.
    pub(super) fn published(&self, session: &Session, topic: &str, payload: &Bytes, qos: u8) -> Verdict {
        let verdict = self.judge(session, topic, payload);
        self.journal.write(|| Entry::Published {
            client_id: Some(session.client_id.clone()),
            topic: topic.to_owned(),
            payload: payload.clone(),
            qos,
            allowed: verdict == Verdict::Taken,
        });
        verdict
    }

    fn judge(&self, session: &Session, topic: &str, payload: &Bytes) -> Verdict {
        let mut state = self.state();
        if payload.len() as u64 > state.limits.payload() {
            return Verdict::Fatal(PACKET_TOO_LARGE);
        }
        if let Some((_, reason, count)) =
            state.rejections.iter_mut().find(|(prefix, _, count)| *count > 0 && topic.starts_with(prefix.as_str()))
        {
            *count -= 1;
            return Verdict::Refused(*reason);
        }
        let Some(device) = session.device.clone() else {
            return self::provision(&mut state, session, topic, payload);
        };
        let points = super::requests::points(topic, payload);
        let Some(member) = state.members.get_mut(&session.serial) else { return Verdict::Ignored };
        if !member.allowance.charge(points) {
            return Verdict::Refused(QUOTA_EXCEEDED);
        }
        if topic.starts_with("v1/gateway/") {
            if !state.devices.get(&device).is_some_and(|device| device.gateway) {
                return Verdict::Ignored;
            }
            return super::gateway::take(&mut state, session.serial, topic, payload);
        }
        super::requests::take(&mut state, session.serial, &device, topic, payload)
    }

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
                (device.credentials, device.gateway) = (credentials, gateway);
                profile.clone_into(&mut device.profile);
            }
            None => {
                state.devices.insert(name.to_owned(), Device::new(profile, gateway, credentials));
            }
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
            push_attributes(&state, device, &Value::Object(values));
        }
        Ok(())
    }

    pub(super) fn delete_shared(&self, device: &str, keys: &[String]) -> Result<()> {
        let mut state = self.state();
        state.device(device)?.shared.retain(|key, _| !keys.contains(key));
        push_attributes(&state, device, &json!({"deleted": keys}));
        Ok(())
    }

    pub(super) fn offer_firmware(&self, device: &str, attributes: Map<String, Value>, data: Vec<u8>) -> Result<()> {
        self.state().device(device)?.firmware = data;
        self.set_attributes(device, Scope::Shared, attributes)
    }

    pub(super) async fn call(&self, device: &str, method: &str, params: Value, within: Duration) -> Result<Value> {
        let (answer, answered) = oneshot::channel();
        let number = {
            let mut state = self.state();
            state.device(device)?;
            state.last_call += 1;
            let number = state.last_call;
            let mut told = false;
            for (member, behind) in state.reaching(device) {
                told |= if behind {
                    let data = json!({"id": number, "method": method, "params": params});
                    member.push_json(names::GATEWAY_RPC, &json!({"device": device, "data": data}))
                } else {
                    let topic = format!("{}{number}", names::RPC_REQUEST);
                    member.push_json(&topic, &json!({"method": method, "params": params}))
                };
            }
            if !told {
                return Err(Error::invalid("device", device, "a device that is connected and takes calls"));
            }
            state.calls.insert((device.to_owned(), number), answer);
            number
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(within, answered).await {
            return Ok(answer);
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

    pub(super) fn limit(&self, limits: Limits) {
        let mut state = self.state();
        for member in state.members.values_mut() {
            member.allowance = Allowance::new(&limits);
        }
        state.limits = limits;
    }

    pub(super) fn reject(&self, prefix: &str, reason: u8, count: u32) {
        let reason = if reason < 128 { IMPLEMENTATION_SPECIFIC } else { reason };
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
                member.push(names::GATEWAY_DISCONNECT, text, true);
            }
        }
    }

    pub(super) fn push_raw(&self, device: &str, topic: &str, payload: Vec<u8>) -> usize {
        let payload = Bytes::from(payload);
        let state = self.state();
        state.reaching(device).filter(|(member, _)| member.push(topic, payload.clone(), true)).count()
    }

    pub(super) fn cut(&self) -> usize {
        let state = self.state();
        for member in state.members.values() {
            member.cut.notify_one();
        }
        state.members.len()
    }
}

/// The only thing that a provisioning session may do.
fn provision(state: &mut State, session: &Session, topic: &str, payload: &Bytes) -> Verdict {
    if topic != names::PROVISION_REQUEST {
        return Verdict::Refused(NOT_AUTHORISED);
    }
    let Ok(request) = serde_json::from_slice::<Value>(payload) else { return Verdict::Refused(PAYLOAD_FORMAT_INVALID) };
    // As the real server, which fails on a null.
    if request.as_object().is_none_or(|request| request.values().any(Value::is_null)) {
        return Verdict::Refused(IMPLEMENTATION_SPECIFIC);
    }
    let answer = super::requests::provision(state, &request, session.serial);
    if let Some(member) = state.members.get(&session.serial) {
        member.push_json(names::PROVISION_RESPONSE, &answer);
    }
    Verdict::Taken
}
