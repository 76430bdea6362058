//! `DeviceClient`: the native half of `TBDeviceMqttClient`, which is a Python class
//! (`thingslink/thingsboard/device.py`).
//!
//! What happens often is here under its public name. What Python builds on is called `_native_…`; what Python is told of
//! is called `_hear_…` (`device/hooks.rs`).

mod attributes;
mod calls;
mod hooks;
mod limits;
mod private;
mod sending;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

pub(super) use calls::call_number;

use super::connection::{DELAYS, PyPrepared, PyProxy, PyTlsSettings, PyWill, backoff};
use super::deliver::Shared;
use super::exceptions::qos_error;
use super::json::{named, to_json};
use super::mqtt_handle::set_in_flight;
use super::publish_info::PyPublishInfo;
use super::rate_limit::{meters, percentage};
use super::reach::Reach;
use super::telemetry::{self, Bounds};
use crate::client::thingsboard::{Config, Meters, Traffic};
use crate::dialect::thingsboard::names;
use crate::ids::AccessKey;
use crate::py::acknowledging::Acknowledging;
use crate::py::arguments::wrong_type;
use crate::py::convert::{self, seconds};
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::py::prepared::{Face, Prepared};
use crate::py::written::Written;
use crate::py::{log, runtime, serve};
use crate::session::{QoS, Version};
use crate::sync::Mutex;

/// How long an attribute request waits for its answer.
pub(super) const ANSWER: Duration = Duration::from_secs(20);

#[doc = stub!("DeviceClient")]
#[pyclass(frozen, subclass, name = "DeviceClient", module = "thingslink._native", weakref, dict)]
pub(in crate::py) struct PyDeviceClient {
    written: Written,
    /// Set by `__init__`, so that subclasses may have a constructor of their own.
    made: Mutex<Option<Made>>,
}

#[derive(Clone)]
pub(super) struct Made {
    pub(super) shared: Reach,
    host: Arc<str>,
    port: u16,
}

/// What is cut into messages by the number of its values.
#[derive(Clone, Copy)]
pub(super) enum Values {
    Telemetry,
    Attributes,
}

impl PyDeviceClient {
    pub(super) fn empty() -> Self {
        Self { written: Written::new(), made: Mutex::new(None) }
    }

    pub(super) fn made(&self) -> PyResult<Made> {
        self.made.lock().clone().ok_or_else(|| PyRuntimeError::new_err("the constructor of the base was not called"))
    }

    pub(super) fn shared(&self) -> PyResult<Reach> {
        Ok(self.made()?.shared)
    }

    /// A level of delivery, or the client's own; anything but 0 and 1 is an error.
    pub(super) fn qos(slf: &Bound<'_, Self>, given: Option<Bound<'_, PyAny>>) -> PyResult<QoS> {
        let quality = match given {
            Some(given) => given,
            None => slf.getattr("quality_of_service")?,
        };
        if quality.is_instance_of::<PyBool>() {
            return Err(qos_error(slf.py()));
        }
        match quality.extract::<i64>() {
            Ok(0) => Ok(QoS::AtMostOnce),
            Ok(1) => Ok(QoS::AtLeastOnce),
            _ => Err(qos_error(slf.py())),
        }
    }

    /// The same for methods that only log it.
    pub(super) fn qos_or_log(slf: &Bound<'_, Self>, given: Option<Bound<'_, PyAny>>) -> Option<QoS> {
        Self::qos(slf, given).ok()
    }

    /// A time that was given; `None` means the default.
    pub(super) fn patience(timeout: Option<Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
        timeout.map(|timeout| seconds("timeout", &timeout)).transpose()
    }

