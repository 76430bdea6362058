//! `GatewayClient`: the native half of `TBGatewayMqttClient`, which is a Python class
//! (`thingslink/thingsboard/gateway.py`) over this one and `TBDeviceMqttClient`.

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::callback::{self, Callback};
use super::device::{ANSWER, PyDeviceClient, Values, call_number, device_name};
use super::logger;
use super::publish_info::PyPublishInfo;
use super::rate_limit::PyRateLimit;
use super::registry::GatewaySubscription;
use super::requests::Asking;
use crate::client::thingsboard::{Request, Traffic, announcement};
use crate::dialect::thingsboard::names;
use crate::py::arguments::{text, texts, wrong_type};
use crate::py::number;
use crate::session::QoS;

// It adds methods alone: its Python half is made in the layout of `PyDeviceClient`.
/// The native half of ``TBGatewayMqttClient``; it adds methods alone.
#[pyclass(frozen, subclass, extends = PyDeviceClient, name = "GatewayClient", module = "thingslink._native")]
pub(in crate::py) struct PyGatewayClient;

fn base<'a, 'py>(slf: &'a Bound<'py, PyGatewayClient>) -> &'a Bound<'py, PyDeviceClient> {
    slf.as_super()
}

/// Send one message of a device's.
fn send(
    slf: &Bound<'_, PyGatewayClient>,
    topic: &str,
    body: Bytes,
    quality_of_service: Option<Bound<'_, PyAny>>,
) -> PyResult<PyPublishInfo> {
    let qos = PyDeviceClient::qos(base(slf), quality_of_service)?;
    base(slf).get().shared()?.publish(slf.py(), topic, qos, Traffic::DeviceMessages, vec![(body, 0)], None)
}

/// Send telemetry or attributes of a device; at QoS 1 if nothing else is asked for.
fn send_values(
    slf: &Bound<'_, PyGatewayClient>,
    kind: Values,
    device: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    quality_of_service: Option<Bound<'_, PyAny>>,
    timeout: Option<Bound<'_, PyAny>>,
) -> PyResult<PyPublishInfo> {
    let device = device_name("device", device)?;
    let qos = match quality_of_service {
        Some(_) => PyDeviceClient::qos(base(slf), quality_of_service)?,
        None => QoS::AtLeastOnce,
    };
    PyDeviceClient::send_values(base(slf), kind, Some(device), value, qos, timeout)
}

fn request(
    slf: &Bound<'_, PyGatewayClient>,
    device: &Bound<'_, PyAny>,
    keys: &Bound<'_, PyAny>,
    callback: Option<Bound<'_, PyAny>>,
    of_client: bool,
) -> PyResult<PyPublishInfo> {
    let py = slf.py();
    device_name("device_name", device)?;
    let shared = base(slf).get().shared()?;
    let callback = callback.map(|callback| Callback::of_answer(&callback)).transpose()?;
    let number =
        shared.client.next_attribute_request(|number| shared.registry.lock().attribute_requests.contains_key(&number));
    let message = PyDict::new(py);
    // None at all asks for everything.
    message.set_item("keys", if keys.is_none() { Vec::new() } else { texts("keys", keys)? })?;
    message.set_item("device", device)?;
    message.set_item("client", of_client)?;
    message.set_item("id", number)?;
    let body = PyDeviceClient::body("the request", message.as_any())?;
    let (topic, qos, traffic) = (names::GATEWAY_ATTRIBUTES_REQUEST, QoS::AtLeastOnce, Traffic::DeviceMessages);
    let asking = Asking { topic, qos, traffic, body, patience: Some(ANSWER), timeout: None };
    shared.ask(py, Request::Attributes(number), callback, asking)
}

