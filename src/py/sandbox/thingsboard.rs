//! The sandbox's ThingsBoard. Values cross as JSON text; `thingslink.sandbox` makes Python objects of them.

use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::PyFollower;
use super::follower::to_dicts;
use crate::dialect::thingsboard::{LimitTexts, Package};
use crate::py::arguments::texts;
use crate::py::convert::{Octets, seconds};
use crate::py::error::OrRaise as _;
use crate::py::log;
use crate::py::number;
use crate::py::runtime::{self, Closable, Process};
use crate::sandbox::thingsboard::{Credentials, Scope, ThingsBoard, ThingsBoardOptions, TransportLimits};

/// See `_native/sandbox.pyi`.
#[pyclass(frozen, subclass, name = "_ThingsBoard", module = "thingslink._native", dict)]
pub(in crate::py) struct PyThingsBoard {
    options: ThingsBoardOptions,
    running: OnceLock<(Arc<Shared>, Arc<Process>)>,
}

struct Shared(ThingsBoard);

impl Closable for Shared {
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> tokio::task::JoinHandle<()> {
        handle.spawn(async move { self.0.stop().await })
    }
}

impl PyThingsBoard {
    fn running(&self) -> PyResult<&(Arc<Shared>, Arc<Process>)> {
        let running = self.running.get().ok_or_else(|| PyRuntimeError::new_err("the sandbox is not started"))?;
        running.1.check()?;
        Ok(running)
    }

    fn server(&self) -> PyResult<&ThingsBoard> {
        Ok(&self.running()?.0.0)
    }
}

fn json(what: &str, text: &str) -> PyResult<Value> {
    serde_json::from_str(text).map_err(|error| PyValueError::new_err(format!("{what} is not valid: {error}")))
}

fn object(what: &str, text: &str) -> PyResult<Map<String, Value>> {
    match json(what, text)? {
        Value::Object(object) => Ok(object),
        _ => Err(PyValueError::new_err(format!("{what} is not valid: expected a dict"))),
    }
}

