//! What the dispatch pool and a client's Python object have in common: deliveries become calls of callbacks here.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::callback::Callback;
use super::mqtt::ReachIn;
use super::publish_info::{PATIENCE, PyPublishInfo};
use super::registry::{Pending, Registry};
use super::telemetry::Parts;
use super::words;
use crate::client::thingsboard::{Client, Config, Device, Expired, Meters, Request, Traffic};
use crate::client::{Body, Delivery, Incoming};
use crate::dialect::mqtt::code;
use crate::dialect::thingsboard::{Topic as Address, connect_reason};
use crate::error::Error;
use crate::py::owner::Owner;
use crate::py::serve::{Serve, is_our_interrupt, served};
use crate::py::value::{Objects, to_py};
use crate::session::QoS;
use crate::sync::Mutex;

/// What the dispatch pool and the Python object have in common.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) registry: Mutex<Registry>,
    pub(super) reach_in: Mutex<ReachIn>,
    pub(super) max_payload_size: AtomicUsize,
    pub(super) owner: Owner<Device>,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        own: Meters,
        devices: Meters,
        max_payload_size: usize,
    ) -> Result<Arc<Self>, Error> {
        served(|wake| {
            Ok(Self {
                client: Client::new(config, own, devices, wake)?,
                registry: Mutex::default(),
                reach_in: Mutex::default(),
                max_payload_size: AtomicUsize::new(max_payload_size),
                owner: Owner::default(),
            })
        })
    }

    /// Send parts of a message; waits for what `Client` says it must, open to Ctrl-C.
    pub(super) fn publish(
        &self,
        py: Python<'_>,
        topic: &str,
        qos: QoS,
        traffic: Traffic,
        parts: Parts,
        timeout: Option<Duration>,
    ) -> PyResult<PyPublishInfo> {
        let process = self.owner.process()?;
        let patience = timeout.unwrap_or(PATIENCE);
        let sending = self.client.sending(topic.to_owned(), qos, traffic, parts);
        let sent = match sending.start(&self.client) {
            Ok(sent) => sent,
            Err(sending) => process.wait(py, sending.finish(self.client.clone(), timeout))?,
        };
        Ok(PyPublishInfo::new(self.client.clone(), sent, patience))
    }

    /// Have a request's callback called after `patience`, if nothing answers before.
    pub(super) fn await_answer(
        &self,
        request: Request,
        callback: Callback,
        patience: Option<Duration>,
    ) -> PyResult<()> {
        let timer = match patience {
            Some(patience) => {
                let task = self.owner.process()?.handle.spawn(self.client.clone().expire(request, patience));
                Some(task.abort_handle())
            }
            None => None,
        };
        let pending = Pending { callback, timer };
        let mut registry = self.registry.lock();
        let replaced = match request {
            Request::Attributes(number) => registry.attribute_requests.insert(number, pending),
            Request::Call(number) => registry.calls.insert(number, pending),
        };
        drop(registry);
        // Dropped outside the lock: this may run Python code.
        drop(replaced);
        Ok(())
    }

    /// Take a request that waits.
    pub(super) fn take(&self, request: Request) -> Option<Pending> {
        let mut registry = self.registry.lock();
        match request {
            Request::Attributes(number) => registry.attribute_requests.remove(&number),
            Request::Call(number) => registry.calls.remove(&number),
        }
    }

    fn failed(&self, py: Python<'_>, error: &PyErr) {
        if is_our_interrupt(py, &self.owner, error) {
            return;
        }
        words::log_exception(py, error);
    }

    fn call(&self, py: Python<'_>, callback: &Callback, arguments: Vec<Bound<'_, PyAny>>) {
        if self.owner.is_exiting() {
            return;
        }
        if let Err(error) = callback.call(py, arguments) {
            self.failed(py, &error);
        }
    }

    /// An attribute callback takes the message alone, with an exception, or with the client in front.
    fn call_attributes(
        &self,
        client: &Bound<'_, PyAny>,
        callback: &Callback,
        content: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
    ) {
        let mut arguments = vec![content.clone(), exception.clone()];
        match callback.count {
            1 => drop(arguments.pop()),
            3 => arguments.insert(0, client.clone()),
            _ => {}
        }
        self.call(client.py(), callback, arguments);
    }

    fn call_reply(
        &self,
        client: &Bound<'_, PyAny>,
        callback: &Callback,
        number: u64,
        content: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let number = number.into_pyobject(client.py())?.into_any();
        let mut arguments = vec![number, content.clone(), exception.clone()];
        if callback.count == 4 {
            arguments.insert(0, client.clone());
        }
        self.call(client.py(), callback, arguments);
        Ok(())
    }

    /// Give up all calls to the server, whose answers went to a connection that is no more.
    fn fail_calls(&self, client: &Bound<'_, PyAny>, reason: &str) -> PyResult<()> {
        let py = client.py();
        let calls: Vec<_> = self.registry.lock().calls.drain().collect();
        for (number, pending) in calls {
            let exception = PyConnectionError::new_err(format!("no answer to the call {number}: {reason}"));
            let exception = exception.value(py).clone().into_any();
            self.call_reply(client, &pending.callback, number, &py.None().into_bound(py), &exception)?;
        }
        Ok(())
    }

    fn deliver_one(&self, delivery: Delivery<Expired>, client: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = client.py();
        match delivery {
            Delivery::Connected { session_present } => self.tell_connected(client, 0, session_present),
            Delivery::Refused { code } => {
                let reason = connect_reason(code);
                words::log(py, "error", &format!("Connection failed with result code {code} ({reason})"));
                self.tell_connected(client, code, false)
            }
            Delivery::Failed(error) => {
                words::log(py, "warning", &format!("Connection failed: {error}"));
                Ok(())
            }
            Delivery::Lost(error) => {
                words::log(py, "warning", &format!("MQTT client was disconnected: {error}"));
                self.fail_calls(client, &error.to_string())?;
                self.tell_disconnected(client, 7)
            }
            Delivery::Closed { .. } | Delivery::Replaced => {
                self.fail_calls(client, "the client was disconnected")?;
                self.tell_disconnected(client, 0)
            }
            Delivery::Rejected { topic, reason } => {
                let text = format!(
                    "the server refused a message to {topic:?} with reason code {reason} ({})",
                    connect_reason(reason)
                );
                words::log(py, "error", &text);
                Ok(())
            }
            Delivery::Problem(Error::SubscriptionRefused { filter }) => {
                words::log(py, "error", &format!("Service subscription to topic {filter} - failed."));
                Ok(())
            }
            Delivery::Own(Expired(request)) => self.expire(client, request),
            Delivery::Message(message) => self.deliver_message(client, &message),
            // Logged where they arise, and of no concern to callbacks of this API.
            Delivery::Problem(_) | Delivery::Sent(_) => Ok(()),
        }
    }

    fn tell_connected(&self, client: &Bound<'_, PyAny>, code: u8, session_present: bool) -> PyResult<()> {
        let py = client.py();
        let module = py.import("thingslink.thingsboard.mqtt")?;
        let flags = module.getattr("ConnectFlags")?.call1((session_present,))?;
        let code = module.getattr("ReasonCode")?.call1((code, connect_reason(code)))?;
        let assigned = self.reach_in.lock().on_connect.as_ref().map(|callback| callback.clone_ref(py));
        let handler = match assigned {
            Some(handler) => handler.into_bound(py),
            None => client.getattr("_on_connect")?,
        };
        handler.call1((client.getattr("_client")?, py.None(), flags, code, py.None()))?;
        Ok(())
    }

    fn tell_disconnected(&self, client: &Bound<'_, PyAny>, code: u8) -> PyResult<()> {
        let py = client.py();
        let assigned = self.reach_in.lock().on_disconnect.as_ref().map(|callback| callback.clone_ref(py));
        let Some(handler) = assigned else { return Ok(()) };
        let module = py.import("thingslink.thingsboard.mqtt")?;
        let name = if code == 0 { "Normal disconnection" } else { "The connection was lost" };
        let flags = module.getattr("DisconnectFlags")?.call1((false,))?;
        let code = module.getattr("ReasonCode")?.call1((code, name))?;
        handler.bind(py).call1((client.getattr("_client")?, py.None(), flags, code, py.None()))?;
        Ok(())
    }

    fn expire(&self, client: &Bound<'_, PyAny>, request: Request) -> PyResult<()> {
        let py = client.py();
        let Some(pending) = self.take(request) else { return Ok(()) };
        let none = py.None().into_bound(py);
        let exception = |text: &str| words::timeout_error(py, text).value(py).clone().into_any();
        match request {
            Request::Attributes(_) => {
                let text = "Timeout while waiting for a reply for attribute request from ThingsBoard!";
                self.call_attributes(client, &pending.callback, &none, &exception(text));
            }
            Request::Call(number) => {
                let text = format!("Timeout while waiting for a reply to the RPC call {number} from ThingsBoard!");
                self.call_reply(client, &pending.callback, number, &none, &exception(&text))?;
            }
        }
        Ok(())
    }

    fn deliver_message(&self, client: &Bound<'_, PyAny>, message: &Incoming) -> PyResult<()> {
        let py = client.py();
        let address = Address::parse(&message.topic);
        self.client.charge(address);
        if let Address::FirmwareChunk(request, _) = address {
            let data = PyBytes::new(py, message.body.bytes());
            py.import("thingslink.thingsboard.firmware")?.call_method1("on_chunk", (client, request, data))?;
            return Ok(());
        }
        let content = decode(py, &message.body)?;
        let none = py.None().into_bound(py);
        match address {
            Address::RpcRequest(number) => self.deliver_call(client, number, &content),
            Address::RpcResponse(number) => {
                let Some(number) = self.number(py, message, number) else { return Ok(()) };
                if self.client.asked_for_limits(number) {
                    client.getattr("service_configuration_callback")?.call1((number, &content, none))?;
                } else if let Some(pending) = self.take(Request::Call(number)) {
                    self.call_reply(client, &pending.callback, number, &content, &none)?;
                }
                Ok(())
            }
            Address::Attributes => self.deliver_attributes(client, message, &content),
            Address::AttributesResponse(number) => {
                let Some(number) = self.number(py, message, number) else { return Ok(()) };
                if let Some(pending) = self.take(Request::Attributes(number)) {
                    self.call_attributes(client, &pending.callback, &content, &none);
                }
                let shared = content.cast::<PyDict>().ok().and_then(|dict| dict.get_item("shared").ok().flatten());
                match shared {
                    Some(shared) => firmware_attributes(client, &shared),
                    None => Ok(()),
                }
            }
            Address::FirmwareError => {
                py.import("thingslink.thingsboard.firmware")?.call_method1("on_error", (client, content))?;
                Ok(())
            }
            Address::GatewayAttributes
            | Address::GatewayAttributesResponse
            | Address::GatewayRpc
            | Address::GatewayDisconnect => self.deliver_gateway(client, address, message, &content),
            Address::FirmwareChunk(..) | Address::Other => {
                client.call_method1("_on_decoded_message", (content, raw(py, message)?))?;
                Ok(())
            }
        }
    }

    /// The number of an answer; what is none is told and passed over.
    fn number(&self, py: Python<'_>, message: &Incoming, number: &str) -> Option<u64> {
        let parsed = number.parse().ok();
        if parsed.is_none() {
            malformed(py, message, "a number at the end of the topic");
        }
        parsed
    }

    fn deliver_call(&self, client: &Bound<'_, PyAny>, number: &str, content: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = client.py();
        let handler = self.registry.lock().rpc.as_ref().map(|handler| handler.clone_ref(py));
        let Some(handler) = handler else { return Ok(()) };
        let mut arguments = vec![PyString::new(py, number).into_any(), content.clone()];
        if handler.count == 3 {
            arguments.insert(0, client.clone());
        }
        self.call(py, &handler, arguments);
        Ok(())
    }

    fn deliver_attributes(
        &self,
        client: &Bound<'_, PyAny>,
        message: &Incoming,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = client.py();
        let Ok(dict) = content.cast::<PyDict>() else {
            malformed(py, message, "a JSON object");
            return Ok(());
        };
        let keys: Vec<String> = dict.keys().extract()?;
        let callbacks = self.registry.lock().for_attributes(py, &keys);
        for callback in callbacks {
            self.call_attributes(client, &callback, content, &py.None().into_bound(py));
        }
        firmware_attributes(client, content)
    }

    fn deliver_gateway(
        &self,
        client: &Bound<'_, PyAny>,
        address: Address<'_>,
        message: &Incoming,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = client.py();
        let Ok(dict) = content.cast::<PyDict>() else {
            malformed(py, message, "a JSON object");
            return Ok(());
        };
        match address {
            Address::GatewayAttributesResponse => {
                let number = dict.get_item("id")?.and_then(|number| number.extract::<u64>().ok());
                match number.map(|number| self.take(Request::Attributes(number))) {
                    Some(Some(pending)) => {
                        self.call_attributes(client, &pending.callback, content, &py.None().into_bound(py));
                    }
                    Some(None) => {
                        let text = "Unable to find callback to process attributes response from platform.";
                        words::log(py, "error", text);
                    }
                    None => malformed(py, message, "an object with a number as \"id\""),
                }
            }
            Address::GatewayAttributes => {
                let device = dict.get_item("device")?.and_then(|device| device.extract::<String>().ok());
                let data = dict.get_item("data")?;
                let keys =
                    data.as_ref().and_then(|data| data.cast::<PyDict>().ok()).map(pyo3::types::PyDictMethods::keys);
                let keys: Vec<String> = keys.map_or_else(|| Ok(Vec::new()), |keys| keys.extract())?;
                if device.is_none() || !data.as_ref().is_some_and(pyo3::types::PyAnyMethods::is_instance_of::<PyDict>) {
                    malformed(py, message, "an object with \"device\" and \"data\"");
                }
                let callbacks = self.registry.lock().for_device(py, device.as_deref().unwrap_or_default(), &keys);
                for callback in callbacks {
                    let arguments = match (callback.count, &data) {
                        (2, Some(data)) => vec![client.clone(), data.clone()],
                        _ => vec![content.clone()],
                    };
                    self.call(py, &callback, arguments);
                }
            }
            Address::GatewayRpc => self.deliver_gateway_call(client, message, content)?,
            _ => {
                if let Some(reason) = dict.get_item("reason")?.and_then(|reason| reason.extract::<i64>().ok()) {
                    let device = dict.get_item("device")?.map_or_else(String::new, |device| device.to_string());
                    words::log(py, "info", &format!("Device \"{device}\" disconnected with reason {reason}"));
                    if reason == i64::from(code::MESSAGE_RATE_TOO_HIGH) {
                        self.client.device_limits_reached();
                    }
                }
                let handler = self.registry.lock().device_disconnect.as_ref().map(|handler| handler.clone_ref(py));
                if let Some(handler) = handler
                    && let Err(error) = handler.bind(py).call1((client, content))
                {
                    self.failed(py, &error);
                }
            }
        }
        Ok(())
    }

    fn deliver_gateway_call(
        &self,
        client: &Bound<'_, PyAny>,
        message: &Incoming,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = client.py();
        let handler = self.registry.lock().gateway_rpc.as_ref().map(|handler| handler.clone_ref(py));
        let Some(handler) = handler else { return Ok(()) };
        if handler.count != 3 {
            self.call(py, &handler, vec![client.clone(), content.clone()]);
            return Ok(());
        }
        match content.get_item("data").and_then(|data| data.get_item("id")) {
            Ok(number) => self.call(py, &handler, vec![client.clone(), number, content.clone()]),
            Err(_) => malformed(py, message, "an object whose \"data\" has an \"id\""),
        }
        Ok(())
    }
}

