//! `DownlinkHandle`: what became of a downlink.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::callbacks::Served;
use crate::client::lorawan::{Downlinked, State};
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;

/// A downlink on its way, from ``MQTTClient.downlink``.
#[pyclass(frozen, name = "DownlinkHandle", module = "thingslink.ttn")]
pub(in crate::py) struct PyDownlinkHandle {
    served: Arc<Served>,
    at: Downlinked,
}

impl PyDownlinkHandle {
    pub(super) fn new(py: Python<'_>, served: Arc<Served>, mid: u16) -> PyResult<Self> {
        let at = served.client.downlink(mid).or_raise(py)?;
        Ok(Self { served, at })
    }

    fn waiting(&self, state: &str, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Prepared<&'static str>> {
        let within = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        let wanted = State::of(state).filter(|state| *state != State::Waiting).ok_or_else(|| {
            let expected = "written, queued, sent, acked, nacked, failed or unconfirmed";
            PyValueError::new_err(format!("state {state:?} is not valid: expected {expected}"))
        })?;
        let process = self.served.owner.process()?.clone();
        let (client, at) = (self.served.client.clone(), self.at);
        let reached = async move { client.reached(at, wanted, within).await };
        Ok(Prepared::new(process, reached, |py, outcome| outcome.map(State::name).or_raise(py)))
    }
}

#[pymethods]
impl PyDownlinkHandle {
    /// Message ID.
    #[getter]
    fn mid(&self) -> u16 {
        self.at.mid
    }

    /// Where it is, as far as is known.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.served.client.state(self.at).map(State::name).or_raise(py)
    }

    /// Why it has failed, or what may be behind the network's silence; ``None`` of others.
    #[getter]
    fn error(&self) -> Option<String> {
        self.served.client.failure(self.at)
    }

    /// Wait until it is, or has been, in a state; gives the state that it is in then.
    #[pyo3(signature = (state="queued", timeout=None))]
    fn wait(&self, py: Python<'_>, state: &str, timeout: Option<Bound<'_, PyAny>>) -> PyResult<&'static str> {
        self.waiting(state, timeout)?.wait(py)
    }

    /// As ``wait``, for asyncio.
    #[pyo3(signature = (state="queued", timeout=None))]
    fn _wait_async<'py>(
        &self,
        py: Python<'py>,
        state: &str,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.waiting(state, timeout)?.future(py)
    }

    fn __repr__(&self) -> String {
        let state = self.served.client.state(self.at).map_or("forgotten", State::name);
        format!("<DownlinkHandle mid={} {state}>", self.at.mid)
    }
}
