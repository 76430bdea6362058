//! Python values as JSON text, by Python's own encoder: it knows values that hold themselves or are nested too deeply.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arguments::wrong_type;
use super::leaving;
use super::lorawan::PyUplinkMessage;

/// How the text is spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    /// As `json.dumps` has it.
    Python,
    /// Without blanks, and with sorted names: as the network writes it.
    Compact,
}

/// A value as JSON. Parts of messages become what they were on the wire.
pub(super) fn dumps(what: &str, value: &Bound<'_, PyAny>, spacing: Spacing) -> PyResult<String> {
    let py = value.py();
    let options = PyDict::new(py);
    options.set_item("allow_nan", false)?;
    options.set_item("default", py.get_type::<PyUplinkMessage>().getattr("_json_default")?)?;
    if spacing == Spacing::Compact {
        options.set_item("separators", (",", ":"))?;
        options.set_item("sort_keys", true)?;
    }
    leaving::within(py, || py.import("json")?.call_method("dumps", (value,), Some(&options)))
        .and_then(|text| text.extract())
        .map_err(|error| named(py, what, error))
}

/// A dict, or a message, as JSON text; what is neither must be what is `expected`.
pub(super) fn object(what: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyResult<String> {
    let is_one = value.is_instance_of::<PyDict>() || value.is_instance_of::<PyUplinkMessage>();
    if is_one { dumps(what, value, Spacing::Compact) } else { Err(wrong_type(what, expected, value)) }
}

/// The error of a value that could not be encoded, with its name.
pub(super) fn named(py: Python<'_>, what: &str, error: PyErr) -> PyErr {
    let text = format!("{what} cannot be sent: {}", error.value(py));
    let named =
        if error.is_instance_of::<PyTypeError>(py) { PyTypeError::new_err(text) } else { PyValueError::new_err(text) };
    named.set_cause(py, Some(error));
    named
}
