//! `MQTTClient`: the client of The Things Network as the original's users know it.

use std::sync::Arc;
use std::time::Duration;

use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::address::Address;
use super::callbacks::Served;
use super::convert::downlink;
use super::device::PyDeviceHandle;
use super::downlink::PyDownlinkHandle;
use super::given::PyMqttGiven;
use super::options::Asked;
use crate::endpoint::masked;
use crate::py::arguments::{Aliases, Given};
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::py::prepared::{Face, Prepared};
use crate::py::written::Written;
use crate::py::{face, log, runtime, serve};
use crate::sync::Mutex;

fn not_made() -> PyErr {
    PyRuntimeError::new_err("MQTTClient.__init__() was not called")
}

#[doc = stub!("MQTTClient")]
#[pyclass(frozen, subclass, name = "MQTTClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyMqttClient {
    written: Written,
    /// Set by `__init__`, so that subclasses may have a constructor of their own.
    made: Mutex<Option<Made>>,
}

#[derive(Clone)]
pub(super) struct Made {
    pub(super) address: Arc<Address>,
    pub(super) served: Arc<Served>,
}

impl PyMqttClient {
    pub(super) fn made(&self) -> PyResult<Made> {
        self.made.lock().clone().ok_or_else(not_made)
    }

    fn served(&self) -> PyResult<Arc<Served>> {
        self.made.lock().as_ref().map(|made| made.served.clone()).ok_or_else(not_made)
    }

    fn connecting(slf: &Bound<'_, Self>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Prepared<()>> {
        let py = slf.py();
        let timeout = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        let Made { address, served } = slf.get().made()?;
        log::prepare(py)?;
        served.owner.process()?;
        let (object, app_id) = (slf.clone().into_any().unbind(), served.client.config().app_id.clone());
        address.resolve(py, app_id.as_str(), timeout)?.then(py, move |py, (mqtt, timeout)| {
            let (opening, _) = address.opening(py, &served.client, &mqtt, timeout)?;
            serve::connect(&served, object.bind(py), opening)?
                .map(py, move |py, ()| served.tell_of_listening(py, "connected, "))
        })
    }

    fn closing(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>, face: Face) -> PyResult<Prepared<()>> {
        let timeout = timeout.map_or(Ok(Duration::from_secs(10)), |timeout| seconds("timeout", &timeout))?;
        serve::close(&self.served()?, py, timeout, face)
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyMqttClient {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(app_id, access_key, mqtt_address='', discovery_address='discovery.thethings.network:1900', reconnect=True, *, keep_alive=60, client_id='', clean_session=True, qos=0, tls=None, ca_certs=None, reconnect_min_delay=0.5, reconnect_max_delay=60, max_message_bytes=4194304, max_inflight=1000, queue_messages=None, queue_bytes=None, overflow=None, send_queue_messages=50000, send_queue_bytes=67108864, insecure_channel=False, discovery_certificate=None, on_callback_error=None, manual_ack=False, network=None, cluster=None, queue_timeout=10, follow_downlinks=False, group=None, ordered=False, ack_wait=30, nats_user=None, nats_password=None, nats_token=None, nats_nkey=None, nats_credentials=None, nats_monitor=None, management_address=None, identity_address=None, backfill=False, mqtt_username=None, mqtt_password=None, client_cert=None, client_key=None, grpc_address=None, tenant_id=None, event_topic=None, command_topic=None, **aliases)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { written: Written::new(), made: Mutex::new(None) }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __init__(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let (config, address, acknowledging, follows) = PyMqttGiven::of(py, args, kwargs)?;
        let served = Served::new(config, acknowledging).or_raise(py)?;
        if follows {
            served.client.follow();
        }
        *self.made.lock() = Some(Made { address: Arc::new(address), served });
        Ok(())
    }

    #[doc = stub!("MQTTClient.connect")]
    #[pyo3(signature = (*, timeout=None))]
    fn connect(slf: &Bound<'_, Self>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        Self::connecting(slf, timeout)?.wait(slf.py())
    }

    /// As ``connect``, for asyncio.
    #[pyo3(signature = (*, timeout=None))]
    fn _connect_async<'py>(slf: &Bound<'py, Self>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        Self::connecting(slf, timeout)?.future(slf.py())
    }

    #[doc = stub!("MQTTClient.close")]
    #[pyo3(signature = (*, timeout=None))]
    fn close(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        runtime::parted(py, self.closing(py, timeout, Face::Blocking).and_then(|closing| closing.wait(py)), ())
    }

    /// As ``close``, for asyncio.
    #[pyo3(signature = (*, timeout=None))]
    fn _close_async<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        self.closing(py, timeout, Face::Asyncio)?.future(py)
    }

    /// As ``close``.
    #[pyo3(signature = (*, timeout=None))]
    fn stop(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        self.close(py, timeout)
    }

    /// Do nothing: receiving begins with ``connect``. Kept for programs that call it.
    fn start(&self) {}

