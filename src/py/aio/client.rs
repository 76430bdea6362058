//! What `thingslink.aio.MQTTClient` stands on: as the client of the sync face, with futures of the loop.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::flow::Flow;
use super::stream::PyInlet;
use crate::dialect::lorawan::Network;
use crate::endpoint::masked;
use crate::error::Error;
use crate::ids::DevId;
use crate::py::arguments::{Aliases, Given};
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::lorawan::{
    Address, Asked, PyDownlinkHandle, PyMqttGiven, Subject, downlink, event_name, field_path, optional_device,
};
use crate::py::number;
use crate::py::prepared::Prepared;
use crate::py::{face, log};

/// How long `send` waits for room in a full queue.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

/// A client whose deliveries go to an event loop.
#[pyclass(frozen, name = "_AioClient", module = "thingslink._native")]
pub(in crate::py) struct PyAioClient {
    address: Arc<Address>,
    flow: Arc<Flow>,
}

impl PyAioClient {
    fn network(&self) -> Network {
        self.flow.client.config().network
    }

    fn device(&self, py: Python<'_>, dev_id: Option<String>) -> PyResult<Option<DevId>> {
        optional_device(py, self.network(), dev_id)
    }

    fn open(&self, subject: Subject) -> PyResult<PyInlet> {
        self.flow.bond.check()?;
        Ok(PyInlet::new(self.flow.open(subject)))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyAioClient {
    /// Take the arguments of ``MQTTClient``, each by its name, and who is told what the streams do not tell.
    #[new]
    #[pyo3(signature = (told, **settings))]
    fn new(py: Python<'_>, told: Py<PyAny>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let (config, address, acknowledging, follows) = PyMqttGiven::of(py, &PyTuple::empty(py), settings)?;
        let flow = Flow::new(config, acknowledging, told).or_raise(py)?;
        if follows {
            flow.client.follow();
        }
        Ok(Self { address: Arc::new(address), flow })
    }

    /// Connect, log in and subscribe. Cancelled, the attempt is given up.
    #[pyo3(signature = (timeout=None))]
    fn connect<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        log::prepare(py)?;
        let (flow, address) = (self.flow.clone(), self.address.clone());
        let process = flow.bond.process()?.clone();
        process.close_at_exit(&flow);
        flow.belong(py)?;
        flow.begin();
        // Whatever came while no loop was there to be woken.
        flow.land_soon(py)?;
        let app_id = flow.client.config().app_id.clone();
        let again = flow.client.is_open();
        let opened = address.resolve(py, app_id.as_str(), timeout)?.then(py, move |py, (mqtt, timeout)| {
            let (opening, host) = address.opening(py, &flow.client, &mqtt, timeout)?;
            *flow.host.lock() = host;
            Ok(Prepared::new(process, opening, |py, outcome| outcome.or_raise(py)))
        });
        let flow = self.flow.clone();
        Prepared::settle(py, opened, move |py, outcome| {
            let process = flow.bond.process()?;
            if let Err(error) = &outcome
                && !again
                && flow.client.is_open()
                && error.is_instance(py, &py.import("asyncio")?.getattr("CancelledError")?)
            {
                // It came about just then.
                let _runtime = process.handle.enter();
                flow.client.close_soon(SEND_PATIENCE);
            }
            outcome.map(Prepared::Ready)
        })?
        .future(py)
    }

    /// End the streams, send what was accepted, part with the server.
    #[pyo3(signature = (timeout=None))]
    fn close<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = timeout.map_or(Ok(Duration::from_secs(10)), |timeout| seconds("timeout", &timeout))?;
        let process = self.flow.bond.process()?.clone();
        self.flow.belong(py)?;
        self.flow.close(py)?;
        let (client, flow) = (self.flow.client.clone(), self.flow.clone());
        let closing = async move {
            client.close(timeout).await;
        };
        let finish = move |py: Python<'_>, ()| flow.land(py, usize::MAX).and_then(|()| flow.fail_sends(py));
        Prepared::new(process, closing, finish).future(py)
    }

