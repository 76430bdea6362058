//! `HandlerClient`: finds the handler of an application and gives the clients that talk to it.

use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::application::PyApplicationClient;
use super::chirpstack;
use super::discovery::Discovery;
use super::given::PyHandlerGiven;
use super::identity::{Identity, announced_server, secret};
use super::known::Known as _;
use super::stub::message_of;
use super::v3;
use super::way::Way;
use crate::dialect::lorawan::Network;
use crate::py::arguments::wrong_type;
use crate::py::lorawan::PyMqttClient;
use crate::rpc::message::descriptor;
use crate::sync::Mutex;

#[doc = stub!("HandlerClient")]
#[pyclass(frozen, subclass, name = "HandlerClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyHandlerClient {
    discovery: Discovery,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) app_id: String,
    pub(super) key: Option<String>,
    pub(super) token: Option<String>,
    pub(super) insecure: bool,
    pub(super) announcement: Option<Py<PyAny>>,
    /// The cluster of a Things Stack V3, which nobody needs to discover.
    pub(super) cluster: Option<String>,
    /// A ChirpStack, likewise.
    pub(super) plant: Option<Plant>,
}

/// A ChirpStack, and the tenant.
#[derive(Clone)]
pub(super) struct Plant {
    pub(super) at: chirpstack::Configured,
    pub(super) tenant_id: Option<String>,
}

impl PyHandlerClient {
    pub(super) fn of(discovery: Discovery, state: State) -> Self {
        Self { discovery, state: Mutex::new(state) }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyHandlerClient {
    #[new]
    #[pyo3(
        signature = (*arguments, **options),
        text_signature = "(app_id, access_key, discovery_address='discovery.thethings.network:1900', cert_path='', insecure_channel=False, *, token=None, timeout=None, cluster=None, network=None, grpc_address=None, mqtt_address=None, tenant_id=None, max_reply_bytes=67108864, **aliases)"
    )]
    fn new(arguments: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = arguments.py();
        Self::given(arguments, options)?.get().open(py)?.wait(py)
    }

    /// Take the arguments, and ask nobody for anything.
    #[staticmethod]
    #[pyo3(name = "_given", signature = (*arguments, **options))]
    fn given<'py>(
        arguments: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyHandlerGiven>> {
        let given = arguments.py().get_type::<PyHandlerGiven>().call(arguments, options)?;
        Ok(given.cast_into()?)
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
        self.data_as(py.get_type::<PyMqttClient>().into_any(), reconnect, options)
    }

    /// The same of another class that takes the arguments of ``MQTTClient``.
    #[pyo3(name = "_data_as", signature = (class, /, reconnect=true, **options))]
    fn data_as<'py>(
        &self,
        class: Bound<'py, PyAny>,
        reconnect: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let announcement = self.known(py)?;
        let address = announcement.get_field_by_name("mqtt_address");
        let address = address.and_then(|address| address.as_str().map(str::to_owned)).unwrap_or_default();
        let arguments = PyDict::new(py);
        arguments.set_item("discovery_address", &self.discovery.address)?;
        arguments.set_item("insecure_channel", self.discovery.insecure)?;
        arguments.set_item("discovery_certificate", self.discovery.certificate.as_deref())?;
        let (is_of_stack, plant) = {
            let state = self.state.lock();
            (state.cluster.is_some(), state.plant.clone())
        };
        if is_of_stack {
            arguments.set_item("network", Network::V3.to_string())?;
            let management = announcement.get_field_by_name("net_address");
            let management = management.and_then(|address| address.as_str().map(str::to_owned));
            arguments.set_item("management_address", management.filter(|address| !address.is_empty()))?;
        }
        if let Some(Plant { at, tenant_id }) = &plant {
            arguments.set_item("network", Network::ChirpStack.to_string())?;
            arguments.set_item("grpc_address", Some(&at.grpc_address).filter(|address| !address.is_empty()))?;
            arguments.set_item("tenant_id", tenant_id.as_deref())?;
        }
        if is_of_stack || plant.is_some() {
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
        class.call((app_id, key.unwrap_or_default(), address), Some(&arguments))
    }

    #[doc = stub!("HandlerClient.application")]
    #[pyo3(signature = (*, identity_address=None, frequency_plan_id=None, lorawan_version=None, lorawan_phy_version=None, profile=None))]
    fn application(
        &self,
        py: Python<'_>,
        identity_address: Option<String>,
        frequency_plan_id: Option<String>,
        lorawan_version: Option<String>,
        lorawan_phy_version: Option<String>,
        profile: Option<String>,
    ) -> PyResult<PyApplicationClient> {
        let at = v3::At {
            identity_address,
            frequency_plan_id,
            lorawan_version,
            lorawan_phy_version,
            largest: self.discovery.largest,
            ..v3::At::default()
        };
        let announcement = self.known(py)?;
        let (app_id, key, token, insecure, cluster) = {
            let state = self.state.lock();
            (state.app_id.clone(), state.key.clone(), state.token.clone(), state.insecure, state.cluster.clone())
        };
        if let Some(cluster) = cluster {
            chirpstack::At { profile, ..chirpstack::At::default() }.refuse_elsewhere(Network::V3)?;
            let certificate = self.discovery.certificate.clone();
            let at = v3::At { cluster: Some(cluster), argument: Some("cert_path"), certificate, insecure, ..at };
            return Ok(PyApplicationClient::new_at(Way::stack_at(py, Identity { app_id, key, token }, at)?));
        }
        let plant = self.state.lock().plant.clone();
        at.refuse_but_on_v3(if plant.is_some() { Network::ChirpStack } else { Network::V2 })?;
        let own = chirpstack::At { argument: "grpc_address", profile, ..chirpstack::At::default() };
        if let Some(Plant { at, tenant_id }) = plant {
            let own = chirpstack::At {
                address: at.grpc_address,
                tenant_id,
                certificate: self.discovery.certificate.clone(),
                trusting_by: "cert_path",
                insecure,
                largest: self.discovery.largest,
                ..own
            };
            return Ok(PyApplicationClient::new_at(Way::api_at(py, Identity { app_id, key, token }, own)?));
        }
        own.refuse_elsewhere(Network::V2)?;
        let server = announced_server(&announcement, insecure, self.discovery.largest)?;
        let identity = Identity { app_id, key, token };
        Ok(PyApplicationClient::new_at(Way::handler_at(py, identity, server)?))
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
        if let Some(plant) = &this.state.lock().plant {
            return Ok(format!("<{class} app_id='{app_id}' {}>", plant.at.shown()));
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
