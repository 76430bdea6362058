//! What is shown of messages.

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::message::PyUplinkMessage;
use crate::py::shown::{LINE, cut, flat, pairs};

/// A value of a message with everything in it, as the original wrote it.
fn full(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(message) = value.cast::<PyUplinkMessage>() {
        return whole(value.py(), message.get());
    }
    match value.cast_exact::<PyList>() {
        Ok(list) => {
            let parts = list.iter().map(|element| full(&element)).collect::<PyResult<Vec<_>>>()?;
            Ok(format!("[{}]", parts.join(", ")))
        }
        Err(_) => Ok(value.repr()?.to_str()?.to_owned()),
    }
}

fn whole(py: Python<'_>, message: &PyUplinkMessage) -> PyResult<String> {
    // Containers were made when they were read, and may have been changed since.
    let parts = message
        .each(py)?
        .into_iter()
        .map(|(name, value)| Ok(format!("{}={}", name.as_str().unwrap_or_default(), full(&value)?)));
    Ok(format!("MSG({})", parts.collect::<PyResult<Vec<_>>>()?.join(", ")))
}

/// Characters of the longest value in a line.
const VALUE: usize = 39;
const REST: &str = ", …)";

/// A message in a line: all of it, if it fits, else the fields that do, in order, and what is inside of others left out.
fn line(py: Python<'_>, message: &PyUplinkMessage) -> PyResult<String> {
    let all = whole(py, message)?;
    if all.chars().count() <= LINE {
        return Ok(all);
    }
    let (mut text, mut before) = (String::from("MSG("), "");
    for (name, value) in message.each(py)? {
        let name = name.as_str().unwrap_or_default();
        // The device is known by its ID; what it has sent is looked for.
        if name == "hardware_serial" {
            continue;
        }
        let shown =
            if value.is_instance_of::<PyUplinkMessage>() { "MSG(…)".to_owned() } else { cut(&full(&value)?, VALUE) };
        let part = format!("{before}{name}={shown}");
        if text.chars().count() + part.chars().count() + REST.chars().count() > LINE {
            break;
        }
        text.push_str(&part);
        before = ", ";
    }
    text.push_str(if before.is_empty() { "…)" } else { REST });
    Ok(text)
}

#[pymethods(crate = "crate::py::named")]
impl PyUplinkMessage {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        line(py, self)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        whole(py, self)
    }

    fn _repr_html_(&self) -> String {
        let mut rows = Vec::new();
        flat("", self.value(), &mut rows);
        pairs("uplink", &rows)
    }
}
