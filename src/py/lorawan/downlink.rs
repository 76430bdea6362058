//! `DownlinkHandle`: what became of a downlink.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::client::lorawan::{Client, Downlinked, State};
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::runtime::Process;

/// Who sends downlinks.
pub(in crate::py) trait Sender: Send + Sync {
    /// Its client.
    fn client(&self) -> &Client;

    /// The process that it waits in, if this is the place to wait.
    fn process(&self, py: Python<'_>) -> PyResult<&Arc<Process>>;
}

/// A downlink on its way.
#[pyclass(frozen, name = "DownlinkHandle", module = "thingslink.ttn")]
pub(in crate::py) struct PyDownlinkHandle {
    sender: Arc<dyn Sender>,
    at: Downlinked,
}

impl PyDownlinkHandle {
    pub(in crate::py) fn new(py: Python<'_>, sender: Arc<dyn Sender>, mid: u16) -> PyResult<Self> {
        let at = sender.client().downlink(mid).or_raise(py)?;
        Ok(Self { sender, at })
    }

    fn waiting(
        &self,
        py: Python<'_>,
        state: &str,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Prepared<&'static str>> {
        let within = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        let wanted = State::of(state).filter(|state| *state != State::Waiting).ok_or_else(|| {
            let expected = "written, queued, sent, acked, nacked, failed or unconfirmed";
            PyValueError::new_err(format!("state {state:?} is not valid: expected {expected}"))
        })?;
        let process = self.sender.process(py)?.clone();
        let (client, at) = (self.sender.client().clone(), self.at);
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
        self.sender.client().state(self.at).map(State::name).or_raise(py)
    }

    /// Why it has failed, or what may be behind the network's silence; ``None`` of others.
    #[getter]
    fn error(&self) -> Option<String> {
        self.sender.client().failure(self.at)
    }

    /// Wait until it is, or has been, in a state; gives the state that it is in then.
    #[pyo3(signature = (state="queued", timeout=None))]
    fn wait(&self, py: Python<'_>, state: &str, timeout: Option<Bound<'_, PyAny>>) -> PyResult<&'static str> {
        self.waiting(py, state, timeout)?.wait(py)
    }

    /// As ``wait``, for asyncio.
    #[pyo3(signature = (state="queued", timeout=None))]
    fn _wait_async<'py>(
        &self,
        py: Python<'py>,
        state: &str,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.waiting(py, state, timeout)?.future(py)
    }

    fn __repr__(&self) -> String {
        let state = self.sender.client().state(self.at).map_or("forgotten", State::name);
        format!("<DownlinkHandle mid={} {state}>", self.at.mid)
    }
}
