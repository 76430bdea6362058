//! Prepared calls as futures of asyncio.
//!
//! The network's threads never wait for the interpreter: when a step has ended a thread of the pool tells the event loop, and
//! everything else happens on the loop's own thread. Why this is written by hand stands in `docs/dev/calls.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::event_loop::{EventLoop, complete};
use super::interpreter::Interpreter;
use super::prepared::{Prepared, Step};
use crate::pool::Work;
use crate::sync::Mutex;

/// What the event loop does when a step has ended, or is not awaited any more.
type Landing = Box<dyn FnOnce(Python<'_>, PyResult<()>) -> PyResult<()> + Send>;

/// A future of asyncio that the core completes.
struct Awaited {
    /// Let go when it is done, or when nobody can be told any more.
    future: Mutex<Option<Py<PyAny>>>,
    event_loop: EventLoop,
    under_way: Mutex<Option<UnderWay>>,
}

/// A step that has not landed yet.
struct UnderWay {
    task: AbortHandle,
    ended: Arc<AtomicBool>,
    land: Landing,
}

/// What the event loop calls: with the future when that is done, with nothing when a step has ended.
#[pyclass(frozen, name = "_Awaited", module = "thingslink._native")]
struct PyAwaited(Arc<Awaited>);

/// An `asyncio.Future` of a prepared call, for the event loop that runs on this thread.
pub(super) fn future<T: for<'py> IntoPyObject<'py> + 'static>(
    py: Python<'_>,
    prepared: Prepared<T>,
) -> PyResult<Bound<'_, PyAny>> {
    let event_loop = EventLoop::running(py)?;
    let future = event_loop.future(py)?;
    let awaited = Arc::new(Awaited {
        future: Mutex::new(Some(future.clone().unbind())),
        event_loop,
        under_way: Mutex::default(),
    });
    future.call_method1("add_done_callback", (PyAwaited(awaited.clone()),))?;
    awaited.go_on(py, Ok(prepared))?;
    Ok(future)
}

impl Awaited {
    /// Begin the next step, or complete the future. On the event loop's thread.
    fn go_on<T: for<'py> IntoPyObject<'py> + 'static>(
        self: &Arc<Self>,
        py: Python<'_>,
        prepared: PyResult<Prepared<T>>,
    ) -> PyResult<()> {
        let outcome = match prepared {
            Ok(Prepared::Waits(step)) => match step.process.check() {
                Ok(()) => {
                    self.begin(step);
                    return Ok(());
                }
                Err(error) => Err(error),
            },
            Ok(Prepared::Ready(value)) => value.into_bound_py_any(py),
            Err(error) => Err(error),
        };
        let future = self.future.lock().as_ref().map(|future| future.clone_ref(py).into_bound(py));
        let Some(future) = future else { return Ok(()) };
        complete(&future, outcome.map_err(|error| presentable(py, error)))
    }

    fn begin<T: for<'py> IntoPyObject<'py> + 'static>(self: &Arc<Self>, step: Step<T>) {
        let Step { process, future, resume } = step;
        let (awaited, pool) = (self.clone(), process.pool.clone());
        let ended = Arc::new(AtomicBool::new(false));
        let mark = ended.clone();
        let task = process.handle.spawn(async move {
            future.await;
            mark.store(true, Ordering::Release);
            pool.submit(awaited);
        });
        let awaited = self.clone();
        let land: Landing = Box::new(move |py, ended| awaited.go_on(py, resume(py, ended)));
        *self.under_way.lock() = Some(UnderWay { task: task.abort_handle(), ended, land });
        process.pool.relieve();
    }

    /// The future is done. Whoever prepared the step under way may have something to put right.
    fn done(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        let under_way = self.under_way.lock().take();
        let ours = self.future.lock().take();
        drop(ours);
        let Some(UnderWay { task, land, .. }) = under_way else { return Ok(()) };
        task.abort();
        let cancelled = py.import("asyncio")?.getattr("CancelledError")?.call0()?;
        land(py, Err(PyErr::from_value(cancelled)))
    }

    /// A step has ended: this one, unless it was not awaited any more and another one puts that right.
    fn land(&self, py: Python<'_>) -> PyResult<()> {
        let mut under_way = self.under_way.lock();
        if !under_way.as_ref().is_some_and(|under_way| under_way.ended.load(Ordering::Acquire)) {
            return Ok(());
        }
        let landed = under_way.take();
        drop(under_way);
        landed.map_or(Ok(()), |landed| (landed.land)(py, Ok(())))
    }
}

impl Work<Interpreter> for Awaited {
    fn run(self: Arc<Self>, py: Python<'_>, _most: usize, progress: &AtomicU64) -> bool {
        progress.fetch_add(1, Ordering::Relaxed);
        if !self.event_loop.wake(py, PyAwaited(self.clone())) {
            // The loop was closed before the call had ended: nobody is left to be told.
            let (future, under_way) = (self.future.lock().take(), self.under_way.lock().take());
            drop((future, under_way));
        }
        false
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyAwaited {
    #[pyo3(signature = (future=None))]
    fn __call__(&self, py: Python<'_>, future: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        future.map_or_else(|| self.0.land(py), |future| self.0.done(&future))
    }
}

/// An exception that a future takes: asyncio refuses this one, which ends iterations.
fn presentable(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyStopIteration>(py) {
        return error;
    }
    let other = PyRuntimeError::new_err("a call raised StopIteration");
    other.set_cause(py, Some(error));
    other
}
