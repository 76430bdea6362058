//! What the library's Python part hands in, so that nothing here imports it: Python stands on this module, not beneath it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

use super::leaving;
use crate::sync::Mutex;

/// Gives the classes of [`CallError`]. Called when one of them is raised: programs that have no such errors do not pay for
/// the import.
static CALL_ERRORS: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Gives the deadline of calls, a variable that programs may set.
static TIME_OUT: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Tells where in the program a client is being made: the pytest plugin names the line of one that is left open.
static MAKERS: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Is told of exceptions that callbacks let out: the pytest plugin has the test fail.
static FAILURES: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Gives what stands for the original's private MQTT client.
static PRIVATE_CLIENT: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Makes of counters what a program gets.
static STATS: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Is told of clients that begin to connect.
static CONNECTING: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Runs what a callback has given to be awaited.
static RUNNER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Gathers what a client receives.
static RECORD: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
/// Called at the exit when no callback runs any more.
static AT_THE_END: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Hand in what runs an awaitable to its end, given where its callback was set.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_run_awaitables_by")]
pub(super) fn run_awaitables_by(run: Py<PyAny>) {
    let old = RUNNER.lock().replace(run);
    drop(old);
}

/// Hand in what is to be called at the exit when no callback runs any more.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_at_the_end")]
pub(super) fn at_the_end(end: Py<PyAny>) {
    let old = AT_THE_END.lock().replace(end);
    drop(old);
}

/// Nothing that a callback has given runs any more.
pub(super) fn end(py: Python<'_>) -> PyResult<()> {
    let end = AT_THE_END.lock().take();
    end.map_or(Ok(()), |end| end.call0(py).map(drop))
}

/// Run what a callback has given to be awaited. `place` is where the callback was set, if an event loop ran there.
pub(super) fn run_to_its_end(awaitable: &Bound<'_, PyAny>, place: Option<&Py<PyAny>>) -> PyResult<()> {
    given(awaitable.py(), &RUNNER)?.call1((awaitable, place))?;
    Ok(())
}

/// Hand in what gives the private client of a client.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_private_client_from")]
pub(super) fn private_client_from(give: Py<PyAny>) {
    let old = PRIVATE_CLIENT.lock().replace(give);
    drop(old);
}

/// Hand in what gives the classes of failed calls.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_call_errors_from")]
pub(super) fn call_errors_from(give: Py<PyAny>) {
    let old = CALL_ERRORS.lock().replace(give);
    drop(old);
}

/// Hand in what gives the deadline of calls.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_time_out_from")]
pub(super) fn time_out_from(give: Py<PyAny>) {
    let old = TIME_OUT.lock().replace(give);
    drop(old);
}

/// Hand in what makes of a dict of counters what a program gets.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_stats_as")]
pub(super) fn stats_as(make: Py<PyAny>) {
    let old = STATS.lock().replace(make);
    drop(old);
}

/// Counters as a program gets them.
pub(super) fn stats<'py>(py: Python<'py>, counters: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    given(py, &STATS)?.call1((pythonize::pythonize(py, counters)?,))
}

/// Hand in what gathers what a client receives, as ``record(client, into, dev_id, options)``. Called when a program asks
/// for it: the others do not pay for the import.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_record_by")]
pub(super) fn record_by(record: Py<PyAny>) {
    let old = RECORD.lock().replace(record);
    drop(old);
}

/// What gathers the client's uplinks from now on.
pub(super) fn record<'py>(
    client: &Bound<'py, PyAny>,
    into: Option<Bound<'py, PyAny>>,
    dev_id: Option<String>,
    options: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = client.py();
    let record = given(py, &RECORD)?;
    leaving::within(py, || record.call1((client, into, dev_id, options)))
}

/// Hand in what is told of clients that begin to connect, as ``told(client, place, subject)``.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_connecting_to")]
pub(super) fn connecting_to(told: Py<PyAny>) {
    let old = CONNECTING.lock().replace(told);
    drop(old);
}

/// A client begins to connect, which was made at this place of the program. All with the same subject get the same
/// messages.
pub(super) fn connecting(client: &Bound<'_, PyAny>, place: Option<Py<PyAny>>, subject: &str) -> PyResult<()> {
    let py = client.py();
    let told = given(py, &CONNECTING)?;
    leaving::within(py, || told.call1((client, place, subject))).map(drop)
}

/// Hand in what tells where in the program a client is being made; ``None`` ends it.
#[pyfunction(crate = "crate::py::named")]
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
        let asked = asked?;
        leaving::within(py, || asked.call0(py)).map_err(|error| error.write_unraisable(py, None)).ok()
    })
}

/// Hand in what is told of exceptions that callbacks let out, as ``take(client, exception)``; ``None`` ends it. Gives what
/// was there before.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_failures_to", signature = (take, /))]
pub(super) fn failures_to(take: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
    std::mem::replace(&mut *FAILURES.lock(), take)
}

/// A callback of the client has let an exception out, whoever else is told.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_callback_failed", signature = (client, exception, /))]
pub(super) fn tell_failure(client: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>) {
    let py = client.py();
    let take = FAILURES.lock().as_ref().map(|take| take.clone_ref(py));
    if let Some(take) = take
        && let Err(error) = leaving::within(py, || take.call1(py, (client, exception)))
    {
        error.write_unraisable(py, None);
    }
}

/// A callback of the client has let an exception out, which gets its traceback: before Python 3.12 that stands beside it.
pub(super) fn callback_failed(client: &Bound<'_, PyAny>, error: &PyErr) {
    let py = client.py();
    tell_failure(client, error.clone_ref(py).into_value(py).bind(py));
}

fn given<'py>(py: Python<'py>, what: &Mutex<Option<Py<PyAny>>>) -> PyResult<Bound<'py, PyAny>> {
    let give = what.lock().as_ref().map(|give| give.clone_ref(py));
    Ok(give.ok_or_else(|| PyRuntimeError::new_err("thingslink is not imported"))?.into_bound(py))
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
    /// `RpcDecodeError(code, details)`.
    RpcDecode,
    /// `ApplicationDecodeError(doing, what, code, details)`.
    ApplicationDecode,
}

/// One of these classes.
pub(super) fn call_error(py: Python<'_>, class: CallError) -> PyResult<Bound<'_, PyAny>> {
    let give = given(py, &CALL_ERRORS)?;
    leaving::within(py, || give.call0())?.get_item(class as usize)
}

/// The deadline of calls that are given none.
pub(super) fn time_out(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let give = given(py, &TIME_OUT)?;
    leaving::within(py, || give.call0())
}

/// What stands for the private MQTT client of this client.
pub(super) fn private_client<'py>(client: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let give = given(client.py(), &PRIVATE_CLIENT)?;
    leaving::within(client.py(), || give.call1((client,)))
}
