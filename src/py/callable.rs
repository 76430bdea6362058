//! A callback of the program.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::arguments::wrong_type;
use super::signature::{Form, fitting};

/// Something to be called.
#[derive(Debug)]
pub(super) struct Callable {
    pub(super) function: Py<PyAny>,
}

impl Callable {
    /// Take what a program gives as `name`, and find the first of these forms that it can be called in, by its place.
    pub(super) fn new(name: &str, function: &Bound<'_, PyAny>, forms: &[Form<'_>]) -> PyResult<(Self, usize)> {
        if !function.is_callable() {
            return Err(wrong_type(name, "callable", function));
        }
        let form = fitting(function, forms)?;
        Ok((Self { function: function.clone().unbind() }, form))
    }

    /// Call it.
    pub(super) fn call<'py>(
        &self,
        py: Python<'py>,
        arguments: impl PyCallArgs<'py>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let function = self.function.bind(py);
        match keywords {
            None => function.call1(arguments)?,
            Some(_) => function.call(arguments, keywords)?,
        };
        Ok(())
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { function: self.function.clone_ref(py) }
    }

    /// Every Python object in it, for the garbage collector.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Py<PyAny>> {
        std::iter::once(&self.function)
    }
}

/// A callback that the library's Python part calls.
#[pyclass(frozen, name = "Callback", module = "thingslink._native")]
pub(super) struct PyCallback {
    callable: Callable,
    /// The form that it is to be called in, of those that it was made with.
    #[pyo3(get)]
    form: String,
}

#[pymethods]
impl PyCallback {
    #[new]
    #[pyo3(signature = (name, callback, /, *forms))]
    fn new(name: &str, callback: &Bound<'_, PyAny>, forms: Vec<String>) -> PyResult<Self> {
        let forms: Vec<_> = forms.iter().map(String::as_str).collect();
        let (callable, form) = Callable::new(name, callback, &forms)?;
        Ok(Self { callable, form: forms.get(form).copied().unwrap_or_default().to_owned() })
    }

    /// What the program gave.
    #[getter]
    fn function(&self, py: Python<'_>) -> Py<PyAny> {
        self.callable.function.clone_ref(py)
    }

    #[pyo3(signature = (*arguments, **keywords))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        arguments: Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        self.callable.call(py, arguments, keywords)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callable.objects().try_for_each(|object| visit.call(object))
    }
}
