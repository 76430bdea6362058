//! The names of a message's fields, as named tuples have them: `_fields`.

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyTuple};

use super::message::PyUplinkMessage;

/// A `property` of Python's own: a class with another descriptor of this name is a named tuple to polars, which then iterates
/// over the descriptor.
pub(super) fn property(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let names = PyCFunction::new_closure(py, None, None, |given, _| {
        let message = given.get_item(0)?.cast_into::<PyUplinkMessage>()?;
        Ok::<_, PyErr>(PyTuple::new(given.py(), message.get().names(given.py())?)?.unbind())
    })?;
    py.import("builtins")?.getattr("property")?.call1((names,))
}
