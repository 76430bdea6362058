//! `ApplicationClient`: an application on the handler that serves it.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::calls::Calls;
use super::given::PyApplicationGiven;
use super::identity::secret;
use super::refused::{DELETE_APPLICATION, GET_APPLICATION, REGISTER_APPLICATION};
use super::way::Way;
use crate::dialect::lorawan::Network;
use crate::ids::AppId;
use crate::py::arguments::text;
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::py::prepared::Face;

// The methods for devices stand in `devices.rs`, those for payload functions in `functions.rs`.
#[doc = stub!("ApplicationClient")]
#[pyclass(frozen, subclass, name = "ApplicationClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyApplicationClient {
    pub(super) way: Way,
    pub(super) face: Face,
}

impl PyApplicationClient {
    pub(super) fn new_at(way: Way) -> Self {
        Self { way, face: Face::default() }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyApplicationClient {
    #[new]
    #[pyo3(
        signature = (*arguments, **options),
        text_signature = "(app_id, access_key, handler_address='', cert_content='', discovery_address='discovery.thethings.network:1900', *, insecure_channel=False, token=None, discovery_certificate=None, timeout=None, network=None, cluster=None, identity_address=None, frequency_plan_id=None, lorawan_version=None, lorawan_phy_version=None, tenant_id=None, profile=None, max_reply_bytes=67108864, **aliases)"
    )]
    fn new(arguments: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = arguments.py();
        Ok(Self::new_at(Self::given(arguments, options)?.get().open(py)?.wait(py)?))
    }

    /// Take the arguments, and ask nobody for anything.
    #[staticmethod]
    #[pyo3(name = "_given", signature = (*arguments, **options))]
    fn given<'py>(
        arguments: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyApplicationGiven>> {
        let given = arguments.py().get_type::<PyApplicationGiven>().call(arguments, options)?;
        Ok(given.cast_into()?)
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

    /// The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``.
    #[getter]
    fn network(&self) -> String {
        self.way.network().to_string()
    }

    #[doc = stub!("ApplicationClient.get")]
    #[pyo3(signature = (*, profile=None, timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        profile: Option<String>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.way.refuse_profile(profile.as_ref())?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let application = match &self.way {
            Way::V2(calls) => calls.ask(py, GET_APPLICATION, "GetApplication", calls.application_request(), timeout)?,
            Way::V3(calls) => calls.application(py, timeout)?,
            Way::ChirpStack(calls) => calls.application_with(py, profile, timeout)?,
        };
        self.face.give(py, application)
    }

    #[doc = stub!("ApplicationClient.register")]
    #[pyo3(signature = (*, timeout=None))]
    fn register<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let registered = match &self.way {
            Way::V2(calls) => {
                calls.ask(py, REGISTER_APPLICATION, "RegisterApplication", calls.application_request(), timeout)?
            }
            Way::V3(calls) => calls.register(py, timeout)?,
            Way::ChirpStack(calls) => calls.register(py, timeout)?,
        };
        self.face.give(py, registered)
    }

    #[doc = stub!("ApplicationClient.unregister")]
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
            Way::ChirpStack(calls) => calls.unregister(py, confirm, timeout)?,
        };
        self.face.give(py, deleted)
    }

    #[doc = stub!("ApplicationClient.rights")]
    #[pyo3(signature = (*, timeout=None))]
    fn rights<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.stack("rights()")?.rights(py, timeout)?)
    }

    #[doc = stub!("ApplicationClient.gateways")]
    #[pyo3(signature = (*, limit=None, offset=None, timeout=None))]
    fn gateways<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number::limit)] limit: Option<u64>,
        #[pyo3(from_py_with = number::offset)] offset: Option<u64>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.chirpstack("gateways()")?.gateways(py, limit, offset, timeout)?)
    }

    #[doc = stub!("ApplicationClient.events")]
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn events<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = text("dev_id", dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.chirpstack("events()")?.events(py, &dev_id, timeout)?)
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
        let network = match this.way.network() {
            Network::V2 => String::new(),
            network => format!(" network='{network}'"),
        };
        Ok(format!("<{class} app_id='{app_id}' handler_address='{address}'{network}>"))
    }
}
