//! pyo3 as its macros see it here: what reads the arguments of a call names the argument in the error for a wrong type.
//!
//! pyo3 itself tells an argument's name in a note beside the exception, which Python has from 3.11 on and which few logs
//! show. Every `#[pymethods(crate = "crate::py::named")]` and `#[pyfunction(crate = "crate::py::named")]` is given this module as its `crate`, so that whatever is read, by pyo3 or
//! by a function of ours, is told alike and on every version of Python: `app_id must be str, not int`. A test looks at all of
//! them (`tests/rust/architecture.rs`), others call every function of the package with wrong types.

use pyo3::exceptions::PyTypeError;
use pyo3::types::{PyAnyMethods as _, PyStringMethods as _, PyTypeMethods as _};

pub(in crate::py) use ::pyo3::*;

/// As pyo3's, but for the functions that read arguments.
pub(in crate::py) mod impl_ {
    pub(in crate::py) use ::pyo3::impl_::*;

    pub(in crate::py) mod extract_argument {
        use ::pyo3::{Borrowed, Bound, PyAny, PyResult};

        pub(in crate::py) use ::pyo3::impl_::extract_argument::*;

        /// An argument that must be there.
        pub(in crate::py) fn extract_argument<'a, 'holder, 'py, T, const IMPLEMENTS_FROMPYOBJECT: bool>(
            given: Borrowed<'a, 'py, PyAny>,
            holder: &'holder mut T::Holder,
            name: &str,
        ) -> PyResult<T>
        where
            T: PyFunctionArgument<'a, 'holder, 'py, IMPLEMENTS_FROMPYOBJECT>,
        {
            T::extract(given, holder).map_err(|error| super::super::told(name, given, error.into()))
        }

        /// An argument with a default.
        pub(in crate::py) fn extract_argument_with_default<'a, 'holder, 'py, T, const IMPLEMENTS_FROMPYOBJECT: bool>(
            given: Option<Borrowed<'a, 'py, PyAny>>,
            holder: &'holder mut T::Holder,
            name: &str,
            default: fn() -> T,
        ) -> PyResult<T>
        where
            T: PyFunctionArgument<'a, 'holder, 'py, IMPLEMENTS_FROMPYOBJECT>,
        {
            given.map_or_else(|| Ok(default()), |given| extract_argument(given, holder, name))
        }

        /// An argument that a function of ours reads.
        pub(in crate::py) fn from_py_with<'a, 'py, T>(
            given: &'a Bound<'py, PyAny>,
            name: &str,
            read: fn(&'a Bound<'py, PyAny>) -> PyResult<T>,
        ) -> PyResult<T> {
            read(given).map_err(|error| super::super::told(name, given.as_borrowed(), error))
        }

        /// Likewise, with a default.
        pub(in crate::py) fn from_py_with_with_default<'a, 'py, T>(
            given: Option<&'a Bound<'py, PyAny>>,
            name: &str,
            read: fn(&'a Bound<'py, PyAny>) -> PyResult<T>,
            default: fn() -> T,
        ) -> PyResult<T> {
            given.map_or_else(|| Ok(default()), |given| from_py_with(given, name, read))
        }
    }
}

/// The error of an argument: one of ours as it is, since it names the argument; one of pyo3's and of Python's own for a wrong
/// type in our form.
#[cold]
fn told(name: &str, given: Borrowed<'_, '_, PyAny>, error: PyErr) -> PyErr {
    let py = given.py();
    if !error.get_type(py).is(py.get_type::<PyTypeError>()) {
        return error;
    }
    let Ok(text) = error.value(py).str().map(|text| text.to_string_lossy().into_owned()) else { return error };
    let class = given.get_type().qualname().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
    match in_our_form(&text, &class) {
        Some(words) => PyTypeError::new_err(format!("{name} must be {words}")),
        None => error,
    }
}

/// What an argument must be, and what it is, by the text of an error; `class` is the argument's own.
fn in_our_form(text: &str, class: &str) -> Option<String> {
    let (expected, found) = if text == "Can't extract `str` to `Vec`" {
        ("list", "str")
    } else if let Some((found, expected)) = text.split_once(" is not an instance of '") {
        let found = found.strip_suffix(" object").unwrap_or(found).trim_matches('\'');
        (expected.strip_suffix('\'')?, if found == "None" { "NoneType" } else { found })
    } else if let Some((found, _)) = text.split_once("' object cannot be interpreted as an integer") {
        ("int", found.strip_prefix('\'')?)
    } else if let Some(found) = text.strip_prefix("must be real number, not ") {
        ("a number", found)
    } else {
        // Of paths.
        text.strip_prefix("expected ")?.split_once(" object, not ")?
    };
    let expected = match expected {
        "Sequence" => "list",
        "Mapping" => "dict",
        other => other,
    };
    Some(if found == class {
        format!("{expected}, not {found}")
    } else {
        // Of something that is inside of it.
        format!("a {class} of {expected}, not one with {found} in it")
    })
}

#[cfg(test)]
mod tests {
    use super::in_our_form;

    #[track_caller]
    fn told(text: &str, class: &str, words: &str) {
        assert_eq!(in_our_form(text, class).as_deref(), Some(words));
    }

    #[test]
    fn wrong_types_in_one_form() {
        told("'int' object is not an instance of 'str'", "int", "str, not int");
        told("'None' is not an instance of 'str'", "NoneType", "str, not NoneType");
        told("'int' object is not an instance of 'str'", "list", "a list of str, not one with int in it");
        told("'None' is not an instance of 'str'", "list", "a list of str, not one with NoneType in it");
        told("'int' object is not an instance of 'Sequence'", "int", "list, not int");
        told("Can't extract `str` to `Vec`", "str", "list, not str");
        told("'Shop.Pump' object is not an instance of 'bytes'", "Shop.Pump", "bytes, not Shop.Pump");
        told("'float' object cannot be interpreted as an integer", "float", "int, not float");
        told("must be real number, not str", "str", "a number, not str");
        let paths = "str, bytes or os.PathLike, not int";
        told("expected str, bytes or os.PathLike object, not int", "int", paths);
        assert_eq!(in_our_form("app_id must be str, not int", "int"), None);
    }
}