#[pymethods(crate = "crate::py::named")]
impl PyGatewayClient {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyDeviceClient::empty()).add_subclass(Self)
    }

    /// Tell the server that a device is there; needed for its calls and attribute updates.
    #[pyo3(signature = (device_name, device_type="default"))]
    fn gw_connect_device(
        slf: &Bound<'_, Self>,
        device_name: &Bound<'_, PyAny>,
        device_type: &str,
    ) -> PyResult<PyPublishInfo> {
        let name = self::device_name("device_name", device_name)?;
        let info = send(slf, names::GATEWAY_CONNECT, announcement(name, device_type), None)?;
        // What was not accepted is announced with the next login, as all are.
        base(slf).get().shared()?.client.remember(name, device_type, info.ticket());
        Ok(info)
    }

    /// Tell the server that a device is gone.
    fn gw_disconnect_device(slf: &Bound<'_, Self>, device_name: &Bound<'_, PyAny>) -> PyResult<PyPublishInfo> {
        let name = self::device_name("device_name", device_name)?;
        let message = PyDict::new(slf.py());
        message.set_item("device", name)?;
        let body = PyDeviceClient::body("the announcement", message.as_any())?;
        // Before the message goes: a reconnect in between must not bring the device back.
        base(slf).get().shared()?.client.forget(name);
        send(slf, names::GATEWAY_DISCONNECT, body, None)
    }

    /// Send telemetry of a device, in the forms of ``send_telemetry``.
    #[pyo3(
        signature = (device, telemetry, quality_of_service=None, timeout=None),
        text_signature = "($self, device, telemetry, quality_of_service=1, timeout=5)"
    )]
    fn gw_send_telemetry(
        slf: &Bound<'_, Self>,
        device: &Bound<'_, PyAny>,
        telemetry: &Bound<'_, PyAny>,
        quality_of_service: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        send_values(slf, Values::Telemetry, device, telemetry, quality_of_service, timeout)
    }

    /// Send client attributes of a device, in the forms of ``send_attributes``.
    #[pyo3(
        signature = (device, attributes, quality_of_service=None, timeout=None),
        text_signature = "($self, device, attributes, quality_of_service=1, timeout=5)"
    )]
    fn gw_send_attributes(
        slf: &Bound<'_, Self>,
        device: &Bound<'_, PyAny>,
        attributes: &Bound<'_, PyAny>,
        quality_of_service: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        send_values(slf, Values::Attributes, device, attributes, quality_of_service, timeout)
    }

    /// Ask for shared attributes of a device; ``callback(result, exception)`` gets the answer.
    #[pyo3(signature = (device_name, keys, callback))]
    fn gw_request_shared_attributes(
        slf: &Bound<'_, Self>,
        device_name: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyAny>,
        callback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        request(slf, device_name, keys, callback, false)
    }

    /// Ask for client attributes of a device; ``callback(result, exception)`` gets the answer.
    #[pyo3(signature = (device_name, keys, callback))]
    fn gw_request_client_attributes(
        slf: &Bound<'_, Self>,
        device_name: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyAny>,
        callback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        request(slf, device_name, keys, callback, true)
    }

    #[doc = stub!("GatewayClient.gw_subscribe_to_attribute")]
    fn gw_subscribe_to_attribute(
        slf: &Bound<'_, Self>,
        device: &Bound<'_, PyAny>,
        attribute: &Bound<'_, PyAny>,
        callback: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let device = device_name("device", device)?.to_owned();
        let attribute = text("attribute", attribute)?;
        let callback = Callback::new("callback", callback, &callback::OF_DEVICES)?;
        let shared = base(slf).get().shared()?;
        if device != "*" && !shared.client.knows(&device) {
            logger::log(py, "error", &format!("Device {device} is not connected"));
            return Ok(false.into_pyobject(py)?.to_owned().into_any().unbind());
        }
        let mut registry = shared.registry.lock();
        registry.last_gateway_subscription += 1;
        let id = registry.last_gateway_subscription;
        let new = GatewaySubscription { id, device, attribute, callback };
        let same = |one: &&mut GatewaySubscription| one.device == new.device && one.attribute == new.attribute;
        let old = if let Some(place) = registry.gateway_subscriptions.iter_mut().find(same) {
            Some(std::mem::replace(place, new))
        } else {
            registry.gateway_subscriptions.push(new);
            None
        };
        drop(registry);
        // Dropped outside the lock: this may run Python code.
        drop(old);
        Ok(id.into_pyobject(py)?.into_any().unbind())
    }

    /// End a subscription by its number, those of a device by its name, or all with ``"*"``.
    fn gw_unsubscribe(slf: &Bound<'_, Self>, subscription_id: &Bound<'_, PyAny>) -> PyResult<()> {
        let shared = base(slf).get().shared()?;
        let name: Option<String> = subscription_id.extract().ok();
        let number = number::identifier("subscription_id", subscription_id)?;
        let mut registry = shared.registry.lock();
        let before = std::mem::take(&mut registry.gateway_subscriptions);
        let (gone, kept): (Vec<_>, Vec<_>) = before.into_iter().partition(|one| {
            name.as_ref().is_some_and(|name| name == "*" || *name == one.device) || Some(one.id) == number
        });
        registry.gateway_subscriptions = kept;
        drop(registry);
        // Dropped outside the lock: this may run Python code.
        drop(gone);
        Ok(())
    }

    /// Set what answers calls to devices: ``handler(gateway, [request_id,] content)``.
    fn gw_set_server_side_rpc_request_handler(
        slf: &Bound<'_, Self>,
        handler: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let made = handler.map(|handler| Callback::new("handler", &handler, &callback::CALL_OF_DEVICE)).transpose()?;
        let old = std::mem::replace(&mut base(slf).get().shared()?.registry.lock().gateway_rpc, made);
        drop(old);
        Ok(())
    }

    /// What is called for calls to devices.
    #[getter]
    fn devices_server_side_rpc_request_handler(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let shared = base(slf).get().shared()?;
        let registry = shared.registry.lock();
        Ok(registry.gateway_rpc.as_ref().map(|handler| handler.callable.function.clone_ref(slf.py())))
    }

    #[setter]
    fn set_devices_server_side_rpc_request_handler(
        slf: &Bound<'_, Self>,
        handler: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Self::gw_set_server_side_rpc_request_handler(slf, handler)
    }

    /// Answer a call to a device with anything that JSON can express.
    #[pyo3(signature = (device, req_id, resp, quality_of_service=None))]
    fn gw_send_rpc_reply(
        slf: &Bound<'_, Self>,
        device: &Bound<'_, PyAny>,
        req_id: &Bound<'_, PyAny>,
        resp: &Bound<'_, PyAny>,
        quality_of_service: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Option<PyPublishInfo>> {
        let Some(qos) = PyDeviceClient::qos_or_log(base(slf), quality_of_service) else { return Ok(None) };
        device_name("device", device)?;
        let message = PyDict::new(slf.py());
        message.set_item("device", device)?;
        message.set_item("id", call_number(req_id)?)?;
        message.set_item("data", resp)?;
        let parts = vec![(PyDeviceClient::body("the reply", message.as_any())?, 0)];
        let shared = base(slf).get().shared()?;
        shared.publish(slf.py(), names::GATEWAY_RPC, qos, Traffic::DeviceMessages, parts, None).map(Some)
    }

    /// Let a user claim a device with this key within ``duration`` milliseconds; or several, by a whole request.
    #[pyo3(signature = (device_name=None, secret_key=None, duration=None, claiming_request=None))]
    fn gw_claim(
        slf: &Bound<'_, Self>,
        device_name: Option<Bound<'_, PyAny>>,
        secret_key: Option<Bound<'_, PyAny>>,
        duration: Option<Bound<'_, PyAny>>,
        claiming_request: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        let body = if let Some(request) = claiming_request {
            request.cast::<PyDict>().map_err(|_| wrong_type("claiming_request", "dict", &request))?;
            PyDeviceClient::body("the claim", &request)?
        } else {
            let (Some(device_name), Some(secret_key), Some(duration)) = (device_name, secret_key, duration) else {
                let text = "gw_claim() needs device_name, secret_key and duration, or a claiming_request";
                return Err(PyTypeError::new_err(text));
            };
            let name = self::device_name("device_name", &device_name)?;
            let (message, claim) = (PyDict::new(slf.py()), PyDict::new(slf.py()));
            claim.set_item("secretKey", text("secret_key", &secret_key)?)?;
            claim.set_item("durationMs", number::within::<u64>("duration", &duration, 0..=u64::MAX.into())?)?;
            message.set_item(name, claim)?;
            PyDeviceClient::body("the claim", message.as_any())?
        };
        send(slf, names::GATEWAY_CLAIM, body, None)
    }

    /// Whether the subscriptions of the connection are still to be answered.
    fn get_subscriptions_in_progress(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let shared = base(slf).get().shared()?;
        Ok(shared.client.is_open() && !shared.client.is_connected())
    }

    #[getter]
    fn _devices_connected_through_gateway_messages_rate_limit(slf: &Bound<'_, Self>) -> PyResult<PyRateLimit> {
        let meter = base(slf).get().shared()?.client.devices().messages.clone();
        let name = "Rate limit for devices connected through gateway messages";
        Ok(PyRateLimit::wrap(meter, name))
    }

    #[getter]
    fn _devices_connected_through_gateway_telemetry_messages_rate_limit(
        slf: &Bound<'_, Self>,
    ) -> PyResult<PyRateLimit> {
        let meter = base(slf).get().shared()?.client.devices().telemetry.clone();
        let name = "Rate limit for devices connected through gateway telemetry messages";
        Ok(PyRateLimit::wrap(meter, name))
    }

    #[getter]
    fn _devices_connected_through_gateway_telemetry_datapoints_rate_limit(
        slf: &Bound<'_, Self>,
    ) -> PyResult<PyRateLimit> {
        let meter = base(slf).get().shared()?.client.devices().points.clone();
        let name = "Rate limit for devices connected through gateway telemetry data points";
        Ok(PyRateLimit::wrap(meter, name))
    }

    #[setter(_devices_connected_through_gateway_messages_rate_limit)]
    fn set_devices_messages_rate_limit(slf: &Bound<'_, Self>, limit: &Bound<'_, PyRateLimit>) -> PyResult<()> {
        limit.get().give_to(&base(slf).get().shared()?.client.devices().messages);
        Ok(())
    }

    #[setter(_devices_connected_through_gateway_telemetry_messages_rate_limit)]
    fn set_devices_telemetry_messages_rate_limit(
        slf: &Bound<'_, Self>,
        limit: &Bound<'_, PyRateLimit>,
    ) -> PyResult<()> {
        limit.get().give_to(&base(slf).get().shared()?.client.devices().telemetry);
        Ok(())
    }

    #[setter(_devices_connected_through_gateway_telemetry_datapoints_rate_limit)]
    fn set_devices_telemetry_datapoints_rate_limit(
        slf: &Bound<'_, Self>,
        limit: &Bound<'_, PyRateLimit>,
    ) -> PyResult<()> {
        limit.get().give_to(&base(slf).get().shared()?.client.devices().points);
        Ok(())
    }
}
