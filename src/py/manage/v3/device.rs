//! What a `Device` of this network has beside V2's attributes; the rest of a listed one is asked for when it is looked at.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::{DynamicMessage, Value};
use pyo3::prelude::*;

use super::calls::{Calls, shape};
use crate::client::stack::{Device, Part};
use crate::py::proto::{Beside, Place, rows, wrap};
use crate::py::shown::pairs;
use crate::rpc::message::descriptor;
use crate::sync::Mutex;

/// The messages that the servers of The Things Stack V3 have of a device, from its ``v3``.
#[pyclass(frozen, name = "StackDevice", module = "thingslink.ttn")]
pub(in crate::py) struct PyStackDevice {
    device: Arc<Device>,
}

impl PyStackDevice {
    fn message(py: Python<'_>, part: Option<&Part>) -> PyResult<Option<Py<PyAny>>> {
        let place = part.map(|part| Place::encoded(descriptor("ttn.lorawan.v3.EndDevice"), part.message.clone()));
        place.map(|place| wrap(py, place).map(Bound::unbind)).transpose()
    }
}

#[pymethods]
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
        let device = shape(&descriptor("handler.Device"), &self.device.to_v2());
        pairs("StackDevice", &rows(&device))
    }
}

/// A device, of which the Identity Server's part alone may be known yet.
pub(super) struct Listed {
    calls: Arc<Calls>,
    timeout: Option<Duration>,
    state: Mutex<(Arc<Device>, bool)>,
}

impl Listed {
    pub(super) fn new(calls: Arc<Calls>, timeout: Option<Duration>, identity: Part) -> Self {
        Self { calls, timeout, state: Mutex::new((Arc::new(Device::listed(identity)), false)) }
    }

    pub(super) fn complete(calls: Arc<Calls>, timeout: Option<Duration>, device: Device) -> Self {
        Self { calls, timeout, state: Mutex::new((Arc::new(device), true)) }
    }

    pub(super) fn to_v2(&self) -> DynamicMessage {
        shape(&descriptor("handler.Device"), &self.state.lock().0.to_v2())
    }
}

impl Beside for Listed {
    fn complete(&self, py: Python<'_>, place: &Place) -> PyResult<()> {
        let (device, is_complete) = self.state.lock().clone();
        if is_complete {
            return Ok(());
        }
        let whole = self.calls.rest(py, device.identity.clone(), self.timeout)?.wait(py)?;
        let v2 = shape(&descriptor("handler.Device"), &whole.to_v2());
        let mut state = self.state.lock();
        // Another thread may have been quicker, and the program have changed what it got.
        if !state.1 {
            *state = (Arc::new(whole), true);
            if let Some(Value::Message(part)) = v2.get_field_by_name("lorawan_device").map(std::borrow::Cow::into_owned)
            {
                place.write(|message| message.set_field_by_name("lorawan_device", Value::Message(part)));
            }
        }
        Ok(())
    }

    fn attribute(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        if name != "v3" {
            return Ok(None);
        }
        let device = self.state.lock().0.clone();
        Ok(Some(Py::new(py, PyStackDevice { device })?.into_any()))
    }
}
