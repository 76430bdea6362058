//! The logger of the original, for what its users look for there.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::py::leaving;

/// The name that both modules of the original use.
const LOGGER: &str = "tb_connection";

fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("logging")?.call_method1("getLogger", (LOGGER,))
}

/// Log in the original's place. A logger that fails stops nothing.
pub(super) fn log(py: Python<'_>, level: &str, text: &str) {
    let logged = leaving::within(py, || logger(py)?.call_method1(level, ("%s", text)));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

/// Log an exception of a callback with its traceback.
pub(super) fn log_exception(py: Python<'_>, error: &PyErr) {
    let logged = leaving::within(py, || {
        let options = PyDict::new(py);
        options.set_item("exc_info", error.value(py))?;
        logger(py)?.call_method("error", ("exception in a callback",), Some(&options))
    });
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}
