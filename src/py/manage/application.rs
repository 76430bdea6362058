//! `ApplicationClient`: an application on the handler that serves it.

use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::calls::{ADDRESSES, Calls, MANAGER};
use super::discovery::{Discovery, PyDiscoveryClient, pem};
use super::identity::{Identity, Server, announced_server, secret};
use super::refused::{DELETE_APPLICATION, GET_APPLICATION, REGISTER_APPLICATION};
use super::stub::{Connection, PyStub};
use super::v3;
use super::way::Way;
use crate::dialect::lorawan::Network;
use crate::endpoint::Trust;
use crate::ids::{AccessKey, AppId};
use crate::py::arguments::{Aliases, Given, text};
use crate::py::error::OrRaise as _;
use crate::py::prepared::Face;
use crate::rpc::{HANDLER_PORT, addresses};
use crate::sync::Mutex;

/// Manages an application and its devices on the handler that serves it.
///
/// The methods for devices stand in `devices.rs`, those for payload functions in `functions.rs`.
#[pyclass(frozen, subclass, name = "ApplicationClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyApplicationClient {
    pub(super) way: Way,
    pub(super) face: Face,
}

impl PyApplicationClient {
    pub(super) fn at(
        py: Python<'_>,
        app_id: String,
        key: Option<String>,
        token: Option<String>,
        server: Server,
    ) -> PyResult<Self> {
        AppId::new(app_id.as_str()).or_raise(py)?;
        let trust = match (server.certificate, server.insecure) {
            (_, true) => Trust::System,
            (Some(certificate), false) => Trust::Pem(certificate),
            (None, false) => return Err(PyRuntimeError::new_err("You need to provide credentials")),
        };
        let endpoints = addresses("handler_address", &server.address, HANDLER_PORT, !server.insecure).or_raise(py)?;
        let connection = Connection::new(py, endpoints, &trust)?;
        let client = Py::new(py, PyStub::new(MANAGER, connection.clone()))?.into_any();
        let stub = Py::new(py, PyStub::new(ADDRESSES, connection.clone()))?.into_any();
        let calls = Calls {
            identity: Mutex::new(Identity { app_id, key, token }),
            client: Mutex::new(client),
            addresses: stub,
            connection,
            address: server.address,
        };
        Ok(Self { way: Way::V2(Arc::new(calls)), face: Face::default() })
    }

    /// On The Things Stack V3.
    pub(super) fn on_stack(py: Python<'_>, identity: Identity, at: v3::At) -> PyResult<Self> {
        let calls = v3::Calls::new(py, identity, at)?;
        Ok(Self { way: Way::V3(Arc::new(calls)), face: Face::default() })
    }
}

