//! Files that the Python face writes.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::{error, leaving};
use crate::file;

/// Put a file in the place of what is there, whole at any moment; a new one has the rights of `mode`.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_replace_file", signature = (path, content, *, mode))]
pub(super) fn replace_file(py: Python<'_>, path: PathBuf, content: &[u8], mode: u32) -> PyResult<()> {
    let replaced = leaving::detach(py, || file::replace(&path, content, mode));
    replaced.map_err(|error| error::file_error(py, path.as_os_str(), &error))
}
