//! Payload functions in processes of their own: who begins them, and what they do.

use std::ffi::OsString;
use std::io;

use pyo3::prelude::*;

use crate::py::leaving;
use crate::sandbox::{run_scripts_by, serve_scripts};

/// Have payload functions run by processes of this program, which calls ``_serve_scripts``. Said once.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_run_scripts_by")]
pub(in crate::py) fn run_by(program: Vec<OsString>) {
    run_scripts_by(program);
}

/// Run payload functions that come over standard input, until there are no more.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_serve_scripts")]
pub(in crate::py) fn serve(py: Python<'_>) -> PyResult<()> {
    Ok(leaving::detach(py, || serve_scripts(io::stdin().lock(), io::stdout().lock()))?)
}
