//! What a `Device` and an `Application` of this network have beside V2's attributes.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::prelude::*;

use super::super::listed::in_v2_shape;
use super::super::tasks::shape;
use super::calls::Api;
use crate::client::chirpstack::{Application, Device};
use crate::py::proto::{Place, rows, wrap};
use crate::py::shown::pairs;
use crate::rpc::message::descriptor;

fn message(py: Python<'_>, name: &str, bytes: &Bytes) -> PyResult<Py<PyAny>> {
    wrap(py, Place::encoded(descriptor(name), bytes.clone())).map(Bound::unbind)
}

/// The messages that a ChirpStack server has of a device, from its ``chirpstack``.
#[pyclass(frozen, name = "ChirpStackDevice", module = "thingslink.ttn")]
pub(in crate::py) struct PyChirpStackDevice {
    pub(super) device: Arc<Device>,
}

impl PyChirpStackDevice {
    fn part(&self, py: Python<'_>, name: &str, part: usize) -> PyResult<Option<Py<PyAny>>> {
        let bytes = self.device.messages().into_iter().nth(part).flatten();
        bytes.map(|bytes| message(py, name, &bytes)).transpose()
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyChirpStackDevice {
    /// The device itself.
    #[getter]
    fn device(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.part(py, "api.Device", 0)
    }

    /// Its keys; ``None`` if it has none, or this API key may not read them.
    #[getter]
    fn keys(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.part(py, "api.DeviceKeys", 1)
    }

    /// Its session; ``None`` if it has none, or this API key may not read it.
    #[getter]
    fn activation(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.part(py, "api.DeviceActivation", 2)
    }

    fn __repr__(&self) -> String {
        format!("<ChirpStackDevice {}>", self.device.dev_eui())
    }

    fn _repr_html_(&self) -> String {
        pairs("ChirpStackDevice", &rows(&in_v2_shape::<Api>(&self.device)))
    }
}

/// The messages that a ChirpStack server has of an application, from its ``chirpstack``.
#[pyclass(frozen, name = "ChirpStackApplication", module = "thingslink.ttn")]
pub(in crate::py) struct PyChirpStackApplication {
    pub(super) app_id: String,
    pub(super) application: Application,
}

#[pymethods(crate = "crate::py::named")]
impl PyChirpStackApplication {
    /// The application itself.
    #[getter]
    fn application(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        message(py, "api.Application", &self.application.message)
    }

    /// The device profiles that its devices have, each with its codec; the one that was asked for.
    #[getter]
    fn profiles(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        self.application.profiles.iter().map(|profile| message(py, "api.DeviceProfile", profile)).collect()
    }

    fn __repr__(&self) -> String {
        format!("<ChirpStackApplication {}>", self.app_id)
    }

    fn _repr_html_(&self) -> String {
        let functions = self.application.functions.to_v2(&self.app_id);
        pairs("ChirpStackApplication", &rows(&shape(&descriptor("handler.Application"), &functions)))
    }
}
