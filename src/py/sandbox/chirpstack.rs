//! What a sandbox of ChirpStack has, and what it has in common with one of The Things Stack V3 alone.

use pyo3::prelude::*;

use super::{PySandbox, not_there};
use crate::error::Error;
use crate::ids::AccessKey;
use crate::py::error::OrRaise as _;
use crate::py::json::{Spacing, dumps};
use crate::py::number;
use crate::sandbox::NetworkSandbox;
use crate::sandbox::chirpstack::{KeyKind, Sandbox};

impl PySandbox {
    fn chirpstack(&self, what: &str) -> PyResult<&Sandbox> {
        match self.sandbox()? {
            NetworkSandbox::ChirpStack(sandbox) => Ok(sandbox),
            other => Err(not_there(what, other)),
        }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PySandbox {
    #[doc = stub!("_Sandbox.management_address")]
    #[getter]
    fn management_address(&self) -> PyResult<String> {
        match self.sandbox()? {
            NetworkSandbox::V3(sandbox) => Ok(sandbox.management_address()),
            NetworkSandbox::ChirpStack(sandbox) => Ok(sandbox.management_address()),
            other @ NetworkSandbox::V2(_) => Err(not_there("management_address", other)),
        }
    }

    fn _register_unjoined(&self, py: Python<'_>, app_id: &str, dev_id: &str) -> PyResult<()> {
        match self.sandbox()? {
            NetworkSandbox::V3(sandbox) => sandbox.register_unjoined(app_id, dev_id).or_raise(py),
            NetworkSandbox::ChirpStack(sandbox) => sandbox.register_unjoined(app_id, dev_id).or_raise(py),
            other @ NetworkSandbox::V2(_) => Err(not_there("devices that have yet to join", other)),
        }
    }

    fn _set_spreading_factor(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        #[pyo3(from_py_with = number::spreading_factor)] spreading: u8,
    ) -> PyResult<()> {
        match self.sandbox()? {
            NetworkSandbox::V3(sandbox) => sandbox.set_spreading_factor(app_id, dev_id, spreading).or_raise(py),
            NetworkSandbox::ChirpStack(sandbox) => sandbox.set_spreading_factor(app_id, dev_id, spreading).or_raise(py),
            other @ NetworkSandbox::V2(_) => Err(not_there("spreading factors of devices", other)),
        }
    }

    #[doc = stub!("_Sandbox.tenant_id")]
    #[getter]
    fn tenant_id(&self) -> PyResult<String> {
        Ok(self.chirpstack("tenant_id")?.tenant_id())
    }

    fn _application_id(&self, py: Python<'_>, app_id: &str) -> PyResult<String> {
        self.chirpstack("application_id")?.application_id(app_id).or_raise(py)
    }

    fn _dev_eui(&self, py: Python<'_>, app_id: &str, dev_id: &str) -> PyResult<String> {
        self.chirpstack("dev_eui")?.dev_eui(app_id, dev_id).or_raise(py)
    }

    #[doc = stub!("_Sandbox.api_key")]
    #[pyo3(signature = (kind="tenant"))]
    fn api_key(&self, py: Python<'_>, kind: &str) -> PyResult<String> {
        let kind = KeyKind::parse(kind).or_raise(py)?;
        Ok(self.chirpstack("api_key")?.api_key(kind))
    }

    #[doc = stub!("_Sandbox.add_mqtt_user")]
    #[pyo3(signature = (name, password, app_id=None))]
    fn add_mqtt_user(&self, py: Python<'_>, name: &str, password: String, app_id: Option<&str>) -> PyResult<()> {
        self.chirpstack("add_mqtt_user")?.add_user(name, AccessKey::new(password), app_id).or_raise(py)
    }

    fn _client_certificate(&self, py: Python<'_>, app_id: &str) -> PyResult<(String, String)> {
        self.chirpstack("client_certificate")?.client_certificate(app_id).or_raise(py)
    }

    #[doc = stub!("_Sandbox.refuse_downlinks")]
    #[pyo3(signature = (reason="", count=1))]
    fn refuse_downlinks(
        &self,
        py: Python<'_>,
        reason: &str,
        #[pyo3(from_py_with = number::count)] count: u32,
    ) -> PyResult<()> {
        match self.sandbox()? {
            NetworkSandbox::V3(sandbox) => sandbox.refuse_downlinks(reason, count).or_raise(py),
            NetworkSandbox::ChirpStack(sandbox) => {
                sandbox.refuse_downlinks(reason, count);
                Ok(())
            }
            other @ NetworkSandbox::V2(_) => Err(not_there("refuse_downlinks", other)),
        }
    }

    #[doc = stub!("_Sandbox.server_log")]
    #[getter]
    fn server_log(&self) -> PyResult<Vec<String>> {
        Ok(self.chirpstack("server_log")?.server_log())
    }

    fn _set_counter(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        #[pyo3(from_py_with = number::counter)] counter: u32,
    ) -> PyResult<()> {
        self.chirpstack("counters of devices")?.set_counter(app_id, dev_id, counter).or_raise(py)
    }

    fn _report_status(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        #[pyo3(from_py_with = number::margin)] margin: i32,
        #[pyo3(from_py_with = number::battery)] battery: u8,
    ) -> PyResult<u32> {
        self.chirpstack("report_status")?;
        let (shared, process) = self.running()?;
        let (shared, app_id, dev_id) = (shared.clone(), app_id.to_owned(), dev_id.to_owned());
        let told = async move {
            match &shared.sandbox {
                NetworkSandbox::ChirpStack(sandbox) => sandbox.report_status(&app_id, &dev_id, margin, battery).await,
                NetworkSandbox::V2(_) | NetworkSandbox::V3(_) => {
                    Err(Error::invalid("report_status", dev_id, "a sandbox with network=\"chirpstack\""))
                }
            }
        };
        process.wait(py, told)?.or_raise(py)
    }

    fn _integrate(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        name: &str,
        event_type: &str,
        fields: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let fields = dumps("fields", fields, Spacing::Compact)?;
        self.chirpstack("integration events")?.integrate(app_id, dev_id, name, event_type, &fields).or_raise(py)
    }
}
