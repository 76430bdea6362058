//! What a `Device` of this network has beside V2's attributes.

use std::sync::Arc;

use pyo3::prelude::*;

use super::super::listed::in_v2_shape;
use super::calls::Servers;
use crate::client::stack::{Device, Part};
use crate::py::proto::{Place, rows, wrap};
use crate::py::shown::pairs;
use crate::rpc::message::descriptor;

/// The messages that the servers of The Things Stack V3 have of a device, from its ``v3``.
#[pyclass(frozen, name = "StackDevice", module = "thingslink.ttn")]
pub(in crate::py) struct PyStackDevice {
    pub(super) device: Arc<Device>,
}

impl PyStackDevice {
    fn message(py: Python<'_>, part: Option<&Part>) -> PyResult<Option<Py<PyAny>>> {
        let place = part.map(|part| Place::encoded(descriptor("ttn.lorawan.v3.EndDevice"), part.message.clone()));
        place.map(|place| wrap(py, place).map(Bound::unbind)).transpose()
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyStackDevice {
    /// The Identity Server's.
    #[getter]
    fn identity(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Self::message(py, Some(&self.device.identity))
    }

    /// The Network Server's; ``None`` if it has nothing or may not tell.
    #[getter]
    fn network(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Self::message(py, self.device.network.as_ref())
    }

    /// The Application Server's; ``None`` if it has nothing or may not tell.
    #[getter]
    fn application(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Self::message(py, self.device.application.as_ref())
    }

    /// The Join Server's; ``None`` if it has nothing or may not tell.
    #[getter]
    fn join(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Self::message(py, self.device.join.as_ref())
    }

    fn __repr__(&self) -> String {
        format!("<StackDevice {}>", self.device.to_v2().dev_id)
    }

    fn _repr_html_(&self) -> String {
        pairs("StackDevice", &rows(&in_v2_shape::<Servers>(&self.device)))
    }
}
