//! `_client`: what programs reach for in the original's MQTT client (TB 7.5).

use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyString, PyTuple};
use rustls::ClientConfig;

use super::connection::TlsArguments;
use super::deliver::Shared;
use super::publish_info::{PATIENCE, PyPublishInfo};
use crate::client::thingsboard::Traffic;
use crate::dialect::mqtt::is_topic;
use crate::ids::AccessKey;
use crate::net::{Proxy, ProxyKind};
use crate::py::arguments::wrong_type;
use crate::py::convert;
use crate::session::Will;

/// What was set there.
#[derive(Debug, Default)]
pub(super) struct ReachIn {
    pub(super) on_connect: Option<Py<PyAny>>,
    pub(super) on_disconnect: Option<Py<PyAny>>,
    pub(super) will: Option<Will>,
    pub(super) proxy: Option<Proxy>,
    pub(super) tls: Option<TlsSetting>,
}

/// TLS as it was set there: kept until `connect`, since `tls_insecure_set` comes later.
#[derive(Debug, Default)]
pub(super) struct TlsSetting {
    ca_certs: Option<Py<PyAny>>,
    cert_file: Option<Py<PyAny>>,
    key_file: Option<Py<PyAny>>,
    key_password: Option<String>,
    insecure: bool,
}

impl TlsSetting {
    /// Read the files.
    pub(super) fn load(&self, py: Python<'_>) -> PyResult<Arc<ClientConfig>> {
        let bind = |value: &Option<Py<PyAny>>| value.as_ref().map(|value| value.bind(py).clone());
        TlsArguments {
            ca_certs: bind(&self.ca_certs),
            cert_file: bind(&self.cert_file),
            key_file: bind(&self.key_file),
            key_password: self.key_password.clone(),
            insecure: self.insecure,
        }
        .load(py)
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone = |value: &Option<Py<PyAny>>| value.as_ref().map(|value| value.clone_ref(py));
        Self {
            ca_certs: clone(&self.ca_certs),
            cert_file: clone(&self.cert_file),
            key_file: clone(&self.key_file),
            key_password: self.key_password.clone(),
            insecure: self.insecure,
        }
    }
}

impl ReachIn {
    pub(super) fn tls(&self, py: Python<'_>) -> Option<TlsSetting> {
        self.tls.as_ref().map(|tls| tls.clone_ref(py))
    }
}

/// The MQTT client behind a ThingsBoard client, as far as programs reach into it.
#[pyclass(frozen, name = "MqttClient", module = "thingslink.tb_device_mqtt", dict)]
pub(in crate::py) struct PyMqtt {
    pub(super) shared: Arc<Shared>,
}

fn bytes(value: Option<&Bound<'_, PyAny>>) -> PyResult<Bytes> {
    let Some(value) = value else { return Ok(Bytes::new()) };
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Bytes::copy_from_slice(text.to_str()?.as_bytes()));
    }
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        return Ok(Bytes::from(value.extract::<Vec<u8>>()?));
    }
    Ok(Bytes::from(value.str()?.to_str()?.to_owned()))
}

fn topic_of(topic: &str) -> PyResult<()> {
    if !is_topic(topic) {
        return Err(PyValueError::new_err(format!("topic {topic:?} is not valid: expected a topic without wildcards")));
    }
    Ok(())
}

#[pymethods]
impl PyMqtt {
    /// Whether the client is logged in now.
    fn is_connected(&self) -> bool {
        self.shared.client.is_connected()
    }

    /// Publish bytes or text to any topic.
    #[pyo3(signature = (topic, payload=None, qos=0, retain=false))]
    fn publish(
        &self,
        py: Python<'_>,
        topic: &str,
        payload: Option<Bound<'_, PyAny>>,
        qos: i64,
        retain: bool,
    ) -> PyResult<PyPublishInfo> {
        topic_of(topic)?;
        if retain {
            return Err(PyValueError::new_err("retain is not valid: ThingsBoard keeps no messages"));
        }
        let parts = vec![(bytes(payload.as_ref())?, 0)];
        self.shared.publish(py, topic, convert::qos(qos)?, Traffic::Messages, parts, Some(PATIENCE))
    }

