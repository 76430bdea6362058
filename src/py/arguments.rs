//! Keyword arguments with several accepted spellings.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::error::OrRaise as _;
use crate::error::Error;

/// An argument that may be missing, where `None` is a value like any other.
pub(super) struct Given<'py>(pub(super) Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Some(object.to_owned())))
    }
}

/// An argument with the spelling under which the program gave it: errors tell that one.
pub(super) struct Spelled<'py> {
    pub(super) name: &'static str,
    pub(super) value: Bound<'py, PyAny>,
}

impl Spelled<'_> {
    /// It is a text.
    pub(super) fn text(&self) -> PyResult<String> {
        text(self.name, &self.value)
    }

    /// It is a truth value.
    pub(super) fn flag(&self) -> PyResult<bool> {
        self.value.extract().map_err(|_| wrong_type(self.name, "bool", &self.value))
    }

    /// What the core has made of it.
    pub(super) fn judged<T>(&self, made: Result<T, Error>) -> PyResult<T> {
        made.map_err(|error| error.about(self.name)).or_raise(self.value.py())
    }
}

/// The arguments of one call that were not taken by their first spelling.
pub(super) struct Aliases<'a, 'py> {
    function: &'static str,
    rest: Option<&'a Bound<'py, PyDict>>,
    used: Vec<&'static str>,
}

impl<'a, 'py> Aliases<'a, 'py> {
    pub(super) fn new(function: &'static str, rest: Option<&'a Bound<'py, PyDict>>) -> Self {
        Self { function, rest, used: Vec::new() }
    }

    /// The argument, under whichever spelling it came. Several spellings must agree.
    pub(super) fn find(
        &mut self,
        name: &'static str,
        given: Given<'py>,
        others: &[&'static str],
    ) -> PyResult<Option<Spelled<'py>>> {
        let mut found = given.0.map(|value| Spelled { name, value });
        let Some(rest) = self.rest else { return Ok(found) };
        for other in others {
            let Some(value) = rest.get_item(other)? else { continue };
            self.used.push(other);
            match &found {
                Some(first) if !first.value.eq(&value)? => {
                    return Err(PyTypeError::new_err(format!(
                        "{}() got two values for '{name}': another one as '{other}'",
                        self.function
                    )));
                }
                Some(_) => {}
                None => found = Some(Spelled { name: other, value }),
            }
        }
        Ok(found)
    }

    /// As [`Aliases::find`], for an argument that must be there.
    pub(super) fn require(
        &mut self,
        name: &'static str,
        given: Given<'py>,
        others: &[&'static str],
    ) -> PyResult<Spelled<'py>> {
        let function = self.function;
        self.find(name, given, others)?
            .ok_or_else(|| PyTypeError::new_err(format!("{function}() missing required argument: '{name}'")))
    }

    /// Refuse what nobody asked for.
    pub(super) fn finish(self) -> PyResult<()> {
        let names: Vec<String> = self.rest.map(|rest| rest.keys().extract()).transpose()?.unwrap_or_default();
        let Some(name) = names.iter().find(|name| !self.used.contains(&name.as_str())) else { return Ok(()) };
        Err(PyTypeError::new_err(format!("{}() got an unexpected keyword argument '{name}'", self.function)))
    }
}

/// A text argument.
pub(super) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.extract::<String>().map_err(|_| wrong_type(name, "str", value))
}

/// An argument of several texts; one text counts as one, never as its letters.
pub(super) fn texts(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str()?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] });
    }
    let wrong = || wrong_type(name, "a list of texts", value);
    let mut found = Vec::new();
    for item in value.try_iter().map_err(|_| wrong())? {
        let item = item?;
        let text = item.cast::<PyString>().map_err(|_| {
            let what = item.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
            PyTypeError::new_err(format!("{name} must be a list of texts, not one with {what} in it"))
        })?;
        found.push(text.to_str()?.to_owned());
    }
    Ok(found)
}

/// The error for an argument of the wrong type.
pub(super) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let given = value.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{name} must be {expected}, not {given}"))
}
