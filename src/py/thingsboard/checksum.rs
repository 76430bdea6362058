//! The hashes of firmware packages that Python's standard library does not have.

use std::io::Cursor;

use pyo3::prelude::*;

use crate::py::convert::Octets;
use crate::py::leaving;

/// MurmurHash3, 32 bits, seed 0.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_murmur3_32")]
pub(in crate::py) fn murmur3_32(py: Python<'_>, data: Octets) -> PyResult<u32> {
    leaving::detach(py, || Ok(murmur3::murmur3_32(&mut Cursor::new(data.0), 0)?))
}

/// MurmurHash3, 128 bits for 64-bit machines, seed 0.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_murmur3_128")]
pub(in crate::py) fn murmur3_128(py: Python<'_>, data: Octets) -> PyResult<u128> {
    leaving::detach(py, || Ok(murmur3::murmur3_x64_128(&mut Cursor::new(data.0), 0)?))
}