    /// Subscribe to one more filter, now and after every connect.
    #[pyo3(signature = (topic, qos=0))]
    fn subscribe(&self, topic: &str, qos: i64) -> PyResult<(i32, Option<u16>)> {
        self.shared.client.subscriptions().add(topic, convert::qos(qos)?);
        Ok((0, None))
    }

    /// End a subscription.
    fn unsubscribe(&self, topic: &str) -> (i32, Option<u16>) {
        self.shared.client.subscriptions().remove(topic);
        (0, None)
    }

    /// Set what the server publishes when the client is lost; holds from the next ``connect`` on.
    #[pyo3(signature = (topic, payload=None, qos=0, retain=false))]
    fn will_set(&self, topic: String, payload: Option<Bound<'_, PyAny>>, qos: i64, retain: bool) -> PyResult<()> {
        topic_of(&topic)?;
        let will = Will { topic, payload: bytes(payload.as_ref())?, qos: convert::qos(qos)?, retain };
        self.shared.reach_in.lock().will = Some(will);
        Ok(())
    }

    /// Speak TLS from the next ``connect`` on.
    #[pyo3(signature = (ca_certs=None, certfile=None, keyfile=None, cert_reqs=None, tls_version=None, ciphers=None, keyfile_password=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn tls_set(
        &self,
        py: Python<'_>,
        ca_certs: Option<Py<PyAny>>,
        certfile: Option<Py<PyAny>>,
        keyfile: Option<Py<PyAny>>,
        cert_reqs: Option<i64>,
        tls_version: Option<Py<PyAny>>,
        ciphers: Option<Py<PyAny>>,
        keyfile_password: Option<String>,
    ) -> PyResult<()> {
        const CERT_NONE: i64 = 0;
        if ciphers.is_some() {
            return Err(PyValueError::new_err("ciphers is not valid: they cannot be chosen"));
        }
        // 1.2 and 1.3 are spoken, whichever is asked for.
        drop(tls_version);
        let setting = TlsSetting {
            ca_certs,
            cert_file: certfile,
            key_file: keyfile,
            key_password: keyfile_password,
            insecure: cert_reqs == Some(CERT_NONE),
        };
        setting.load(py)?;
        self.shared.reach_in.lock().tls = Some(setting);
        Ok(())
    }

    /// Accept any certificate, or check it again: with ``True`` there is no protection against an impostor.
    fn tls_insecure_set(&self, value: bool) -> PyResult<()> {
        match &mut self.shared.reach_in.lock().tls {
            Some(tls) => {
                tls.insecure = value;
                Ok(())
            }
            None => Err(PyValueError::new_err("Must configure SSL context before using tls_insecure_set.")),
        }
    }

    /// Go through a SOCKS proxy from the next ``connect`` on; without an address no longer.
    #[pyo3(signature = (proxy_type=None, proxy_addr=None, proxy_port=None, proxy_rdns=None, proxy_username=None, proxy_password=None))]
    fn proxy_set(
        &self,
        proxy_type: Option<i64>,
        proxy_addr: Option<String>,
        proxy_port: Option<u16>,
        proxy_rdns: Option<Py<PyAny>>,
        proxy_username: Option<String>,
        proxy_password: Option<String>,
    ) -> PyResult<()> {
        // The proxy resolves names in any case.
        drop(proxy_rdns);
        let Some(host) = proxy_addr else {
            self.shared.reach_in.lock().proxy = None;
            return Ok(());
        };
        // PySocks' numbers.
        let kind = match proxy_type.unwrap_or(2) {
            1 => ProxyKind::Socks4,
            2 => ProxyKind::Socks5,
            other => {
                let text = format!("proxy_type {other} is not valid: expected 1 (SOCKS 4) or 2 (SOCKS 5)");
                return Err(PyValueError::new_err(text));
            }
        };
        let login = proxy_username.map(|user| (user, AccessKey::new(proxy_password.unwrap_or_default())));
        let proxy = Proxy { kind, host, port: proxy_port.unwrap_or(1080), login };
        self.shared.reach_in.lock().proxy = Some(proxy);
        Ok(())
    }

    /// Do nothing: the log goes to the loggers ``tb_connection`` and ``thingslink`` in any case.
    #[pyo3(signature = (logger=None))]
    fn enable_logger(&self, logger: Option<Py<PyAny>>) {
        drop(logger);
    }

    /// Do nothing: there is no thread to start.
    fn loop_start(&self) {}

    /// Do nothing: there is no thread to stop.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn loop_stop(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// QoS 1 messages that may be unacknowledged at once; 0 for any number.
    #[getter]
    fn _max_inflight_messages(&self) -> usize {
        let window = self.shared.client.outbox().limits().in_flight;
        if window >= MOST_IN_FLIGHT { 0 } else { window }
    }

    #[setter(_max_inflight_messages)]
    fn set_max_inflight_messages(&self, count: usize) {
        set_in_flight(&self.shared, count);
    }

    /// Messages that may wait at once; 0 for any number.
    #[getter]
    fn _max_queued_messages(&self) -> usize {
        let most = self.shared.client.outbox().limits().messages;
        if most >= MOST_IN_FLIGHT { 0 } else { most }
    }

    #[setter(_max_queued_messages)]
    fn set_max_queued_messages(&self, count: usize) {
        set_queued(&self.shared, count);
    }

    #[getter]
    fn _on_connect(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.shared.reach_in.lock().on_connect.as_ref().map(|callback| callback.clone_ref(py))
    }

    #[setter(_on_connect)]
    fn set_on_connect(&self, callback: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        set_callback(&self.shared, callback, |reach_in| &mut reach_in.on_connect)
    }

    #[getter]
    fn _on_disconnect(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.shared.reach_in.lock().on_disconnect.as_ref().map(|callback| callback.clone_ref(py))
    }

    #[setter(_on_disconnect)]
    fn set_on_disconnect(&self, callback: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        set_callback(&self.shared, callback, |reach_in| &mut reach_in.on_disconnect)
    }
}

