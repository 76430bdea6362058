//! The original's exceptions.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use super::logger;

pyo3::create_exception!(
    thingslink.tb_device_mqtt,
    TBTimeoutException,
    PyException,
    "A request was not answered in time."
);
pyo3::create_exception!(
    thingslink.tb_device_mqtt,
    TBQoSException,
    PyException,
    "A level of delivery that is neither 0 nor 1."
);

/// A level of delivery that is none: logged, as in the original, since some methods tell nothing else of it.
pub(super) fn qos_error(py: Python<'_>) -> PyErr {
    const TEXT: &str = "Quality of service (qos) value must be 0 or 1";
    logger::log(py, "error", TEXT);
    TBQoSException::new_err(TEXT)
}
