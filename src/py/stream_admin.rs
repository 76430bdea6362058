//! `_StreamAdmin`: who looks after a stream, for the command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::error::OrRaise as _;
use super::nats::{NatsArguments, NatsLogin};
use super::runtime::{self, Process};
use super::{leaving, log};
use crate::client::lorawan::Group;
use crate::client::shared::admin::{Admin, DeadLetter, Span, Stored, StoredMessage};
use crate::nats::subject::Subject;
use crate::sync::Mutex;

/// Bound on connecting, and on each answer of JetStream.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that may wait for an acknowledgement.
const WINDOW: usize = 1000;
/// Bound on parting.
const CLOSE: Duration = Duration::from_secs(2);

/// See `_native/stream_admin.pyi`.
#[pyclass(frozen, name = "_StreamAdmin", module = "thingslink.bridge")]
pub(super) struct PyStreamAdmin {
    admin: Arc<Admin>,
    process: Arc<Process>,
}

/// Messages that are read batch by batch.
#[pyclass(frozen, name = "_StoredMessages", module = "thingslink.bridge")]
pub(super) struct PyStoredMessages {
    /// Nothing while a batch is read, or where there is no such stream.
    stored: Arc<Mutex<Option<Stored>>>,
    admin: Arc<Admin>,
    process: Arc<Process>,
}

fn letter_to_py<'py>(py: Python<'py>, letter: &DeadLetter) -> PyResult<Bound<'py, PyAny>> {
    let found = pythonize::pythonize(py, letter)?;
    found.cast::<PyDict>()?.set_item("payload", PyBytes::new(py, &letter.payload))?;
    Ok(found)
}

fn message_to_py<'py>(py: Python<'py>, admin: &Admin, message: &StoredMessage) -> PyResult<Bound<'py, PyAny>> {
    if let Some(letter) = DeadLetter::read(message) {
        return letter_to_py(py, &letter);
    }
    let subject = Subject::parse(&message.subject);
    let found = PyDict::new(py);
    found.set_item("sequence", message.sequence)?;
    found.set_item("stored_at_ns", message.stored_at_ns)?;
    found.set_item("dev_id", subject.as_ref().and_then(Subject::dev_id))?;
    found.set_item("kind", subject.as_ref().map(Subject::kind))?;
    found.set_item("lane", subject.as_ref().and_then(|subject| subject.lane))?;
    found.set_item("group", message.group())?;
    found.set_item("network", admin.network().to_string())?;
    found.set_item("payload", PyBytes::new(py, &message.payload))?;
    Ok(found.into_any())
}

#[pymethods(crate = "crate::py::named")]
impl PyStreamAdmin {
    #[new]
    #[pyo3(signature = (
        app_id, nats_address, *, nats_user=None, nats_password=None, nats_token=None, nats_nkey=None,
        nats_credentials=None, nats_ca_certs=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: String,
        nats_address: String,
        nats_user: Option<String>,
        nats_password: Option<String>,
        nats_token: Option<String>,
        nats_nkey: Option<String>,
        nats_credentials: Option<PathBuf>,
        nats_ca_certs: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let login = NatsLogin {
            user: nats_user,
            password: nats_password,
            token: nats_token,
            nkey: nats_nkey,
            credentials: nats_credentials,
        };
        let arguments = NatsArguments { address: nats_address, login, ca_certs: nats_ca_certs, monitor: None };
        let options = arguments.read(py, format!("thingslink admin {app_id}"), TIMEOUT, WINDOW)?;
        log::prepare(py)?;
        let process = runtime::process()?;
        let connected = process.wait(py, async move { Admin::connect(&options, &app_id).await })?;
        Ok(Self { admin: Arc::new(connected.or_raise(py)?), process })
    }

    fn lanes<'py>(&self, py: Python<'py>, group: Option<String>) -> PyResult<Bound<'py, PyAny>> {
        let admin = self.admin.clone();
        let lanes = self.process.wait(py, async move { admin.lanes(group.as_deref()).await })?.or_raise(py)?;
        Ok(pythonize::pythonize(py, &lanes)?)
    }

    fn backlog<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let admin = self.admin.clone();
        let backlog = self.process.wait(py, async move { admin.backlog().await })?.or_raise(py)?;
        Ok(pythonize::pythonize(py, &backlog)?)
    }

    #[pyo3(signature = (*, since_ns=None, until_ns=None, dev_id=None))]
    fn stored(
        &self,
        py: Python<'_>,
        since_ns: Option<i64>,
        until_ns: Option<i64>,
        dev_id: Option<String>,
    ) -> PyResult<PyStoredMessages> {
        let (admin, span) = (self.admin.clone(), Span { since_ns, until_ns, dev_id });
        let stored = self.process.wait(py, async move { admin.stored(span).await })?.or_raise(py)?;
        Ok(self.messages(Some(stored)))
    }

    #[pyo3(signature = (*, group=None, dev_id=None))]
    fn dead_letters(
        &self,
        py: Python<'_>,
        group: Option<String>,
        dev_id: Option<String>,
    ) -> PyResult<PyStoredMessages> {
        if let Some(group) = &group {
            Group::new(group).or_raise(py)?;
        }
        let (admin, span) = (self.admin.clone(), Span { dev_id, ..Span::default() });
        let asked = async move { admin.dead_letters(group.as_deref(), &span).await };
        let stored = self.process.wait(py, asked)?.or_raise(py)?;
        Ok(self.messages(stored))
    }

    fn dead_letter<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyAny>>> {
        let admin = self.admin.clone();
        let found = self.process.wait(py, async move { admin.dead_letter(number).await })?.or_raise(py)?;
        found.map(|letter| letter_to_py(py, &letter)).transpose()
    }

    fn retry(&self, py: Python<'_>, number: u64) -> PyResult<bool> {
        let admin = self.admin.clone();
        self.process.wait(py, async move { admin.retry(number).await })?.or_raise(py)
    }

    fn drop(&self, py: Python<'_>, number: u64) -> PyResult<bool> {
        let admin = self.admin.clone();
        self.process.wait(py, async move { admin.drop_letter(number).await })?.or_raise(py)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let admin = self.admin.clone();
        runtime::parted(py, self.process.wait(py, async move { admin.close(CLOSE).await }), ())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        leaving::keep();
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}

impl PyStreamAdmin {
    fn messages(&self, stored: Option<Stored>) -> PyStoredMessages {
        PyStoredMessages {
            stored: Arc::new(Mutex::new(stored)),
            admin: self.admin.clone(),
            process: self.process.clone(),
        }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyStoredMessages {
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let place = self.stored.clone();
        let Some(mut stored) = self.stored.lock().take() else { return Ok(PyList::empty(py)) };
        let read = async move {
            let found = stored.next().await;
            *place.lock() = Some(stored);
            found
        };
        let found = self.process.wait(py, read)?.or_raise(py)?;
        let messages: Vec<_> =
            found.iter().map(|message| message_to_py(py, &self.admin, message)).collect::<PyResult<_>>()?;
        PyList::new(py, messages)
    }

    fn hand_to(&self, py: Python<'_>, group: String) -> PyResult<Option<usize>> {
        Group::new(&group).or_raise(py)?;
        let place = self.stored.clone();
        let stored = self.stored.lock().take();
        let mut stored = stored.ok_or_else(|| PyRuntimeError::new_err("another thread reads these messages"))?;
        let handed = async move {
            let count = stored.hand_to(&group).await;
            *place.lock() = Some(stored);
            count
        };
        self.process.wait(py, handed)?.or_raise(py)
    }
}
