//! Downlinks as this network takes them (V3 2.6).

use pyo3::prelude::*;

use super::super::downlink::{Downlink, Payload, object};
use crate::dialect::lorawan::priority;
use crate::py::error::OrRaise as _;
use crate::rpc::proto::{handler, v3};

/// One for a device's queue.
pub(super) fn downlink(py: Python<'_>, given: Downlink) -> PyResult<v3::ApplicationDownlink> {
    let Downlink { payload, port, manner } = given;
    let mut downlink = v3::ApplicationDownlink { confirmed: manner.confirmed, ..v3::ApplicationDownlink::default() };
    downlink.f_port = port.into();
    downlink.correlation_ids = manner.correlation_ids;
    if let Some(name) = manner.priority {
        let priority = v3::TxSchedulePriority::from_str_name(priority(&name).or_raise(py)?);
        downlink.priority = priority.unwrap_or_default().into();
    }
    match payload {
        Payload::Raw(bytes) => downlink.frm_payload = bytes,
        Payload::Fields(fields) => downlink.decoded_payload = Some(fields),
    }
    Ok(downlink)
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
