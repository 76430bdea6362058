//! What the original has without documenting it, and programs are known to use.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::PyDeviceClient;
use crate::py::signature::Signature;
use crate::py::thingsboard::callback::Callback;
use crate::py::thingsboard::json::{self};
use crate::py::thingsboard::mqtt::PyMqtt;
use crate::py::thingsboard::telemetry;

#[pymethods]
impl PyDeviceClient {
    /// The MQTT client behind this one, as far as programs reach into it.
    #[getter]
    fn _client(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if let Ok(known) = slf.getattr("_mqtt") {
            return Ok(known.unbind());
        }
        let made = Bound::new(py, PyMqtt { shared: slf.get().shared()? })?;
        slf.setattr("_mqtt", &made)?;
        Ok(made.into_any().unbind())
    }

    /// Told of every connection; calls what ``connect`` was given.
    #[pyo3(signature = (client, userdata, flags, result_code, properties=None, *extra_params))]
    fn _on_connect<'py>(
        slf: &Bound<'py, Self>,
        client: Bound<'py, PyAny>,
        userdata: Bound<'py, PyAny>,
        flags: Bound<'py, PyAny>,
        result_code: Bound<'py, PyAny>,
        properties: Option<Bound<'py, PyAny>>,
        extra_params: &Bound<'py, PyTuple>,
    ) -> PyResult<()> {
        let py = slf.py();
        let callback = {
            let shared = slf.get().shared()?;
            let registry = shared.registry.lock();
            registry.connect.as_ref().map(|callback| callback.clone_ref(py))
        };
        let Some(callback) = callback else { return Ok(()) };
        let callback = callback.bind(py);
        let mut arguments = vec![client, userdata, flags, result_code];
        let wants_client = Signature::of(callback)?.is_some_and(|signature| signature.names("tb_client"));
        if wants_client {
            arguments.push(properties.unwrap_or_else(|| py.None().into_bound(py)));
        }
        arguments.extend(extra_params.iter());
        let arguments = PyTuple::new(py, arguments)?;
        if wants_client {
            let keywords = PyDict::new(py);
            keywords.set_item("tb_client", slf)?;
            callback.call(arguments, Some(&keywords))?;
        } else {
            callback.call1(arguments)?;
        }
        Ok(())
    }

    /// The attribute requests that wait for their answers, and what each will be answered to.
    #[getter]
    fn _attr_request_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let waiting: Vec<_> = {
            let shared = self.shared()?;
            let registry = shared.registry.lock();
            let callbacks = registry.attribute_requests.iter();
            callbacks.map(|(number, pending)| (*number, pending.callback.clone_ref(py))).collect()
        };
        let dict = PyDict::new(py);
        for (number, Callback { callable, userdata, .. }) in waiting {
            match userdata {
                Some(userdata) => dict.set_item(number, (callable, userdata))?,
                None => dict.set_item(number, callable)?,
            }
        }
        Ok(dict)
    }

    /// Gets messages on topics that the client does not know; does nothing.
    #[pyo3(signature = (_content, _message, **_kwargs))]
    fn _on_decoded_message(
        &self,
        _content: &Bound<'_, PyAny>,
        _message: &Bound<'_, PyAny>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) {
    }

    /// The body of a message: its JSON value, or its text when it is none.
    #[staticmethod]
    fn _decode(message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = message.py();
        let text = message.getattr("payload")?;
        let text = match text.cast::<PyString>() {
            Ok(text) => text.clone().into_any(),
            Err(_) => text.call_method1("decode", ("utf-8", "ignore"))?,
        };
        Ok(json::parse(py, &text).unwrap_or(text).unbind())
    }

    /// Cut a list of telemetry entries into messages below these limits.
    #[staticmethod]
    fn _split_message<'py>(
        message_pack: &Bound<'py, PyAny>,
        datapoints_max_count: usize,
        max_payload_size: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        telemetry::split_message(message_pack, datapoints_max_count, max_payload_size)
    }

    /// Count the values of a message, and one more for every 1000 characters.
    #[staticmethod]
    #[pyo3(signature = (data, device=None))]
    fn _count_datapoints_in_message(data: &Bound<'_, PyAny>, device: Option<Bound<'_, PyAny>>) -> PyResult<usize> {
        let Some(device) = device else { return telemetry::count(data) };
        let inner = data.call_method1("get", (device,))?;
        let Ok(list) = inner.cast::<PyList>() else { return telemetry::count(&inner) };
        list.iter().try_fold(0, |sum, item| Ok(sum + telemetry::count(&item)?))
    }

    /// Subscribe to one more topic filter, now and after every connect.
    #[pyo3(signature = (topic, qos=None, timeout=None), text_signature = "($self, topic, qos=None, timeout=5)")]
    fn _subscribe_to_topic(
        slf: &Bound<'_, Self>,
        topic: &str,
        qos: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(i32, Option<u16>)> {
        drop(timeout);
        let qos = Self::qos(slf, qos)?;
        slf.get().shared()?.client.subscriptions().add(topic, qos);
        Ok((0, None))
    }
}
