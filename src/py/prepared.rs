//! Calls that take a while, written once for programs that wait and for programs that await.
//!
//! A call has three parts. *Prepare* converts the arguments, under the interpreter lock. What then happens is a future that
//! knows no Python. *Finish* makes Python's value of the outcome, or prepares the next step, again under the interpreter
//! lock and on the thread of whoever asked: the one that waits, or the event loop's. More in `docs/dev/calls.md`.

use std::pin::Pin;
use std::sync::Arc;

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::awaited;
use super::runtime::Process;
use crate::sync::Mutex;

/// A call that has been prepared.
pub(super) enum Prepared<T> {
    /// There is nothing to wait for.
    Ready(T),
    /// There is something to wait for.
    Waits(Step<T>),
}

/// Something to wait for, and what to do then.
pub(super) struct Step<T> {
    pub(super) process: Arc<Process>,
    pub(super) future: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) resume: Resume<T>,
}

/// To be called when the future has ended, or with the reason why nobody waits for it any more.
pub(super) type Resume<T> = Box<dyn FnOnce(Python<'_>, PyResult<()>) -> PyResult<Prepared<T>> + Send>;

impl<T: 'static> Prepared<T> {
    /// A future, and what makes Python's value of its outcome.
    pub(super) fn new<F>(
        process: Arc<Process>,
        future: F,
        finish: impl FnOnce(Python<'_>, F::Output) -> PyResult<T> + Send + 'static,
    ) -> Self
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let outcome = Arc::new(Mutex::new(None));
        let place = outcome.clone();
        let future = Box::pin(async move {
            let value = future.await;
            *place.lock() = Some(value);
        });
        let resume: Resume<T> = Box::new(move |py, ended| {
            ended?;
            let outcome = outcome.lock().take();
            let outcome = outcome.ok_or_else(|| PyRuntimeError::new_err("thingslink is shutting down"))?;
            finish(py, outcome).map(Self::Ready)
        });
        Self::Waits(Step { process, future, resume })
    }

    /// Go on with whatever comes of a call, its failure included: also when it could not be prepared, when Ctrl-C ends the
    /// wait and when nobody awaits it any more.
    pub(super) fn settle<U: 'static>(
        py: Python<'_>,
        begun: PyResult<Self>,
        next: impl FnOnce(Python<'_>, PyResult<T>) -> PyResult<Prepared<U>> + Send + 'static,
    ) -> PyResult<Prepared<U>> {
        match begun {
            Ok(Self::Ready(value)) => next(py, Ok(value)),
            Err(error) => next(py, Err(error)),
            Ok(Self::Waits(Step { process, future, resume })) => {
                let resume: Resume<U> = Box::new(move |py, ended| Self::settle(py, resume(py, ended), next));
                Ok(Prepared::Waits(Step { process, future, resume }))
            }
        }
    }

    /// Go on with the value, in another step.
    pub(super) fn then<U: 'static>(
        self,
        py: Python<'_>,
        next: impl FnOnce(Python<'_>, T) -> PyResult<Prepared<U>> + Send + 'static,
    ) -> PyResult<Prepared<U>> {
        Self::settle(py, Ok(self), move |py, outcome| next(py, outcome?))
    }

    /// Make something else of the value.
    pub(super) fn map<U: 'static>(
        self,
        py: Python<'_>,
        change: impl FnOnce(Python<'_>, T) -> PyResult<U> + Send + 'static,
    ) -> PyResult<Prepared<U>> {
        self.then(py, move |py, value| change(py, value).map(Prepared::Ready))
    }

    /// Wait for it on this thread, without the interpreter lock and open to Ctrl-C.
    pub(super) fn wait(self, py: Python<'_>) -> PyResult<T> {
        let mut prepared = self;
        loop {
            prepared = match prepared {
                Self::Ready(value) => return Ok(value),
                Self::Waits(Step { process, future, resume }) => resume(py, process.wait(py, future))?,
            }
        }
    }
}

impl<T: for<'py> IntoPyObject<'py> + 'static> Prepared<T> {
    /// An `asyncio.Future` of it, for the event loop that runs on this thread.
    pub(super) fn future(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        awaited::future(py, self)
    }
}

/// How a client's methods give what they have prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Face {
    /// They wait.
    #[default]
    Blocking,
    /// They give awaitables of asyncio.
    Asyncio,
}

impl Face {
    /// The value, or an awaitable of it.
    pub(super) fn give<T: for<'a> IntoPyObject<'a> + 'static>(
        self,
        py: Python<'_>,
        prepared: Prepared<T>,
    ) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Blocking => prepared.wait(py)?.into_bound_py_any(py),
            Self::Asyncio => prepared.future(py),
        }
    }
}
