//! `MqttHandle`: what `_client` does to the connection. Everything else that programs reach for there is written in
//! Python (`thingslink/thingsboard/mqtt.py`).

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::connection::topic_of;
use super::deliver::Shared;
use super::device::PyDeviceClient;
use super::publish_info::{PATIENCE, PyPublishInfo};
use super::reach::Reach;
use crate::client::thingsboard::Traffic;
use crate::dialect::thingsboard::count_points;
use crate::py::convert::{self, Octets, seconds};
use crate::py::number;
use crate::session::OutboxLimits;

/// As many as the protocol's message IDs allow for.
const MOST_IN_FLIGHT: usize = 60_000;

/// The MQTT side of a client: the native half of ``_client``.
#[pyclass(frozen, subclass, name = "MqttHandle", module = "thingslink._native", dict)]
pub(in crate::py) struct PyMqttHandle {
    // Not the Python object, which holds this one: nobody would be freed before the garbage collector comes.
    shared: Reach,
}

#[pymethods(crate = "crate::py::named")]
impl PyMqttHandle {
    #[new]
    fn new(client: &Bound<'_, PyDeviceClient>) -> PyResult<Self> {
        Ok(Self { shared: client.get().shared()? })
    }

    /// Whether the client is logged in now.
    fn is_connected(&self) -> bool {
        self.shared.client.is_connected()
    }

    /// Whether a connection is kept: between ``connect`` and ``disconnect``.
    fn _native_is_open(&self) -> bool {
        self.shared.client.is_open()
    }

    /// Wait until no connection is kept, at most ``timeout`` seconds.
    fn _native_join(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let timeout = timeout.map(|timeout| seconds("timeout", &timeout)).transpose()?;
        if self.shared.owner.is_served_here(py) {
            // What the original's thread says of itself.
            return Err(PyRuntimeError::new_err("cannot join current thread"));
        }
        if !self.shared.client.is_open() {
            return Ok(());
        }
        let client = self.shared.client.clone();
        let over = async move { client.over().await };
        let process = self.shared.owner.process()?;
        match timeout {
            Some(timeout) => process.wait(py, async move { drop(tokio::time::timeout(timeout, over).await) }),
            None => process.wait(py, over),
        }
    }

    /// Publish bytes to any topic.
    fn _native_publish(
        &self,
        py: Python<'_>,
        topic: &str,
        payload: Octets,
        #[pyo3(from_py_with = number::qos)] qos: i64,
    ) -> PyResult<PyPublishInfo> {
        topic_of(topic)?;
        let Octets(payload) = payload;
        let points = count_points(topic, &payload);
        let parts = vec![(Bytes::from(payload), points)];
        self.shared.publish(py, topic, convert::qos(qos)?, Traffic::of(topic), parts, Some(PATIENCE))
    }

    /// Subscribe to one more filter, now and after every connect.
    #[pyo3(signature = (topic, qos=0))]
    fn subscribe(&self, topic: &str, #[pyo3(from_py_with = number::qos)] qos: i64) -> PyResult<(i32, Option<u16>)> {
        self.shared.client.subscriptions().add(topic, convert::qos(qos)?);
        Ok((0, None))
    }

    /// End a subscription.
    fn unsubscribe(&self, topic: &str) -> (i32, Option<u16>) {
        self.shared.client.subscriptions().remove(topic);
        (0, None)
    }

    /// QoS 1 messages that may be unacknowledged at once; 0 for any number.
    #[getter]
    fn _max_inflight_messages(&self) -> usize {
        let window = self.shared.client.outbox().limits().in_flight;
        if window >= MOST_IN_FLIGHT { 0 } else { window }
    }

    #[setter(_max_inflight_messages)]
    fn set_max_inflight_messages(&self, #[pyo3(from_py_with = number::inflight)] count: usize) {
        set_in_flight(&self.shared, count);
    }

    /// Messages that may wait at once; 0 for any number.
    #[getter]
    fn _max_queued_messages(&self) -> usize {
        let most = self.shared.client.outbox().limits().messages;
        if most >= MOST_IN_FLIGHT { 0 } else { most }
    }

    #[setter(_max_queued_messages)]
    fn set_max_queued_messages(&self, #[pyo3(from_py_with = number::queue_size)] count: usize) {
        let outbox = self.shared.client.outbox();
        let messages = if count == 0 { MOST_IN_FLIGHT } else { count };
        outbox.set_limits(OutboxLimits { messages, ..outbox.limits() });
    }
}

/// Bound the unacknowledged messages; 0 for any number.
pub(super) fn set_in_flight(shared: &Shared, count: usize) {
    let outbox = shared.client.outbox();
    let in_flight = if count == 0 { MOST_IN_FLIGHT } else { count.min(MOST_IN_FLIGHT) };
    outbox.set_limits(OutboxLimits { in_flight, ..outbox.limits() });
}
