//! `ApplicationClient`: an application and its devices.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::Value;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::calls::{ADDRESSES, MANAGER};
use super::dictionary;
use super::discovery::{Discovery, PyDiscoveryClient, pem};
use super::identity::{Identity, Server, announced_server, secret};
use super::pages::{PageState, PyDevicePages};
use super::refused::{
    DELETE_APPLICATION, DELETE_DEVICE, DRY_RUN, GET_ADDRESS, GET_APPLICATION, GET_DEVICE, GET_PREFIXES,
    REGISTER_APPLICATION, REGISTER_DEVICE, SIMULATE, UPDATE_DEVICE,
};
use super::stub::{Connection, PyStub, deadline, message, method};
use crate::endpoint::Trust;
use crate::ids::{AppId, DevId};
use crate::py::arguments::{Aliases, Given, text, wrong_type};
use crate::py::convert::{exact_bytes, frame_bytes};
use crate::py::error::OrRaise as _;
use crate::py::proto::{Place, wrap};
use crate::rpc::{HANDLER_PORT, addresses};
use crate::sync::Mutex;

/// What DeleteDevice is given, as in the original.
const DELETE: Duration = Duration::from_secs(60);
/// The payload functions, in the order of the documentation.
pub(super) const FUNCTIONS: [&str; 4] = ["encoder", "decoder", "validator", "converter"];

/// Manages an application and its devices on the handler that serves it.
#[pyclass(frozen, subclass, name = "ApplicationClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyApplicationClient {
    pub(super) identity: Mutex<Identity>,
    pub(super) client: Mutex<Py<PyAny>>,
    pub(super) addresses: Py<PyAny>,
    connection: Arc<Connection>,
    address: String,
}

impl PyApplicationClient {
    pub(super) fn at(
        py: Python<'_>,
        app_id: String,
        key: Option<String>,
        token: Option<String>,
        server: Server,
    ) -> PyResult<Self> {
        AppId::new(app_id.as_str()).or_raise(py)?;
        let trust = match (server.certificate, server.insecure) {
            (_, true) => Trust::System,
            (Some(certificate), false) => Trust::Pem(certificate),
            (None, false) => return Err(PyRuntimeError::new_err("You need to provide credentials")),
        };
        let endpoints = addresses("handler_address", &server.address, HANDLER_PORT, !server.insecure).or_raise(py)?;
        let connection = Connection::new(py, endpoints, &trust)?;
        let client = Py::new(py, PyStub::new(MANAGER, connection.clone()))?.into_any();
        let stub = Py::new(py, PyStub::new(ADDRESSES, connection.clone()))?.into_any();
        Ok(Self {
            identity: Mutex::new(Identity { app_id, key, token }),
            client: Mutex::new(client),
            addresses: stub,
            connection,
            address: server.address,
        })
    }
}

fn device_id(py: Python<'_>, dev_id: &Bound<'_, PyAny>) -> PyResult<DevId> {
    DevId::new(text("dev_id", dev_id)?).or_raise(py)
}

fn port(number: i64) -> PyResult<u32> {
    u32::try_from(number)
        .ok()
        .filter(|port| *port <= 255)
        .ok_or_else(|| PyValueError::new_err(format!("port {number} is not valid: expected a LoRaWAN FPort, 0 to 255")))
}

