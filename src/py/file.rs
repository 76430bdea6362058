//! Files that the Python face writes.

use std::path::PathBuf;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use super::leaving;
use crate::file;

/// Put a file in the place of what is there, whole at any moment; a new one has the rights of `mode`.
#[pyfunction]
#[pyo3(name = "_replace_file", signature = (path, content, *, mode))]
pub(super) fn replace_file(py: Python<'_>, path: PathBuf, content: &[u8], mode: u32) -> PyResult<()> {
    leaving::detach(py, || file::replace(&path, content, mode)).map_err(|error| match error.raw_os_error() {
        Some(number) => {
            let words = py.import("os").and_then(|os| os.call_method1("strerror", (number,))).map(Bound::unbind);
            words.map_or_else(|error| error, |words| PyOSError::new_err((number, words, path)))
        }
        None => error.into(),
    })
}
