//! `TBDeviceMqttClient`.

mod attributes;
mod calls;
mod limits;
mod packages;
mod private;
mod sending;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::connection::{TlsArguments, backoff, seconds_or};
use super::constructor::Arguments;
use super::deliver::Shared;
use super::json::{named, to_json};
use super::mqtt::set_in_flight;
use super::publish_info::PyPublishInfo;
use super::rate_limit::{messages_by_host, parse, percentage, points_by_host};
use super::telemetry::{self, Bounds};
use super::words;
use crate::client::thingsboard::{Config, Connection, Meter, Meters, Traffic};
use crate::dialect::mqtt::is_keep_alive;
use crate::dialect::thingsboard::names;
use crate::endpoint::Endpoint;
use crate::ids::AccessKey;
use crate::py::arguments::wrong_type;
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::{log, serve};
use crate::session::QoS;
use crate::sync::Mutex;

/// How long an attribute request waits for its answer.
pub(super) const ANSWER: Duration = Duration::from_secs(20);
/// Bound on the opening of each connection.
const OPENING: Duration = Duration::from_secs(30);
/// The size of messages until the server says another one.
const MAX_PAYLOAD_SIZE: usize = 8196;

/// A device of a ThingsBoard server, over MQTT.
#[pyclass(frozen, subclass, name = "TBDeviceMqttClient", module = "thingslink.tb_device_mqtt", weakref, dict)]
pub(in crate::py) struct PyDeviceClient {
    /// Set by `__init__`, so that subclasses may have a constructor of their own.
    made: Mutex<Option<Made>>,
}

#[derive(Clone)]
pub(super) struct Made {
    pub(super) shared: Arc<Shared>,
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
        Self { made: Mutex::new(None) }
    }

    pub(super) fn made(&self) -> PyResult<Made> {
        self.made.lock().clone().ok_or_else(|| PyRuntimeError::new_err("the constructor of the base was not called"))
    }

    pub(super) fn shared(&self) -> PyResult<Arc<Shared>> {
        Ok(self.made()?.shared)
    }

    /// Make the core's client of the constructor's arguments.
    pub(super) fn initialise(slf: &Bound<'_, Self>, arguments: &Arguments<'_>, gateway: bool) -> PyResult<()> {
        let py = slf.py();
        let host = arguments.text("host")?.unwrap_or_default();
        let part = percentage(py)?;
        let meter = |text: &str| Meter::new(parse(py, text, part));
        let limit = |name: &str, default: &str| -> PyResult<Meter> {
            Ok(meter(&messages_by_host(&host, &arguments.limit(name, "rate_limit", default)?)))
        };
        let points = |name: &str| -> PyResult<Meter> {
            let default = "DEFAULT_TELEMETRY_DP_RATE_LIMIT";
            Ok(meter(&points_by_host(&host, &arguments.limit(name, "dp_rate_limit", default)?)))
        };
        let own = Meters {
            messages: limit("messages_rate_limit", "DEFAULT_MESSAGES_RATE_LIMIT")?,
            telemetry: limit("telemetry_rate_limit", "DEFAULT_TELEMETRY_RATE_LIMIT")?,
            points: points("telemetry_dp_rate_limit")?,
        };
        let devices = if gateway {
            Meters {
                messages: limit("device_messages_rate_limit", "DEFAULT_MESSAGES_RATE_LIMIT")?,
                telemetry: limit("device_telemetry_rate_limit", "DEFAULT_TELEMETRY_RATE_LIMIT")?,
                points: points("device_telemetry_dp_rate_limit")?,
            }
        } else {
            Meters::unlimited()
        };
        let quality = match arguments.get("quality_of_service")? {
            Some(quality) => quality,
            None => 1_i64.into_pyobject(py)?.into_any(),
        };
        let config = Config {
            username: arguments.username()?,
            password: AccessKey::new(arguments.text("password")?.unwrap_or_default()),
            client_id: arguments.text("client_id")?.unwrap_or_default(),
            qos: if quality.extract::<i64>().is_ok_and(|quality| quality == 0) {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            },
            gateway,
            version: arguments.version()?,
        };
        let in_flight = own.telemetry.limit().smallest();
        let max_payload_size = arguments.number("max_payload_size")?.unwrap_or(MAX_PAYLOAD_SIZE);
        let shared = Shared::new(config, own, devices, max_payload_size).or_raise(py)?;
        if let Some(in_flight) = in_flight {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, never negative")]
            set_in_flight(&shared, in_flight as usize);
        }
        let port = arguments.port()?;
        shared.client.pace().set(backoff(None, None)?);
        *slf.get().made.lock() = Some(Made { shared, host: host.into(), port });
        let firmware = PyDict::new(py);
        for (key, value) in
            [("current_fw_title", "Initial"), ("current_fw_version", "v0"), ("fw_state", "IDLE"), ("fw_error", "")]
        {
            firmware.set_item(key, value)?;
        }
        slf.setattr("_lock", py.import("threading")?.getattr("RLock")?.call0()?)?;
        slf.setattr("quality_of_service", quality)?;
        slf.setattr("current_firmware_info", firmware)?;
        slf.setattr("firmware_received", false)?;
        slf.setattr("rate_limits_received", false)?;
        slf.setattr("_chunk_size", arguments.number("chunk_size")?.unwrap_or(0))
    }

    /// A level of delivery, or the client's own; anything but 0 and 1 is an error.
    pub(super) fn qos(slf: &Bound<'_, Self>, given: Option<Bound<'_, PyAny>>) -> PyResult<QoS> {
        let quality = match given {
            Some(given) => given,
            None => slf.getattr("quality_of_service")?,
        };
        match quality.extract::<i64>() {
            Ok(0) => Ok(QoS::AtMostOnce),
            Ok(1) => Ok(QoS::AtLeastOnce),
            _ => Err(words::qos_error(slf.py())),
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
        let bounds = Bounds { points: shared.client.most_points(traffic), bytes };
        let (topic, parts) = match (kind, device) {
            (Values::Telemetry, None) => (names::TELEMETRY, telemetry::telemetry(value, None, bounds)?),
            (Values::Telemetry, device) => (names::GATEWAY_TELEMETRY, telemetry::telemetry(value, device, bounds)?),
            (Values::Attributes, None) => (names::ATTRIBUTES, telemetry::attributes(value, None, bounds)?),
            (Values::Attributes, device) => (names::GATEWAY_ATTRIBUTES, telemetry::attributes(value, device, bounds)?),
        };
        shared.publish(slf.py(), topic, qos, traffic, parts, timeout)
    }

    /// A request or an announcement as JSON.
    pub(super) fn body(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
        Ok(Bytes::from(to_json(value).map_err(|error| named(value.py(), what, error))?))
    }
}

