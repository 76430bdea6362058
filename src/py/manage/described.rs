//! Devices as programs describe them: V2's keys, and those that a network has beside them.

use prost::Message as _;
use prost_reflect::DynamicMessage;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::dictionary::{byte_length, merge};
use super::stub::message;
use crate::client::managed::Registration;
use crate::py::arguments::{text, wrong_type};
use crate::py::proto::PyMessage;
use crate::rpc::proto::handler;

/// Read a dictionary or a `Device`; gives the attributes without a value, too. `take` is given what the network's own keys
/// are, in snake_case; camelCase is taken as well.
pub(super) fn read<E: Default>(
    dev_id: &str,
    argument: &str,
    given: &Bound<'_, PyAny>,
    keys: &[&'static str],
    mut take: impl FnMut(&mut Registration<E>, &'static str, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<(Registration<E>, Vec<String>)> {
    let py = given.py();
    let mut registration = Registration { dev_id: dev_id.to_owned(), ..Registration::default() };
    let mut forgotten = Vec::new();
    let mut device = message("handler.Device", &[]);
    let rest = if given.cast::<PyMessage>().is_ok() {
        given.clone()
    } else {
        let items = given.call_method0("items").map_err(|_| wrong_type(argument, "a dict or a Device", given))?;
        let rest = PyDict::new(py);
        for item in items.try_iter()? {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
            let name = key.cast::<PyString>().map_err(|_| wrong_type("a key of the device", "str", &key))?;
            let name = name.to_str()?;
            match keys.iter().find(|known| **known == name || camel(known) == name) {
                Some(known) => take(&mut registration, known, &value)?,
                None => rest.set_item(&key, &value)?,
            }
            if name == "attributes"
                && let Ok(attributes) = value.cast::<PyDict>()
            {
                for (name, value) in attributes {
                    if value.is_none() {
                        forgotten.push(text("a name of an attribute", &name)?);
                    }
                }
            }
        }
        rest.into_any()
    };
    registration.named = merge(&mut device, argument, &rest)?;
    // What is empty is as good as left out, as ever.
    let bytes = |name: &str| byte_length(name).is_some();
    let lorawan = device.get_field_by_name("lorawan_device").map(std::borrow::Cow::into_owned);
    let has = |name: &str| {
        let lorawan = lorawan.as_ref().and_then(|part| part.as_message());
        lorawan.is_some_and(|part| {
            part.get_field_by_name(name).is_some_and(|value| value.as_bytes().is_none_or(|bytes| !bytes.is_empty()))
        })
    };
    registration.named.retain(|name| !bytes(name) || has(name));
    registration.device = plain(&device)?;
    Ok((registration, forgotten))
}

fn plain(device: &DynamicMessage) -> PyResult<handler::Device> {
    handler::Device::decode(device.encode_to_vec().as_slice()).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &part[..1].to_uppercase() + &part[1..])
}

/// A key that there is not.
pub(super) fn unknown(what: &str, key: &str, known: &str) -> PyErr {
    PyValueError::new_err(format!("unknown key {key:?} of {what}: expected some of {known}"))
}

/// Key and value of each item of a dict that is the value of a key.
pub(super) fn dict<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    value.cast::<PyDict>().cloned().map_err(|_| wrong_type(name, "a dict", value))
}

/// A value that is no good.
pub(super) fn not_valid(name: &str, given: &str, expected: &str) -> PyErr {
    PyValueError::new_err(format!("{name} {given:?} is not valid: expected {expected}"))
}
