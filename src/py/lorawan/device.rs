//! `DeviceHandle`: one device of an application, to send to and to listen to.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::callbacks::Served;
use super::convert::{downlink, event_name, field_path};
use super::options::Asked;
use super::subject::Subject;
use crate::ids::DevId;
use crate::py::arguments::{Aliases, Given};

/// One device of an application, from ``MQTTClient.device``. Methods as the client's, for this device alone.
#[pyclass(frozen, name = "DeviceHandle", module = "thingslink.ttn")]
pub(in crate::py) struct PyDeviceHandle {
    served: Arc<Served>,
    id: DevId,
}

impl PyDeviceHandle {
    pub(super) fn new(served: Arc<Served>, id: DevId) -> Self {
        Self { served, id }
    }

    fn event_name(&self, name: Option<String>) -> PyResult<Option<String>> {
        event_name(self.served.client.config().network, name)
    }

    fn this(&self) -> Option<DevId> {
        Some(self.id.clone())
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceHandle {
    /// Device ID.
    #[getter]
    fn dev_id(&self) -> &str {
        self.id.as_str()
    }

    /// As ``MQTTClient.send``.
    #[pyo3(
        signature = (
            payload=Given(None), port=None, confirmation=Given(None), schedule=Given(None), *,
            priority=None, class_b_c=None, confirmed_retry=None, correlation_ids=None, **aliases
        ),
        text_signature = "($self, payload, port=1, confirmation=False, schedule='replace', *, priority=None, class_b_c=None, confirmed_retry=None, correlation_ids=None, **aliases)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn send<'py>(
        &self,
        py: Python<'py>,
        payload: Given<'py>,
        port: Option<Bound<'py, PyAny>>,
        confirmation: Given<'py>,
        schedule: Given<'py>,
        priority: Option<Bound<'py, PyAny>>,
        class_b_c: Option<Bound<'py, PyAny>>,
        confirmed_retry: Option<Bound<'py, PyAny>>,
        correlation_ids: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<u16> {
        let mut aliases = Aliases::new("send", aliases);
        let network = self.served.client.config().network;
        let port = port.map_or_else(|| Ok::<_, PyErr>(1_i64.into_pyobject(py)?.into_any()), Ok)?;
        let mut downlink = downlink(network, &mut aliases, payload, &port, confirmation, schedule)?;
        downlink.options = Asked { priority, class_b_c, confirmed_retry, correlation_ids }.read(py, network)?;
        aliases.finish()?;
        self.served.send(py, &self.id, downlink)
    }

    /// As ``MQTTClient.set_uplink_callback``.
    fn set_uplink_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served.add(py, Subject::Uplink(self.this()), callback)
    }

    /// As ``MQTTClient.remove_uplink_callback``.
    fn remove_uplink_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served.remove(py, &Subject::Uplink(self.this()), callback)
    }

    /// As ``MQTTClient.set_uplink_raw_callback``.
    fn set_uplink_raw_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served.add(py, Subject::Raw(self.this()), callback)
    }

    /// As ``MQTTClient.remove_uplink_raw_callback``.
    fn remove_uplink_raw_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served.remove(py, &Subject::Raw(self.this()), callback)
    }

    /// As ``MQTTClient.set_uplink_field_callback``.
    fn set_uplink_field_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>, field: String) -> PyResult<()> {
        self.served.add(py, Subject::Field(self.this(), field_path(field)?), callback)
    }

    /// As ``MQTTClient.remove_uplink_field_callback``.
    fn remove_uplink_field_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>, field: String) -> PyResult<()> {
        self.served.remove(py, &Subject::Field(self.this(), field), callback)
    }

    /// As ``MQTTClient.set_event_callback``.
    #[pyo3(signature = (callback, event=None))]
    fn set_event_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>, event: Option<String>) -> PyResult<()> {
        self.served.add(py, Subject::Event(self.this(), self.event_name(event)?), callback)
    }

    /// As ``MQTTClient.remove_event_callback``.
    #[pyo3(signature = (callback, event=None))]
    fn remove_event_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        event: Option<String>,
    ) -> PyResult<()> {
        self.served.remove(py, &Subject::Event(self.this(), self.event_name(event)?), callback)
    }

    /// As ``MQTTClient.set_activation_callback``.
    fn set_activation_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served.add(py, Subject::Event(self.this(), Some("activations".into())), callback)
    }

    /// As ``MQTTClient.remove_activation_callback``.
    fn remove_activation_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served.remove(py, &Subject::Event(self.this(), Some("activations".into())), callback)
    }

    fn __repr__(&self) -> String {
        format!("<DeviceHandle dev_id='{}'>", self.id)
    }
}