    /// Send telemetry or attributes, of the client itself or of a device behind it.
    pub(super) fn send_values(
        slf: &Bound<'_, Self>,
        kind: Values,
        device: Option<&str>,
        value: &Bound<'_, PyAny>,
        qos: QoS,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPublishInfo> {
        let shared = slf.get().shared()?;
        let timeout = Self::patience(timeout)?;
        let traffic = if device.is_some() { Traffic::DeviceTelemetry } else { Traffic::Telemetry };
        let bytes = shared.max_payload_size.load(Ordering::Acquire);
        let topic = match (kind, device) {
            (Values::Telemetry, None) => names::TELEMETRY,
            (Values::Telemetry, Some(_)) => names::GATEWAY_TELEMETRY,
            (Values::Attributes, None) => names::ATTRIBUTES,
            (Values::Attributes, Some(_)) => names::GATEWAY_ATTRIBUTES,
        };
        let largest = shared.client.outbox().limits().largest_payload(topic);
        let bounds = Bounds { points: shared.client.most_points(traffic), bytes, largest };
        let cut = match kind {
            Values::Telemetry => telemetry::telemetry(value, device, bounds)?,
            Values::Attributes => telemetry::attributes(value, device, bounds)?,
        };
        shared.publish(slf.py(), topic, qos, traffic, cut, timeout)
    }

    /// A request or an announcement as JSON.
    pub(super) fn body(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
        Ok(Bytes::from(to_json(value).map_err(|error| named(value.py(), what, error))?))
    }
}

/// What `disconnect` gives without a connection.
const NO_CONNECTION: i32 = 4;

impl PyDeviceClient {
    fn part(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>, face: Face) -> PyResult<Prepared<i32>> {
        let within = Self::patience(timeout)?.unwrap_or(super::publish_info::PATIENCE);
        // A constructor that raised leaves an object to be taken down all the same.
        let Ok(shared) = self.shared() else { return Ok(Prepared::Ready(NO_CONNECTION)) };
        let connected = shared.client.is_connected();
        let closed = serve::close(&shared, py, within, face)?;
        closed.map(py, move |_, ()| Ok(if connected { 0 } else { NO_CONNECTION }))
    }

    fn opening(slf: &Bound<'_, Self>, prepared: &Bound<'_, PyPrepared>) -> PyResult<Prepared<()>> {
        let shared = slf.get().shared()?;
        let how = prepared.get().how.clone();
        log::prepare(slf.py())?;
        let client = shared.client.clone();
        serve::connect(&shared, slf.as_any(), async move { client.connect(how).await })
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::empty()
    }

    #[pyo3(signature = (*, host, port, username, password, client_id, qos, version, limits, device_limits, max_payload_size, on_callback_error))]
    #[expect(clippy::too_many_arguments, reason = "everything that a client is told when it is made")]
    fn __init__(
        &self,
        py: Python<'_>,
        host: &str,
        #[pyo3(from_py_with = number::port)] port: u16,
        username: String,
        password: String,
        client_id: String,
        #[pyo3(from_py_with = number::qos)] qos: i64,
        version: u8,
        limits: (String, String, String),
        device_limits: Option<(String, String, String)>,
        #[pyo3(from_py_with = number::max_payload_size)] max_payload_size: usize,
        on_callback_error: &str,
    ) -> PyResult<()> {
        let own = meters(py, &limits);
        let config = Config {
            username,
            password: AccessKey::new(password),
            client_id,
            qos: convert::qos(qos)?,
            gateway: device_limits.is_some(),
            version: if version == 4 { Version::V311 } else { Version::V5 },
            percentage: percentage(),
        };
        let devices = device_limits.map_or_else(Meters::unlimited, |limits| meters(py, &limits));
        let in_flight = own.telemetry.limit().smallest();
        let acknowledging = Acknowledging::new(config.qos, "quality_of_service", false, on_callback_error)?;
        let shared = Shared::new(config, own, devices, max_payload_size, acknowledging).or_raise(py)?;
        if let Some(in_flight) = in_flight {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, never negative")]
            set_in_flight(&shared, in_flight as usize);
        }
        shared.client.pace().set(DELAYS);
        *self.made.lock() = Some(Made { shared: Reach::new(shared), host: host.into(), port });
        Ok(())
    }

    /// Put together what a connection needs; raises what of it cannot be used.
    fn _native_prepare(
        &self,
        keepalive: Option<Bound<'_, PyAny>>,
        tls: Option<&Bound<'_, PyTlsSettings>>,
        will: Option<&Bound<'_, PyWill>>,
        proxy: Option<&Bound<'_, PyProxy>>,
        #[pyo3(from_py_with = number::other_port)] other_port: Option<u16>,
    ) -> PyResult<PyPrepared> {
        let Made { host, port, .. } = self.made()?;
        let port = other_port.unwrap_or(port);
        PyPrepared::new(
            &host,
            port,
            keepalive.as_ref(),
            tls.map(Bound::get),
            will.map(Bound::get),
            proxy.map(Bound::get),
        )
    }

    /// Open a connection; returns when it is open, without waiting for the answer to the login.
    fn _native_connect(slf: &Bound<'_, Self>, prepared: &Bound<'_, PyPrepared>) -> PyResult<()> {
        Self::opening(slf, prepared)?.wait(slf.py())
    }

