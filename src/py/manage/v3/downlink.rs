//! Downlinks as a program gives them, checked before anything is sent (V3 2.6).

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::client::stack::MAX_PAYLOAD;
use crate::py::arguments::{text, wrong_type};
use crate::py::convert::octets;
use crate::py::json::{Spacing, dumps};
use crate::rpc::proto::{handler, v3};
use crate::rpc::to_struct;

/// Longest correlation ID, in characters.
const CORRELATION: usize = 100;

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
    port: i64,
    manner: Manner,
) -> PyResult<v3::ApplicationDownlink> {
    let mut downlink = v3::ApplicationDownlink { confirmed: manner.confirmed, ..v3::ApplicationDownlink::default() };
    downlink.f_port =
        u32::try_from(port).ok().filter(|port| (1..=255).contains(port) && *port != 224).ok_or_else(|| {
            PyValueError::new_err(format!("port {port} is not valid: expected a LoRaWAN FPort, 1 to 255, but not 224"))
        })?;
    if let Some(name) = manner.priority {
        let priority = v3::TxSchedulePriority::from_str_name(&name.to_ascii_uppercase()).ok_or_else(|| {
            let expected = "LOWEST, LOW, BELOW_NORMAL, NORMAL, ABOVE_NORMAL, HIGH or HIGHEST";
            PyValueError::new_err(format!("priority {name:?} is not valid: expected {expected}"))
        })?;
        downlink.priority = priority.into();
    }
    if let Some(long) = manner.correlation_ids.iter().find(|id| id.is_empty() || id.chars().count() > CORRELATION) {
        let text = format!("a correlation ID {long:?} is not valid: expected 1 to {CORRELATION} characters");
        return Err(PyValueError::new_err(text));
    }
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
    if !(1..=MAX_PAYLOAD).contains(&bytes.len()) {
        let text = format!("payload of {} bytes is not valid: expected 1 to {MAX_PAYLOAD} bytes", bytes.len());
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
            "port" => port = value.extract().map_err(|_| wrong_type("port", "int", &value))?,
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
