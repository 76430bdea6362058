//! Downlinks as a program gives them, checked before anything is sent (V3 2.6).

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::dialect::lorawan::{Network, check_correlation_id, priority};
use crate::py::arguments::{text, wrong_type};
use crate::py::convert::octets;
use crate::py::error::OrRaise as _;
use crate::py::json::{Spacing, dumps};
use crate::py::number::stack_port;
use crate::rpc::proto::{handler, v3};
use crate::rpc::to_struct;

/// What belongs to a downlink beside its payload.
#[derive(Default)]
pub(in super::super) struct Manner {
    pub(in super::super) confirmed: bool,
    pub(in super::super) priority: Option<String>,
    pub(in super::super) correlation_ids: Vec<String>,
}

/// A downlink of bytes, base64 text, or fields for the encoder.
pub(in super::super) fn downlink(
    payload: &Bound<'_, PyAny>,
    port: u8,
    manner: Manner,
) -> PyResult<v3::ApplicationDownlink> {
    let py = payload.py();
    let mut downlink = v3::ApplicationDownlink { confirmed: manner.confirmed, ..v3::ApplicationDownlink::default() };
    downlink.f_port = port.into();
    if let Some(name) = manner.priority {
        let priority = v3::TxSchedulePriority::from_str_name(priority(&name).or_raise(py)?);
        downlink.priority = priority.unwrap_or_default().into();
    }
    manner.correlation_ids.iter().try_for_each(|id| check_correlation_id(id)).or_raise(py)?;
    downlink.correlation_ids = manner.correlation_ids;
    if payload.is_instance_of::<PyDict>() {
        downlink.decoded_payload = Some(fields("payload", payload)?);
        return Ok(downlink);
    }
    let bytes = match payload.cast::<PyString>() {
        Ok(text) => crate::dialect::lorawan::base64::decode(text.to_str()?)
            .map_err(|error| PyValueError::new_err(format!("payload is not valid: expected base64 text ({error})")))?,
        Err(_) => octets("payload", payload)?
            .ok_or_else(|| wrong_type("payload", "bytes, a list of integers, base64 text or a dict", payload))?,
    };
    let most = Network::V3.max_payload_bytes();
    if !(1..=most).contains(&bytes.len()) {
        let text = format!("payload of {} bytes is not valid: expected 1 to {most} bytes", bytes.len());
        return Err(PyValueError::new_err(text));
    }
    downlink.frm_payload = bytes;
    Ok(downlink)
}

/// Several of them: each a dict with the arguments of one, or a payload alone.
pub(in super::super) fn downlinks(given: &Bound<'_, PyAny>) -> PyResult<Vec<v3::ApplicationDownlink>> {
    let items = given.try_iter().map_err(|_| wrong_type("downlinks", "a list of dicts", given))?;
    items.map(|item| one(&item?)).collect()
}

fn one(item: &Bound<'_, PyAny>) -> PyResult<v3::ApplicationDownlink> {
    let item = item.cast::<PyDict>().map_err(|_| wrong_type("a downlink", "a dict", item))?;
    let (mut payload, mut port, mut manner) = (None, 1, Manner::default());
    for (key, value) in item {
        match text("a key of a downlink", &key)?.as_str() {
            "payload" => payload = Some(value),
            "port" => port = stack_port(&value)?,
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
    downlink(&payload, port, manner)
}

/// Fields for the encoder.
fn fields(name: &str, value: &Bound<'_, PyAny>) -> PyResult<prost_types::Struct> {
    object(&dumps(name, value, Spacing::Compact)?)
}

fn object(text: &str) -> PyResult<prost_types::Struct> {
    let object = serde_json::from_str(text).map_err(|error| PyValueError::new_err(format!("fields: {error}")))?;
    Ok(to_struct(object))
}

/// What a dry run is to encode.
pub(super) fn dry(request: handler::DryDownlinkMessage) -> PyResult<v3::ApplicationDownlink> {
    let decoded_payload = if request.fields.is_empty() { None } else { Some(object(&request.fields)?) };
    Ok(v3::ApplicationDownlink {
        f_port: request.port,
        frm_payload: request.payload,
        decoded_payload,
        ..v3::ApplicationDownlink::default()
    })
}
