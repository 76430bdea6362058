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
            NetworkSandbox::V3(sandbox) => Ok(sandbox),
            other => Err(not_there(what, other)),
        }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PySandbox {
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