#[pymethods]
impl PyApplicationClient {
    #[new]
    #[pyo3(
        signature = (
            app_id, access_key=Given(None), handler_address=Given(None), cert_content=None,
            discovery_address="discovery.thethings.network:1900", *, insecure_channel=false, token=None,
            discovery_certificate=None, **aliases
        ),
        text_signature = "(app_id, access_key, handler_address='', cert_content='', discovery_address='discovery.thethings.network:1900', *, insecure_channel=False, token=None, discovery_certificate=None, **aliases)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: &Bound<'py, PyAny>,
        access_key: Given<'py>,
        handler_address: Given<'py>,
        cert_content: Option<Bound<'py, PyAny>>,
        discovery_address: &str,
        insecure_channel: bool,
        token: Option<Bound<'py, PyAny>>,
        discovery_certificate: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let mut aliases = Aliases::new("ApplicationClient", aliases);
        let key = aliases.require("access_key", access_key, &["app_access_key"])?;
        let address = match aliases.find("handler_address", handler_address, &["net_address"])? {
            Some(address) if !address.is_none() => text("handler_address", &address)?,
            _ => String::new(),
        };
        aliases.finish()?;
        let app_id = text("app_id", app_id)?;
        let (key, token) = (secret("access_key", &key)?, token.map_or(Ok(None), |token| secret("token", &token))?);
        let server = if address.is_empty() {
            // What is given as the certificate does not count then: programs of the original pass anything here.
            let discovery = Discovery {
                address: discovery_address.to_owned(),
                certificate: pem("discovery_certificate", discovery_certificate.as_ref())?,
                insecure: insecure_channel,
            };
            let announcement = PyDiscoveryClient::announcement(py, &app_id, &discovery, None)?;
            announced_server(&announcement, insecure_channel)?
        } else {
            let certificate = pem("cert_content", cert_content.as_ref())?;
            Server { address, certificate, insecure: insecure_channel }
        };
        Self::at(py, app_id, key, token, server)
    }

    /// Application ID; read at each call.
    #[getter]
    fn app_id(&self) -> String {
        self.identity().app_id
    }

    #[setter]
    fn set_app_id(&self, py: Python<'_>, app_id: String) -> PyResult<()> {
        AppId::new(app_id.as_str()).or_raise(py)?;
        self.identity.lock().app_id = app_id;
        Ok(())
    }

    /// Access key; read at each call.
    #[getter]
    fn app_access_key(&self) -> Option<String> {
        self.identity().key
    }

    #[setter]
    fn set_app_access_key(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = secret("app_access_key", key)?;
        self.identity.lock().key = key;
        Ok(())
    }

    /// What the calls go through. May be replaced by anything with the service's methods.
    #[getter]
    fn client(&self, py: Python<'_>) -> Py<PyAny> {
        self.client.lock().clone_ref(py)
    }

    #[setter]
    fn set_client(&self, client: Py<PyAny>) {
        let old = std::mem::replace(&mut *self.client.lock(), client);
        drop(old);
    }

    /// Give the application.
    #[pyo3(signature = (*, timeout=None))]
    fn get<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        self.ask(py, GET_APPLICATION, "GetApplication", self.application_request(), timeout.as_ref())
    }

    /// Register the application on the handler.
    #[pyo3(signature = (*, timeout=None))]
    fn register<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        self.ask(py, REGISTER_APPLICATION, "RegisterApplication", self.application_request(), timeout.as_ref())
    }

    /// Delete the application on the handler, with all its devices.
    #[pyo3(signature = (*, timeout=None))]
    fn unregister<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        self.ask(py, DELETE_APPLICATION, "DeleteApplication", self.application_request(), timeout.as_ref())
    }

    /// Set the payload format: ``"custom"``, ``"cayennelpp"`` or ``""`` for none. The functions stay.
    #[pyo3(
        signature = (payload_format=Given(None), *, timeout=None, **aliases),
        text_signature = "($self, payload_format, *, timeout=None, **aliases)"
    )]
    fn set_payload_format<'py>(
        &self,
        py: Python<'py>,
        payload_format: Given<'py>,
        timeout: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let mut aliases = Aliases::new("set_payload_format", aliases);
        let format = text("payload_format", &aliases.require("payload_format", payload_format, &["payloadf"])?)?;
        aliases.finish()?;
        if !["custom", "cayennelpp", ""].contains(&format.as_str()) {
            return Err(PyValueError::new_err(format!(
                "payload_format {format:?} is not valid: expected \"custom\", \"cayennelpp\" or \"\" for none"
            )));
        }
        self.change_application(py, &[("payload_format", format)], timeout.as_ref())
    }

    /// Set JavaScript payload functions and the format ``"custom"``. What is omitted or empty stays as it is.
    #[pyo3(signature = (encoder="", decoder="", validator="", converter="", *, payload_format=None, register_on_join_access_key=None, timeout=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn set_custom_payload_functions(
        &self,
        py: Python<'_>,
        encoder: Option<&str>,
        decoder: Option<&str>,
        validator: Option<&str>,
        converter: Option<&str>,
        payload_format: Option<String>,
        register_on_join_access_key: Option<String>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut changes = vec![("payload_format", payload_format.unwrap_or_else(|| "custom".to_owned()))];
        for (name, code) in FUNCTIONS.into_iter().zip([encoder, decoder, validator, converter]) {
            if let Some(code) = code.filter(|code| !code.is_empty()) {
                changes.push((name, code.to_owned()));
            }
        }
        changes.extend(register_on_join_access_key.map(|key| ("register_on_join_access_key", key)));
        self.change_application(py, &changes, timeout.as_ref())
    }

    /// Remove payload functions: the named ones, or all.
    #[pyo3(signature = (*names, timeout=None))]
    fn clear_custom_payload_functions(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if let Some(name) = names.iter().find(|name| !FUNCTIONS.contains(&name.as_str())) {
            let known = FUNCTIONS.join(", ");
            return Err(PyValueError::new_err(format!("unknown payload function {name:?}: expected some of {known}")));
        }
        let cleared = FUNCTIONS.into_iter().filter(|known| names.is_empty() || names.iter().any(|name| name == known));
        let changes: Vec<_> = cleared.map(|name| (name, String::new())).collect();
        self.change_application(py, &changes, timeout.as_ref())
    }

    /// Set the key with which devices register themselves when they join; ``""`` for none.
    #[pyo3(signature = (access_key, *, timeout=None))]
    fn set_register_on_join_access_key(
        &self,
        py: Python<'_>,
        access_key: String,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.change_application(py, &[("register_on_join_access_key", access_key)], timeout.as_ref())
    }

    /// Give a device.
    #[pyo3(
        signature = (dev_id=Given(None), *, timeout=None, **aliases),
        text_signature = "($self, dev_id, *, timeout=None, **aliases)"
    )]
    fn device<'py>(
        &self,
        py: Python<'py>,
        dev_id: Given<'py>,
        timeout: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut aliases = Aliases::new("device", aliases);
        let dev_id = device_id(py, &aliases.require("dev_id", dev_id, &["devID"])?)?;
        aliases.finish()?;
        self.ask(py, GET_DEVICE, "GetDevice", self.device_request(&dev_id), timeout.as_ref())
    }

    /// List the devices, all or a page of them, sorted by ID. Frame counters and ``last_seen`` are 0 in lists.
    #[pyo3(signature = (*, limit=None, offset=None, timeout=None))]
    fn devices<'py>(
        &self,
        py: Python<'py>,
        limit: Option<u64>,
        offset: Option<u64>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.page(py, limit, offset, timeout.as_ref())
    }

    /// Iterate over the devices, asking the handler for one page after the other.
    #[pyo3(signature = (*, page_size=1000, timeout=None))]
    fn iter_devices(
        slf: &Bound<'_, Self>,
        page_size: u64,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyDevicePages> {
        if page_size == 0 {
            return Err(PyValueError::new_err("page_size 0 is not valid: expected 1 or more"));
        }
        Ok(PyDevicePages {
            client: slf.clone().unbind(),
            page_size,
            timeout: timeout.map(Bound::unbind),
            state: Mutex::new(PageState::default()),
        })
    }

    /// Register a device, or replace one: a dict with the keys of ``Device`` and ``LorawanDevice``, or a ``Device``.
    #[pyo3(signature = (dev_id, device, *, timeout=None))]
    fn register_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        device: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = device_id(py, dev_id)?;
        let mut request = message("handler.Device", &[]);
        dictionary::merge(&mut request, device)?;
        self.identify(&mut request, &dev_id);
        self.ask(py, REGISTER_DEVICE, "SetDevice", request, timeout.as_ref())
    }

    /// Change a device: what is given is changed, the rest stays. An attribute with the value ``None`` is removed.
    #[pyo3(signature = (dev_id, updates, *, timeout=None))]
    fn update_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        updates: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = device_id(py, dev_id)?;
        // Checked before anything is asked.
        dictionary::merge(&mut message("handler.Device", &[]), updates)?;
        let mut device = self.read_device(py, &dev_id, timeout.as_ref())?;
        dictionary::merge(&mut device, updates)?;
        self.identify(&mut device, &dev_id);
        self.ask(py, UPDATE_DEVICE, "SetDevice", device, timeout.as_ref())
    }

    /// Delete a device.
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn delete_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = device_id(py, dev_id)?;
        let timeout = if timeout.is_some() { deadline(timeout.as_ref())? } else { Some(DELETE) };
        self.call_with(py, DELETE_DEVICE, "DeleteDevice", self.device_request(&dev_id), timeout, Vec::new())?
            .into_py(py, &method(MANAGER, "DeleteDevice")?)
    }

    /// Make a device one that is activated by personalisation (ABP), and give it.
    #[pyo3(signature = (dev_id, *, nwk_s_key=None, app_s_key=None, usage=None, timeout=None))]
    fn personalize<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        nwk_s_key: Option<Bound<'py, PyAny>>,
        app_s_key: Option<Bound<'py, PyAny>>,
        usage: Option<Vec<String>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = device_id(py, dev_id)?;
        let random = || py.import("os")?.call_method1("urandom", (16,))?.extract::<Vec<u8>>();
        let key = |name: &str, given: Option<Bound<'py, PyAny>>| {
            given.map_or_else(random, |given| exact_bytes(name, &given, 16))
        };
        let (network, application) = (key("nwk_s_key", nwk_s_key)?, key("app_s_key", app_s_key)?);
        let mut device = self.read_device(py, &dev_id, timeout.as_ref())?;
        let address = self.dev_addr(py, Some(usage.unwrap_or_else(|| vec!["abp".to_owned()])), timeout.clone())?;
        let lorawan = dictionary::lorawan_part(&mut device);
        for (name, bytes) in
            [("dev_addr", address.as_bytes().to_vec()), ("nwk_s_key", network), ("app_s_key", application)]
        {
            lorawan.set_field_by_name(name, Value::Bytes(bytes.into()));
        }
        lorawan.clear_field_by_name("app_key");
        lorawan.clear_field_by_name("f_cnt_up");
        lorawan.clear_field_by_name("f_cnt_down");
        self.identify(&mut device, &dev_id);
        self.call(py, UPDATE_DEVICE, "SetDevice", device.clone(), timeout.as_ref())?;
        wrap(py, Place::new(device))
    }

    /// Move a device to the application of another client. If that fails the device is put back.
    #[pyo3(signature = (dev_id, to, *, timeout=None))]
    fn move_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        to: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let target = to.cast::<Self>().map_err(|_| wrong_type("to", "an ApplicationClient", to))?.get();
        if target.identity().app_id == self.identity().app_id && target.address == self.address {
            return Err(PyValueError::new_err("to is not valid: expected the client of another application"));
        }
        let dev_id = device_id(py, dev_id)?;
        let timeout = timeout.as_ref();
        let device = self.read_device(py, &dev_id, timeout)?;
        let mut moved = device.clone();
        target.identify(&mut moved, &dev_id);
        // In this order: the network allows each pair of EUIs only once.
        let delete = self.device_request(&dev_id);
        self.call_with(py, DELETE_DEVICE, "DeleteDevice", delete, Some(DELETE), Vec::new())?;
        let outcome = target.call(py, REGISTER_DEVICE, "SetDevice", moved, timeout);
        outcome.map(drop).map_err(|error| match self.call(py, REGISTER_DEVICE, "SetDevice", device, timeout) {
            Ok(_) => error,
            Err(lost) => {
                lost.set_cause(py, Some(error));
                lost
            }
        })
    }

    /// Run payload functions on an uplink's payload, without storing anything: the given ones, or the application's.
    #[pyo3(signature = (payload, port=1, functions=None, *, timeout=None))]
    fn dry_uplink<'py>(
        &self,
        py: Python<'py>,
        payload: &Bound<'py, PyAny>,
        port: i64,
        functions: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut request = message("handler.DryUplinkMessage", &[]);
        request.set_field_by_name("payload", Value::Bytes(frame_bytes("payload", payload)?.into()));
        request.set_field_by_name("port", Value::U32(self::port(port)?));
        request.set_field_by_name("app", Value::Message(self.functions(py, functions.as_ref(), timeout.as_ref())?));
        self.ask(py, DRY_RUN, "DryUplink", request, timeout.as_ref())
    }

    /// Run payload functions on a downlink's fields, storing nothing: the given ones, or the application's.
    #[pyo3(signature = (fields, port=1, functions=None, *, timeout=None))]
    fn dry_downlink<'py>(
        &self,
        py: Python<'py>,
        fields: &Bound<'py, PyAny>,
        port: i64,
        functions: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut request = message("handler.DryDownlinkMessage", &[]);
        if fields.is_instance_of::<PyBytes>() {
            request.set_field_by_name("payload", Value::Bytes(frame_bytes("fields", fields)?.into()));
        } else {
            let value: serde_json::Value = pythonize::depythonize(fields)?;
            if !value.is_object() {
                return Err(wrong_type("fields", "a dict or bytes", fields));
            }
            request.set_field_by_name("fields", Value::String(value.to_string()));
        }
        request.set_field_by_name("port", Value::U32(self::port(port)?));
        request.set_field_by_name("app", Value::Message(self.functions(py, functions.as_ref(), timeout.as_ref())?));
        self.ask(py, DRY_RUN, "DryDownlink", request, timeout.as_ref())
    }

    /// Have the network handle a payload as if a device had sent it.
    #[pyo3(signature = (dev_id, payload, port=1, *, timeout=None))]
    fn simulate_uplink<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        payload: &Bound<'py, PyAny>,
        port: i64,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let dev_id = device_id(py, dev_id)?;
        let app_id = self.identity().app_id;
        let ids = [("app_id", app_id.as_str()), ("dev_id", dev_id.as_str())];
        let mut request = message("handler.SimulatedUplinkMessage", &ids);
        request.set_field_by_name("payload", Value::Bytes(frame_bytes("payload", payload)?.into()));
        request.set_field_by_name("port", Value::U32(self::port(port)?));
        self.call(py, SIMULATE, "SimulateUplink", request, timeout.as_ref())?;
        Ok(())
    }

    /// Give the network's blocks of device addresses: objects with ``prefix`` and ``usage``.
    #[pyo3(signature = (*, timeout=None))]
    fn prefixes<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let request = message("lorawan.PrefixesRequest", &[]);
        let answer = self.call(py, GET_PREFIXES, "GetPrefixes", request, timeout.as_ref())?;
        answer.into_py(py, &method(ADDRESSES, "GetPrefixes")?)?.getattr("prefixes")
    }

    /// Get a random device address for a usage, such as ``["abp"]``: 4 bytes.
    #[pyo3(signature = (usage=None, *, timeout=None))]
    fn dev_addr<'py>(
        &self,
        py: Python<'py>,
        usage: Option<Vec<String>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut request = message("lorawan.DevAddrRequest", &[]);
        let usage = usage.unwrap_or_default().into_iter().map(Value::String).collect();
        request.set_field_by_name("usage", Value::List(usage));
        let answer = self.call(py, GET_ADDRESS, "GetDevAddr", request, timeout.as_ref())?;
        let answer = answer.into_message(py, &method(ADDRESSES, "GetDevAddr")?)?;
        let address = answer.get_field_by_name("dev_addr").and_then(|address| address.as_bytes().cloned());
        Ok(PyBytes::new(py, &address.unwrap_or_default()))
    }

    /// Close the connection; later calls fail.
    fn close(&self) {
        self.connection.close();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> bool {
        self.close();
        false
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (class, app_id) = (slf.get_type().name()?, this.identity().app_id);
        Ok(format!("<{class} app_id='{app_id}' handler_address='{}'>", this.address))
    }
}
