//! What the library's Python part hands in, so that nothing here imports it: Python stands on this module, not beneath it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::sync::Mutex;

/// Gives the classes of [`CallError`]. Called when one of them is raised: programs that have no such errors do not pay for
/// the import.
static CALL_ERRORS: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Gives the deadline of calls, a variable that programs may set.
static TIME_OUT: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Tells where in the program a client is being made: the pytest plugin names the line of one that is left open.
static MAKERS: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Hand in what gives the classes of failed calls.
#[pyfunction]
#[pyo3(name = "_call_errors_from")]
pub(super) fn call_errors_from(give: Py<PyAny>) {
    let old = CALL_ERRORS.lock().replace(give);
    drop(old);
}

/// Hand in what gives the deadline of calls.
#[pyfunction]
#[pyo3(name = "_time_out_from")]
pub(super) fn time_out_from(give: Py<PyAny>) {
    let old = TIME_OUT.lock().replace(give);
    drop(old);
}

/// Hand in what tells where in the program a client is being made; ``None`` ends it.
#[pyfunction]
#[pyo3(name = "_makers_from", signature = (give, /))]
pub(super) fn makers_from(give: Option<Py<PyAny>>) {
    let old = std::mem::replace(&mut *MAKERS.lock(), give);
    drop(old);
}

/// Where in the program a client is being made, if somebody wants to know.
pub(super) fn maker() -> Option<Py<PyAny>> {
    let give = MAKERS.lock();
    give.as_ref()?;
    Python::attach(|py| {
        let asked = give.as_ref().map(|give| give.clone_ref(py));
        drop(give);
        asked?.call0(py).map_err(|error| error.write_unraisable(py, None)).ok()
    })
}

fn ask<'py>(py: Python<'py>, given: &Mutex<Option<Py<PyAny>>>) -> PyResult<Bound<'py, PyAny>> {
    let give = given.lock().as_ref().map(|give| give.clone_ref(py));
    give.ok_or_else(|| PyRuntimeError::new_err("thingslink is not imported"))?.bind(py).call0()
}

/// The classes of failed calls, by their place in what Python hands in.
#[derive(Clone, Copy)]
pub(super) enum CallError {
    /// `RpcError(code, details)`.
    Rpc,
    /// `ApplicationError(doing, what, code, details)`.
    Application,
    /// `SwitchedOffError(code, details)`.
    SwitchedOff,
}

/// One of these classes.
pub(super) fn call_error(py: Python<'_>, class: CallError) -> PyResult<Bound<'_, PyAny>> {
    ask(py, &CALL_ERRORS)?.get_item(class as usize)
}

/// The deadline of calls that are given none.
pub(super) fn time_out(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    ask(py, &TIME_OUT)
}