    /// The same as a future of asyncio.
    fn _native_connect_async<'py>(
        slf: &Bound<'py, Self>,
        prepared: &Bound<'py, PyPrepared>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::opening(slf, prepared)?.future(slf.py())
    }

    /// Whether the last login was refused for good.
    #[getter]
    fn _is_refused(&self) -> PyResult<bool> {
        Ok(self.shared()?.client.is_refused())
    }

    /// Be another view of this client, whose sends are awaited.
    fn _native_await(&self, client: &Self) -> PyResult<()> {
        let Made { shared, host, port } = client.made()?;
        *self.made.lock() = Some(Made { shared: shared.awaited(), host, port });
        Ok(())
    }

    #[doc = stub!("DeviceClient.disconnect")]
    #[pyo3(signature = (*, timeout=None))]
    fn disconnect(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<i32> {
        let parted = self.part(py, timeout, Face::Blocking).and_then(|parting| parting.wait(py));
        runtime::parted(py, parted, NO_CONNECTION)
    }

    /// The same as a future of asyncio.
    #[pyo3(signature = (timeout=None))]
    fn _close_async<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, timeout, Face::Asyncio)?.future(py)
    }

    /// Make those who wait for a connection give up; the connection itself stays.
    fn stop(&self) {
        if let Ok(shared) = self.shared() {
            shared.client.stop(true);
        }
    }

    /// Whether ``stop`` was called.
    #[getter]
    fn stopped(&self) -> PyResult<bool> {
        Ok(self.shared()?.client.is_stopped())
    }

    #[setter]
    fn set_stopped(&self, stopped: bool) -> PyResult<()> {
        self.shared()?.client.stop(stopped);
        Ok(())
    }

    /// Whether the client is logged in now.
    fn is_connected(&self) -> PyResult<bool> {
        let shared = self.shared()?;
        Ok(serve::is_connected(shared.as_ref()))
    }

    /// Set the delays between attempts to connect, in seconds: doubling from the first to the second.
    #[pyo3(signature = (min_delay=None, max_delay=None), text_signature = "($self, min_delay=1, max_delay=120)")]
    fn reconnect_delay_set(
        &self,
        min_delay: Option<Bound<'_, PyAny>>,
        max_delay: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let delays = backoff(("min_delay", min_delay.as_ref()), ("max_delay", max_delay.as_ref()))?;
        self.shared()?.client.pace().set(delays);
        Ok(())
    }

    /// The same under the names that ``connect`` has for them.
    fn _native_pace(
        &self,
        min_reconnect_delay: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let min = ("min_reconnect_delay", min_reconnect_delay.as_ref());
        let delays = backoff(min, ("timeout", timeout.as_ref()))?;
        self.shared()?.client.pace().set(delays);
        Ok(())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        // Tracebacks with variables show objects whose constructor has failed.
        let Ok(Made { shared, host, port, .. }) = slf.get().made() else {
            return Ok(format!("<{}, not constructed>", slf.get_type().name()?));
        };
        let connected = serve::is_connected(shared.as_ref());
        let state = if connected { "connected" } else { "not connected" };
        Ok(format!("<{} {host}:{port}, {state}>", slf.get_type().name()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.written.is_so() {
            return Ok(());
        }
        // While somebody holds the lock the client is in use, and not garbage.
        let Some(made) = self.made.try_lock() else { return Ok(()) };
        // Each object is visited once for each reference to it.
        let Some(made) = made.as_ref().filter(|made| !made.shared.is_awaited()) else { return Ok(()) };
        if let Some(registry) = made.shared.registry.try_lock() {
            for object in registry.objects() {
                visit.call(object)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let made = self.made.lock().take();
        if let Some(made) = made.filter(|made| !made.shared.is_awaited()) {
            let registry = std::mem::take(&mut *made.shared.registry.lock());
            drop(registry);
        }
    }
}

/// The name of a device behind the gateway.
pub(super) fn device_name<'a>(name: &str, value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let text = value.cast::<PyString>().map_err(|_| wrong_type(name, "str", value))?.to_str()?;
    if text.is_empty() {
        return Err(PyValueError::new_err(format!("{name} '' is not valid: expected the name of a device")));
    }
    if text.contains('\0') {
        return Err(PyTypeError::new_err(format!("{name} {text:?} is not valid: it holds a null character")));
    }
    Ok(text)
}