fn scope(name: &str) -> PyResult<Scope> {
    match name {
        "client" => Ok(Scope::Client),
        "shared" => Ok(Scope::Shared),
        other => Err(PyValueError::new_err(format!("scope {other:?} is not valid: expected \"client\" or \"shared\""))),
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyThingsBoard {
    #[new]
    #[pyo3(signature = (host="127.0.0.1", port=0, tls_port=None, max_connections=10_000))]
    fn new(
        host: &str,
        #[pyo3(from_py_with = number::port)] port: u16,
        #[pyo3(from_py_with = number::tls_port)] tls_port: Option<u16>,
        #[pyo3(from_py_with = number::max_connections)] max_connections: usize,
    ) -> PyResult<Self> {
        let options = ThingsBoardOptions { host: host.to_owned(), port, tls_port, max_connections };
        Ok(Self { options, running: OnceLock::new() })
    }

    /// Start, or serve again on the same ports.
    fn _start(&self, py: Python<'_>) -> PyResult<()> {
        if let Some((shared, process)) = self.running.get() {
            let shared = shared.clone();
            return process.wait(py, async move { shared.0.resume().await })?.or_raise(py);
        }
        log::prepare(py)?;
        let process = runtime::process()?;
        let options = self.options.clone();
        let server = process.wait(py, async move { ThingsBoard::start(options).await })?.or_raise(py)?;
        let shared = Arc::new(Shared(server));
        process.close_at_exit(&shared);
        // Two threads that start the same one: the second one's is dropped again.
        let _first = self.running.set((shared, process));
        Ok(())
    }

    fn _stop(&self, py: Python<'_>) -> PyResult<()> {
        // A forked child has nothing of its own to stop.
        let Some((shared, process)) = self.running.get().filter(|(_, process)| process.check().is_ok()) else {
            return Ok(());
        };
        let shared = shared.clone();
        runtime::parted(py, process.wait(py, async move { shared.0.stop().await }), ())
    }

    /// Address that it listens on.
    #[getter]
    fn host(&self) -> &str {
        &self.options.host
    }

    /// Port of plain MQTT.
    #[getter]
    fn port(&self) -> PyResult<u16> {
        Ok(self.server()?.port())
    }

    /// Port of MQTT over TLS, if it is served.
    #[getter]
    fn tls_port(&self) -> PyResult<Option<u16>> {
        Ok(self.server()?.tls_port())
    }

    /// The PEM certificate that TLS clients must trust.
    #[getter]
    fn ca_certs(&self) -> PyResult<String> {
        Ok(self.server()?.certificate().to_owned())
    }

    #[pyo3(signature = (name, profile, gateway, token, client_id, username, password, certificate))]
    #[expect(clippy::too_many_arguments, reason = "one argument for each part of the credentials")]
    fn _add_device(
        &self,
        py: Python<'_>,
        name: &str,
        profile: &str,
        gateway: bool,
        token: Option<String>,
        client_id: Option<String>,
        username: Option<String>,
        password: Option<String>,
        certificate: Option<Octets>,
    ) -> PyResult<()> {
        let credentials = if let Some(pem) = certificate {
            let first = CertificateDer::from_pem_slice(&pem.0)
                .map_err(|_| PyValueError::new_err("certificate is not valid: expected a PEM certificate"))?;
            Credentials::Certificate(first.to_vec())
        } else if let Some(token) = token {
            Credentials::Token(token)
        } else if client_id.is_some() || username.is_some() || password.is_some() {
            Credentials::Basic { client_id, username, password }
        } else {
            Credentials::None
        };
        self.server()?.add_device(name, profile, gateway, credentials).or_raise(py)
    }

    /// Delete a device; its sessions are ended (152 in MQTT 5).
    fn delete_device(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.server()?.delete_device(name).or_raise(py)
    }

    /// Names of the devices, sorted.
    #[getter]
    fn devices(&self) -> PyResult<Vec<String>> {
        Ok(self.server()?.devices())
    }

    /// Names of the devices that are connected, themselves or through a gateway, sorted.
    #[getter]
    fn connected(&self) -> PyResult<Vec<String>> {
        Ok(self.server()?.connected())
    }

    fn _device(&self, name: &str) -> PyResult<Option<String>> {
        Ok(self.server()?.device(name).map(|device| device.to_string()))
    }

    fn _telemetry(&self, device: &str) -> PyResult<String> {
        Ok(Value::Array(self.server()?.telemetry(device)).to_string())
    }

    fn _attributes(&self, device: &str, scope: &str) -> PyResult<String> {
        Ok(Value::Object(self.server()?.attributes(device, self::scope(scope)?)).to_string())
    }

    fn _set_attributes(&self, py: Python<'_>, device: &str, scope: &str, values: &str) -> PyResult<()> {
        self.server()?.set_attributes(device, self::scope(scope)?, object("values", values)?).or_raise(py)
    }

    fn _delete_shared(&self, py: Python<'_>, device: &str, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        self.server()?.delete_shared(device, &texts("keys", keys)?).or_raise(py)
    }

    fn _call(
        &self,
        py: Python<'_>,
        device: String,
        method: String,
        params: &str,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<String> {
        let (shared, process) = self.running()?;
        let (shared, within, params) = (shared.clone(), seconds("timeout", timeout)?, json("params", params)?);
        let call = async move { shared.0.call(&device, &method, params, within).await };
        Ok(process.wait(py, call)?.or_raise(py)?.to_string())
    }

    fn _script(&self, method: &str, answer: Option<&str>) -> PyResult<()> {
        self.server()?.script(method, answer.map(|answer| json("answer", answer)).transpose()?);
        Ok(())
    }

    fn _offer_package(&self, py: Python<'_>, device: &str, kind: &str, attributes: &str, data: Octets) -> PyResult<()> {
        let package = Package::ALL.into_iter().find(|package| package.prefix() == kind);
        let package = package.ok_or_else(|| PyValueError::new_err(format!("there are no packages {kind:?}")))?;
        self.server()?.offer_package(device, package, object("attributes", attributes)?, data.0).or_raise(py)
    }

    /// Let devices be provisioned with this key and secret; without them no longer.
    #[pyo3(signature = (key=None, secret=None))]
    fn allow_provisioning(&self, key: Option<String>, secret: Option<String>) -> PyResult<()> {
        self.server()?.allow_provisioning(key.zip(secret));
        Ok(())
    }

    fn _limit(
        &self,
        messages: String,
        telemetry_messages: String,
        telemetry_points: String,
        #[pyo3(from_py_with = number::in_flight)] in_flight: u64,
        #[pyo3(from_py_with = number::payload_bytes)] payload_bytes: u64,
        behind: Option<(String, String, String)>,
    ) -> PyResult<()> {
        let own = LimitTexts { messages, telemetry_messages, telemetry_points };
        let devices = behind.map(|(messages, telemetry_messages, telemetry_points)| LimitTexts {
            messages,
            telemetry_messages,
            telemetry_points,
        });
        self.server()?.limit(TransportLimits { own, devices, in_flight, payload_bytes });
        Ok(())
    }

    /// Acknowledge the next messages on topics that begin so with this reason code, 128 to 255 (MQTT 5).
    #[pyo3(signature = (topic, reason, count=1))]
    fn reject(
        &self,
        topic: &str,
        #[pyo3(from_py_with = number::refusal)] reason: u8,
        #[pyo3(from_py_with = number::count)] count: u32,
    ) -> PyResult<()> {
        self.server()?.reject(topic, reason, count);
        Ok(())
    }

    /// Refuse level 5 of MQTT, or no longer.
    #[pyo3(signature = (on=true))]
    fn refuse_level_5(&self, on: bool) -> PyResult<()> {
        self.server()?.refuse_level_5(on);
        Ok(())
    }

    /// Drop a device behind a gateway, as the server does: for a reason such as 150, its rate.
    #[pyo3(signature = (device, reason=150))]
    fn drop_device(&self, device: &str, #[pyo3(from_py_with = number::reason)] reason: u32) -> PyResult<()> {
        self.server()?.drop_device(device, reason);
        Ok(())
    }

    /// Send bytes to a device as they are, for tests of what no server should send; gives the sessions reached.
    fn push_raw(&self, device: &str, topic: &str, payload: Octets) -> PyResult<usize> {
        Ok(self.server()?.push_raw(device, topic, payload.0))
    }

    /// Cut all connections; gives how many there were.
    fn cut(&self) -> PyResult<usize> {
        Ok(self.server()?.cut())
    }

    /// Refuse every login with this CONNACK code, 1 to 255; 0 ends it.
    fn refuse_logins(&self, #[pyo3(from_py_with = number::code)] code: u8) -> PyResult<()> {
        self.server()?.faults().refuse_logins(code);
        Ok(())
    }

    /// Close every new connection at once, or no longer.
    #[pyo3(signature = (on=true))]
    fn refuse_connections(&self, on: bool) -> PyResult<()> {
        self.server()?.faults().refuse_connections(on);
        Ok(())
    }

    /// Neither read nor write on any connection, or go on.
    #[pyo3(signature = (on=true))]
    fn go_silent(&self, on: bool) -> PyResult<()> {
        self.server()?.faults().go_silent(on);
        Ok(())
    }

    /// Do not acknowledge the next QoS 1 messages of clients.
    #[pyo3(signature = (count=1))]
    fn withhold_acks(&self, #[pyo3(from_py_with = number::count)] count: u32) -> PyResult<()> {
        self.server()?.faults().withhold_acks(count);
        Ok(())
    }

    /// What passed through lately, first to last: up to 1,000 entries, as `Follower` gives them.
    #[getter]
    fn journal<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        to_dicts(py, self.running()?.0.0.journal())
    }

    /// Follow what passes through, from now on.
    fn follow(&self) -> PyResult<PyFollower> {
        let (shared, process) = self.running()?;
        Ok(PyFollower::new(shared.0.follow(), process.clone()))
    }
}
