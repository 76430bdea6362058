//! Python values as JSON text, in the form that the original's encoder gives them (TB 5).

use pyo3::exceptions::{PyRecursionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::substitute::{Substitute, substitute};
use crate::dialect::thingsboard::{write_float, write_text};
pub(super) use crate::py::json::named;
use crate::py::leaving;

/// Levels of containers, after which a value is taken to hold itself.
const MAX_DEPTH: usize = 254;

/// Append a value; gives the length of its `str()`, by which the original judges sizes.
pub(super) fn write(value: &Bound<'_, PyAny>, out: &mut String) -> PyResult<usize> {
    Writer { depth: 0 }.write(value, out, false)
}

/// A whole text.
pub(super) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut text = String::new();
    leaving::within(value.py(), || write(value, &mut text))?;
    Ok(text)
}

/// Append a key as text; gives its length.
pub(super) fn write_key(key: &Bound<'_, PyAny>, out: &mut String) -> PyResult<usize> {
    let mut key = key.clone();
    for _ in 0..MAX_DEPTH {
        if let Ok(text) = key.cast::<PyString>() {
            return write_string(text, out);
        }
        let simple = key.is_none()
            || key.is_instance_of::<PyBool>()
            || key.is_instance_of::<PyInt>()
            || key.is_instance_of::<PyFloat>();
        if simple {
            let mut bare = String::new();
            let length = write(&key, &mut bare)?;
            write_text(&bare, out);
            return Ok(length);
        }
        let replaced = match substitute(&key)? {
            Substitute::Object(replaced) => replaced,
            Substitute::Number(_) | Substitute::Float(_) | Substitute::Null => key.str()?.into_any(),
        };
        if replaced.is_instance_of::<PyDict>() || replaced.is_instance_of::<PyList>() {
            return Err(PyTypeError::new_err(format!(
                "a key must be text or a number, not {}",
                key.get_type().name()?
            )));
        }
        key = replaced;
    }
    Err(too_deep())
}

fn too_deep() -> PyErr {
    PyRecursionError::new_err("a value is nested too deeply for JSON, or holds itself")
}

fn write_string(text: &Bound<'_, PyString>, out: &mut String) -> PyResult<usize> {
    let text = text.to_str().map_err(|_| PyTypeError::new_err("str is not valid UTF-8: surrogates not allowed"))?;
    write_text(text, out);
    Ok(text.chars().count())
}

struct Writer {
    depth: usize,
}

impl Writer {
    /// `inside` a container Python shows strings with quotes.
    fn write(&mut self, value: &Bound<'_, PyAny>, out: &mut String, inside: bool) -> PyResult<usize> {
        if let Ok(text) = value.cast::<PyString>() {
            return Ok(write_string(text, out)? + if inside { 2 } else { 0 });
        }
        if value.is_none() {
            out.push_str("null");
            return Ok(4);
        }
        if let Ok(flag) = value.cast::<PyBool>() {
            let text = if flag.is_true() { "true" } else { "false" };
            out.push_str(text);
            return Ok(text.len());
        }
        if value.is_instance_of::<PyInt>() {
            return integer(value, out);
        }
        if let Ok(number) = value.cast::<PyFloat>() {
            let before = out.len();
            let number = number.value();
            write_float(number, out);
            return Ok(if number.is_finite() { out.len() - before } else { value.str()?.len()? });
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return self.nested(|writer| writer.dict(dict, out));
        }
        if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            return self.nested(|writer| writer.sequence(value, out));
        }
        let length = value.str()?.len()?;
        match substitute(value)? {
            Substitute::Object(replaced) => drop(self.nested(|writer| writer.write(&replaced, out, inside))?),
            Substitute::Number(text) => out.push_str(&text),
            Substitute::Float(number) => write_float(number, out),
            Substitute::Null => out.push_str("null"),
        }
        Ok(length)
    }

    fn nested(&mut self, step: impl FnOnce(&mut Self) -> PyResult<usize>) -> PyResult<usize> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let length = step(self);
        self.depth -= 1;
        length
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>, out: &mut String) -> PyResult<usize> {
        let mut length = 2;
        out.push('{');
        for (at, (key, value)) in dict.iter().enumerate() {
            if at > 0 {
                out.push(',');
                length += 2;
            }
            let quotes = if key.is_instance_of::<PyString>() { 2 } else { 0 };
            length += write_key(&key, out)? + quotes + 2;
            out.push(':');
            length += self.write(&value, out, true)?;
        }
        out.push('}');
        Ok(length)
    }

    fn sequence(&mut self, sequence: &Bound<'_, PyAny>, out: &mut String) -> PyResult<usize> {
        let mut length = 2;
        out.push('[');
        for (at, value) in sequence.try_iter()?.enumerate() {
            if at > 0 {
                out.push(',');
                length += 2;
            }
            length += self.write(&value?, out, true)?;
        }
        out.push(']');
        Ok(length)
    }
}

fn integer(value: &Bound<'_, PyAny>, out: &mut String) -> PyResult<usize> {
    let before = out.len();
    // Integers of the operating system's enumerations and the like are shown by name: take the number.
    if let Ok(number) = value.extract::<i64>() {
        out.push_str(&number.to_string());
    } else {
        // The server keeps what is wider as text, digit by digit.
        let digits = value.py().get_type::<PyInt>().call_method1("__repr__", (value,))?;
        out.push_str(&digits.extract::<String>()?);
    }
    Ok(out.len() - before)
}

/// A value as JSON: what telemetry over HTTP is written with.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_to_json")]
pub(in crate::py) fn to_json_bytes<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), to_json(value)?.as_bytes()))
}

/// Text that holds JSON, as a Python value.
pub(super) fn parse<'py>(py: Python<'py>, text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    leaving::within(py, || py.import("json")?.call_method1("loads", (text,)))
}
