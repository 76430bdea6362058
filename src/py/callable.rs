//! A callback of the program.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{IntoPyObjectExt as _, PyTraverseError, PyVisit, intern};

use super::arguments::wrong_type;
use super::face;
use super::interpreter::thread_ident;
use super::signature::{AWAITABLE_GENERATOR, Form, fitting};

/// Something to be called. What it gives to be awaited is run to its end before the call returns.
#[derive(Debug)]
pub(super) struct Callable {
    pub(super) function: Py<PyAny>,
    /// Where it was set, if an event loop ran there: the loop, the context, and the thread by Python's identifier.
    place: Option<Py<PyAny>>,
}

impl Callable {
    /// Take what a program gives as `name`, and find the first of these forms that it can be called in, by its place.
    pub(super) fn new(name: &str, function: &Bound<'_, PyAny>, forms: &[Form<'_>]) -> PyResult<(Self, usize)> {
        if !function.is_callable() {
            return Err(wrong_type(name, "callable", function));
        }
        let form = fitting(function, forms)?;
        Ok((Self { function: function.clone().unbind(), place: place(function.py())? }, form))
    }

    /// Call it.
    pub(super) fn call<'py>(
        &self,
        py: Python<'py>,
        arguments: impl PyCallArgs<'py>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<()> {
        let function = self.function.bind(py);
        let given = match keywords {
            None => function.call1(arguments)?,
            Some(_) => function.call(arguments, keywords)?,
        };
        if given.is_none() || !is_awaitable(&given)? {
            return Ok(());
        }
        face::run_to_its_end(&given, self.place.as_ref())
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        let place = self.place.as_ref().map(|place| place.clone_ref(py));
        Self { function: self.function.clone_ref(py), place }
    }

    /// Every Python object in it, for the garbage collector.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Py<PyAny>> {
        std::iter::once(&self.function).chain(&self.place)
    }
}

/// Where the current thread runs an event loop, if it does.
fn place(py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
    // A program that has not imported asyncio runs no loop of it, and need not pay for the import.
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Ok(asyncio) = modules.get_item(intern!(py, "asyncio.events")) else { return Ok(None) };
    let event_loop = asyncio.call_method0(intern!(py, "_get_running_loop"))?;
    if event_loop.is_none() {
        return Ok(None);
    }
    let context = py.import(intern!(py, "contextvars"))?.call_method0(intern!(py, "copy_context"))?;
    Ok(Some((event_loop, context, thread_ident(py)).into_py_any(py)?))
}

/// As `inspect.isawaitable`.
fn is_awaitable(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = given.py();
    if given.get_type().hasattr(intern!(py, "__await__"))? {
        return Ok(true);
    }
    // A generator of `types.coroutine` may be awaited.
    if given.get_type().name()? != "generator" {
        return Ok(false);
    }
    let Some(code) = given.getattr_opt(intern!(py, "gi_code"))? else { return Ok(false) };
    let flags: u32 = code.getattr(intern!(py, "co_flags"))?.extract()?;
    Ok(flags & AWAITABLE_GENERATOR != 0)
}

/// A callback that the library's Python part calls.
#[pyclass(frozen, name = "Callback", module = "thingslink._native")]
pub(super) struct PyCallback {
    callable: Callable,
    /// The form that it is to be called in, of those that it was made with.
    #[pyo3(get)]
    form: String,
}

#[pymethods(crate = "crate::py::named")]
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
