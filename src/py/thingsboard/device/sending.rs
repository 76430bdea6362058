//! Telemetry, attributes and everything else on its way to the server.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::{PyDeviceClient, Values};
use crate::client::thingsboard::Traffic;
use crate::dialect::thingsboard::names;
use crate::py::thingsboard::publish_info::PyPublishInfo;

/// The time to wait, without what older generations had in its place (`wait_for_publish`) and after it (`high_priority`).
fn without_older<'py>(
    function: &'static str,
    timeout: Option<Bound<'py, PyAny>>,
    old: &Bound<'py, PyTuple>,
    older: Option<&Bound<'py, PyDict>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if old.len() > 1 {
        let given = old.len() + 3;
        return Err(PyTypeError::new_err(format!("{function}() takes at most 4 arguments ({given} given)")));
    }
    if let Some(older) = older {
        for name in older.keys() {
            if !["wait_for_publish", "high_priority"].contains(&name.extract::<String>()?.as_str()) {
                return Err(PyTypeError::new_err(format!("{function}() got an unexpected keyword argument '{name}'")));
            }
        }
    }
    Ok(timeout.filter(|timeout| !timeout.is_instance_of::<PyBool>()))
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
    #[doc = stub!("DeviceClient.send_telemetry")]
    #[pyo3(
        signature = (telemetry, quality_of_service=None, timeout=None, *old, **older),
        text_signature = "($self, telemetry, quality_of_service=None, timeout=5)"
    )]
    fn send_telemetry(
        slf: &Bound<'_, Self>,
        telemetry: &Bound<'_, PyAny>,
        quality_of_service: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
        old: &Bound<'_, PyTuple>,
        older: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyPublishInfo> {
        let timeout = without_older("send_telemetry", timeout, old, older)?;
        let qos = Self::qos(slf, quality_of_service)?;
        Self::send_values(slf, Values::Telemetry, None, telemetry, qos, timeout)
    }

    #[doc = stub!("DeviceClient.send_attributes")]
    #[pyo3(
        signature = (attributes, quality_of_service=None, timeout=None, *old, **older),
        text_signature = "($self, attributes, quality_of_service=None, timeout=5)"
    )]
    fn send_attributes(
        slf: &Bound<'_, Self>,
        attributes: &Bound<'_, PyAny>,
        quality_of_service: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
        old: &Bound<'_, PyTuple>,
        older: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyPublishInfo> {
        let timeout = without_older("send_attributes", timeout, old, older)?;
        let qos = Self::qos(slf, quality_of_service)?;
        Self::send_values(slf, Values::Attributes, None, attributes, qos, timeout)
    }

    /// Publish to any topic of the API, split and limited as it asks for.
    #[pyo3(
        signature = (data, topic, qos, timeout=None, device=None, msg_rate_limit=None, dp_rate_limit=None),
        text_signature = "($self, data, topic, qos, timeout=5, device=None, msg_rate_limit=None, dp_rate_limit=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn _publish_data(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyAny>,
        topic: &str,
        qos: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
        device: Option<String>,
        msg_rate_limit: Option<Bound<'_, PyAny>>,
        dp_rate_limit: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        // The limits are the client's own, whatever is given: they are the same objects.
        drop((msg_rate_limit, dp_rate_limit));
        let qos = Self::qos(slf, qos)?;
        let kind = match topic {
            names::TELEMETRY | names::GATEWAY_TELEMETRY => Some(Values::Telemetry),
            names::ATTRIBUTES | names::GATEWAY_ATTRIBUTES => Some(Values::Attributes),
            _ => None,
        };
        match (kind, &device) {
            (Some(kind), None) => Self::send_values(slf, kind, None, data, qos, timeout),
            (Some(kind), Some(device)) => {
                let values = data.get_item(device)?;
                Self::send_values(slf, kind, Some(device), &values, qos, timeout)
            }
            (None, _) => {
                let traffic = Traffic::of(topic);
                let parts = vec![(Self::body("the message", data)?, 0)];
                slf.get().shared()?.publish(slf.py(), topic, qos, traffic, parts, Self::patience(timeout)?)
            }
        }
    }
}
