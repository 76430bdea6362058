//! Those who wait for a message to be written or acknowledged.

use std::collections::HashMap;

use pyo3::prelude::*;

use crate::py::event_loop::EventLoop;
use crate::sync::Mutex;

/// Futures of messages that are neither written (QoS 0) nor acknowledged (QoS 1), by message ID.
#[derive(Default)]
pub(super) struct Sends(Mutex<HashMap<u16, Py<PyAny>>>);

impl Sends {
    /// A future of this message, which was accepted just now. On the event loop's thread, where the outcome is told, too.
    pub(super) fn await_one<'py>(
        &self,
        py: Python<'py>,
        event_loop: &EventLoop,
        mid: u16,
    ) -> PyResult<Bound<'py, PyAny>> {
        let future = event_loop.future(py)?;
        let old = self.0.lock().insert(mid, future.clone().unbind());
        // The ID is free again, so nobody waits for the one before.
        drop(old);
        Ok(future)
    }

    pub(super) fn take(&self, mid: u16) -> Option<Py<PyAny>> {
        self.0.lock().remove(&mid)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Let go of all of them.
    pub(super) fn all(&self) -> HashMap<u16, Py<PyAny>> {
        std::mem::take(&mut *self.0.lock())
    }

    /// For the garbage collector; a lock that is taken is skipped, since it comes again.
    pub(super) fn visit(
        &self,
        look: impl Fn(&Py<PyAny>) -> Result<(), pyo3::PyTraverseError>,
    ) -> Result<(), pyo3::PyTraverseError> {
        self.0.try_lock().map_or(Ok(()), |futures| futures.values().try_for_each(look))
    }
}
