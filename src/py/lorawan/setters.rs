//! The methods of `MQTTClient` that set callbacks and take them back.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::client::PyMqttClient;
use super::convert::{event_name, field_path, optional_device};
use super::subject::Subject;
use crate::dialect::mqtt::is_filter;
use crate::ids::DevId;
use crate::py::face;

impl PyMqttClient {
    fn add(&self, py: Python<'_>, subject: Subject, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.made()?.served.add(py, subject, callback)
    }

    fn dev_id(&self, py: Python<'_>, dev_id: Option<String>) -> PyResult<Option<DevId>> {
        optional_device(py, self.made()?.served.client.config().network, dev_id)
    }

    fn event_name(&self, name: Option<String>) -> PyResult<Option<String>> {
        event_name(self.made()?.served.client.config().network, name)
    }

    fn remove(&self, py: Python<'_>, subject: &Subject, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.made()?.served.remove(py, subject, callback)
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyMqttClient {
    #[doc = stub!("MQTTClient.set_uplink_callback")]
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn set_uplink_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>, dev_id: Option<String>) -> PyResult<()> {
        self.add(py, Subject::Uplink(self.dev_id(py, dev_id)?), callback)
    }

    #[doc = stub!("MQTTClient.remove_uplink_callback")]
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn remove_uplink_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.remove(py, &Subject::Uplink(self.dev_id(py, dev_id)?), callback)
    }

    #[doc = stub!("MQTTClient.record")]
    #[pyo3(signature = (into=None, *, dev_id=None, per=None, max_rows=None, max_bytes=None))]
    fn record<'py>(
        slf: &Bound<'py, Self>,
        into: Option<Bound<'py, PyAny>>,
        dev_id: Option<String>,
        per: Option<Bound<'py, PyAny>>,
        max_rows: Option<Bound<'py, PyAny>>,
        max_bytes: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = PyDict::new(slf.py());
        for (name, given) in [("per", per), ("max_rows", max_rows), ("max_bytes", max_bytes)] {
            given.map_or(Ok(()), |given| options.set_item(name, given))?;
        }
        face::record(slf.as_any(), into, dev_id, &options)
    }

    #[doc = stub!("MQTTClient.set_uplink_raw_callback")]
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn set_uplink_raw_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.add(py, Subject::Raw(self.dev_id(py, dev_id)?), callback)
    }

    /// As ``set_uplink_raw_callback``.
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn set_uplink_callback_raw(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.add(py, Subject::Raw(self.dev_id(py, dev_id)?), callback)
    }

    /// Take back one ``set_uplink_raw_callback`` with the same arguments.
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn remove_uplink_raw_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.remove(py, &Subject::Raw(self.dev_id(py, dev_id)?), callback)
    }

    #[doc = stub!("MQTTClient.set_uplink_field_callback")]
    #[pyo3(signature = (callback, field, *, dev_id=None))]
    fn set_uplink_field_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        field: String,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.add(py, Subject::Field(self.dev_id(py, dev_id)?, field_path(field)?), callback)
    }

    /// Take back one ``set_uplink_field_callback`` with the same arguments.
    #[pyo3(signature = (callback, field, *, dev_id=None))]
    fn remove_uplink_field_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        field: String,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.remove(py, &Subject::Field(self.dev_id(py, dev_id)?, field), callback)
    }

    #[doc = stub!("MQTTClient.set_event_callback")]
    #[pyo3(signature = (callback, event=None, dev_id=None))]
    fn set_event_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        event: Option<String>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.add(py, Subject::Event(self.dev_id(py, dev_id)?, self.event_name(event)?), callback)
    }

    /// Take back one ``set_event_callback`` with the same arguments.
    #[pyo3(signature = (callback, event=None, dev_id=None))]
    fn remove_event_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        event: Option<String>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.remove(py, &Subject::Event(self.dev_id(py, dev_id)?, self.event_name(event)?), callback)
    }

    /// Add ``callback(event, client)`` for joins; gets an ``ActivationEvent``.
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn set_activation_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.add(py, Subject::Event(self.dev_id(py, dev_id)?, Some("activations".into())), callback)
    }

    /// Take back one ``set_activation_callback`` with the same arguments.
    #[pyo3(signature = (callback, *, dev_id=None))]
    fn remove_activation_callback(
        &self,
        py: Python<'_>,
        callback: &Bound<'_, PyAny>,
        dev_id: Option<String>,
    ) -> PyResult<()> {
        self.remove(py, &Subject::Event(self.dev_id(py, dev_id)?, Some("activations".into())), callback)
    }

    /// Add ``callback(message, client)`` for any MQTT topic filter; ``message`` is a ``RawMessage``.
    fn _set_topic_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>, filter: String) -> PyResult<()> {
        if !is_filter(&filter) {
            return Err(PyValueError::new_err(format!(
                "filter {filter:?} is not valid: expected an MQTT topic filter without control characters"
            )));
        }
        self.add(py, Subject::Topic(filter), callback)
    }

    /// Take back one ``_set_topic_callback`` with the same arguments.
    fn _remove_topic_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>, filter: String) -> PyResult<()> {
        self.remove(py, &Subject::Topic(filter), callback)
    }

    /// Add ``callback(res, client)``: ``True`` after each login, ``False`` when one is refused.
    fn set_connect_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add(py, Subject::Connect, callback)
    }

    /// Take back one ``set_connect_callback``.
    fn remove_connect_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.remove(py, &Subject::Connect, callback)
    }

    /// Add ``callback(res, client)``: ``True`` after ``close``, ``False`` when the connection is lost.
    fn set_close_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add(py, Subject::Close, callback)
    }

    /// Take back one ``set_close_callback``.
    fn remove_close_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.remove(py, &Subject::Close, callback)
    }

    #[doc = stub!("MQTTClient.set_downlink_callback")]
    fn set_downlink_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add(py, Subject::Downlink, callback)
    }

    /// Take back one ``set_downlink_callback``.
    fn remove_downlink_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.remove(py, &Subject::Downlink, callback)
    }

    #[doc = stub!("MQTTClient.set_error_callback")]
    fn set_error_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add(py, Subject::Error, callback)
    }

    /// Take back one ``set_error_callback``.
    fn remove_error_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.remove(py, &Subject::Error, callback)
    }
}
