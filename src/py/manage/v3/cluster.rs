//! What a discovery server of V2 would tell of a cluster: nobody needs to be asked where that is.

use prost_reflect::DynamicMessage;
use pyo3::prelude::*;

use super::super::stub::message;
use super::calls::missing;
use crate::dialect::lorawan::{Network, hosted};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::ids::AppId;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place, PyRepeated, wrap};
use crate::rpc::message::descriptor;

const HANDLER: &str = "handler";
const EXPECTED: &str = "a name such as \"eu1\", or a host name";

/// The cluster that a discovery address stands for, of a hosted stack.
pub(in super::super) fn cluster_at(discovery_address: Option<&str>) -> Option<String> {
    let address = discovery_address?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    hosted::is_hosted(host).then(|| host.to_owned())
}

/// Where the servers of an application are in a cluster; of no particular one without `app_id`.
pub(in super::super) fn announcement(
    py: Python<'_>,
    cluster: &str,
    app_id: &str,
    insecure: bool,
) -> PyResult<DynamicMessage> {
    let (grpc, mqtt, scheme) = if insecure { (1884, 1883, "mqtt") } else { (8884, 8883, "mqtts") };
    if !app_id.is_empty() {
        AppId::new(app_id).and_then(|app_id| Network::V3.app_id(app_id, None)).or_raise(py)?;
    }
    let host = hosted::host(cluster, app_id).or_raise(py)?;
    let endpoint = Endpoint::parse_plain("cluster", &host, EXPECTED, grpc, !insecure).or_raise(py)?;
    let mqtt = Endpoint { port: mqtt, ..endpoint.clone() };
    let (net_address, mqtt_address) = (endpoint.to_string(), format!("{scheme}://{mqtt}"));
    let fields = [
        ("id", host.as_str()),
        ("service_name", HANDLER),
        ("net_address", &net_address),
        ("mqtt_address", &mqtt_address),
    ];
    Ok(message("discovery.Announcement", &fields))
}

/// A cluster that answers as a discovery server would.
pub(in super::super) struct Cluster {
    name: String,
    insecure: bool,
}

impl Cluster {
    /// The cluster of that name or host.
    pub(in super::super) fn new(py: Python<'_>, name: String, insecure: bool) -> PyResult<Self> {
        // Some are there for applications with a tenant alone.
        announcement(py, &name, "", insecure).or_else(|_| announcement(py, &name, "app@tenant", insecure))?;
        Ok(Self { name, insecure })
    }

    pub(in super::super) fn name(&self) -> &str {
        &self.name
    }

    /// The answer to a question for one component.
    pub(in super::super) fn answer(
        &self,
        py: Python<'_>,
        question: &str,
        request: &DynamicMessage,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let found = match question {
            "GetByAppID" => announcement(py, &self.name, &text(request, "app_id"), self.insecure)?,
            // The one handler is that of all applications.
            "GetByAppEUI" => announcement(py, &self.name, "", self.insecure)?,
            "GetByGatewayID" => {
                return Err(missing("get_by_gateway_id()", "gateways are at the cluster's own Gateway Server"));
            }
            _ => {
                let (service, id) = (text(request, "service_name"), text(request, "id"));
                let found = announcement(py, &self.name, "", self.insecure)?;
                if service != HANDLER || id != text(&found, "id") {
                    let details = format!("the cluster {} has no {service} {id:?}", self.name);
                    return Err(Error::rpc(crate::error::RpcCode::NotFound, details)).or_raise(py);
                }
                found
            }
        };
        Ok(Prepared::Ready(wrap(py, Place::new(found))?.unbind()))
    }

    /// A list of components.
    pub(in super::super) fn list(
        &self,
        py: Python<'_>,
        request: &DynamicMessage,
        limit: Option<u64>,
        offset: Option<u64>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let is_there = text(request, "service_name") == HANDLER && limit != Some(0) && offset.unwrap_or_default() == 0;
        let place = || Ok::<_, PyErr>(Place::new(announcement(py, &self.name, "", self.insecure)?));
        let places = is_there.then(place).transpose()?.into_iter().collect();
        let list = PyRepeated::whole(descriptor("discovery.Announcement"), places, None);
        Ok(Prepared::Ready(Py::new(py, list)?.into_any()))
    }
}

fn text(message: &DynamicMessage, name: &str) -> String {
    message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
