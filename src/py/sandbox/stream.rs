//! `Stream`: traffic of many devices, under way.

use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::Error;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::runtime::Process;
use crate::sync::Mutex;

/// Uplinks of many devices, sent in the background, from ``Sandbox.stream``.
#[pyclass(frozen, name = "Stream", module = "thingslink.sandbox")]
pub(in crate::py) struct PyStream {
    pub(super) task: Mutex<Option<tokio::task::JoinHandle<Result<u64, Error>>>>,
    pub(super) process: Arc<Process>,
}

impl PyStream {
    fn end(&self) -> PyResult<Prepared<u64>> {
        let task = self.task.lock().take();
        let Some(task) = task else { return Err(PyRuntimeError::new_err("the stream has been waited for or stopped")) };
        Ok(Prepared::new(self.process.clone(), task, |py, ended| match ended {
            Ok(outcome) => outcome.or_raise(py),
            Err(_) => Err(PyRuntimeError::new_err("the stream was stopped")),
        }))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyStream {
    #[doc = stub!("Stream.wait")]
    fn wait(&self, py: Python<'_>) -> PyResult<u64> {
        self.end()?.wait(py)
    }

    /// The same as a future of asyncio.
    fn _wait_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.end()?.future(py)
    }

    /// Send no more.
    fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}
