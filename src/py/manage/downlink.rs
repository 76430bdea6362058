//! Downlinks as a program gives them, checked before anything is sent (V3 2.6, CS 4.4).

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::dialect::lorawan::{Network, base64, check_correlation_id, priority};
use crate::py::arguments::{text, wrong_type};
use crate::py::convert::octets;
use crate::py::error::OrRaise as _;
use crate::py::json::{Spacing, dumps};
use crate::py::number::downlink_port;
use crate::rpc::to_struct;

/// A downlink.
pub(super) struct Downlink {
    pub(super) payload: Payload,
    pub(super) port: u8,
    pub(super) manner: Manner,
}

/// What it carries.
pub(super) enum Payload {
    Raw(Vec<u8>),
    /// For the encoder.
    Fields(prost_types::Struct),
}

/// What belongs to a downlink beside its payload.
#[derive(Default)]
pub(super) struct Manner {
    pub(super) confirmed: bool,
    pub(super) priority: Option<String>,
    pub(super) correlation_ids: Vec<String>,
}

impl Manner {
    /// What a network has of it that knows neither priorities nor correlation IDs.
    fn check(&self, network: Network) -> PyResult<()> {
        if network == Network::V3 {
            return Ok(());
        }
        let given = [("priority", self.priority.is_some()), ("correlation_ids", !self.correlation_ids.is_empty())];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => {
                Err(PyValueError::new_err(format!("{name} is not valid on {}: its queue knows none", network.title())))
            }
            None => Ok(()),
        }
    }
}

/// A downlink of bytes, base64 text, or fields for the encoder.
pub(super) fn downlink(network: Network, payload: &Bound<'_, PyAny>, port: u8, manner: Manner) -> PyResult<Downlink> {
    let py = payload.py();
    manner.check(network)?;
    if let Some(name) = &manner.priority {
        priority(name).or_raise(py)?;
    }
    manner.correlation_ids.iter().try_for_each(|id| check_correlation_id(id)).or_raise(py)?;
    if payload.is_instance_of::<PyDict>() {
        return Ok(Downlink { payload: Payload::Fields(fields("payload", payload)?), port, manner });
    }
    let bytes = match payload.cast::<PyString>() {
        Ok(text) => base64::decode(text.to_str()?)
            .map_err(|error| PyValueError::new_err(format!("payload is not valid: expected base64 text ({error})")))?,
        Err(_) => octets("payload", payload)?
            .ok_or_else(|| wrong_type("payload", "bytes, a list of integers, base64 text or a dict", payload))?,
    };
    let most = network.max_payload_bytes();
    if !(1..=most).contains(&bytes.len()) {
        let text = format!("payload of {} bytes is not valid: expected 1 to {most} bytes", bytes.len());
        return Err(PyValueError::new_err(text));
    }
    Ok(Downlink { payload: Payload::Raw(bytes), port, manner })
}

/// Several of them: each a dict with the arguments of one, or a payload alone.
pub(super) fn downlinks(network: Network, given: &Bound<'_, PyAny>) -> PyResult<Vec<Downlink>> {
    let items = given.try_iter().map_err(|_| wrong_type("downlinks", "a list of dicts", given))?;
    items.map(|item| one(network, &item?)).collect()
}

fn one(network: Network, item: &Bound<'_, PyAny>) -> PyResult<Downlink> {
    let item = item.cast::<PyDict>().map_err(|_| wrong_type("a downlink", "a dict", item))?;
    let (mut payload, mut port, mut manner) = (None, 1, Manner::default());
    for (key, value) in item {
        match text("a key of a downlink", &key)?.as_str() {
            "payload" => payload = Some(value),
            "port" => port = downlink_port(network, &value)?,
            "confirmed" => manner.confirmed = value.extract().map_err(|_| wrong_type("confirmed", "bool", &value))?,
            "priority" => manner.priority = Some(text("priority", &value)?),
            "correlation_ids" => {
                let wrong = |_| wrong_type("correlation_ids", "a list of str", &value);
                manner.correlation_ids = value.extract().map_err(wrong)?;
            }
            other => {
                let expected = "payload, port, confirmed, priority, correlation_ids";
                return Err(PyValueError::new_err(format!(
                    "unknown key {other:?} of a downlink: expected some of {expected}"
                )));
            }
        }
    }
    let payload =
        payload.ok_or_else(|| PyValueError::new_err("a downlink has no payload: expected bytes or a dict"))?;
    downlink(network, &payload, port, manner)
}

/// Fields for the encoder.
fn fields(name: &str, value: &Bound<'_, PyAny>) -> PyResult<prost_types::Struct> {
    object(&dumps(name, value, Spacing::Compact)?)
}

/// The object of this JSON.
pub(super) fn object(text: &str) -> PyResult<prost_types::Struct> {
    let object = serde_json::from_str(text).map_err(|error| PyValueError::new_err(format!("fields: {error}")))?;
    Ok(to_struct(object))
}
