//! `_MQTTClient__client`: what programs reach for in the original's private MQTT client.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::callbacks::Served;
use crate::py::arguments::wrong_type;
use crate::py::error::OrRaise as _;

/// What programs reached for in the original's private client.
#[pyclass(frozen, name = "_Publisher", module = "thingslink._native")]
pub(in crate::py) struct PyPublisher {
    pub(super) served: Arc<Served>,
}

#[pymethods]
impl PyPublisher {
    /// Publish to any topic; gives the message ID.
    fn publish(&self, py: Python<'_>, topic: &str, payload: &Bound<'_, PyAny>) -> PyResult<u16> {
        let bytes = match payload.extract::<String>() {
            Ok(text) => text.into_bytes(),
            Err(_) => payload
                .cast::<PyBytes>()
                .map_err(|_| wrong_type("payload", "str or bytes", payload))?
                .as_bytes()
                .to_vec(),
        };
        self.served.owner.check_process()?;
        self.served.client.publish(topic, bytes.into()).or_raise(py)
    }
}
