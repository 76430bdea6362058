//! `DownlinkHandle` and `DownlinkOutcome`: what became of a downlink.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::client::lorawan::{Client, Downlinked, Outcome, State};
use crate::error::Error;
use crate::py::convert::seconds;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::runtime::Process;
use crate::py::value::datetime;

/// Who sends downlinks.
pub(in crate::py) trait Sender: Send + Sync {
    /// Its client.
    fn client(&self) -> &Client;

    /// The process that it waits in, if this is the place to wait.
    fn process(&self, py: Python<'_>) -> PyResult<&Arc<Process>>;
}

#[doc = stub!("DownlinkHandle")]
#[pyclass(frozen, name = "DownlinkHandle", module = "thingslink.ttn")]
pub(in crate::py) struct PyDownlinkHandle {
    sender: Arc<dyn Sender>,
    at: Downlinked,
    /// Its device, if whoever asks knows.
    dev_id: Option<String>,
}

impl PyDownlinkHandle {
    pub(in crate::py) fn new(py: Python<'_>, sender: Arc<dyn Sender>, mid: u16) -> PyResult<Self> {
        let at = sender.client().downlink(mid).or_raise(py)?;
        Ok(Self { sender, at, dev_id: None })
    }

    /// The same of a downlink to this device.
    pub(in crate::py) fn to(self, dev_id: String) -> Self {
        Self { dev_id: Some(dev_id), ..self }
    }

    fn waiting(
        &self,
        py: Python<'_>,
        state: &str,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Prepared<PyDownlinkOutcome>> {
        let within = timeout.map_or(Ok(Duration::from_secs(30)), |timeout| seconds("timeout", &timeout))?;
        let wanted = State::of(state).filter(|state| *state != State::Waiting).ok_or_else(|| {
            let expected = "written, queued, sent, acked, nacked, failed or unconfirmed";
            PyValueError::new_err(format!("state {state:?} is not valid: expected {expected}"))
        })?;
        let process = self.sender.process(py)?.clone();
        let (client, at) = (self.sender.client().clone(), self.at);
        let reached = async move { client.reached(at, wanted, within).await };
        let (mid, known) = (self.at.mid, self.dev_id.clone());
        Ok(Prepared::new(process, reached, move |py, outcome| {
            let outcome = outcome.map_err(|error| match error {
                Error::Downlink { mid, dev_id, state, reason } => {
                    Error::Downlink { mid, dev_id: dev_id.or(known), state, reason }
                }
                error => error,
            });
            outcome.map(|outcome| PyDownlinkOutcome { mid, outcome }).or_raise(py)
        }))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDownlinkHandle {
    /// Message ID.
    #[getter]
    fn mid(&self) -> u16 {
        self.at.mid
    }

    #[doc = stub!("DownlinkHandle.state")]
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.sender.client().state(self.at).map(State::name).or_raise(py)
    }

    /// Why it has failed, or what may be behind the network's silence; ``None`` of others.
    #[getter]
    fn error(&self) -> Option<String> {
        self.sender.client().outcome(self.at).ok()?.error
    }

    #[doc = stub!("DownlinkHandle.wait")]
    #[pyo3(signature = (state="queued", timeout=None))]
    fn wait(&self, py: Python<'_>, state: &str, timeout: Option<Bound<'_, PyAny>>) -> PyResult<PyDownlinkOutcome> {
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

#[doc = stub!("DownlinkOutcome")]
#[pyclass(frozen, name = "DownlinkOutcome", module = "thingslink.ttn")]
pub(in crate::py) struct PyDownlinkOutcome {
    /// Message ID of the downlink.
    #[pyo3(get)]
    mid: u16,
    outcome: Outcome,
}

#[pymethods(crate = "crate::py::named")]
impl PyDownlinkOutcome {
    /// The state that it was in, as of `DownlinkHandle`.
    #[getter]
    fn state(&self) -> &'static str {
        self.outcome.state.name()
    }

    /// Why it has failed, or what may be behind the network's silence; at most 4,096 bytes. ``None`` of others.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.outcome.error.as_deref()
    }

    /// When the client heard that it is in this state, in UTC; ``None`` while the network has not said a word.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let since = self.outcome.heard.and_then(|heard| heard.duration_since(UNIX_EPOCH).ok());
        since.map(|since| datetime(py, i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))).transpose()
    }

    #[doc = stub!("DownlinkOutcome.correlation_ids")]
    #[getter]
    fn correlation_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.outcome.correlation_ids)
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let other = match other.cast::<Self>() {
            Ok(other) => PyString::new(py, other.get().state()).into_any(),
            Err(_) => other.clone(),
        };
        PyString::new(py, self.state()).rich_compare(other, CompareOp::Eq)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, self.state()).hash()
    }

    fn __str__(&self) -> &'static str {
        self.state()
    }

    fn __repr__(&self) -> String {
        let error = self.error().map_or_else(String::new, |error| format!(" error={error:?}"));
        format!("<DownlinkOutcome mid={} {}{error}>", self.mid, self.state())
    }
}
