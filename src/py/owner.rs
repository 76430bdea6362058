//! What every client's Python object needs to have its deliveries handled: the thread that serves it, the object itself
//! kept alive meanwhile, and the process that it belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use super::face;
use super::runtime::{Bond, Process};
use super::serving::Serving;
use crate::client::{Delivery, Line, Platform};
use crate::pool::Home;
use crate::session::Hands;
use crate::sync::Mutex;

/// Who consumes the deliveries of one client, and for which Python object.
pub(super) struct Owner<P: Platform> {
    hands: Mutex<Hands<Delivery<P::Own>>>,
    serving: Arc<Serving>,
    kept: Mutex<Kept>,
    process: Bond,
    /// The thread that calls the client's callbacks.
    home: Home,
    /// Where in the program the client was made, if somebody wants to know.
    maker: Option<Py<PyAny>>,
}

/// The Python object, kept alive while something may be delivered, as the originals' threads did.
#[derive(Default)]
struct Kept {
    object: Option<Py<PyAny>>,
    /// Calls of `connect` that are under way: the object must not be let go between their start and their success.
    connecting: usize,
}

impl<P: Platform> Owner<P> {
    /// For a client that is being made.
    pub(super) fn new() -> Self {
        Self {
            hands: Mutex::default(),
            serving: Arc::default(),
            kept: Mutex::default(),
            process: Bond::default(),
            home: Home::default(),
            maker: face::maker(),
        }
    }

    /// The process's runtime; an error in a forked child.
    pub(super) fn process(&self) -> PyResult<&Arc<Process>> {
        self.process.process()
    }

    /// The process's runtime, if the client has used it.
    pub(super) fn known_process(&self) -> Option<&Arc<Process>> {
        self.process.known()
    }

    /// Where the client's callbacks are called. It must be claimed before the first one is.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Whether this is still the process that the client was made in.
    pub(super) fn check_process(&self) -> PyResult<()> {
        self.process.check()
    }

    /// Whether the interpreter exits: then no callback may begin, for nobody could end it.
    pub(super) fn is_exiting(&self) -> bool {
        self.process.known().is_some_and(|process| process.pool.is_stopping())
    }

    /// Whether the current thread is inside one of this client's callbacks.
    pub(super) fn is_served_here(&self, py: Python<'_>) -> bool {
        self.serving.is_here(py)
    }

    /// The threads that are inside its callbacks.
    pub(super) fn serving(&self) -> &Arc<Serving> {
        &self.serving
    }

    /// A call of `connect` begins: keep the object alive.
    pub(super) fn connecting(&self, object: &Bound<'_, PyAny>) {
        let mut kept = self.kept.lock();
        kept.connecting += 1;
        kept.object.get_or_insert_with(|| object.clone().unbind());
    }

    /// It ends.
    pub(super) fn connected(&self) {
        self.kept.lock().connecting -= 1;
    }

    /// The object, while it is kept alive.
    pub(super) fn object(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.kept.lock().object.as_ref().map(|object| object.clone_ref(py))
    }

    /// Where in the program the client was made, if somebody wanted to know.
    pub(super) fn maker(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.maker.as_ref().map(|maker| maker.clone_ref(py))
    }

    /// Let the object go, if nothing more can be delivered.
    pub(super) fn release(&self, line: &Line<P>) {
        let mut kept = self.kept.lock();
        // In this order: the last delivery is pushed before the session is over, so it keeps the mailbox from being idle.
        let over = kept.connecting == 0 && !line.is_open() && line.mailbox().is_idle();
        let object = if over { kept.object.take() } else { None };
        drop(kept);
        if let (Some(_), Some(process)) = (&object, self.process.known()) {
            process.pool.depart(&self.home);
        }
        // Dropped outside the lock: this may run the object's finaliser.
        drop(object);
    }

    /// Handle at most `most` deliveries, each with `handle`, which tells whether it is done with it. Tells whether there
    /// may be more.
    pub(super) fn run(
        &self,
        py: Python<'_>,
        line: &Line<P>,
        most: usize,
        progress: &AtomicU64,
        mut handle: impl FnMut(Delivery<P::Own>) -> bool,
    ) -> bool {
        let mut hands = std::mem::take(&mut *self.hands.lock());
        let more = hands.take(line.mailbox(), most);
        if more {
            let mut counted = |delivery| {
                progress.fetch_add(1, Ordering::Relaxed);
                line.read(delivery).is_none_or(&mut handle)
            };
            self.serving.here(py, || while !self.is_exiting() && hands.next(&mut counted) {});
        }
        *self.hands.lock() = hands;
        more
    }
}
