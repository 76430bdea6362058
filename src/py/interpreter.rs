//! How a thread of the pool enters and leaves the interpreter, and how one is ended at the exit.

use std::cell::Cell;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::leaving;
use crate::pool::Host;

/// How long a callback may take to end after it was interrupted, before it is interrupted again.
const INSIST: Duration = Duration::from_millis(100);

/// The interpreter. Each thread keeps its Python thread state for life: from Python 3.11 on a fresh one costs about 10 µs
/// at its first call.
#[derive(Debug)]
pub(super) struct Interpreter;

/// The pool whose threads call Python.
pub(super) type Pool = crate::pool::Pool<Interpreter>;

impl Host for Interpreter {
    type Inside<'a> = Python<'a>;

    fn enter<T>(&self, life: impl FnOnce(Python<'_>) -> T) -> Option<T> {
        leaving::is_joined();
        // "No" when the interpreter is going down: then there is nothing to call either.
        Python::try_attach(life)
    }

    fn step_out<T: Send>(&self, py: Python<'_>, wait: impl FnOnce() -> T + Send) -> T {
        leaving::detach(py, wait)
    }

    fn ident(&self, py: Python<'_>) -> u64 {
        thread_ident(py)
    }
}

thread_local! {
    /// Asked for once, since it is looked at for each message.
    static IDENT: Cell<u64> = const { Cell::new(0) };
}

/// The identifier that Python knows the current thread by. It stays the same over a fork.
pub(super) fn thread_ident(py: Python<'_>) -> u64 {
    let known = IDENT.get();
    if known != 0 {
        return known;
    }
    // Cannot fail in a working interpreter; 0 is no thread's identifier.
    let ident = py
        .import("_thread")
        .and_then(|module| module.call_method0("get_ident"))
        .and_then(|ident| ident.extract())
        .unwrap_or(0);
    IDENT.set(ident);
    ident
}

/// Raise `SystemExit` in every thread of the pool that is still in a callback, again and again since the callback may
/// catch it; tells whether all threads are gone.
pub(super) fn interrupt(py: Python<'_>, pool: &Pool, until: Instant) -> PyResult<bool> {
    let raise = py.import("ctypes")?.getattr("pythonapi")?.getattr("PyThreadState_SetAsyncExc")?;
    let ulong = py.import("ctypes")?.getattr("c_ulong")?;
    let exception =
        py.import("ctypes")?.getattr("py_object")?.call1((py.get_type::<pyo3::exceptions::PySystemExit>(),))?;
    loop {
        for thread in pool.idents() {
            raise.call1((ulong.call1((thread,))?, &exception))?;
        }
        let soon = Instant::now() + INSIST;
        if leaving::detach(py, || pool.wait_stopped(soon.min(until))) {
            return Ok(true);
        }
        if soon >= until {
            return Ok(false);
        }
    }
}