/// Shared attributes may announce a firmware package.
fn firmware_attributes(client: &Bound<'_, PyAny>, attributes: &Bound<'_, PyAny>) -> PyResult<()> {
    let Ok(attributes) = attributes.cast::<PyDict>() else { return Ok(()) };
    client.setattr("firmware_info", attributes)?;
    if attributes.contains("fw_version")? || attributes.contains("fw_title")? {
        let firmware = client.py().import("thingslink.thingsboard.firmware")?;
        firmware.call_method1("on_attributes", (client, attributes))?;
    }
    Ok(())
}

/// A message's body: the JSON value, or the text when it is none.
fn decode<'py>(py: Python<'py>, body: &Body) -> PyResult<Bound<'py, PyAny>> {
    match body {
        Body::Json(document) => to_py(py, document, document.root(), Objects::Dicts),
        Body::Undecodable { payload, .. } => PyBytes::new(py, payload).call_method1("decode", ("utf-8", "ignore")),
    }
}

/// A message as it came, for programs that look into it.
fn raw<'py>(py: Python<'py>, message: &Incoming) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, crate::py::lorawan::PyRawMessage::new(py, message)?)?.into_any())
}

fn malformed(py: Python<'_>, message: &Incoming, expected: &str) {
    let body = String::from_utf8_lossy(message.body.bytes());
    let shown: String = body.chars().take(100).collect();
    words::log(
        py,
        "error",
        &format!("passed over a message on {:?}: expected {expected}, got {shown:?}", message.topic),
    );
}

impl Serve for Shared {
    type Platform = Device;
    type Turn = ();

    fn line(&self) -> &Client {
        &self.client
    }

    fn owner(&self) -> &Owner<Device> {
        &self.owner
    }

    fn begin(&self) {}

    fn deliver(&self, _turn: &mut (), delivery: Delivery<Expired>, client: &Bound<'_, PyAny>) -> bool {
        let receipt = match &delivery {
            Delivery::Message(message) => message.receipt,
            _ => None,
        };
        if let Err(error) = self.deliver_one(delivery, client) {
            self.failed(client.py(), &error);
        }
        if let Some(receipt) = receipt {
            self.client.acknowledge(receipt);
        }
        true
    }

    fn end(&self, _turn: ()) {}
}
