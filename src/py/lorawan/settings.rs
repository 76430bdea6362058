//! What an MQTT client is told when it is made, whichever face it has.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::address::Address;
use super::chirpstack;
pub(super) use super::chirpstack::Broker;
use super::management::management;
use crate::client::lorawan::{self, Config, Group, InStream};
use crate::dialect::lorawan::{Network, hosted};
use crate::endpoint::{Endpoint, Trust};
use crate::ids::{AccessKey, AppId, is_access_key};
use crate::nats::{self, Login, Monitor};
use crate::py::acknowledging::Acknowledging;
use crate::py::arguments::Spelled;
use crate::py::convert::{self, seconds, trust};
use crate::py::error::OrRaise as _;
use crate::py::manage::{Discovery, pem};
use crate::py::nats::NatsLogin;
use crate::session::QoS;
use crate::sync::Mutex;

/// What they say of a group.
pub(in crate::py) struct Sharing<'a, 'py> {
    pub(in crate::py) name: &'a str,
    pub(in crate::py) ordered: bool,
    pub(in crate::py) ack_wait: Option<Bound<'py, PyAny>>,
}

/// As whom to come to NATS: what is given, else the application and its key; a key of the network itself goes to no other
/// server.
fn nats_login(
    py: Python<'_>,
    given: NatsLogin,
    app_id: &AppId,
    access_key: &AccessKey,
    is_nats: bool,
) -> PyResult<Login> {
    match (is_nats, given.is_given()) {
        (true, _) => {}
        (false, false) => return Ok(Login::Nobody),
        (false, true) => {
            let text = "a login of NATS (nats_user, nats_token and so on) is not valid: expected a nats:// address \
                        beside it";
            return Err(PyValueError::new_err(text));
        }
    }
    let text = access_key.reveal();
    if !given.is_given() && !text.is_empty() && !is_access_key(text) {
        return Ok(Login::User { name: app_id.to_string(), password: access_key.clone() });
    }
    given.read(py)
}

fn nats_monitor(py: Python<'_>, given: Option<&str>, is_nats: bool) -> PyResult<Option<Monitor>> {
    match given {
        Some(address) if !is_nats => Err(PyValueError::new_err(format!(
            "nats_monitor {address:?} is not valid: expected a nats:// address beside it"
        ))),
        given => given.map(Monitor::parse).transpose().or_raise(py),
    }
}

fn group(py: Python<'_>, given: Option<Sharing<'_, '_>>, is_nats: bool) -> PyResult<Option<Group>> {
    let Some(Sharing { name, ordered, ack_wait }) = given else {
        if is_nats {
            let text =
                "group None is not valid: expected the name of a group, such as \"workers\", with a nats:// address";
            return Err(PyValueError::new_err(text));
        }
        return Ok(None);
    };
    let group = Group::new(name).or_raise(py)?;
    let usual = InStream::default().ack_wait;
    let ack_wait = ack_wait.map_or(Ok(usual), |wait| seconds("ack_wait", &wait))?;
    if is_nats {
        return group.in_stream(InStream { ordered, ack_wait }).or_raise(py).map(Some);
    }
    if ordered {
        let text =
            "ordered True is not valid: expected a nats:// address, since no MQTT broker keeps the order in a group";
        return Err(PyValueError::new_err(text));
    }
    Ok(Some(group))
}

/// The arguments of the constructors, as they were given.
#[expect(clippy::struct_excessive_bools, reason = "each is an argument of its own")]
pub(in crate::py) struct Settings<'a, 'py> {
    pub(in crate::py) app_id: AppId,
    pub(in crate::py) access_key: Spelled<'py>,
    pub(in crate::py) mqtt_address: String,
    pub(in crate::py) discovery_address: Option<&'a str>,
    pub(in crate::py) reconnect: bool,
    pub(in crate::py) keep_alive: Option<Bound<'py, PyAny>>,
    pub(in crate::py) client_id: &'a str,
    pub(in crate::py) clean_session: bool,
    pub(in crate::py) qos: i64,
    pub(in crate::py) tls: Option<bool>,
    pub(in crate::py) ca_certs: Option<Bound<'py, PyAny>>,
    pub(in crate::py) reconnect_min_delay: Option<Bound<'py, PyAny>>,
    pub(in crate::py) reconnect_max_delay: Option<Bound<'py, PyAny>>,
    pub(in crate::py) max_message_bytes: usize,
    pub(in crate::py) max_inflight: usize,
    pub(in crate::py) queue_messages: Option<usize>,
    pub(in crate::py) queue_bytes: Option<usize>,
    pub(in crate::py) overflow: Option<&'a str>,
    pub(in crate::py) send_queue_messages: usize,
    pub(in crate::py) send_queue_bytes: usize,
    pub(in crate::py) insecure_channel: bool,
    pub(in crate::py) discovery_certificate: Option<Bound<'py, PyAny>>,
    pub(in crate::py) on_callback_error: Option<&'a str>,
    pub(in crate::py) manual_ack: bool,
    pub(in crate::py) network: Option<&'a str>,
    pub(in crate::py) cluster: Option<&'a str>,
    pub(in crate::py) queue_timeout: Option<Bound<'py, PyAny>>,
    pub(in crate::py) group: Option<Sharing<'a, 'py>>,
    pub(in crate::py) nats: NatsLogin,
    pub(in crate::py) nats_monitor: Option<&'a str>,
    pub(in crate::py) management_address: Option<&'a str>,
    pub(in crate::py) identity_address: Option<&'a str>,
    pub(in crate::py) backfill: bool,
    pub(in crate::py) broker: Broker<'py>,
    pub(in crate::py) grpc_address: Option<&'a str>,
    pub(in crate::py) tenant_id: Option<&'a str>,
    pub(in crate::py) event_topic: Option<&'a str>,
    pub(in crate::py) command_topic: Option<&'a str>,
}

