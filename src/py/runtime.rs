//! One tokio runtime and one dispatch pool for each process, made on first use.

use crate::sync::{Condvar, Mutex, MutexGuard};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use super::forked::Forked;
use super::interpreter::{Interpreter, Pool, interrupt};
use super::number::whole;
use super::{allocator, face, leaving, log};
use crate::pool::HOMES;

/// How long a blocking call may be deaf to Ctrl-C.
const SLICE: Duration = Duration::from_millis(100);
/// How long the exit of the interpreter waits for callbacks, then for the network, then for the runtime.
const EXIT: Duration = Duration::from_secs(2);
/// The largest bound of threads for callbacks.
const MANY: usize = 4000;

/// The process's runtime. `None` before first use, after the shutdown, and in a forked child until it makes its own.
static CURRENT: Forked<Slot> = Forked::new(
    Slot { process: None, closed: false, homes: HOMES },
    Slot { process: None, closed: false, homes: HOMES },
);

struct Slot {
    process: Option<Arc<Process>>,
    closed: bool,
    /// Threads that may be at home to clients.
    homes: usize,
}

/// What belongs to one process.
pub(super) struct Process {
    pid: u32,
    runtime: Mutex<Option<Arc<Runtime>>>,
    pub(super) handle: Handle,
    pub(super) pool: Arc<Pool>,
    /// What must be closed before the interpreter ends.
    open: Mutex<Vec<Weak<dyn Closable>>>,
}

/// The process that a client belongs to, from its first use of it.
#[derive(Default)]
pub(super) struct Bond(OnceLock<Arc<Process>>);

impl Bond {
    /// The process's runtime; an error in a forked child.
    pub(super) fn process(&self) -> PyResult<&Arc<Process>> {
        leaving::keep();
        if self.0.get().is_none() {
            // Another thread may be first; then its runtime is the same one.
            let _first = self.0.set(process()?);
        }
        let process = self.0.get().ok_or_else(|| PyRuntimeError::new_err("thingslink is shutting down"))?;
        process.check()?;
        Ok(process)
    }

    /// The process's runtime, if the client has used it.
    pub(super) fn known(&self) -> Option<&Arc<Process>> {
        self.0.get()
    }

    /// Whether this is still the process that the client was made in.
    pub(super) fn check(&self) -> PyResult<()> {
        leaving::keep();
        self.0.get().map_or(Ok(()), |process| process.check())
    }
}

/// Something with connections.
pub(super) trait Closable: Send + Sync {
    /// Part with the network quickly; no callbacks any more.
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> tokio::task::JoinHandle<()>;

    /// If it is a client that the program has not closed: its object, and where it was made.
    fn left_open(&self, _py: Python<'_>) -> Option<LeftOpen> {
        None
    }
}

/// A client that is not closed, and where it was made, if somebody wanted to know.
pub(super) type LeftOpen = (Py<PyAny>, Option<Py<PyAny>>);

fn current() -> MutexGuard<'static, Slot> {
    CURRENT.lock()
}

/// The process's runtime, made now if need be.
pub(super) fn process() -> PyResult<Arc<Process>> {
    leaving::keep();
    let mut slot = current();
    if slot.closed {
        return Err(PyRuntimeError::new_err("thingslink is shut down: the interpreter is exiting"));
    }
    if let Some(process) = &slot.process
        && process.check().is_ok()
    {
        return Ok(process.clone());
    }
    let failed = |error| PyRuntimeError::new_err(format!("cannot start the runtime: {error}"));
    // Driven by the dispatch pool, one thread at a time: that carries a city's connections.
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(64)
        .thread_name("thingslink-io")
        .thread_keep_alive(Duration::from_secs(10))
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.spawn(allocator::give_back());
    let runtime = Arc::new(runtime);
    let process = Arc::new(Process {
        pid: std::process::id(),
        pool: Pool::start(&runtime, Interpreter, slot.homes).map_err(failed)?,
        handle: runtime.handle().clone(),
        runtime: Mutex::new(Some(runtime)),
        open: Mutex::default(),
    });
    // One that is there already belongs to a process that was forked without Python's knowledge.
    std::mem::forget(slot.process.replace(process.clone()));
    Ok(process)
}

/// The process's runtime if there is one.
pub(super) fn existing() -> Option<Arc<Process>> {
    current().process.clone()
}

/// What parting with the network gave; `otherwise` where the interpreter exits and it cannot part any more. There is
/// nothing to complain of then: [`shut_down`] parts with everything, and what a forked child has inherited is the parent's.
pub(super) fn parted<T>(py: Python<'_>, outcome: PyResult<T>, otherwise: T) -> PyResult<T> {
    match outcome {
        // In this order: looking at an exception attaches once more, which the interpreter refuses in its last moments.
        Err(_) if current().closed => Ok(otherwise),
        Err(error) if main_has_ended(py) && error.is_instance_of::<PyRuntimeError>(py) => Ok(otherwise),
        outcome => outcome,
    }
}

/// Whether the main thread has ended: then handlers of `atexit` run.
fn main_has_ended(py: Python<'_>) -> bool {
    let alive = leaving::within(py, || {
        let main = py.import("threading")?.call_method0("main_thread")?;
        main.call_method0("is_alive")?.extract()
    });
    !alive.unwrap_or(true)
}

