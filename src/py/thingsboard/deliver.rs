//! What the dispatch pool and a client's Python object have in common: deliveries become calls of callbacks here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::callback::Callback;
use super::logger;
use super::registry::Registry;
use crate::client::thingsboard::{Client, Config, Device, Meters, Request, Unanswered};
use crate::client::{Body, Delivery, Incoming};
use crate::dialect::mqtt;
use crate::dialect::thingsboard::{Package, Topic, connect_reason, names};
use crate::error::Error;
use crate::py::acknowledging::Acknowledging;
use crate::py::face;
use crate::py::owner::Owner;
use crate::py::serve::{Serve, is_our_interrupt, served};
use crate::py::value::{Objects, to_py};
use crate::sync::Mutex;

/// What the dispatch pool and the Python object have in common.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) registry: Mutex<Registry>,
    pub(super) max_payload_size: AtomicUsize,
    pub(super) owner: Owner<Device>,
    acknowledging: Acknowledging,
    /// A callback of the delivery under way has let an exception out.
    has_failed: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        own: Meters,
        devices: Meters,
        max_payload_size: usize,
        acknowledging: Acknowledging,
    ) -> Result<Arc<Self>, Error> {
        served(|wake| {
            Ok(Self {
                client: Client::new(config, own, devices, wake)?,
                registry: Mutex::default(),
                max_payload_size: AtomicUsize::new(max_payload_size),
                owner: Owner::new(),
                acknowledging,
                has_failed: AtomicBool::new(false),
            })
        })
    }

    fn failed(&self, client: &Bound<'_, PyAny>, error: &PyErr) {
        let py = client.py();
        if is_our_interrupt(py, &self.owner, error) {
            return;
        }
        self.has_failed.store(true, Ordering::Release);
        face::callback_failed(client, error);
        logger::log_exception(py, error);
    }

    pub(super) fn call(&self, client: &Bound<'_, PyAny>, callback: &Callback, arguments: Vec<Bound<'_, PyAny>>) {
        if self.owner.is_exiting() {
            return;
        }
        self.owner.home().claim();
        if let Err(error) = callback.call(client.py(), arguments) {
            self.failed(client, &error);
        }
    }

    /// The one place that says what becomes of each delivery. What comes often is called from here; what comes seldom
    /// is told to the Python half of the client, by its `_hear_…` methods.
    fn handle(&self, delivery: Delivery<Unanswered>, client: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = client.py();
        match delivery {
            Delivery::Connected { session_present } => hear_connected(client, 0, session_present),
            Delivery::Refused { code } => {
                let reason = connect_reason(code);
                let hint =
                    if mqtt::may_pass(code) { "" } else { ": is the access token, or user name and password, right?" };
                logger::log(py, "error", &format!("Connection failed with result code {code} ({reason}){hint}"));
                hear_connected(client, code, false)
            }
            Delivery::Failed(error) => {
                logger::log(py, "warning", &format!("Connection failed: {error}"));
                Ok(())
            }
            Delivery::Lost(error) => {
                logger::log(py, "warning", &format!("MQTT client was disconnected: {error}"));
                self.fail_calls(client, &error.to_string())?;
                hear_disconnected(client, 7)
            }
            Delivery::Closed { .. } | Delivery::Replaced => {
                self.fail_calls(client, "the client was disconnected")?;
                hear_disconnected(client, 0)
            }
            Delivery::Rejected { topic, reason, .. } => {
                let text = format!(
                    "the server refused a message to {topic:?} with reason code {reason} ({})",
                    connect_reason(reason)
                );
                logger::log(py, "error", &text);
                if names::is_package_request(&topic) {
                    let request = topic.split('/').nth(3).and_then(|number| number.parse::<u64>().ok());
                    client.call_method1("_hear_piece_refused", (text, request))?;
                }
                Ok(())
            }
            Delivery::Problem(Error::SubscriptionRefused { filter, .. }) => {
                logger::log(py, "error", &format!("Service subscription to topic {filter} - failed."));
                Ok(())
            }
            Delivery::Own(unanswered) => self.unanswered(client, unanswered),
            Delivery::Message(message) => self.deliver_message(client, &message),
            // Logged where they arise, and of no concern to callbacks of this API.
            Delivery::Problem(_) | Delivery::Sent(_) | Delivery::Unread(_) => Ok(()),
        }
    }

    fn deliver_message(&self, client: &Bound<'_, PyAny>, message: &Incoming) -> PyResult<()> {
        let py = client.py();
        let address = Topic::parse(&message.topic);
        self.client.charge(address);
        if let Topic::Piece(package, request, piece) = address {
            let numbers = self.number(py, message, request).zip(self.number(py, message, piece));
            let Some((request, piece)) = numbers else { return Ok(()) };
            let data = PyBytes::new(py, message.bytes());
            client.call_method1("_hear_piece", (package.prefix(), request, piece, data))?;
            return Ok(());
        }
        let content = decode(py, &message.body)?;
        let none = py.None().into_bound(py);
        match address {
            Topic::RpcRequest(number) => self.deliver_call(client, number, &content),
            Topic::RpcResponse(number) => {
                let Some(number) = self.number(py, message, number) else { return Ok(()) };
                if self.client.asked_for_limits(number) {
                    let heard = client.call_method1("_hear_limits", (number, &content));
                    self.client.limits_told();
                    heard?;
                } else if let Some(pending) = self.take(Request::Call(number)) {
                    self.call_reply(client, &pending.callback, number, &content, &none)?;
                }
                Ok(())
            }
            Topic::Attributes => self.deliver_attributes(client, message, &content),
            Topic::AttributesResponse(number) => {
                let Some(number) = self.number(py, message, number) else { return Ok(()) };
                if let Some(pending) = self.take(Request::Attributes(number)) {
                    self.call_attributes(client, &pending.callback, &content, &none);
                }
                let shared = content.cast::<PyDict>().ok().and_then(|dict| dict.get_item("shared").ok().flatten());
                match shared {
                    Some(shared) => packages(client, &shared, false),
                    None => Ok(()),
                }
            }
            Topic::PieceRefused => {
                client.call_method1("_hear_piece_refused", (content, py.None()))?;
                Ok(())
            }
            Topic::GatewayAttributes
            | Topic::GatewayAttributesResponse
            | Topic::GatewayRpc
            | Topic::GatewayDisconnect => self.deliver_gateway(client, address, message, &content),
            Topic::Piece(..) | Topic::Other => {
                self.owner.home().claim();
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
        if self.client.config().gateway {
            self.rename_devices(content)?;
        }
        let handler = self.registry.lock().rpc.as_ref().map(|handler| handler.clone_ref(py));
        let Some(handler) = handler else { return Ok(()) };
        let mut arguments = vec![PyString::new(py, number).into_any(), content.clone()];
        if handler.count == 3 {
            arguments.insert(0, client.clone());
        }
        self.call(client, &handler, arguments);
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
        let keys = changed(dict)?;
        let callbacks = self.registry.lock().for_attributes(py, &keys);
        for callback in callbacks {
            self.call_attributes(client, &callback, content, &py.None().into_bound(py));
        }
        packages(client, content, true)
    }
}

fn hear_connected(client: &Bound<'_, PyAny>, code: u8, session_present: bool) -> PyResult<()> {
    client.call_method1("_hear_connected", (code, connect_reason(code), session_present))?;
    Ok(())
}

fn hear_disconnected(client: &Bound<'_, PyAny>, code: u8) -> PyResult<()> {
    client.call_method1("_hear_disconnected", (code,))?;
    Ok(())
}

/// The names of the attributes that a push is about: those that it sets, and those that were deleted.
pub(super) fn changed(attributes: &Bound<'_, PyDict>) -> PyResult<Vec<String>> {
    let mut names: Vec<String> = attributes.keys().extract()?;
    let deleted = attributes.get_item(intern!(attributes.py(), "deleted"))?;
    if let Some(deleted) = deleted.as_ref().and_then(|deleted| deleted.cast::<PyList>().ok()) {
        for name in deleted.iter() {
            // The attribute `deleted` may hold a list of anything.
            let Ok(name) = name.extract::<String>() else { continue };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// Shared attributes may announce packages.
fn packages(client: &Bound<'_, PyAny>, attributes: &Bound<'_, PyAny>, pushed: bool) -> PyResult<()> {
    let Ok(attributes) = attributes.cast::<PyDict>() else { return Ok(()) };
    let py = client.py();
    client.setattr(intern!(py, "firmware_info"), attributes)?;
    for (package, title, version) in [
        (Package::Firmware, intern!(py, "fw_title"), intern!(py, "fw_version")),
        (Package::Software, intern!(py, "sw_title"), intern!(py, "sw_version")),
    ] {
        if attributes.contains(title)? || attributes.contains(version)? {
            client.call_method1("_hear_package", (package.prefix(), attributes, pushed))?;
        }
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
    Ok(Bound::new(py, crate::py::raw::PyRawMessage::new(py, message.topic.clone(), message, message.receipt.into())?)?
        .into_any())
}

/// A message that is passed over.
pub(super) fn malformed(py: Python<'_>, message: &Incoming, expected: &str) {
    let body = String::from_utf8_lossy(message.bytes());
    let shown: String = body.chars().take(100).collect();
    logger::log(
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

    fn deliver(&self, _turn: &mut (), delivery: Delivery<Unanswered>, client: &Bound<'_, PyAny>) -> bool {
        let receipt = match &delivery {
            Delivery::Message(message) => message.receipt,
            _ => None,
        };
        self.has_failed.store(false, Ordering::Release);
        if let Err(error) = self.handle(delivery, client) {
            self.failed(client, &error);
        }
        if let Some(receipt) = receipt
            && self.acknowledging.settle(&self.client, receipt, true, self.has_failed.load(Ordering::Acquire), None)
        {
            logger::log(client.py(), "warning", "a message is not acknowledged, since its callback has failed");
        }
        true
    }

    fn end(&self, _turn: ()) {}
}
