//! Attributes asked for, and changes of them.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{ANSWER, PyDeviceClient};
use crate::client::thingsboard::{Request, Traffic};
use crate::dialect::thingsboard::names;
use crate::py::arguments::{text, texts};
use crate::py::number;
use crate::py::thingsboard::callback::{self, Callback};
use crate::py::thingsboard::publish_info::PyPublishInfo;
use crate::py::thingsboard::registry::Place;
use crate::py::thingsboard::requests::Asking;

/// Attribute names, joined; `None` where none are asked for.
fn joined(name: &str, keys: Option<Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    let keys = keys.map(|keys| texts(name, &keys)).transpose()?.unwrap_or_default();
    Ok(if keys.is_empty() { None } else { Some(keys.join(",")) })
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
    #[doc = stub!("DeviceClient.request_attributes")]
    #[pyo3(signature = (client_keys=None, shared_keys=None, callback=None))]
    fn request_attributes(
        slf: &Bound<'_, Self>,
        client_keys: Option<Bound<'_, PyAny>>,
        shared_keys: Option<Bound<'_, PyAny>>,
        callback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        let py = slf.py();
        let shared = slf.get().shared()?;
        let qos = Self::qos(slf, None)?;
        let message = PyDict::new(py);
        for (name, argument, keys) in
            [("clientKeys", "client_keys", client_keys), ("sharedKeys", "shared_keys", shared_keys)]
        {
            if let Some(keys) = joined(argument, keys)? {
                message.set_item(name, keys)?;
            }
        }
        let body = Self::body("the request", message.as_any())?;
        let callback = callback.map(|callback| Callback::of_answer(&callback)).transpose()?;
        let number = shared
            .client
            .next_attribute_request(|number| shared.registry.lock().attribute_requests.contains_key(&number));
        let topic = format!("{}{number}", names::ATTRIBUTES_REQUEST);
        let (traffic, patience) = (Traffic::Messages, Some(ANSWER));
        let asking = Asking { topic: &topic, qos, traffic, body, patience, timeout: None };
        shared.ask(py, Request::Attributes(number), callback, asking)
    }

    #[doc = stub!("DeviceClient.subscribe_to_attribute")]
    fn subscribe_to_attribute(&self, key: &Bound<'_, PyAny>, callback: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = callback.py();
        let key = text("key", key)?;
        if key.is_empty() {
            return Err(PyValueError::new_err(
                "key '' is not valid: expected the name of an attribute, or \"*\" for all",
            ));
        }
        let shared = self.shared()?;
        let made = Callback::new("callback", callback, &callback::ATTRIBUTES)?;
        // Compared outside the lock, since that runs Python code.
        let same: Vec<_> = {
            let registry = shared.registry.lock();
            let of_key = registry.subscriptions.iter().filter(|one| one.key == key);
            of_key.map(|one| (one.id, one.callback.callable.function.clone_ref(py))).collect()
        };
        for (id, known) in same {
            if known.bind(py).eq(callback)? {
                shared.registry.lock().renew(id);
                return Ok(id);
            }
        }
        let place = Place::of_caller(py)?;
        let (id, replaced) = shared.registry.lock().subscribe(key, made, place);
        // Dropped outside the lock: this may run Python code.
        drop(replaced);
        Ok(id)
    }

    /// End a subscription by its number, or all with ``"*"``.
    fn unsubscribe_from_attribute(&self, subscription_id: &Bound<'_, PyAny>) -> PyResult<()> {
        let shared = self.shared()?;
        let all = subscription_id.extract::<String>().is_ok_and(|text| text == "*");
        let number = number::identifier("subscription_id", subscription_id)?;
        let mut registry = shared.registry.lock();
        let before = std::mem::take(&mut registry.subscriptions);
        let (gone, kept): (Vec<_>, Vec<_>) = before.into_iter().partition(|one| all || Some(one.id) == number);
        registry.subscriptions = kept;
        drop(registry);
        // Dropped outside the lock: this may run Python code.
        drop(gone);
        Ok(())
    }

    /// End all subscriptions to attributes.
    fn clean_device_sub_dict(&self) -> PyResult<()> {
        let gone = std::mem::take(&mut self.shared()?.registry.lock().subscriptions);
        drop(gone);
        Ok(())
    }

    /// Take a callback for an attribute request; gives the number of the request.
    fn _add_attr_request_callback(&self, callback: &Bound<'_, PyAny>) -> PyResult<u64> {
        let shared = self.shared()?;
        let callback = Callback::of_answer(callback)?;
        let number = shared
            .client
            .next_attribute_request(|number| shared.registry.lock().attribute_requests.contains_key(&number));
        shared.await_answer(Request::Attributes(number), callback, None)?;
        Ok(number)
    }

    /// Give up waiting for the answer to an attribute request at this time of ``time.monotonic()``.
    fn add_attrs_request_timeout(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = number::attr_request_number)] attr_request_number: u64,
        #[pyo3(from_py_with = number::timeout)] timeout: f64,
    ) -> PyResult<()> {
        let shared = self.shared()?;
        let request = Request::Attributes(attr_request_number);
        let now: f64 = py.import("time")?.call_method0("monotonic")?.extract()?;
        let Some(pending) = shared.take(request) else { return Ok(()) };
        let left = Duration::try_from_secs_f64(timeout - now).unwrap_or_default();
        shared.await_answer(request, pending.callback.clone_ref(py), Some(left))
    }
}
