//! The events of one device, one by one, as callbacks of `MQTTClient` get them.

use std::sync::Arc;

use pyo3::prelude::*;

use super::super::refused::GET_EVENTS;
use super::super::tasks::failed;
use crate::client::chirpstack::Events;
use crate::dialect::lorawan::Network;
use crate::error::Error;
use crate::py::acknowledging::Acknowledgement;
use crate::py::error::decode_error;
use crate::py::lorawan::document_to_py;
use crate::py::prepared::Prepared;
use crate::py::runtime::Process;
use crate::rpc::proto::chirpstack::api::LogItem;

#[doc = stub!("EventIterator")]
#[pyclass(frozen, name = "EventIterator", module = "thingslink.ttn")]
pub(in crate::py) struct PyDeviceEvents {
    process: Arc<Process>,
    /// The application, as topics have it.
    application: String,
    dev_eui: String,
    events: Arc<Events>,
}

impl PyDeviceEvents {
    pub(super) fn new(process: Arc<Process>, application: String, (dev_eui, events): (String, Events)) -> Self {
        Self { process, application, dev_eui, events: Arc::new(events) }
    }

    /// The next one; none after the last.
    fn next(&self) -> Prepared<Option<Py<PyAny>>> {
        let (events, begin) =
            (self.events.clone(), format!("application/{}/device/{}", self.application, self.dev_eui));
        let next = async move {
            loop {
                let item: LogItem = match events.next().await? {
                    Some(item) => item,
                    None => return Ok(None),
                };
                let topic = format!("{begin}/event/{}", item.description);
                if Network::ChirpStack.topic(&topic).is_some() {
                    return Ok(Some((topic, item.body)));
                }
                tracing::debug!(event = item.description, "an event of a kind that is not known was left out");
            }
        };
        Prepared::new(self.process.clone(), next, |py, outcome: Result<Option<(String, String)>, Error>| {
            let event = outcome.map_err(|error| failed(py, &error, GET_EVENTS))?;
            event.map(|(topic, body)| read(py, &topic, &body)).transpose()
        })
    }
}

/// An event as a callback would get it.
fn read(py: Python<'_>, topic: &str, body: &str) -> PyResult<Py<PyAny>> {
    let network = Network::ChirpStack;
    let (document, _) = network.read(topic, body.as_bytes());
    let document = Arc::new(document.map_err(|error| decode_error(py, error.to_string()))?);
    let Some(known) = network.topic(topic) else { return Ok(py.None()) };
    let about = network.about(known, Some(document.root()));
    document_to_py(py, network, &about, &document, Acknowledgement::default()).map(Bound::unbind)
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceEvents {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.next().wait(py)
    }

    /// The next one, for asyncio; ``None`` after the last.
    fn _next_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.next().future(py)
    }
}
