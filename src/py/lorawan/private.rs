//! The original's private names, which programs reach for, and what stands behind them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::client::PyMqttClient;
use super::convert;
use crate::dialect::lorawan::Payload;
use crate::py::arguments::{Spelled, wrong_type};
use crate::py::face;

#[pymethods(crate = "crate::py::named")]
impl PyMqttClient {
    /// The MQTT address that was given or announced; empty before it is known.
    #[getter(_MQTTClient__mqtt_address)]
    fn private_mqtt_address(&self) -> PyResult<String> {
        Ok(self.made()?.address.mqtt.lock().clone())
    }

    /// Connect there from the next time on.
    #[setter(_MQTTClient__mqtt_address)]
    fn set_private_mqtt_address(&self, address: Option<String>) -> PyResult<()> {
        *self.made()?.address.mqtt.lock() = address.unwrap_or_default();
        Ok(())
    }

    /// The discovery server.
    #[getter(_MQTTClient__discovery_address)]
    fn private_discovery_address(&self) -> PyResult<String> {
        Ok(self.made()?.address.discovery.address.clone())
    }

    /// Application ID.
    #[getter(_MQTTClient__app_id)]
    fn private_app_id(&self) -> PyResult<String> {
        Ok(self.made()?.served.client.config().app_id.as_str().to_owned())
    }

    /// Access key.
    #[getter(_MQTTClient__access_key)]
    fn private_access_key(&self) -> PyResult<String> {
        Ok(self.made()?.served.client.config().access_key.reveal().to_owned())
    }

    /// Whether it connects anew after a loss.
    #[getter(_MQTTClient__reconnect)]
    fn private_reconnect(&self) -> PyResult<bool> {
        Ok(self.made()?.served.client.config().reconnect)
    }

    /// The part of paho's client that programs use; the same object each time.
    #[getter(_MQTTClient__client)]
    fn private_client<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, made) = (slf.py(), slf.get().made()?);
        if let Some(known) = made.served.private.get() {
            return Ok(known.clone_ref(py).into_bound(py));
        }
        let client = face::private_client(slf.as_any())?;
        // Another thread may have been quicker: everybody gets the same.
        Ok(made.served.private.get_or_init(|| client.unbind()).clone_ref(py).into_bound(py))
    }

    /// Publish to any topic; gives the message ID.
    fn _publish(&self, py: Python<'_>, topic: &str, payload: &Bound<'_, PyAny>) -> PyResult<u16> {
        let bytes = match payload.extract::<String>() {
            Ok(text) => text.into_bytes(),
            Err(_) => payload
                .cast::<PyBytes>()
                .map_err(|_| wrong_type("payload", "str or bytes", payload))?
                .as_bytes()
                .to_vec(),
        };
        self.made()?.served.publish(py, topic, bytes)
    }

    /// Give the text that a downlink to the device has as ``payload_raw``; ``None`` where the payload is fields. For the
    /// older packages, which write the rest of a downlink in their own way.
    fn _payload_raw(&self, dev_id: &str, payload: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        Ok(match convert::payload(&Spelled { name: "payload", value: payload.clone() })? {
            Payload::Fields(_) => None,
            Payload::Raw(text) => Some(text),
            Payload::Either(text) => {
                self.made()?.served.client.warn_of_either(dev_id, &text);
                Some(text)
            }
        })
    }

    /// Tell ``told(format, *arguments)`` what passes, in place of the log; ``None`` is the log again.
    #[pyo3(signature = (told))]
    fn _watch(&self, told: Option<Py<PyAny>>) -> PyResult<()> {
        let served = self.made()?.served;
        served.watch.set(told);
        served.listen(&served.handlers());
        Ok(())
    }
}
