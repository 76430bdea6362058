//! How a client's Python object is served, once for all clients: woken, worked for, connected, closed.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::OrRaise as _;
use super::face;
use super::interpreter::{Interpreter, thread_ident};
use super::owner::Owner;
use super::prepared::{Face, Prepared};
use super::runtime::{Closable, LeftOpen, Process};
use crate::client::{Delivery, Line, Platform};
use crate::error::Error;
use crate::pool::{Home, Work};

/// How long the exit of the interpreter waits for a client's acknowledgements.
const AT_EXIT: Duration = Duration::from_secs(1);

/// What the dispatch pool and the Python object have in common.
pub(super) trait Serve: Send + Sync + Sized + 'static {
    /// Whose client it is.
    type Platform: Platform;
    /// What is kept between the deliveries of one turn.
    type Turn;

    /// The client.
    fn line(&self) -> &Line<Self::Platform>;

    /// The Python object and who serves it.
    fn owner(&self) -> &Owner<Self::Platform>;

    /// What it gets all messages of, as users call it; none if others are meant to get the same, or have a share of them.
    fn subject(&self) -> Option<String> {
        None
    }

    /// A turn of several deliveries begins.
    fn begin(&self) -> Self::Turn;

    /// Handle a delivery. Tells whether it is done with, so that it counts against the mailbox's bound no longer.
    fn deliver(
        &self,
        turn: &mut Self::Turn,
        delivery: Delivery<<Self::Platform as Platform>::Own>,
        client: &Bound<'_, PyAny>,
    ) -> bool;

    /// The turn ends.
    fn end(&self, turn: Self::Turn);
}

/// Make what is served: `make` gets the function that wakes the dispatch pool for it.
pub(super) fn served<S: Serve>(
    make: impl FnOnce(Box<dyn Fn() + Send + Sync>) -> Result<S, Error>,
) -> Result<Arc<S>, Error> {
    woken(make, |served| served.owner().known_process())
}

/// Make a consumer that does its work on a thread of the pool; `process` gives its process, if it has used it.
pub(super) fn woken<S: Work<Interpreter> + 'static>(
    make: impl FnOnce(Box<dyn Fn() + Send + Sync>) -> Result<S, Error>,
    process: fn(&S) -> Option<&Arc<Process>>,
) -> Result<Arc<S>, Error> {
    let place: Arc<OnceLock<Weak<S>>> = Arc::default();
    let this = place.clone();
    let wake = move || {
        if let Some(served) = this.get().and_then(Weak::upgrade)
            && let Some(process) = process(&served)
        {
            process.pool.submit(served.clone());
        }
    };
    let served = Arc::new(make(Box::new(wake))?);
    // Set once, here.
    let _first = place.set(Arc::downgrade(&served));
    Ok(served)
}

/// Connect `object`'s client: `opening` is its connect under way.
pub(super) fn connect<S: Serve>(
    served: &Arc<S>,
    object: &Bound<'_, PyAny>,
    opening: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> PyResult<Prepared<()>> {
    let process = served.owner().process()?.clone();
    if let Some(subject) = served.subject() {
        face::connecting(object, served.owner().maker(object.py()), &subject)?;
    }
    process.close_at_exit(served);
    let connecting = Connecting::begin(served, object);
    let (handle, was_open) = (process.handle.clone(), served.line().is_open());
    // The outcome apart from its being waited for, which Ctrl-C may end when the login has just been accepted.
    let opened = Prepared::new(process, opening, |_, outcome| Ok(outcome));
    Prepared::settle(object.py(), Ok(opened), move |py, outcome| {
        let outcome = outcome.and_then(|outcome| py.check_signals().map(|()| outcome));
        if outcome.is_err() && !was_open {
            let _runtime = handle.enter();
            connecting.0.line().close_soon(Duration::ZERO);
        }
        drop(connecting);
        outcome?.or_raise(py).map(Prepared::Ready)
    })
}

/// A call of `connect`, also one that is never waited for to its end: meanwhile the Python object is kept alive.
struct Connecting<S: Serve>(Arc<S>);

impl<S: Serve> Connecting<S> {
    fn begin(served: &Arc<S>, object: &Bound<'_, PyAny>) -> Self {
        served.owner().connecting(object);
        Self(served.clone())
    }
}

impl<S: Serve> Drop for Connecting<S> {
    fn drop(&mut self) {
        self.0.owner().connected();
        self.0.owner().release(self.0.line());
    }
}

/// Close a client, at most `within`; nothing is waited for where one of its own callbacks calls.
pub(super) fn close<S: Serve>(served: &Arc<S>, py: Python<'_>, within: Duration, face: Face) -> PyResult<Prepared<()>> {
    let owner = served.owner();
    if owner.known_process().is_none() {
        return Ok(Prepared::Ready(()));
    }
    let process = owner.process()?.clone();
    if owner.is_served_here(py) {
        let _runtime = process.handle.enter();
        served.line().close_soon(within);
        return Ok(Prepared::Ready(()));
    }
    let (line, serving, served) = (served.line().clone(), owner.serving().clone(), served.clone());
    let closing = async move {
        line.close(within).await;
    };
    let blocked = (face == Face::Blocking).then(|| thread_ident(py));
    let closed = async move {
        let Some(blocked) = blocked else { return closing.await };
        let mut closing = Box::pin(closing);
        tokio::select! {
            () = &mut closing => {}
            // A callback waits for the event loop whose thread waits here: it ends after this call.
            () = serving.wants(blocked) => drop(tokio::spawn(closing)),
        }
    };
    Ok(Prepared::new(process, closed, move |_, ()| {
        served.owner().release(served.line());
        Ok(())
    }))
}

/// Whether a client is logged in; a forked copy of one is not.
pub(super) fn is_connected(served: &impl Serve) -> bool {
    served.owner().check_process().is_ok() && served.line().is_connected()
}

/// Whether an exception is our own doing: the interpreter exits, and the callback would not end.
pub(super) fn is_our_interrupt<P: Platform>(py: Python<'_>, owner: &Owner<P>, error: &PyErr) -> bool {
    owner.is_exiting() && error.is_instance_of::<PySystemExit>(py)
}

impl<S: Serve> Work<Interpreter> for S {
    fn run(self: Arc<Self>, py: Python<'_>, most: usize, progress: &AtomicU64) -> bool {
        let object = self.owner().object(py);
        let mut turn = self.begin();
        let more = self.owner().run(py, self.line(), most, progress, |delivery| {
            // Without an object there is nobody to tell.
            object.as_ref().is_none_or(|object| self.deliver(&mut turn, delivery, object.bind(py)))
        });
        self.end(turn);
        if !more {
            self.owner().release(self.line());
        }
        more
    }

    fn home(&self) -> Option<&Home> {
        Some(self.owner().home())
    }
}

impl<S: Serve> Closable for S {
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> JoinHandle<()> {
        // The pool has stopped: nobody would take the deliveries that a patient close waits for.
        handle.spawn(async move { self.line().close_quietly(AT_EXIT).await })
    }

    fn left_open(&self, py: Python<'_>) -> Option<LeftOpen> {
        let object = self.line().is_open().then(|| self.owner().object(py))?;
        Some((object?, self.owner().maker(py)))
    }
}
