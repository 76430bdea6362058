//! Messages out of JSON text, and out of Python values.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::event;
use super::message::PyUplinkMessage;
use crate::dialect::json::{Document, Kind};
use crate::dialect::lorawan::{About, Network, Topic};
use crate::py::acknowledging::Acknowledgement;
use crate::py::error::{OrRaise as _, decode_error};
use crate::py::leaving;
use crate::py::value::{Objects, to_py};

/// A message of Python values, by way of JSON.
pub(super) fn from_python(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<PyUplinkMessage> {
    let options = PyDict::new(py);
    options.set_item("default", py.get_type::<PyUplinkMessage>().getattr("_json_default")?)?;
    let text = leaving::within(py, || py.import("json")?.call_method("dumps", (object,), Some(&options)))?;
    let text: String = text.extract()?;
    let document = Document::parse(text.as_bytes()).map_err(|error| decode_error(py, error.to_string()))?;
    Ok(PyUplinkMessage::new(Arc::new(document), 0))
}

/// Read a JSON text as a message callback would get it: objects become messages, anything else the plain value.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_parse_message", signature = (data, network="v2"))]
pub(in crate::py) fn parse_message<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    network: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let network = network.parse().or_raise(py)?;
    let bytes: Vec<u8> =
        if let Ok(text) = data.cast::<PyString>() { text.to_str()?.as_bytes().to_vec() } else { data.extract()? };
    let document = Document::parse(&bytes).map_err(|error| decode_error(py, error.to_string()))?;
    body_to_py(py, network, &Arc::new(document), Acknowledgement::default())
}

/// The body of a message as callbacks get it.
pub(super) fn body_to_py<'py>(
    py: Python<'py>,
    network: Network,
    document: &Arc<Document>,
    acknowledgement: Acknowledgement,
) -> PyResult<Bound<'py, PyAny>> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return to_py(py, document, root, Objects::Messages);
    }
    let message = PyUplinkMessage::from_network(network, document.clone(), acknowledgement);
    Ok(Bound::new(py, message)?.into_any())
}

/// A message on this topic as programs get it.
pub(in crate::py) fn document_to_py<'py>(
    py: Python<'py>,
    network: Network,
    about: &About<'_>,
    document: &Arc<Document>,
    acknowledgement: Acknowledgement,
) -> PyResult<Bound<'py, PyAny>> {
    match about.topic {
        Topic::Event { .. } => event::new(py, network, about, document.clone(), acknowledgement),
        Topic::Field { field, .. } => {
            field_to_py(py, network, field, about, document, document.root().index(), acknowledgement)
        }
        Topic::Uplink { .. } | Topic::Downlink { .. } => body_to_py(py, network, document, acknowledgement),
    }
}

/// The single field of an uplink that stands at `index`.
pub(in crate::py) fn field_to_py<'py>(
    py: Python<'py>,
    network: Network,
    field: &str,
    about: &About<'_>,
    document: &Arc<Document>,
    index: u32,
    acknowledgement: Acknowledgement,
) -> PyResult<Bound<'py, PyAny>> {
    let (document, index) = match network.field_in_v2_shape(document.value(index)) {
        None => (document.clone(), index),
        Some(text) => {
            let shaped = Document::parse(text.as_bytes()).map_err(|error| decode_error(py, error.to_string()))?;
            (Arc::new(shaped), 0)
        }
    };
    let value = event::PyFieldValue::new(field, about, document, index, acknowledgement);
    Ok(Bound::new(py, value)?.into_any())
}
