//! Callbacks of every generation: what a callable takes decides what it is given (TB 0).

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::py::arguments::wrong_type;
use crate::py::signature::Signature;

/// A callable, and how many arguments it is given.
#[derive(Debug)]
pub(super) struct Callback {
    pub(super) callable: Py<PyAny>,
    /// What came with it in a tuple, to be given back at the end.
    pub(super) userdata: Option<Py<PyAny>>,
    pub(super) count: usize,
}

impl Callback {
    /// A callable that is given `native` arguments, or as many of `others` as it takes if it does not take those.
    pub(super) fn new(callable: &Bound<'_, PyAny>, native: usize, others: &[usize]) -> PyResult<Self> {
        if !callable.is_callable() {
            return Err(wrong_type("callback", "callable", callable));
        }
        let count = match Signature::of(callable)? {
            Some(signature) if !signature.takes(native) => {
                others.iter().copied().find(|count| signature.takes(*count)).unwrap_or(native)
            }
            _ => native,
        };
        Ok(Self { callable: callable.clone().unbind(), userdata: None, count })
    }

    /// The same, or a tuple of a callable and what it wants back as its last argument.
    pub(super) fn with_userdata(value: &Bound<'_, PyAny>, native: usize, others: &[usize]) -> PyResult<Self> {
        let Ok(pair) = value.cast::<PyTuple>() else { return Self::new(value, native, others) };
        let (callable, userdata): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
            pair.extract().map_err(|_| wrong_type("callback", "callable, or a tuple (callable, userdata)", value))?;
        if !callable.is_callable() {
            return Err(wrong_type("callback", "callable", &callable));
        }
        Ok(Self { callable: callable.unbind(), userdata: Some(userdata.unbind()), count: native })
    }

    /// Call it.
    pub(super) fn call(&self, py: Python<'_>, arguments: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        let mut arguments = arguments;
        arguments.extend(self.userdata.as_ref().map(|userdata| userdata.bind(py).clone()));
        self.callable.bind(py).call1(PyTuple::new(py, arguments)?)?;
        Ok(())
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
#[pyfunction]
#[pyo3(name = "_has_parameter")]
pub(in crate::py) fn has_parameter(callable: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    Ok(Signature::of(callable)?.is_some_and(|signature| signature.names(name)))
}
