//! Provisioning: the exchange itself. What is asked and what is made of the answer is written in Python.

use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::connection::PyTlsSettings;
use super::json::to_json;
use crate::client::thingsboard;
use crate::endpoint::Endpoint;
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::py::prepared::Prepared;
use crate::py::{log, runtime};

/// An exchange, prepared.
fn exchange(
    py: Python<'_>,
    host: &str,
    port: u16,
    tls: Option<&Bound<'_, PyTlsSettings>>,
    request: &Bound<'_, PyAny>,
    timeout: &Bound<'_, PyAny>,
) -> PyResult<Prepared<Py<PyBytes>>> {
    let timeout: Duration = seconds("timeout", timeout)?;
    let request = Bytes::from(to_json(request)?);
    let endpoint = Endpoint::new(host, port, tls.is_some()).or_raise(py)?;
    let tls = tls.map(|tls| tls.get().tls.clone());
    log::prepare(py)?;
    let asked = thingsboard::provision(endpoint, tls, request, timeout);
    Ok(Prepared::new(runtime::process()?, asked, |py, answer| Ok(PyBytes::new(py, &answer.or_raise(py)?).unbind())))
}

/// Send a provisioning request and give the answer's bytes.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_provision")]
pub(in crate::py) fn request_credentials(
    py: Python<'_>,
    host: &str,
    #[pyo3(from_py_with = number::port)] port: u16,
    tls: Option<&Bound<'_, PyTlsSettings>>,
    request: &Bound<'_, PyAny>,
    timeout: &Bound<'_, PyAny>,
) -> PyResult<Py<PyBytes>> {
    exchange(py, host, port, tls, request, timeout)?.wait(py)
}

/// The same as a future of asyncio.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_provision_async")]
pub(in crate::py) fn await_credentials<'py>(
    py: Python<'py>,
    host: &str,
    #[pyo3(from_py_with = number::port)] port: u16,
    tls: Option<&Bound<'py, PyTlsSettings>>,
    request: &Bound<'py, PyAny>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    exchange(py, host, port, tls, request, timeout)?.future(py)
}
