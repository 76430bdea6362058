//! Callbacks of every generation: what a callable takes decides what it is given (TB 0).

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::py::arguments::wrong_type;
use crate::py::callable::Callable;
use crate::py::signature::{Form, Signature, by_position};

/// What callbacks for attributes of the client itself take.
pub(super) const ATTRIBUTES: [Form<'static>; 3] = ["result, exception", "result", "client, result, exception"];
/// What handlers of the server's calls take.
pub(super) const CALL: [Form<'static>; 2] = ["request_id, body", "client, request_id, body"];

/// What callbacks for the server's replies take.
pub(super) const REPLY: [Form<'static>; 2] = ["id, result, exception", "client, id, result, exception"];
/// What callbacks for attributes of a gateway's devices take.
pub(super) const OF_DEVICES: [Form<'static>; 2] = ["content", "client, data"];
/// What handlers of calls to a gateway's devices take.
pub(super) const CALL_OF_DEVICE: [Form<'static>; 2] = ["gateway, content", "gateway, request_id, content"];

/// A callable, and how many arguments it is given.
#[derive(Debug)]
pub(super) struct Callback {
    pub(super) callable: Callable,
    /// What came with it in a tuple, to be given back at the end.
    pub(super) userdata: Option<Py<PyAny>>,
    pub(super) count: usize,
}

impl Callback {
    /// What a program gives as `name`, a callable that takes one of these forms; it is given the first one that it takes.
    pub(super) fn new(name: &str, callable: &Bound<'_, PyAny>, forms: &[Form<'_>]) -> PyResult<Self> {
        let (callable, form) = Callable::new(name, callable, forms)?;
        let count = forms.get(form).map_or(0, |form| by_position(form).count());
        Ok(Self { callable, userdata: None, count })
    }

    /// A callback for attributes that were asked for, or a tuple of one and what it wants back as its last argument.
    pub(super) fn of_answer(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(pair) = value.cast::<PyTuple>() else { return Self::new("callback", value, &ATTRIBUTES) };
        let (callable, userdata): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            pair.extract().map_err(|_| wrong_type("callback", "callable, or a tuple (callable, userdata)", value))?;
        let made = Self::new("callback", &callable, &["result, exception, userdata"])?;
        Ok(Self { userdata: Some(userdata.unbind()), count: made.count - 1, ..made })
    }

    /// Call it.
    pub(super) fn call(&self, py: Python<'_>, arguments: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        let mut arguments = arguments;
        arguments.extend(self.userdata.as_ref().map(|userdata| userdata.bind(py).clone()));
        self.callable.call(py, PyTuple::new(py, arguments)?, None)
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            callable: self.callable.clone_ref(py),
            userdata: self.userdata.as_ref().map(|userdata| userdata.clone_ref(py)),
            count: self.count,
        }
    }
}

/// Whether a callable has a parameter of that name.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_has_parameter")]
pub(in crate::py) fn has_parameter(callable: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    Ok(Signature::of(callable)?.is_some_and(|signature| signature.names(name)))
}
