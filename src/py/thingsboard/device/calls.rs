//! Calls of the server, and calls to it.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::PyDeviceClient;
use crate::client::thingsboard::{Request, Traffic};
use crate::dialect::thingsboard::names;
use crate::py::arguments::wrong_type;
use crate::py::number;
use crate::py::thingsboard::callback::{self, Callback};
use crate::py::thingsboard::json;
use crate::py::thingsboard::publish_info::PyPublishInfo;
use crate::py::thingsboard::requests::Asking;

/// The number of a call of the server, given as it is or as text.
pub(in crate::py::thingsboard) fn call_number(req_id: &Bound<'_, PyAny>) -> PyResult<i32> {
    const RANGE: std::ops::RangeInclusive<i128> = 0..=i32::MAX as i128;
    let Ok(text) = req_id.cast::<PyString>() else { return number::within("req_id", req_id, RANGE) };
    let digits = text.to_str().ok().map(str::trim);
    digits.and_then(|digits| digits.parse().ok()).filter(|number| *number >= 0).ok_or_else(|| {
        let expected = "the number of a call, 0 to 2147483647";
        PyValueError::new_err(format!("req_id {} is not valid: expected {expected}", number::shown(req_id)))
    })
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
    /// Set what answers calls of the server: ``handler([client,] request_id, body)``.
    fn set_server_side_rpc_request_handler(&self, handler: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let made = handler.map(|handler| Callback::new("handler", &handler, &callback::CALL)).transpose()?;
        let old = std::mem::replace(&mut self.shared()?.registry.lock().rpc, made);
        drop(old);
        Ok(())
    }

    #[doc = stub!("DeviceClient.send_rpc_reply")]
    #[pyo3(signature = (req_id, resp, quality_of_service=None, wait_for_publish=false))]
    fn send_rpc_reply(
        slf: &Bound<'_, Self>,
        req_id: &Bound<'_, PyAny>,
        resp: &Bound<'_, PyAny>,
        quality_of_service: Option<Bound<'_, PyAny>>,
        wait_for_publish: bool,
    ) -> PyResult<Option<Py<PyPublishInfo>>> {
        let py = slf.py();
        let Some(qos) = Self::qos_or_log(slf, quality_of_service) else { return Ok(None) };
        let number = call_number(req_id)?;
        // As the original: a text that holds JSON stands for its value.
        let parsed = if resp.is_instance_of::<PyString>() { json::parse(py, resp).ok() } else { None };
        let body = Self::body("the reply", parsed.as_ref().unwrap_or(resp))?;
        let topic = format!("{}{number}", names::RPC_RESPONSE);
        let info = slf.get().shared()?.publish(py, &topic, qos, Traffic::Messages, vec![(body, 0)], None)?;
        let info = Bound::new(py, info)?;
        if wait_for_publish {
            info.call_method0("get")?;
        }
        Ok(Some(info.unbind()))
    }

    #[doc = stub!("DeviceClient.send_rpc_call")]
    #[pyo3(signature = (method, params, callback, timeout=None))]
    fn send_rpc_call(
        slf: &Bound<'_, Self>,
        method: &Bound<'_, PyAny>,
        params: &Bound<'_, PyAny>,
        callback: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        let py = slf.py();
        let shared = slf.get().shared()?;
        let qos = Self::qos(slf, None)?;
        // The server hangs up over a call without one.
        let method = method.cast::<PyString>().map_err(|_| wrong_type("method", "str", method))?;
        let message = PyDict::new(py);
        message.set_item("method", method)?;
        message.set_item("params", params)?;
        let body = Self::body("the call", message.as_any())?;
        let patience = Self::patience(timeout)?;
        let callback = callback.map(|callback| Callback::new("callback", &callback, &callback::REPLY)).transpose()?;
        let number = shared.client.next_call(|number| shared.registry.lock().calls.contains_key(&number));
        let topic = format!("{}{number}", names::RPC_REQUEST);
        let asking = Asking { topic: &topic, qos, traffic: Traffic::Messages, body, patience, timeout: patience };
        shared.ask(py, Request::Call(number), callback, asking)
    }
}
