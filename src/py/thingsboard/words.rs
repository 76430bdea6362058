//! What goes to the original's logger, and the original's exceptions.

use pyo3::prelude::*;

/// The logger that both modules of the original use.
const LOGGER: &str = "tb_connection";

/// Log in the original's place. A logger that fails stops nothing.
pub(super) fn log(py: Python<'_>, level: &str, text: &str) {
    let logged = py
        .import("logging")
        .and_then(|logging| logging.call_method1("getLogger", (LOGGER,)))
        .and_then(|logger| logger.call_method1(level, ("%s", text)));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

/// Log an exception of a callback with its traceback.
pub(super) fn log_exception(py: Python<'_>, error: &PyErr) {
    let logged =
        py.import("logging").and_then(|logging| logging.call_method1("getLogger", (LOGGER,))).and_then(|logger| {
            let options = pyo3::types::PyDict::new(py);
            options.set_item("exc_info", error.value(py))?;
            logger.call_method("error", ("exception in a callback",), Some(&options))
        });
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

fn raise(py: Python<'_>, class: &str, text: &str) -> PyErr {
    let made = py.import("thingslink.thingsboard.exceptions").and_then(|module| module.getattr(class)?.call1((text,)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// `TBQoSException`.
pub(super) fn qos_error(py: Python<'_>) -> PyErr {
    const TEXT: &str = "Quality of service (qos) value must be 0 or 1";
    log(py, "error", TEXT);
    raise(py, "TBQoSException", TEXT)
}

/// `TBTimeoutException`.
pub(super) fn timeout_error(py: Python<'_>, text: &str) -> PyErr {
    raise(py, "TBTimeoutException", text)
}
