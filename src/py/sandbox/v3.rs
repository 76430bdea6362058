//! What only a sandbox of The Things Stack V3 has.

use pyo3::prelude::*;

use super::{PySandbox, not_there};
use crate::ids::AccessKey;
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::sandbox::NetworkSandbox;
use crate::sandbox::v3::Sandbox;

impl PySandbox {
    fn v3(&self, what: &str) -> PyResult<&Sandbox> {
        match self.sandbox()? {
            NetworkSandbox::V2(_) => Err(not_there(what, "v2")),
            NetworkSandbox::V3(sandbox) => Ok(sandbox),
        }
    }
}

#[pymethods]
impl PySandbox {
    /// ``host:port`` of the four servers of a stack, over gRPC; ``AttributeError`` on V2.
    #[getter]
    fn management_address(&self) -> PyResult<String> {
        Ok(self.v3("management_address")?.management_address())
    }

    #[doc = stub!("_Sandbox.http_address")]
    #[getter]
    fn http_address(&self) -> PyResult<String> {
        Ok(self.v3("http_address")?.http_address())
    }

    #[doc = stub!("_Sandbox.add_administrator")]
    fn add_administrator(&self, py: Python<'_>, user_id: &str, access_key: String) -> PyResult<()> {
        self.v3("add_administrator")?.add_administrator(user_id, AccessKey::new(access_key)).or_raise(py)
    }

    #[doc = stub!("_Sandbox.end_day")]
    fn end_day(&self) -> PyResult<usize> {
        Ok(self.v3("end_day")?.end_day())
    }

    fn _register_unjoined(&self, py: Python<'_>, app_id: &str, dev_id: &str) -> PyResult<()> {
        self.v3("devices that have yet to join")?.register_unjoined(app_id, dev_id).or_raise(py)
    }

    fn _set_spreading_factor(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        #[pyo3(from_py_with = number::spreading_factor)] spreading: u8,
    ) -> PyResult<()> {
        self.v3("spreading factors of devices")?.set_spreading_factor(app_id, dev_id, spreading).or_raise(py)
    }

    #[doc = stub!("_Sandbox.limit")]
    #[pyo3(signature = (name, per_minute, *, burst=1))]
    fn limit(
        &self,
        py: Python<'_>,
        name: &str,
        #[pyo3(from_py_with = number::per_minute)] per_minute: Option<f64>,
        #[pyo3(from_py_with = number::burst)] burst: u32,
    ) -> PyResult<()> {
        self.v3("limit")?.limit(name, per_minute.map(|rate| (rate, burst))).or_raise(py)
    }

    #[doc = stub!("_Sandbox.lose_identity_server")]
    #[pyo3(signature = (on=true))]
    fn lose_identity_server(&self, on: bool) -> PyResult<()> {
        self.v3("lose_identity_server")?;
        self.sandbox()?.faults().lose_identity(on);
        Ok(())
    }
}
