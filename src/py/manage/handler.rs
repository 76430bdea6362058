//! `HandlerClient`: finds the handler of an application and gives the clients that talk to it.

use crate::sync::Mutex;

use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use super::application::PyApplicationClient;
use super::discovery::{Discovery, PyDiscoveryClient};
use super::identity::{Identity, announced_server, secret};
use super::stub::message_of;
use super::v3;
use crate::ids::AppId;
use crate::py::arguments::{Aliases, Given, text, wrong_type};
use crate::py::convert::trust;
use crate::py::error::OrRaise as _;
use crate::py::lorawan::PyMqttClient;
use crate::py::proto::{Place, wrap};
use crate::rpc::message::descriptor;

/// Finds the handler of an application and gives the clients that talk to it.
#[pyclass(frozen, subclass, name = "HandlerClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyHandlerClient {
    discovery: Discovery,
    state: Mutex<State>,
}

struct State {
    app_id: String,
    key: Option<String>,
    token: Option<String>,
    insecure: bool,
    announcement: Option<Py<PyAny>>,
    /// The cluster of a Things Stack V3, which nobody needs to discover.
    cluster: Option<String>,
}

#[pymethods]
impl PyHandlerClient {
    #[new]
    #[pyo3(
        signature = (
            app_id, access_key=Given(None), discovery_address=None, cert_path=None,
            insecure_channel=false, *, token=None, timeout=None, cluster=None, **aliases
        ),
        text_signature = "(app_id, access_key, discovery_address='discovery.thethings.network:1900', cert_path='', insecure_channel=False, *, token=None, timeout=None, cluster=None, **aliases)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: &Bound<'py, PyAny>,
        access_key: Given<'py>,
        discovery_address: Option<&str>,
        cert_path: Option<Bound<'py, PyAny>>,
        insecure_channel: bool,
        token: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        cluster: Option<String>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let mut aliases = Aliases::new("HandlerClient", aliases);
        let key = aliases.require("access_key", access_key, &["app_access_key"])?;
        aliases.finish()?;
        let app_id = text("app_id", app_id)?;
        AppId::new(app_id.as_str()).or_raise(py)?;
        let (key, token) = (secret("access_key", &key)?, token.map_or(Ok(None), |token| secret("token", &token))?);
        let given = cert_path.filter(|path| !path.cast::<PyString>().is_ok_and(|path| path.is_empty().unwrap_or(true)));
        let certificate = match trust(given.as_ref())? {
            crate::endpoint::Trust::Pem(pem) => Some(pem),
            _ => None,
        };
        let discovery = Discovery::new(discovery_address, certificate, insecure_channel);
        let announcement = match &cluster {
            Some(cluster) => v3::announcement(py, cluster, &app_id, insecure_channel)?,
            None => PyDiscoveryClient::announcement(py, &app_id, &discovery, timeout.as_ref())?.wait(py)?,
        };
        let announcement = Some(wrap(py, Place::new(announcement))?.unbind());
        let state = State { app_id, key, token, insecure: insecure_channel, announcement, cluster };
        Ok(Self { discovery, state: Mutex::new(state) })
    }

    /// Application ID, for the clients made from now on.
    #[getter]
    fn app_id(&self) -> String {
        self.state.lock().app_id.clone()
    }

    #[setter]
    fn set_app_id(&self, app_id: String) {
        self.state.lock().app_id = app_id;
    }

    /// Access key, for the clients made from now on.
    #[getter]
    fn app_access_key(&self) -> Option<String> {
        self.state.lock().key.clone()
    }

    #[setter]
    fn set_app_access_key(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = secret("app_access_key", key)?;
        self.state.lock().key = key;
        Ok(())
    }

    /// Whether discovery was asked without TLS.
    #[getter]
    fn insecure_channel(&self) -> bool {
        self.state.lock().insecure
    }

    #[setter]
    fn set_insecure_channel(&self, insecure: bool) {
        self.state.lock().insecure = insecure;
    }

    /// What the handler has announced.
    #[getter]
    fn announcement(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let announcement = self.state.lock().announcement.as_ref().map(|announcement| announcement.clone_ref(py));
        announcement.ok_or_else(|| PyAttributeError::new_err("announcement"))
    }

    #[setter]
    fn set_announcement(&self, announcement: Py<PyAny>) {
        let old = self.state.lock().announcement.replace(announcement);
        drop(old);
    }

    #[deleter]
    fn delete_announcement(&self) {
        let old = self.state.lock().announcement.take();
        drop(old);
    }

    /// Give a new MQTT client of the application; keyword arguments are those of ``MQTTClient``.
    #[pyo3(signature = (reconnect=true, **options))]
    fn data<'py>(
        &self,
        py: Python<'py>,
        reconnect: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let announcement = self.known(py)?;
        let address = announcement.get_field_by_name("mqtt_address");
        let address = address.and_then(|address| address.as_str().map(str::to_owned)).unwrap_or_default();
        let arguments = PyDict::new(py);
        arguments.set_item("discovery_address", &self.discovery.address)?;
        arguments.set_item("insecure_channel", self.discovery.insecure)?;
        arguments.set_item("discovery_certificate", self.discovery.certificate.as_deref())?;
        if self.state.lock().cluster.is_some() {
            if let Some(pem) = &self.discovery.certificate {
                arguments.set_item("ca_certs", PyBytes::new(py, pem))?;
            }
            if self.discovery.insecure {
                // Said outright: the key goes in plain text.
                arguments.set_item("tls", false)?;
            }
        }
        if let Some(pem) = &self.discovery.lead.trust {
            arguments.set_item("ca_certs", PyBytes::new(py, pem))?;
        }
        if let Some(options) = options {
            arguments.update(options.as_mapping())?;
        }
        arguments.set_item("reconnect", reconnect)?;
        let (app_id, key) = {
            let state = self.state.lock();
            (state.app_id.clone(), state.token.clone().or_else(|| state.key.clone()))
        };
        let class = py.get_type::<PyMqttClient>();
        class.call((app_id, key.unwrap_or_default(), address), Some(&arguments))
    }

    /// Give a new client that manages the application and its devices.
    fn application(&self, py: Python<'_>) -> PyResult<PyApplicationClient> {
        let announcement = self.known(py)?;
        let (app_id, key, token, insecure, cluster) = {
            let state = self.state.lock();
            (state.app_id.clone(), state.key.clone(), state.token.clone(), state.insecure, state.cluster.clone())
        };
        if let Some(cluster) = cluster {
            let certificate = self.discovery.certificate.clone();
            let at = v3::At { cluster: Some(cluster), certificate, insecure, ..v3::At::default() };
            return PyApplicationClient::on_stack(py, Identity { app_id, key, token }, at);
        }
        PyApplicationClient::at(py, app_id, key, token, announced_server(&announcement, insecure)?)
    }

    /// Do nothing: discovery keeps no connection. For symmetry with the other clients.
    fn close(&self) {}

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> bool {
        false
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (class, app_id) = (slf.get_type().name()?, this.app_id());
        if let Some(cluster) = &this.state.lock().cluster {
            return Ok(format!("<{class} app_id='{app_id}' cluster='{cluster}' network='v3'>"));
        }
        Ok(format!("<{class} app_id='{app_id}' discovery_address='{}'>", this.discovery.address))
    }
}

impl PyHandlerClient {
    fn known(&self, py: Python<'_>) -> PyResult<prost_reflect::DynamicMessage> {
        let announcement = self
            .announcement(py)
            .map_err(|_| PyRuntimeError::new_err("No announcement: the handler was not discovered"))?
            .into_bound(py);
        message_of(&announcement, &descriptor("discovery.Announcement"))
            .map_err(|_| wrong_type("announcement", "an Announcement", &announcement))
    }
}
