//! What passes, line by line, to whoever watches: the log `thingslink.ttn` at DEBUG, or what a program has put in its place.

use std::convert::Infallible;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict};

use crate::client::Delivery;
use crate::py::leaving;
use crate::sync::Mutex;

/// `logging.DEBUG`.
const DEBUG: u8 = 10;

/// The logger, which stays the same, and where it remembers what it has said of levels, if it does.
static LOGGER: PyOnceLock<(Py<PyAny>, Option<Py<PyDict>>)> = PyOnceLock::new();

/// What a program has put in the log's place.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<Py<PyAny>>>);

/// To tell with, called as a logger's methods are: `(format, *arguments)`.
pub(super) struct Teller(Py<PyAny>);

impl Watch {
    /// Tell another one, or the log again.
    pub(super) fn set(&self, told: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut *self.0.lock(), told);
        drop(old);
    }

    /// Whether a program has put something in the log's place.
    pub(super) fn is_set(&self) -> bool {
        self.0.lock().is_some()
    }

    /// What is told, for the garbage collector; a lock that is taken is skipped.
    pub(super) fn visit(
        &self,
        look: impl FnOnce(&Py<PyAny>) -> Result<(), pyo3::PyTraverseError>,
    ) -> Result<(), pyo3::PyTraverseError> {
        match self.0.try_lock().as_deref() {
            Some(Some(told)) => look(told),
            _ => Ok(()),
        }
    }

    /// Whom to tell now; nobody costs a look at what the logger remembers. The first time it is asked, in Python code, in
    /// which a program's signal handlers run: what they raise is an error here.
    pub(super) fn teller(&self, py: Python<'_>) -> PyResult<Option<Teller>> {
        if let Some(told) = &*self.0.lock() {
            return Ok(Some(Teller(told.clone_ref(py))));
        }
        if is_known_to_be_silent(py)? {
            return Ok(None);
        }
        leaving::within(py, || debug_of_the_log(py))
    }
}

/// Whether the logger remembers that nobody wants lines at DEBUG. It forgets that whenever a level is set anywhere.
fn is_known_to_be_silent(py: Python<'_>) -> PyResult<bool> {
    let Some((_, Some(known))) = LOGGER.get(py) else { return Ok(false) };
    let said = known.bind(py).get_item(DEBUG)?;
    Ok(said.is_some_and(|said| said.is(PyBool::new(py, false))))
}

fn debug_of_the_log(py: Python<'_>) -> PyResult<Option<Teller>> {
    let (logger, _) = LOGGER.get_or_try_init(py, || {
        let logging = py.import("logging")?;
        let logger = logging.call_method1("getLogger", ("thingslink.ttn",))?;
        // A program's own class of loggers may know better than what it remembers.
        let is_usual = logger.get_type().is(&logging.getattr("Logger")?);
        let known = if is_usual { logger.getattr_opt("_cache")? } else { None };
        let known = known.and_then(|known| known.cast_into().ok()).map(Bound::unbind);
        Ok::<_, PyErr>((logger.unbind(), known))
    })?;
    let logger = logger.bind(py);
    if logger.call_method1("isEnabledFor", (DEBUG,))?.is_truthy()? {
        return Ok(Some(Teller(logger.getattr("debug")?.unbind())));
    }
    Ok(None)
}

impl Teller {
    /// Tell a line. One that cannot be told stops nothing; Ctrl-C and the like, which are no `Exception`, do.
    pub(super) fn tell<'py>(&self, py: Python<'py>, line: impl PyCallArgs<'py>) -> PyResult<()> {
        match leaving::within(py, || self.0.bind(py).call1(line)) {
            Err(error) if error.is_instance_of::<PyException>(py) => error.write_unraisable(py, None),
            outcome => drop(outcome?),
        }
        Ok(())
    }

    /// Tell of a delivery. Of a login `connect` tells, with what is listened to.
    pub(super) fn tell_of(&self, py: Python<'_>, app_id: &str, delivery: &Delivery<Infallible>) -> PyResult<()> {
        match delivery {
            Delivery::Message(message) => {
                let line = ("%s: received %s, %d bytes", app_id, &message.topic, message.bytes().len());
                self.tell(py, line)
            }
            Delivery::Sent(mid) => self.tell(py, ("%s: sent message %d", app_id, mid)),
            Delivery::Lost(error) => self.tell(py, ("%s: %s", app_id, error.to_string())),
            Delivery::Closed { .. } => self.tell(py, ("%s: closed", app_id)),
            _ => Ok(()),
        }
    }
}