#[pymethods]
impl PyApplicationClient {
    #[new]
    #[pyo3(
        signature = (
            app_id, access_key=Given(None), handler_address=Given(None), cert_content=None,
            discovery_address=None, *, insecure_channel=false, token=None,
            discovery_certificate=None, timeout=None, network=None, cluster=None, identity_address=None,
            frequency_plan_id=None, lorawan_version=None, lorawan_phy_version=None, **aliases
        ),
        text_signature = "(app_id, access_key, handler_address='', cert_content='', discovery_address='discovery.thethings.network:1900', *, insecure_channel=False, token=None, discovery_certificate=None, timeout=None, network=None, cluster=None, identity_address=None, frequency_plan_id=None, lorawan_version=None, lorawan_phy_version=None, **aliases)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: &Bound<'py, PyAny>,
        access_key: Given<'py>,
        handler_address: Given<'py>,
        cert_content: Option<Bound<'py, PyAny>>,
        discovery_address: Option<&str>,
        insecure_channel: bool,
        token: Option<Bound<'py, PyAny>>,
        discovery_certificate: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        network: Option<&str>,
        cluster: Option<String>,
        identity_address: Option<String>,
        frequency_plan_id: Option<String>,
        lorawan_version: Option<String>,
        lorawan_phy_version: Option<String>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let mut aliases = Aliases::new("ApplicationClient", aliases);
        let key = aliases.require("access_key", access_key, &["app_access_key"])?;
        let address = match aliases.find("handler_address", handler_address, &["net_address"])? {
            Some(address) if !address.is_none() => text("handler_address", &address)?,
            _ => String::new(),
        };
        aliases.finish()?;
        let app_id = text("app_id", app_id)?;
        let (key, token) = (secret("access_key", &key)?, token.map_or(Ok(None), |token| secret("token", &token))?);
        if is_v3(py, network, cluster.as_deref(), &address, token.as_deref().or(key.as_deref()))? {
            let certificate = pem("cert_content", cert_content.as_ref())?;
            let at = v3::At {
                address,
                cluster,
                identity_address,
                certificate,
                insecure: insecure_channel,
                frequency_plan_id,
                lorawan_version,
                lorawan_phy_version,
            };
            return Self::on_stack(py, Identity { app_id, key, token }, at);
        }
        let foreign = [
            ("cluster", &cluster),
            ("identity_address", &identity_address),
            ("frequency_plan_id", &frequency_plan_id),
            ("lorawan_version", &lorawan_version),
            ("lorawan_phy_version", &lorawan_phy_version),
        ];
        if let Some((name, _)) = foreign.into_iter().find(|(_, given)| given.is_some()) {
            let text = format!("{name} is not an argument for The Things Network V2: expected network=\"v3\" with it");
            return Err(PyValueError::new_err(text));
        }
        let server = if address.is_empty() {
            // What is given as the certificate does not count then: programs of the original pass anything here.
            let certificate = pem("discovery_certificate", discovery_certificate.as_ref())?;
            let discovery = Discovery::new(discovery_address, certificate, insecure_channel);
            let announcement = PyDiscoveryClient::announcement(py, &app_id, &discovery, timeout.as_ref())?.wait(py)?;
            announced_server(&announcement, insecure_channel)?
        } else {
            let certificate = pem("cert_content", cert_content.as_ref())?;
            Server { address, certificate, insecure: insecure_channel }
        };
        Self::at(py, app_id, key, token, server)
    }

    /// Application ID; read at each call.
    #[getter]
    fn app_id(&self) -> String {
        self.way.identity().lock().app_id.clone()
    }

    #[setter]
    fn set_app_id(&self, py: Python<'_>, app_id: String) -> PyResult<()> {
        AppId::new(app_id.as_str()).or_raise(py)?;
        self.way.identity().lock().app_id = app_id;
        Ok(())
    }

    /// Access key; read at each call.
    #[getter]
    fn app_access_key(&self) -> Option<String> {
        self.way.identity().lock().key.clone()
    }

    #[setter]
    fn set_app_access_key(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = secret("app_access_key", key)?;
        self.way.identity().lock().key = key;
        Ok(())
    }

    /// What the calls go through. May be replaced by anything with the service's methods.
    #[getter]
    fn client(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.way.handler()?.client.lock().clone_ref(py))
    }

    #[setter]
    fn set_client(&self, client: Py<PyAny>) -> PyResult<()> {
        let old = std::mem::replace(&mut *self.way.handler()?.client.lock(), client);
        drop(old);
        Ok(())
    }

    /// The network that is spoken to: ``"v2"`` or ``"v3"``.
    #[getter]
    fn network(&self) -> &'static str {
        self.way.name()
    }

    /// Give the application.
    #[pyo3(signature = (*, timeout=None))]
    fn get<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let application = match &self.way {
            Way::V2(calls) => calls.ask(py, GET_APPLICATION, "GetApplication", calls.application_request(), timeout)?,
            Way::V3(calls) => calls.application(py, timeout)?,
        };
        self.face.give(py, application)
    }

    /// Register the application on the handler.
    #[pyo3(signature = (*, timeout=None))]
    fn register<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let registered = match &self.way {
            Way::V2(calls) => {
                calls.ask(py, REGISTER_APPLICATION, "RegisterApplication", calls.application_request(), timeout)?
            }
            Way::V3(calls) => calls.register(py, timeout)?,
        };
        self.face.give(py, registered)
    }

    /// Delete the application on the handler, with all its devices.
    #[pyo3(signature = (*, confirm=false, timeout=None))]
    fn unregister<'py>(
        &self,
        py: Python<'py>,
        confirm: bool,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let deleted = match &self.way {
            Way::V2(calls) => {
                calls.ask(py, DELETE_APPLICATION, "DeleteApplication", calls.application_request(), timeout)?
            }
            Way::V3(calls) => calls.unregister(py, confirm, timeout)?,
        };
        self.face.give(py, deleted)
    }

    /// List the rights of the access key, on The Things Stack V3.
    #[pyo3(signature = (*, timeout=None))]
    fn rights<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.stack("rights()")?.rights(py, timeout)?)
    }

    /// Call a method by its name, and give a future of asyncio in place of waiting.
    #[pyo3(signature = (name, /, *arguments, **options))]
    fn _call_async<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        arguments: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let other = Bound::new(py, Self { way: self.way.clone(), face: Face::Asyncio })?;
        other.call_method(name, arguments, options)
    }

    /// Close the connection; later calls fail.
    fn close(&self) {
        self.way.close();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> bool {
        self.close();
        false
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (class, app_id, address) = (slf.get_type().name()?, this.app_id(), this.way.address());
        let network = match this.way {
            Way::V2(_) => "",
            Way::V3(_) => " network='v3'",
        };
        Ok(format!("<{class} app_id='{app_id}' handler_address='{address}'{network}>"))
    }
}

/// Whether a client is one of The Things Stack V3: by what is said outright, by where it goes, by its key.
fn is_v3(
    py: Python<'_>,
    network: Option<&str>,
    cluster: Option<&str>,
    address: &str,
    key: Option<&str>,
) -> PyResult<bool> {
    if let Some(network) = network {
        return Ok(network.parse::<Network>().or_raise(py)? == Network::V3);
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let key = AccessKey::new(key.unwrap_or_default());
    Ok(cluster.is_some() || Network::of(&key, Some(host)) == Network::V3)
}
