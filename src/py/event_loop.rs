//! The event loop that something belongs to, as far as the library asks anything of it. Another kind of loop would take
//! the place of this file.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::leaving;

/// `asyncio.get_running_loop`, which is asked for each message.
static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// An event loop.
pub(super) struct EventLoop(Py<PyAny>);

impl EventLoop {
    /// The one that runs on this thread.
    pub(super) fn running(py: Python<'_>) -> PyResult<Self> {
        let running = RUNNING.get_or_try_init(py, || {
            leaving::within(py, || py.import("asyncio")?.getattr("get_running_loop").map(Bound::unbind))
        })?;
        running.call0(py).map(Self)
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// For the garbage collector.
    pub(super) fn object(&self) -> &Py<PyAny> {
        &self.0
    }

    /// An error, naming both, unless this is the one that runs on this thread.
    pub(super) fn check(&self, py: Python<'_>) -> PyResult<()> {
        let running = Self::running(py)?;
        if running.0.is(&self.0) {
            return Ok(());
        }
        let [own, other] = [self.0.bind(py).repr()?, running.0.bind(py).repr()?];
        let text =
            format!("this client belongs to the event loop {own}, and is used on {other}: make one for each loop");
        Err(PyRuntimeError::new_err(text))
    }

    pub(super) fn is_closed(&self, py: Python<'_>) -> bool {
        let closed = leaving::within(py, || self.0.bind(py).call_method0("is_closed")?.extract());
        closed.unwrap_or(false)
    }

    /// A future of it.
    pub(super) fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        leaving::within(py, || self.0.bind(py).call_method0("create_future"))
    }

    /// Have it call something soon; on its own thread.
    pub(super) fn soon<'py>(&self, py: Python<'py>, call: impl IntoPyObject<'py>) -> PyResult<()> {
        leaving::within(py, || self.0.bind(py).call_method1("call_soon", (call,))).map(drop)
    }

    /// Have its thread call something soon, from any other. Tells whether it will: a closed loop does not.
    pub(super) fn wake<'py>(&self, py: Python<'py>, call: impl IntoPyObject<'py>) -> bool {
        let event_loop = self.0.bind(py);
        match leaving::within(py, || event_loop.call_method1("call_soon_threadsafe", (call,))) {
            Ok(_) => true,
            Err(error) => {
                if !self.is_closed(py) {
                    error.write_unraisable(py, Some(event_loop));
                }
                false
            }
        }
    }
}

/// The event loop that runs on this thread, for what belongs to `own` if there is such already.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_same_loop", signature = (own, /))]
pub(super) fn same_loop(py: Python<'_>, own: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    match own.map(EventLoop) {
        Some(own) => own.check(py).map(|()| own.0),
        None => EventLoop::running(py).map(|running| running.0),
    }
}

/// Complete a future, unless it is done already.
pub(super) fn complete(future: &Bound<'_, PyAny>, outcome: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
    leaving::within(future.py(), || {
        if future.call_method0("done")?.extract()? {
            return Ok(());
        }
        match outcome {
            Ok(value) => future.call_method1("set_result", (value,)),
            Err(error) => future.call_method1("set_exception", (error,)),
        }
        .map(drop)
    })
}
