//! What a discovery server of V2 would tell of networks where nobody needs to be asked.

use prost_reflect::DynamicMessage;
use pyo3::prelude::*;

use super::stub::message;
use crate::error::{Error, RpcCode};
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place, PyRepeated, wrap};
use crate::rpc::message::descriptor;

const HANDLER: &str = "handler";

/// A network that is known without being asked.
pub(super) trait Known: Send + Sync {
    /// Where the servers of an application are; of no particular one where that is empty.
    fn announcement(&self, py: Python<'_>, app_id: &str) -> PyResult<DynamicMessage>;

    /// What it is, as the end of "… has no router".
    fn title(&self) -> String;

    /// What stands in a client's `repr`.
    fn shown(&self) -> String;

    /// Why nobody tells where a gateway belongs.
    fn no_gateways(&self) -> PyErr;
}

/// The announcement of a network's one handler.
pub(super) fn announcement(id: &str, net_address: &str, mqtt_address: &str) -> DynamicMessage {
    let fields = [("id", id), ("service_name", HANDLER), ("net_address", net_address), ("mqtt_address", mqtt_address)];
    message("discovery.Announcement", &fields)
}

/// The answer to a question for one component.
pub(super) fn answer(
    known: &dyn Known,
    py: Python<'_>,
    question: &str,
    request: &DynamicMessage,
) -> PyResult<Prepared<Py<PyAny>>> {
    let found = match question {
        "GetByAppID" => known.announcement(py, &text(request, "app_id"))?,
        // The one handler is that of all applications.
        "GetByAppEUI" => known.announcement(py, "")?,
        "GetByGatewayID" => return Err(known.no_gateways()),
        _ => {
            let (service, id) = (text(request, "service_name"), text(request, "id"));
            let found = known.announcement(py, "")?;
            if service != HANDLER || id != text(&found, "id") {
                let details = format!("{} has no {service} {id:?}", known.title());
                return Err(Error::rpc(RpcCode::NotFound, details)).or_raise(py);
            }
            found
        }
    };
    Ok(Prepared::Ready(wrap(py, Place::new(found))?.unbind()))
}

/// A list of components.
pub(super) fn list(
    known: &dyn Known,
    py: Python<'_>,
    request: &DynamicMessage,
    limit: Option<u64>,
    offset: Option<u64>,
) -> PyResult<Prepared<Py<PyAny>>> {
    let is_there = text(request, "service_name") == HANDLER && limit != Some(0) && offset.unwrap_or_default() == 0;
    let place = || Ok::<_, PyErr>(Place::new(known.announcement(py, "")?));
    let places = is_there.then(place).transpose()?.into_iter().collect();
    let list = PyRepeated::whole(descriptor("discovery.Announcement"), places, None);
    Ok(Prepared::Ready(Py::new(py, list)?.into_any()))
}

fn text(message: &DynamicMessage, name: &str) -> String {
    message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
