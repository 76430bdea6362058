//! `RawMessage`: what raw uplink callbacks get, shaped like the MQTT message of the original.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::acknowledging::Acknowledgement;
use super::shown::{LINE, cut, pairs};
use crate::client::Incoming;
use crate::session::Receipt;

/// An uplink as it came over MQTT.
#[pyclass(frozen, name = "RawMessage", module = "thingslink.ttn")]
pub(in crate::py) struct PyRawMessage {
    /// Topic it was published to.
    #[pyo3(get)]
    topic: String,
    /// Its bytes.
    #[pyo3(get)]
    payload: Py<PyBytes>,
    /// Level of delivery, 0 or 1.
    #[pyo3(get)]
    qos: u8,
    /// 1 if the server had kept it, else 0.
    #[pyo3(get)]
    retain: u8,
    /// MQTT packet ID; 0 at QoS 0.
    #[pyo3(get)]
    mid: u16,
    /// Time of delivery by the clock of ``time.monotonic``.
    #[pyo3(get)]
    timestamp: f64,
    /// To acknowledge it with.
    pub(super) acknowledgement: Acknowledgement,
}

impl PyRawMessage {
    /// A message that was published to a topic: as the server writes it.
    pub(in crate::py) fn new(
        py: Python<'_>,
        topic: String,
        message: &Incoming,
        acknowledgement: Acknowledgement,
    ) -> PyResult<Self> {
        Ok(Self {
            topic,
            payload: PyBytes::new(py, message.bytes()).unbind(),
            qos: message.qos as u8,
            retain: u8::from(message.retain),
            mid: message.receipt.map_or(0, Receipt::packet_id),
            acknowledgement,
            timestamp: py.import("time")?.call_method0("monotonic")?.extract()?,
        })
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyRawMessage {
    #[doc = stub!("RawMessage.ack")]
    fn ack(&self) -> PyResult<()> {
        self.acknowledgement.acknowledge()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let size = self.payload.bind(py).as_bytes().len();
        let end = format!(", {size} bytes, qos={}, retain={})", self.qos, self.retain);
        let room = LINE.saturating_sub("RawMessage(topic=".len() + end.len());
        format!("RawMessage(topic={}{end}", cut(&format!("{:?}", self.topic), room))
    }

    fn _repr_html_(&self, py: Python<'_>) -> String {
        let payload = String::from_utf8_lossy(self.payload.bind(py).as_bytes()).into_owned();
        let rows = [("payload", payload), ("qos", self.qos.to_string()), ("retain", self.retain.to_string())];
        pairs(&self.topic, &rows.map(|(name, value)| (name.to_owned(), value)))
    }
}
