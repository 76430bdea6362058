//! What the original has without documenting it, where it is about what waits and what is subscribed to.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyDeviceClient;
use crate::py::thingsboard::callback::Callback;

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
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
                Some(userdata) => dict.set_item(number, (&callable.function, userdata))?,
                None => dict.set_item(number, &callable.function)?,
            }
        }
        Ok(dict)
    }

    /// Wait no more for the answers that this callback was to get.
    fn _native_forget(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.shared()?.forget(callback);
        Ok(())
    }

    /// How many requests and calls wait for their answers.
    #[getter]
    fn _native_waiting(&self) -> PyResult<usize> {
        let shared = self.shared()?;
        let registry = shared.registry.lock();
        Ok(registry.attribute_requests.len() + registry.calls.len())
    }

    /// Subscribe to one more topic filter, now and after every connect.
    #[pyo3(signature = (topic, qos=None))]
    fn _native_subscribe(
        slf: &Bound<'_, Self>,
        topic: &str,
        qos: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(i32, Option<u16>)> {
        let qos = Self::qos(slf, qos)?;
        slf.get().shared()?.client.subscriptions().add(topic, qos);
        Ok((0, None))
    }
}
