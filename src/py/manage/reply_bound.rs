//! How large a reply may be: the argument `max_reply_bytes` of the clients.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::py::arguments::wrong_type;
use crate::rpc::LARGEST_REPLY;

/// What it may be: the status of an error fits into the least, and no machine should be asked for more than the most.
const BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 30;

/// Bytes that a reply may have.
#[derive(Clone, Copy, Debug)]
pub(in crate::py) struct ReplyBound(pub(super) usize);

impl Default for ReplyBound {
    fn default() -> Self {
        Self(LARGEST_REPLY)
    }
}

impl FromPyObject<'_, '_> for ReplyBound {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let Ok(bytes) = given.extract::<i128>() else {
            return Err(wrong_type("max_reply_bytes", "int", &given));
        };
        let valid = usize::try_from(bytes).ok().filter(|bytes| BYTES.contains(bytes));
        valid.map(Self).ok_or_else(|| {
            PyValueError::new_err(format!(
                "max_reply_bytes {bytes} is not valid: expected a number of bytes from {} to {}",
                BYTES.start(),
                BYTES.end()
            ))
        })
    }
}
