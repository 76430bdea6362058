//! `Follower`: what passes through a sandbox, as it comes.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::py::convert::seconds;
use crate::py::prepared::Prepared;
use crate::py::runtime::Process;
use crate::sandbox::Entry;

#[doc = stub!("Follower")]
#[pyclass(frozen, name = "Follower", module = "thingslink.sandbox")]
pub(in crate::py) struct PyFollower {
    receiver: Arc<tokio::sync::Mutex<Receiver<Entry>>>,
    process: Arc<Process>,
}

impl PyFollower {
    pub(super) fn new(receiver: Receiver<Entry>, process: Arc<Process>) -> Self {
        Self { receiver: Arc::new(tokio::sync::Mutex::new(receiver)), process }
    }
}

impl PyFollower {
    fn entry(&self, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Prepared<Option<Py<PyDict>>>> {
        let timeout = timeout.map(|timeout| seconds("timeout", &timeout)).transpose()?;
        let receiver = self.receiver.clone();
        let entry = async move {
            let mut receiver = receiver.lock().await;
            let next = async {
                loop {
                    match receiver.recv().await {
                        Ok(entry) => return Some(entry),
                        Err(RecvError::Lagged(missed)) => {
                            tracing::warn!(missed, "a follower of the sandbox is too slow");
                        }
                        Err(RecvError::Closed) => return None,
                    }
                }
            };
            tokio::time::timeout(timeout.unwrap_or(Duration::MAX), next).await.ok().flatten()
        };
        Ok(Prepared::new(self.process.clone(), entry, |py, entry| {
            entry.map(|entry| to_dict(py, entry).map(Bound::unbind)).transpose()
        }))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyFollower {
    /// Wait for the next entry; ``None`` if there is none within ``timeout`` seconds.
    #[pyo3(signature = (timeout=None))]
    fn next(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Option<Py<PyDict>>> {
        self.entry(timeout)?.wait(py)
    }

    /// The same as a future of asyncio.
    #[pyo3(signature = (timeout=None))]
    fn _next_async<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        self.entry(timeout)?.future(py)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyDict>>> {
        self.next(py, None)
    }
}

/// Entries as dicts.
pub(super) fn to_dicts(py: Python<'_>, entries: Vec<Entry>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    entries.into_iter().map(|entry| to_dict(py, entry)).collect()
}

fn to_dict(py: Python<'_>, entry: Entry) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    let set = |pairs: &[(&str, Bound<'_, PyAny>)]| pairs.iter().try_for_each(|(key, value)| dict.set_item(key, value));
    let text = |text: String| PyString::new(py, &text).into_any();
    match entry {
        Entry::Connected { client_id, app_id } => {
            set(&[("kind", text("connected".into())), ("client_id", text(client_id)), ("app_id", text(app_id))])?;
        }
        Entry::Refused { app_id, code } => {
            set(&[
                ("kind", text("refused".into())),
                ("app_id", text(app_id)),
                ("code", code.into_pyobject(py)?.into_any()),
            ])?;
        }
        Entry::Disconnected { client_id, clean } => {
            let clean = pyo3::types::PyBool::new(py, clean).to_owned().into_any();
            set(&[("kind", text("disconnected".into())), ("client_id", text(client_id)), ("clean", clean)])?;
        }
        Entry::Subscribed { client_id, filter, qos } => {
            let qos = qos.into_pyobject(py)?.into_any();
            set(&[
                ("kind", text("subscribed".into())),
                ("client_id", text(client_id)),
                ("filter", text(filter)),
                ("qos", qos),
            ])?;
        }
        Entry::Published { client_id, topic, payload, qos, allowed } => {
            set(&[
                ("kind", text("published".into())),
                ("client_id", client_id.into_pyobject(py)?.into_any()),
                ("topic", text(topic)),
                ("payload", PyBytes::new(py, &payload).into_any()),
                ("qos", qos.into_pyobject(py)?.into_any()),
                ("allowed", pyo3::types::PyBool::new(py, allowed).to_owned().into_any()),
            ])?;
        }
    }
    Ok(dict)
}
