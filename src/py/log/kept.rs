//! The latest records, for those who want to look at them afterwards, whatever levels Python's `logging` lets pass.

use std::collections::VecDeque;

use pyo3::prelude::*;

use crate::py::forked::Forked;

/// Records that are kept; the oldest go first.
const BOUND: usize = 1000;

/// `None` while nobody wants them.
static KEPT: Forked<Option<VecDeque<Record>>> = Forked::new(None, None);

/// Level, logger and text.
type Record = (u32, String, String);

/// Keep a record, if somebody wants it.
pub(super) fn keep(level: u32, logger: &str, text: &str) {
    if let Some(kept) = KEPT.lock().as_mut() {
        if kept.len() >= BOUND {
            kept.pop_front();
        }
        kept.push_back((level, logger.to_owned(), text.to_owned()));
    }
}

/// In a forked child: what is kept is the parent's.
pub(super) fn after_fork() {
    KEPT.after_fork(|kept| *kept = kept.take().map(|_| VecDeque::new()));
}

/// Give what was logged since the last call, the latest 1,000 records; records are kept from the first call on.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_logged")]
pub(in crate::py) fn logged() -> Vec<Record> {
    KEPT.lock().replace(VecDeque::new()).unwrap_or_default().into()
}