    #[doc = stub!("MQTTClient.send")]
    #[pyo3(
        signature = (
            dev_id=Given(None), payload=Given(None), port=None, confirmation=Given(None), schedule=Given(None), *,
            priority=None, class_b_c=None, confirmed_retry=None, correlation_ids=None, **aliases
        ),
        text_signature = "($self, dev_id, payload, port=1, confirmation=False, schedule='replace', *, priority=None, class_b_c=None, confirmed_retry=None, correlation_ids=None, **aliases)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn send<'py>(
        &self,
        py: Python<'py>,
        dev_id: Given<'py>,
        payload: Given<'py>,
        port: Option<Bound<'py, PyAny>>,
        confirmation: Given<'py>,
        schedule: Given<'py>,
        priority: Option<Bound<'py, PyAny>>,
        class_b_c: Option<Bound<'py, PyAny>>,
        confirmed_retry: Option<Bound<'py, PyAny>>,
        correlation_ids: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<u16> {
        let mut aliases = Aliases::new("send", aliases);
        let dev_id = aliases.require("dev_id", dev_id, &["devID", "deviceID"])?;
        let served = self.served()?;
        let network = served.client.config().network;
        let dev_id = dev_id.judged(network.dev_id(dev_id.text()?))?;
        let port = port.map_or_else(|| Ok::<_, PyErr>(1_i64.into_pyobject(py)?.into_any()), Ok)?;
        let mut downlink = downlink(network, &mut aliases, payload, &port, confirmation, schedule)?;
        downlink.options = Asked { priority, class_b_c, confirmed_retry, correlation_ids }.read(py, network)?;
        aliases.finish()?;
        served.send(py, &dev_id, downlink)
    }

    #[doc = stub!("MQTTClient.downlink")]
    fn downlink(&self, py: Python<'_>, #[pyo3(from_py_with = number::mid)] mid: u16) -> PyResult<PyDownlinkHandle> {
        PyDownlinkHandle::new(py, self.served()?, mid)
    }

    #[doc = stub!("MQTTClient.ack")]
    fn ack(&self, msg: &Bound<'_, PyAny>) -> PyResult<()> {
        self.served()?.acknowledge(msg)
    }

    #[doc = stub!("MQTTClient.flush")]
    #[pyo3(signature = (timeout=None))]
    fn flush(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let timeout = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        let Made { served, .. } = self.made()?;
        let client = served.client.clone();
        served.owner.process()?.wait(py, async move { client.flush(timeout).await })?.or_raise(py)
    }

    /// The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``.
    #[getter]
    fn network(&self) -> PyResult<String> {
        Ok(self.made()?.address.network.to_string())
    }

    /// Whether the client is logged in now.
    #[getter]
    fn is_connected(&self) -> PyResult<bool> {
        Ok(serve::is_connected(self.served()?.as_ref()))
    }

    #[getter]
    fn _last_refusal(&self) -> PyResult<u8> {
        Ok(self.served()?.client.last_refusal())
    }

    /// Application ID, as messages have it: without a tenant.
    #[getter]
    fn app_id(&self) -> PyResult<String> {
        let Made { served, .. } = self.made()?;
        let config = served.client.config();
        Ok(config.network.plain(&config.app_id).to_owned())
    }

    /// Give the counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        face::stats(py, &self.served()?.client.stats())
    }

    /// Give a handle for one device: ``send`` and the setters without its ID.
    fn device(&self, py: Python<'_>, dev_id: String) -> PyResult<PyDeviceHandle> {
        let served = self.served()?;
        let dev_id = served.client.config().network.dev_id(dev_id).or_raise(py)?;
        Ok(PyDeviceHandle::new(served, dev_id))
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::connect(slf, None)?;
        Ok(slf.clone())
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<bool> {
        // A forked child that leaves the block has nothing to close, and its own reason to leave.
        if self.served()?.owner.check_process().is_ok() {
            self.close(py, None)?;
        }
        Ok(false)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().name()?;
        let Ok(Made { address, served }) = slf.get().made() else { return Ok(format!("<{class} without __init__>")) };
        let app_id = &served.client.config().app_id;
        let state = if serve::is_connected(served.as_ref()) { "connected" } else { "not connected" };
        let mqtt_address = masked(&address.mqtt.lock());
        let network = address.network;
        let application = served.client.application().map_or_else(String::new, |uuid| format!(" application='{uuid}'"));
        Ok(format!(
            "<{class} app_id='{app_id}'{application} network='{network}' mqtt_address='{mqtt_address}' {state}>"
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.written.is_so() {
            return Ok(());
        }
        // A lock that is taken is skipped: the collector comes again.
        let Some(made) = self.made.try_lock() else { return Ok(()) };
        let Some(served) = made.as_ref().map(|made| &made.served) else { return Ok(()) };
        served.watch.visit(|told| visit.call(told))?;
        if let Some(private) = served.private.get() {
            visit.call(private)?;
        }
        let Some(handlers) = served.try_handlers() else { return Ok(()) };
        handlers.all.iter().flat_map(|handler| handler.callable.objects()).try_for_each(|object| visit.call(object))
    }

    fn __clear__(&self) {
        if let Some(made) = self.made.lock().take() {
            made.served.clear();
        }
    }
}
