//! The session's limits: sizes, rates, queues.

use std::sync::atomic::Ordering;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::PyDeviceClient;
use crate::client::thingsboard::Meter;
use crate::dialect::json::Document;
use crate::dialect::thingsboard::SessionLimits;
use crate::py::thingsboard::json::to_json;
use crate::py::thingsboard::mqtt::{set_in_flight, set_queued};
use crate::py::thingsboard::rate_limit::{PyRateLimit, percentage};
use crate::py::thingsboard::words;

#[pymethods]
impl PyDeviceClient {
    #[classattr]
    #[pyo3(name = "EMPTY_RATE_LIMIT")]
    fn empty_rate_limit() -> PyRateLimit {
        PyRateLimit::wrap(Meter::unlimited(), "EMPTY_RATE_LIMIT", 100)
    }

    /// The size of messages in bytes, above which telemetry and attributes are split.
    #[getter]
    fn max_payload_size(&self) -> PyResult<usize> {
        Ok(self.shared()?.max_payload_size.load(Ordering::Acquire))
    }

    #[setter]
    fn set_max_payload_size(&self, bytes: usize) -> PyResult<()> {
        self.shared()?.max_payload_size.store(bytes, Ordering::Release);
        Ok(())
    }

    /// Bound the QoS 1 messages that are unacknowledged at once; 0 for any number.
    fn max_inflight_messages_set(&self, py: Python<'_>, inflight: i64) -> PyResult<()> {
        match usize::try_from(inflight) {
            Ok(count) => set_in_flight(&*self.shared()?, count),
            Err(_) => words::log(py, "error", "Inflight messages number must be equal or greater than 0"),
        }
        Ok(())
    }

    /// Bound the messages that wait at once, after which sending waits, too; 0 for any number.
    fn max_queued_messages_set(&self, queue_size: i64) -> PyResult<()> {
        let count = usize::try_from(queue_size)
            .map_err(|_| PyValueError::new_err(format!("Invalid queue size {queue_size}: expected 0 or more")))?;
        set_queued(&*self.shared()?, count);
        Ok(())
    }

    /// Ask the server for the session's limits; ``callback`` gets the answer of the call.
    fn request_service_configuration(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let params = PyDict::new(slf.py());
        params.set_item("timeout", 5000)?;
        slf.call_method1("send_rpc_call", ("getSessionLimits", params, callback))?;
        Ok(())
    }

    /// Keep to the session's limits, the answer of ``getSessionLimits``.
    #[pyo3(signature = (_request, response, *_args, **_kwargs))]
    fn on_service_configuration(
        slf: &Bound<'_, Self>,
        _request: &Bound<'_, PyAny>,
        response: &Bound<'_, PyAny>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let py = slf.py();
        if response.cast::<PyDict>().is_ok_and(|response| response.contains("error").unwrap_or(false)) {
            let text = "Timeout while waiting for service configuration!, session will use default configuration.";
            words::log(py, "warning", text);
            return slf.setattr("rate_limits_received", true);
        }
        let limits =
            to_json(response).ok().and_then(|text| SessionLimits::parse(&Document::parse(text.as_bytes()).ok()?));
        let Some(limits) = limits else {
            let text = "Cannot retrieve service configuration, session will use default configuration.";
            words::log(py, "warning", text);
            return Ok(());
        };
        let shared = slf.get().shared()?;
        if let Some(bytes) = shared.client.apply(&limits, percentage(py)?) {
            shared.max_payload_size.store(bytes, Ordering::Release);
        }
        words::log(py, "info", "Service configuration was successfully retrieved and applied.");
        slf.setattr("rate_limits_received", true)
    }

    /// What gets the answer of ``getSessionLimits`` after every connect.
    #[getter]
    fn service_configuration_callback(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let assigned = {
            let shared = slf.get().shared()?;
            let registry = shared.registry.lock();
            registry.service_configuration.as_ref().map(|callback| callback.clone_ref(slf.py()))
        };
        match assigned {
            Some(callback) => Ok(callback),
            None => Ok(slf.getattr("on_service_configuration")?.unbind()),
        }
    }

    #[setter]
    fn set_service_configuration_callback(&self, callback: Option<Py<PyAny>>) -> PyResult<()> {
        let old = std::mem::replace(&mut self.shared()?.registry.lock().service_configuration, callback);
        drop(old);
        Ok(())
    }

    #[getter]
    fn _messages_rate_limit(&self, py: Python<'_>) -> PyResult<PyRateLimit> {
        let meter = self.shared()?.client.own().messages.clone();
        Ok(PyRateLimit::wrap(meter, "Rate limit for messages", percentage(py)?))
    }

    #[getter]
    fn _telemetry_rate_limit(&self, py: Python<'_>) -> PyResult<PyRateLimit> {
        let meter = self.shared()?.client.own().telemetry.clone();
        Ok(PyRateLimit::wrap(meter, "Rate limit for telemetry messages", percentage(py)?))
    }

    #[getter]
    fn _telemetry_dp_rate_limit(&self, py: Python<'_>) -> PyResult<PyRateLimit> {
        let meter = self.shared()?.client.own().points.clone();
        Ok(PyRateLimit::wrap(meter, "Rate limit for telemetry data points", percentage(py)?))
    }
}
