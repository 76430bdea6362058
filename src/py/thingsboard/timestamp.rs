//! Times of telemetry (TB 1.3). The server hangs up over a time that it cannot read, so it is looked at before anything is
//! sent.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString, PyType};

use crate::dialect::thingsboard::write_float;

/// Milliseconds beyond which the server's integers end.
const END: f64 = 9_223_372_036_854_775_808.0;

/// Append a time as the number of its milliseconds; gives its length. Numbers stay as they are, a numeric text becomes one;
/// a `datetime` without a zone is local time.
pub(super) fn write_ts(ts: &Bound<'_, PyAny>, out: &mut String) -> PyResult<usize> {
    let before = out.len();
    match number(ts)? {
        Some(Number::Whole(number)) => out.push_str(&number.to_string()),
        Some(Number::Fraction(number)) => write_float(number, out),
        None => {
            let text = format!(
                "telemetry \"ts\" {} is not valid: expected milliseconds since 1970 as a number or numeric text, or a datetime",
                ts.repr()?
            );
            return Err(PyTypeError::new_err(text));
        }
    }
    Ok(out.len() - before)
}

enum Number {
    Whole(i64),
    Fraction(f64),
}

fn number(ts: &Bound<'_, PyAny>) -> PyResult<Option<Number>> {
    if ts.is_exact_instance_of::<PyInt>() {
        return Ok(ts.extract().ok().map(Number::Whole));
    }
    if let Ok(fraction) = ts.cast::<PyFloat>() {
        return Ok(finite(fraction.value()));
    }
    if let Ok(text) = ts.cast::<PyString>() {
        let text = text.to_str()?.trim();
        return Ok(text.parse().map(Number::Whole).ok().or_else(|| finite(text.parse().ok()?)));
    }
    if ts.is_instance_of::<PyBool>() {
        return Ok(None);
    }
    if is_datetime(ts)? {
        // By way of microseconds, which a float holds exactly: those of milliseconds would be off by one now and then.
        let micros = (ts.call_method0("timestamp")?.extract::<f64>()? * 1e6).round();
        #[expect(clippy::cast_possible_truncation, reason = "years 1 to 9999")]
        return Ok(Some(Number::Whole((micros as i64).div_euclid(1000))));
    }
    // Scalars of numpy: their kind is told by one letter.
    let kind = ts.getattr("dtype").and_then(|dtype| dtype.getattr("kind")?.extract::<String>());
    match kind.as_deref() {
        Ok("b") => return Ok(None),
        Ok("M") => {
            let millis = ts.call_method1("astype", ("datetime64[ms]",))?.call_method1("astype", ("int64",))?;
            // What stands for no time at all is the least of all numbers.
            return Ok(millis.extract().ok().filter(|millis| *millis != i64::MIN).map(Number::Whole));
        }
        _ => {}
    }
    Ok(ts.extract().map(Number::Whole).ok().or_else(|| finite(ts.extract().ok()?)))
}

fn finite(number: f64) -> Option<Number> {
    (number.abs() < END).then_some(Number::Fraction(number))
}

fn is_datetime(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    value.is_instance(CLASS.import(value.py(), "datetime", "datetime")?)
}
