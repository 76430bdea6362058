//! How large a reply may be: the argument `max_reply_bytes` of the clients.

use pyo3::prelude::*;

use crate::py::number::whole;
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
        let bytes = whole("max_reply_bytes", &given, |bytes| {
            let bytes = usize::try_from(bytes).ok().filter(|bytes| BYTES.contains(bytes));
            bytes.ok_or_else(|| format!("a number of bytes from {} to {}", BYTES.start(), BYTES.end()))
        })?;
        Ok(Self(bytes))
    }
}