#[pymethods]
impl PyDeviceClient {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(host, port=1883, username=None, password=None, quality_of_service=None, client_id='', chunk_size=0, messages_rate_limit='DEFAULT_MESSAGES_RATE_LIMIT', telemetry_rate_limit='DEFAULT_TELEMETRY_RATE_LIMIT', telemetry_dp_rate_limit='DEFAULT_TELEMETRY_DP_RATE_LIMIT', max_payload_size=8196, protocol=5, **kwargs)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::empty()
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        Self::initialise(slf, &Arguments::parse(slf.py(), false, args, kwargs)?, false)
    }

    /// Open the connection; the login is answered to ``callback``, for every connection anew.
    #[pyo3(
        signature = (callback=None, min_reconnect_delay=None, timeout=None, tls=false, ca_certs=None, cert_file=None, key_file=None, keepalive=None, *, key_password=None, insecure=false),
        text_signature = "($self, callback=None, min_reconnect_delay=1, timeout=120, tls=False, ca_certs=None, cert_file=None, key_file=None, keepalive=120, *, key_password=None, insecure=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn connect(
        slf: &Bound<'_, Self>,
        callback: Option<Bound<'_, PyAny>>,
        min_reconnect_delay: Option<Bound<'_, PyAny>>,
        timeout: Option<Bound<'_, PyAny>>,
        tls: bool,
        ca_certs: Option<Bound<'_, PyAny>>,
        cert_file: Option<Bound<'_, PyAny>>,
        key_file: Option<Bound<'_, PyAny>>,
        keepalive: Option<Bound<'_, PyAny>>,
        key_password: Option<String>,
        insecure: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        let Made { shared, host, port } = slf.get().made()?;
        if let Some(callback) = &callback
            && !callback.is_callable()
        {
            return Err(wrong_type("callback", "callable", callback));
        }
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(PyValueError::new_err("Invalid host."));
        }
        // Without either of them, what `reconnect_delay_set` has said holds.
        let delays = match (&min_reconnect_delay, &timeout) {
            (None, None) => None,
            (min, max) => Some(backoff(min.as_ref(), max.as_ref())?),
        };
        let keep_alive = seconds_or("keepalive", keepalive.as_ref(), 120)?;
        if !is_keep_alive(keep_alive) {
            let text = format!("keepalive {keep_alive:?} is not valid: expected whole seconds from 0 (off) to 65535");
            return Err(PyValueError::new_err(text));
        }
        let set_before = shared.reach_in.lock().tls(py);
        let config = match set_before {
            // As the original: what was set first holds.
            Some(setting) => Some(setting.load(py)?),
            None if tls => Some(TlsArguments { ca_certs, cert_file, key_file, key_password, insecure }.load(py)?),
            None => None,
        };
        log::prepare(py)?;
        if let Some(delays) = delays {
            shared.client.pace().set(delays);
        }
        let (will, proxy) = {
            let reach_in = shared.reach_in.lock();
            (reach_in.will.clone(), reach_in.proxy.clone())
        };
        let how = Connection {
            endpoint: Endpoint { host: host.to_string(), port, tls: config.is_some() },
            tls: config,
            keep_alive,
            will,
            proxy,
            timeout: OPENING,
        };
        let old = std::mem::replace(&mut shared.registry.lock().connect, callback.map(Bound::unbind));
        drop(old);
        let client = shared.client.clone();
        serve::connect(&shared, slf.as_any(), async move { client.connect(how).await })
    }

    /// Send what was accepted and part with the server; gives 0, or 4 when there was no connection.
    #[pyo3(signature = (*, timeout=None))]
    fn disconnect(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<i32> {
        const NO_CONNECTION: i32 = 4;
        let within = Self::patience(timeout)?.unwrap_or(super::publish_info::PATIENCE);
        let shared = self.shared()?;
        let connected = shared.client.is_connected();
        serve::close(&shared, py, within)?;
        Ok(if connected { 0 } else { NO_CONNECTION })
    }

    /// Make those who wait for a connection give up; the connection itself stays.
    fn stop(&self) -> PyResult<()> {
        self.shared()?.client.stop(true);
        Ok(())
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
        Ok(self.shared()?.client.is_connected())
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.call_method0("connect")?;
        Ok(slf)
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        _type: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        slf.call_method0("disconnect")?;
        Ok(())
    }

    /// Set the delays between attempts to connect, in seconds: doubling from the first to the second.
    #[pyo3(signature = (min_delay=None, max_delay=None), text_signature = "($self, min_delay=1, max_delay=120)")]
    fn reconnect_delay_set(
        &self,
        min_delay: Option<Bound<'_, PyAny>>,
        max_delay: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let delays = backoff(min_delay.as_ref(), max_delay.as_ref())?;
        self.shared()?.client.pace().set(delays);
        Ok(())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let Made { shared, host, port, .. } = slf.get().made()?;
        let state = if shared.client.is_connected() { "connected" } else { "not connected" };
        Ok(format!("<{} {host}:{port}, {state}>", slf.get_type().name()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // While somebody holds the lock the client is in use, and not garbage.
        let Some(made) = self.made.try_lock() else { return Ok(()) };
        let Some(made) = made.as_ref() else { return Ok(()) };
        if let Some(registry) = made.shared.registry.try_lock() {
            for object in registry.objects() {
                visit.call(object)?;
            }
        }
        if let Some(reach_in) = made.shared.reach_in.try_lock() {
            for callback in reach_in.on_connect.iter().chain(&reach_in.on_disconnect) {
                visit.call(callback)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let made = self.made.lock().take();
        if let Some(made) = made {
            let registry = std::mem::take(&mut *made.shared.registry.lock());
            let reach_in = std::mem::take(&mut *made.shared.reach_in.lock());
            drop((registry, reach_in));
        }
    }
}

/// Not callable as a class of its own: text for `TypeError`s of the gateway.
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