    /// Accept a downlink: a future of its number, done when it is written (QoS 0) or acknowledged (QoS 1); of one that goes
    /// in front of V3's queue when the network has taken it.
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn send<'py>(
        &self,
        py: Python<'py>,
        dev_id: String,
        payload: Bound<'py, PyAny>,
        port: Bound<'py, PyAny>,
        confirmation: Bound<'py, PyAny>,
        schedule: Bound<'py, PyAny>,
        priority: Option<Bound<'py, PyAny>>,
        class_b_c: Option<Bound<'py, PyAny>>,
        confirmed_retry: Option<Bound<'py, PyAny>>,
        correlation_ids: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.flow.bond.check()?;
        let event_loop = self.flow.belong(py)?;
        let dev_id = self.network().dev_id(dev_id).or_raise(py)?;
        let given = |value| Given(Some(value));
        let mut aliases = Aliases::new("send", None);
        let mut downlink =
            downlink(self.network(), &mut aliases, given(payload), &port, given(confirmation), given(schedule))?;
        downlink.options = Asked { priority, class_b_c, confirmed_retry, correlation_ids }.read(py, self.network())?;
        // Before the downlink, so that nothing that is told of it is missed.
        self.flow.client.follow();
        if self.flow.client.is_answered(&downlink) {
            let sent = self.flow.client.send_answered(dev_id, downlink);
            let process = self.flow.bond.process()?.clone();
            return Prepared::new(process, sent, |py, mid| mid.or_raise(py)).future(py);
        }
        let mid = self.flow.client.send(&dev_id, &downlink).or_raise(py)?;
        self.flow.await_sent(py, &event_loop, mid)
    }

    /// Give a downlink's handle.
    fn downlink(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = number::mid)] mid: u16,
        dev_id: String,
    ) -> PyResult<PyDownlinkHandle> {
        Ok(PyDownlinkHandle::new(py, self.flow.clone(), mid)?.to(dev_id))
    }

    /// Wait until something has left the full queue of downlinks, at most 30 s.
    fn room<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let process = self.flow.bond.process()?.clone();
        let client = self.flow.client.clone();
        let limit = client.outbox().limits().messages;
        let before = client.outbox().len();
        let left = async move {
            let room = client.outbox().room();
            if client.outbox().len() < before {
                return Ok(());
            }
            tokio::time::timeout(SEND_PATIENCE, room).await.map_err(|_| Error::Full { limit })
        };
        Prepared::new(process, left, |py, outcome| outcome.or_raise(py)).future(py)
    }

    /// Wait until every downlink is written (QoS 0) or acknowledged (QoS 1).
    #[pyo3(signature = (timeout=None))]
    fn flush<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        let process = self.flow.bond.process()?.clone();
        let client = self.flow.client.clone();
        Prepared::new(process, async move { client.flush(timeout).await }, |py, outcome| outcome.or_raise(py))
            .future(py)
    }

    /// Open a stream of uplinks.
    fn uplinks(&self, py: Python<'_>, dev_id: Option<String>) -> PyResult<PyInlet> {
        self.open(Subject::Uplink(self.device(py, dev_id)?))
    }

    /// Open a stream of uplinks as they came.
    fn raw_uplinks(&self, py: Python<'_>, dev_id: Option<String>) -> PyResult<PyInlet> {
        self.open(Subject::Raw(self.device(py, dev_id)?))
    }

    /// Open a stream of the values of one payload field.
    fn uplink_fields(&self, py: Python<'_>, field: String, dev_id: Option<String>) -> PyResult<PyInlet> {
        self.open(Subject::Field(self.device(py, dev_id)?, field_path(field)?))
    }

    /// Give a device ID, if it is one.
    fn checked(&self, py: Python<'_>, dev_id: String) -> PyResult<String> {
        Ok(self.network().dev_id(dev_id).or_raise(py)?.as_str().to_owned())
    }

    /// Open a stream of events.
    fn events(&self, py: Python<'_>, kind: Option<String>, dev_id: Option<String>) -> PyResult<PyInlet> {
        let name = event_name(self.network(), kind)?;
        if let Some(name) = name.as_ref().filter(|name| self.network().never_tells(name)) {
            let title = self.network().title();
            let text = format!("event {name:?} is not valid: {title} tells nobody of it over MQTT");
            return Err(PyValueError::new_err(text));
        }
        self.open(Subject::Event(self.device(py, dev_id)?, name))
    }

    /// Whether the client is logged in now.
    #[getter]
    fn is_connected(&self) -> bool {
        self.flow.bond.check().is_ok() && self.flow.client.is_connected()
    }

    /// Whether there is a session, be it connected or connecting anew.
    #[getter]
    fn is_open(&self) -> bool {
        self.flow.bond.check().is_ok() && self.flow.client.is_open()
    }

    /// Application ID, as messages have it: without a tenant.
    #[getter]
    fn app_id(&self) -> String {
        let config = self.flow.client.config();
        config.network.plain(&config.app_id).to_owned()
    }

    /// ``"v2"``, ``"v3"`` or ``"chirpstack"``.
    #[getter(network)]
    fn network_name(&self) -> String {
        self.network().to_string()
    }

    /// The server's address, as far as it is known, without a secret.
    #[getter]
    fn mqtt_address(&self) -> String {
        masked(&self.address.mqtt.lock())
    }

    /// The application's UUID, on ChirpStack and if it is known.
    #[getter]
    fn application(&self) -> Option<String> {
        self.flow.client.application()
    }

    /// What it gets all messages of; ``None`` if it has a share of them.
    #[getter]
    fn subject(&self) -> Option<String> {
        let config = self.flow.client.config();
        config.group.is_none().then(|| format!("application '{}'", config.app_id))
    }

    /// Give the counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        face::stats(py, &self.flow.client.stats())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.flow.visit(|object| visit.call(object))
    }

    fn __clear__(&self) {
        self.flow.clear();
    }
}