/// As many as the protocol's message IDs allow for.
const MOST_IN_FLIGHT: usize = 60_000;

/// Bound the unacknowledged messages; 0 for any number.
pub(super) fn set_in_flight(shared: &Shared, count: usize) {
    let outbox = shared.client.outbox();
    let in_flight = if count == 0 { MOST_IN_FLIGHT } else { count.min(MOST_IN_FLIGHT) };
    outbox.set_limits(crate::session::OutboxLimits { in_flight, ..outbox.limits() });
}

/// Bound the waiting messages; 0 for any number.
pub(super) fn set_queued(shared: &Shared, count: usize) {
    let outbox = shared.client.outbox();
    let messages = if count == 0 { MOST_IN_FLIGHT } else { count };
    outbox.set_limits(crate::session::OutboxLimits { messages, ..outbox.limits() });
}

fn set_callback(
    shared: &Shared,
    callback: Option<Bound<'_, PyAny>>,
    place: impl FnOnce(&mut ReachIn) -> &mut Option<Py<PyAny>>,
) -> PyResult<()> {
    if let Some(callback) = &callback
        && !callback.is_callable()
    {
        return Err(wrong_type("callback", "callable", callback));
    }
    let mut reach_in = shared.reach_in.lock();
    let old = std::mem::replace(place(&mut reach_in), callback.map(Bound::unbind));
    drop(reach_in);
    // Dropped outside the lock: this may run Python code.
    drop(old);
    Ok(())
}
