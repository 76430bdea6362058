//! The session's limits: sizes and rates.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use super::PyDeviceClient;
use crate::dialect::json::Document;
use crate::dialect::thingsboard::SessionLimits;
use crate::py::number;
use crate::py::thingsboard::json::to_json;
use crate::py::thingsboard::rate_limit::PyRateLimit;

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
    /// The size of messages in bytes, above which telemetry and attributes are split.
    #[getter]
    fn max_payload_size(&self) -> PyResult<usize> {
        Ok(self.shared()?.max_payload_size.load(Ordering::Acquire))
    }

    #[setter]
    fn set_max_payload_size(&self, #[pyo3(from_py_with = number::max_payload_size)] bytes: usize) -> PyResult<()> {
        self.shared()?.max_payload_size.store(bytes, Ordering::Release);
        Ok(())
    }

    /// Keep to the session's limits; tells whether they were any.
    fn _native_apply_limits(&self, answer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let limits =
            to_json(answer).ok().and_then(|text| SessionLimits::parse(&Document::parse(text.as_bytes()).ok()?));
        let Some(limits) = limits else { return Ok(false) };
        let shared = self.shared()?;
        if let Some(bytes) = shared.client.apply(&limits) {
            shared.max_payload_size.store(bytes, Ordering::Release);
        }
        Ok(true)
    }

    /// Whether the session's limits are kept to as soon as they are told, and waited for before anything is sent.
    fn _native_keep_limits(&self, keep: bool) -> PyResult<()> {
        self.shared()?.client.keep_limits(keep);
        Ok(())
    }

    #[getter]
    fn _messages_rate_limit(&self) -> PyResult<PyRateLimit> {
        Ok(PyRateLimit::wrap(self.shared()?.client.own().messages.clone(), "Rate limit for messages"))
    }

    #[setter(_messages_rate_limit)]
    fn set_messages_rate_limit(&self, limit: &Bound<'_, PyRateLimit>) -> PyResult<()> {
        limit.get().give_to(&self.shared()?.client.own().messages);
        Ok(())
    }

    #[setter(_telemetry_rate_limit)]
    fn set_telemetry_rate_limit(&self, limit: &Bound<'_, PyRateLimit>) -> PyResult<()> {
        limit.get().give_to(&self.shared()?.client.own().telemetry);
        Ok(())
    }

    #[setter(_telemetry_dp_rate_limit)]
    fn set_telemetry_dp_rate_limit(&self, limit: &Bound<'_, PyRateLimit>) -> PyResult<()> {
        limit.get().give_to(&self.shared()?.client.own().points);
        Ok(())
    }

    #[getter]
    fn _telemetry_rate_limit(&self) -> PyResult<PyRateLimit> {
        Ok(PyRateLimit::wrap(self.shared()?.client.own().telemetry.clone(), "Rate limit for telemetry messages"))
    }

    #[getter]
    fn _telemetry_dp_rate_limit(&self) -> PyResult<PyRateLimit> {
        Ok(PyRateLimit::wrap(self.shared()?.client.own().points.clone(), "Rate limit for telemetry data points"))
    }
}