impl Process {
    /// Whether this is still the process that it was made in.
    pub(super) fn check(&self) -> PyResult<()> {
        if self.pid == std::process::id() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "this object was made before fork() and belongs to the parent process: make a new one in the child",
        ))
    }

    /// Have it closed before the interpreter ends.
    pub(super) fn close_at_exit(&self, closable: &Arc<impl Closable + 'static>) {
        let mut open = self.open.lock();
        open.retain(|known| known.strong_count() > 0);
        let closable: Arc<dyn Closable> = closable.clone();
        if !open.iter().any(|known| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(&closable))) {
            open.push(Arc::downgrade(&closable));
        }
    }

    /// Run a future to its end, without the interpreter lock and open to Ctrl-C, which drops the future.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        py: Python<'_>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> PyResult<T> {
        leaving::keep();
        self.check()?;
        let over = || PyRuntimeError::new_err("thingslink is shutting down");
        if self.runtime.lock().is_none() {
            return Err(over());
        }
        let result = Arc::new((Mutex::new(None), Condvar::new()));
        let answer = result.clone();
        let task = self.handle.spawn(async move {
            let value = future.await;
            *answer.0.lock() = Some(value);
            answer.1.notify_one();
        });
        self.pool.relieve();
        loop {
            let outcome = leaving::detach(py, || {
                let value = result.0.lock();
                let (mut value, _) = result.1.wait_timeout_while(value, SLICE, |value| value.is_none());
                value.take()
            });
            if let Some(value) = outcome {
                return Ok(value);
            }
            if let Err(interrupt) = py.check_signals() {
                task.abort();
                return Err(interrupt);
            }
            if task.is_finished() && result.0.lock().is_none() {
                return Err(over());
            }
        }
    }

    /// Let callbacks end.
    fn end_callbacks(&self, py: Python<'_>) -> PyResult<()> {
        self.pool.stop();
        if !leaving::detach(py, || self.pool.wait_stopped(Instant::now() + EXIT)) {
            // A callback that never returns would be torn down in the middle of Rust: end it with an exception instead.
            interrupt(py, &self.pool, Instant::now() + EXIT / 2)?;
        }
        Ok(())
    }

    /// Part with the network, join the threads. All of it bounded in time.
    fn part(&self) {
        let open: Vec<_> = self.open.lock().drain(..).collect();
        let closing: Vec<_> =
            open.iter().filter_map(Weak::upgrade).map(|closable| closable.close_at_exit(&self.handle)).collect();
        let runtime = self.runtime.lock().take();
        let Some(runtime) = runtime else { return };
        let everything = async {
            for task in closing {
                if let Err(error) = task.await {
                    tracing::error!(%error, "closing at exit failed");
                }
            }
        };
        // Bounded by the timeout alone: what does not close by then is cut.
        drop(runtime.block_on(async { tokio::time::timeout(EXIT, everything).await }));
        match Arc::try_unwrap(runtime) {
            Ok(runtime) => runtime.shutdown_timeout(EXIT / 4),
            // A thread is in a callback that not even an exception ends: it goes with the process.
            Err(runtime) => std::mem::forget(runtime),
        }
    }
}

/// Clients of this process that are connected or try to be, each with what `_makers_from` gave when it was made.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_open_clients")]
pub(super) fn open_clients(py: Python<'_>) -> Vec<LeftOpen> {
    let Some(process) = existing().filter(|process| process.check().is_ok()) else { return Vec::new() };
    let open: Vec<_> = process.open.lock().iter().filter_map(Weak::upgrade).collect();
    open.iter().filter_map(|closable| closable.left_open(py)).collect()
}

fn homes(given: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if given.is_none() {
        return Ok(None);
    }
    let read = |most| usize::try_from(most).ok().filter(|most| (1..=MANY).contains(most));
    whole("most", given, |most| read(most).ok_or_else(|| format!("a number of threads from 1 to {MANY}"))).map(Some)
}

#[doc = stub!("callback_threads")]
#[pyfunction(crate = "crate::py::named")]
#[pyo3(signature = (most=None, /))]
pub(super) fn callback_threads(#[pyo3(from_py_with = homes)] most: Option<usize>) -> PyResult<usize> {
    let mut slot = current();
    if let Some(most) = most {
        slot.homes = most;
        if let Some(process) = slot.process.as_ref().filter(|process| process.check().is_ok()) {
            process.pool.set_homes(slot.homes);
        }
    }
    Ok(slot.homes)
}

/// Register what must happen at the interpreter's exit and in forked children.
pub(super) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    // Whoever imports `threading` first is its main thread, for which the interpreter waits at exit: not one of ours.
    py.import("threading")?;
    py.import("atexit")?.call_method1("register", (module.getattr("_shut_down")?,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let hooks = pyo3::types::PyDict::new(py);
        hooks.set_item("after_in_child", module.getattr("_after_fork")?)?;
        os.call_method("register_at_fork", (), Some(&hooks))?;
    }
    Ok(())
}

/// In a forked child: forget the parent's runtime without touching it, since its threads do not exist here.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_after_fork")]
pub(super) fn after_fork() {
    CURRENT.after_fork(|slot| {
        slot.closed = false;
        std::mem::forget(slot.process.take());
    });
    log::after_fork();
    leaving::after_fork();
}

/// At exit: let callbacks end, keep what threads there still are away from the interpreter, and part with everything.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_shut_down")]
pub(super) fn shut_down(py: Python<'_>) -> PyResult<()> {
    leaving::begin();
    let process = {
        let mut slot = current();
        slot.closed = true;
        slot.process.take()
    };
    let process = process.filter(|process| process.check().is_ok());
    let ended = process.as_ref().map_or(Ok(()), |process| process.end_callbacks(py));
    let ended = ended.and(face::end(py));
    // Before anything is closed, so that nobody hears of it: neither who waits for it, nor who calls next.
    leaving::close(py);
    if let Some(process) = process {
        leaving::detach(py, || process.part());
    }
    leaving::settle();
    ended
}
