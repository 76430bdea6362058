//! Arguments of the LoRaWAN clients as values of the core: payloads, downlinks, names.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::message::PyUplinkMessage;
use crate::dialect::lorawan::{Downlink, Network, Payload, Schedule};
use crate::ids::DevId;
use crate::py::arguments::{Aliases, Given, Spelled, wrong_type};
use crate::py::convert::octets;
use crate::py::error::OrRaise as _;
use crate::py::json::{Spacing, dumps};
use crate::py::number::whole;

/// The payload of a downlink: bytes in any form, text in base64 or hex, or fields as a dict or a message. The network drops
/// anything else without a word.
pub(super) fn payload(given: &Spelled<'_>) -> PyResult<Payload> {
    let Spelled { name, value } = given;
    if let Ok(text) = value.cast::<PyString>() {
        return given.judged(Payload::from_text(text.to_str()?));
    }
    if let Ok(message) = value.cast::<PyUplinkMessage>() {
        return Ok(Payload::Fields(message.get().value().raw().to_owned()));
    }
    if !value.is_instance_of::<PyDict>() {
        let bytes = octets(name, value)?.ok_or_else(|| {
            let expected = "bytes, a list of integers from 0 to 255, text in base64 or hex, or a dict of fields";
            wrong_type(name, expected, value)
        })?;
        return Ok(Payload::from_bytes(&bytes));
    }
    // To the letter what the original would have sent.
    dumps(name, value, Spacing::Python).map(Payload::Fields)
}

/// An optional device ID of the network.
pub(in crate::py) fn optional_device(
    py: Python<'_>,
    network: Network,
    dev_id: Option<String>,
) -> PyResult<Option<DevId>> {
    dev_id.map(|dev_id| network.dev_id(dev_id).or_raise(py)).transpose()
}

/// The port of a downlink.
pub(in crate::py) fn fport(network: Network, given: &Bound<'_, PyAny>) -> PyResult<u8> {
    // What does not even fit is refused by the network in its own words.
    whole("port", given, |number| network.port(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// The arguments of `send` in any of their spellings, as a downlink.
pub(in crate::py) fn downlink<'py>(
    network: Network,
    aliases: &mut Aliases<'_, 'py>,
    payload_argument: Given<'py>,
    port: &Bound<'py, PyAny>,
    confirmation: Given<'py>,
    schedule: Given<'py>,
) -> PyResult<Downlink> {
    let data = aliases.require("payload", payload_argument, &["pay"])?;
    let confirmed = match aliases.find("confirmation", confirmation, &["conf", "confirmed"])? {
        Some(confirmed) => confirmed.flag()?,
        None => false,
    };
    let schedule = match aliases.find("schedule", schedule, &["sched"])? {
        Some(schedule) if !schedule.value.is_none() => schedule.judged(schedule.text()?.parse())?,
        _ => Schedule::Replace,
    };
    let port = fport(network, port)?;
    Ok(Downlink { port, confirmed, schedule, payload: payload(&data)?, options: None })
}

/// Whether a text may be a part of a topic.
fn is_plain(text: &str) -> bool {
    !text.contains(['+', '#']) && !text.contains(char::is_control)
}

/// The name of an event of the network in any of its spellings, or `None` for all.
pub(in crate::py) fn event_name(network: Network, name: Option<String>) -> PyResult<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    if name.is_empty() || !is_plain(&name) || name.starts_with('/') {
        let known = network.event_names().join(", ");
        let text = format!("event {name:?} is not valid: expected one such as {known}, or None for all");
        return Err(PyValueError::new_err(text));
    }
    Ok(Some(network.event_name(&name).map_or(name, str::to_owned)))
}

/// The path of a payload field.
pub(in crate::py) fn field_path(field: String) -> PyResult<String> {
    if field.is_empty() || !is_plain(&field) || field.split('/').any(str::is_empty) {
        let text = format!(
            "field {field:?} is not valid: expected a field's name, levels joined by '/', such as \"tank/level\""
        );
        return Err(PyValueError::new_err(text));
    }
    Ok(field)
}