impl Settings<'_, '_> {
    /// As values of the core.
    pub(in crate::py) fn read(self, py: Python<'_>) -> PyResult<(Config, Address, Acknowledging)> {
        let Self { mut mqtt_address, tls, ca_certs, .. } = self;
        let certificate = pem("discovery_certificate", self.discovery_certificate.as_ref())?;
        let management_trust = certificate.clone().map(Trust::Pem);
        let discovery = Discovery::new(self.discovery_address, certificate, self.insecure_channel);
        let mut trust = trust("ca_certs", ca_certs.as_ref())?;
        let app_id = self.app_id;
        if let Some(cluster) = self.cluster {
            if !mqtt_address.is_empty() {
                let text =
                    "cluster is not valid beside mqtt_address: expected one of them, which says where the server is";
                return Err(PyValueError::new_err(text));
            }
            mqtt_address = hosted::host(cluster, app_id.as_str()).or_raise(py)?;
        } else if mqtt_address.is_empty() {
            mqtt_address = discovery.lead.mqtt.clone().unwrap_or_default();
            if let (None, Some(pem)) = (&ca_certs, &discovery.lead.trust) {
                trust = Trust::Pem(pem.clone());
            }
        }
        let has_key = !self.access_key.value.is_none();
        let access_key = if has_key { self.access_key.text()? } else { String::new() };
        let access_key = AccessKey::new(access_key);
        let host = Endpoint::parse(&mqtt_address, tls).ok().map(|endpoint| endpoint.host);
        let network = match self.network {
            Some(network) => network.parse().or_raise(py)?,
            None if self.cluster.is_some() => Network::V3,
            None => Network::of(&access_key, host.as_deref(), app_id.as_str()),
        };
        if !has_key && network != Network::ChirpStack {
            self.access_key.text()?;
        }
        let mut config = Config::new(network.app_id(app_id, host.as_deref()).or_raise(py)?, access_key);
        config.network = network;
        let management_trust = management_trust.unwrap_or_else(|| trust.clone());
        let place = (host.as_deref(), self.cluster.is_some());
        let given = (self.management_address, self.identity_address);
        config.management = management(py, network, given, place, self.insecure_channel, management_trust)?;
        let at = chirpstack::At { grpc_address: self.grpc_address, tenant_id: self.tenant_id };
        config.api = at.read(py, network, (tls, self.insecure_channel), trust.clone())?;
        (config.login, config.identity) = self.broker.read(network)?;
        config.topics = chirpstack::topics(py, network, self.event_topic, self.command_topic)?;
        config.backfill = self.backfill;
        config.reconnect = self.reconnect;
        if let Some(keep_alive) = self.keep_alive {
            config.keep_alive = seconds("keep_alive", &keep_alive)?;
        }
        if let Some(delay) = self.reconnect_min_delay {
            config.backoff.min = seconds("reconnect_min_delay", &delay)?;
            config.backoff.max = config.backoff.max.max(config.backoff.min);
        }
        if let Some(delay) = self.reconnect_max_delay {
            config.backoff.max = seconds("reconnect_max_delay", &delay)?;
        }
        if let Some(timeout) = self.queue_timeout {
            config.queue_timeout = seconds("queue_timeout", &timeout)?;
        }
        let is_nats = nats::Address::is_one(&mqtt_address);
        config.group = group(py, self.group, is_nats)?;
        let login = nats_login(py, self.nats, &config.app_id, &config.access_key, is_nats)?;
        let monitor = nats_monitor(py, self.nats_monitor, is_nats)?;
        self.client_id.clone_into(&mut config.client_id);
        config.clean_session = self.clean_session;
        config.qos = convert::qos(self.qos)?;
        if is_nats {
            // JetStream acknowledges each message.
            config.qos = QoS::AtLeastOnce;
        }
        config.trust = trust.clone();
        config.max_incoming_bytes = self.max_message_bytes;
        config.queue.overflow = match self.overflow {
            Some(overflow) => convert::overflow(overflow)?,
            None => lorawan::overflow(network),
        };
        config.queue.messages = self.queue_messages.unwrap_or(config.queue.messages);
        config.queue.bytes = self.queue_bytes.unwrap_or(config.queue.bytes);
        config.outbox.messages = self.send_queue_messages;
        config.outbox.bytes = self.send_queue_bytes;
        config.outbox.in_flight = self.max_inflight;
        let acknowledging = Acknowledging::new(
            config.qos,
            "qos",
            self.manual_ack,
            self.on_callback_error.unwrap_or(if is_nats { "keep" } else { "acknowledge" }),
        )?;
        // A certificate is shown over TLS alone.
        let tls = tls.or_else(|| (config.identity.is_some() && !mqtt_address.contains("://")).then_some(true));
        let address = Address { mqtt: Mutex::new(mqtt_address), network, discovery, tls, login, trust, monitor };
        Ok((config, address, acknowledging))
    }
}
