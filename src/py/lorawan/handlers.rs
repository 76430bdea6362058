//! The callbacks of a client, and how each wants to be called.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::subject::Subject;
use crate::dialect::lorawan::{Filter, Network};
use crate::py::callable::Callable;
use crate::py::signature::Signature;

/// How a callable takes its second argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// `callback(first, client)`.
    Both,
    /// `callback(first, client=client)`.
    Keyword,
    /// `callback(first)`.
    First,
}

/// One callback.
pub(super) struct Handler {
    pub(super) subject: Subject,
    pub(super) callable: Callable,
    manner: Manner,
}

impl Handler {
    fn new(subject: Subject, callable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let first = subject.first();
        let (keyword, both) = (format!("{first}, client="), format!("{first}, client"));
        let mut order = [(keyword.as_str(), Manner::Keyword), (&both, Manner::Both), (first, Manner::First)];
        // Where the second parameter is the client both are the same, and by position is faster.
        if Signature::of(callable)?.is_none_or(|signature| signature.place("client") == Some(1)) {
            order.swap(0, 1);
        }
        let (callable, form) = Callable::new("callback", callable, &order.map(|(form, _)| form))?;
        Ok(Self { subject, manner: order[form].1, callable })
    }

    /// Call it.
    pub(super) fn call(&self, first: &Bound<'_, PyAny>, client: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = first.py();
        match self.manner {
            Manner::Both => self.callable.call(py, (first, client), None),
            Manner::First => self.callable.call(py, (first,), None),
            Manner::Keyword => {
                let keywords = PyDict::new(py);
                keywords.set_item("client", client)?;
                self.callable.call(py, (first,), Some(&keywords))
            }
        }
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { subject: self.subject.clone(), callable: self.callable.clone_ref(py), manner: self.manner }
    }
}

/// All callbacks of a client, in the order in which they were set. Immutable: a change makes a new one.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) all: Vec<Handler>,
}

impl Handlers {
    /// With one more.
    pub(super) fn with(&self, py: Python<'_>, subject: Subject, callable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut all: Vec<_> = self.all.iter().map(|handler| handler.clone_ref(py)).collect();
        all.push(Handler::new(subject, callable)?);
        Ok(Self { all })
    }

    /// Without the first one that has this subject and callable.
    pub(super) fn without(&self, py: Python<'_>, subject: &Subject, callable: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut all: Vec<_> = self.all.iter().map(|handler| handler.clone_ref(py)).collect();
        for (at, handler) in self.all.iter().enumerate() {
            // Bound methods are equal, not identical, each time they are looked up.
            if handler.subject == *subject && handler.callable.function.bind(py).eq(callable)? {
                all.remove(at);
                return Ok(Self { all });
            }
        }
        Err(PyValueError::new_err(format!("callback {} is not set", callable.repr()?)))
    }

    /// Whether anything listens to messages.
    pub(super) fn listens(&self) -> bool {
        self.all.iter().any(|handler| handler.subject.filter().is_some())
    }

    /// What the network must be asked for. But on V3, uplinks of all devices unless only single ones are listened to: the
    /// original always subscribed to them, and a broker then keeps what comes before a callback is set; of ChirpStack
    /// they tell who is who.
    pub(super) fn filters(&self, network: Network) -> Vec<Filter> {
        let mut filters: Vec<_> = self.all.iter().filter_map(|handler| handler.subject.filter()).collect();
        if network != Network::V3 && !filters.iter().any(|filter| matches!(filter, Filter::Uplink(_))) {
            filters.push(Filter::Uplink(None));
        }
        filters
    }
}
