//! Which thread serves a client now, and which event loop's thread it waits for meanwhile: both are inside a callback.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use tokio::sync::Notify;

use super::interpreter::thread_ident;

/// The threads of one client, by Python's identifiers; 0 for none.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// The one that calls the client's callbacks.
    server: AtomicU64,
    /// The one that runs what such a callback has given to be awaited.
    lent: AtomicU64,
    lending: Notify,
}

thread_local! {
    /// What the current thread serves.
    static CURRENT: RefCell<Option<Arc<Serving>>> = const { RefCell::new(None) };
}

impl Serving {
    /// Whether the current thread is inside one of the client's callbacks.
    pub(super) fn is_here(&self, py: Python<'_>) -> bool {
        let (server, lent) = (self.server.load(Ordering::Acquire), self.lent.load(Ordering::Acquire));
        (server != 0 || lent != 0) && [server, lent].contains(&thread_ident(py))
    }

    /// Serve the client on this thread until the end of `work`.
    pub(super) fn here<T>(self: &Arc<Self>, py: Python<'_>, work: impl FnOnce() -> T) -> T {
        let before = CURRENT.replace(Some(self.clone()));
        self.server.store(thread_ident(py), Ordering::Release);
        let outcome = work();
        self.server.store(0, Ordering::Release);
        CURRENT.set(before);
        outcome
    }

    /// Resolves when a callback is to be run by this thread.
    pub(super) async fn wants(&self, thread: u64) {
        loop {
            let lending = self.lending.notified();
            tokio::pin!(lending);
            lending.as_mut().enable();
            if self.lent.load(Ordering::Acquire) == thread {
                return;
            }
            lending.await;
        }
    }
}

/// A callback of a client, lent to another thread while the one that serves the client waits.
#[pyclass(frozen, name = "_Loan", module = "thingslink._native")]
pub(super) struct PyLoan(Option<Arc<Serving>>);

#[pymethods(crate = "crate::py::named")]
impl PyLoan {
    /// Of the client that the current thread serves; of none elsewhere.
    #[new]
    fn new() -> Self {
        Self(CURRENT.with_borrow(Clone::clone))
    }

    /// Say which thread has it; 0 ends it.
    fn to(&self, thread: u64) {
        if let Some(serving) = &self.0 {
            serving.lent.store(thread, Ordering::Release);
            serving.lending.notify_waiters();
        }
    }
}
