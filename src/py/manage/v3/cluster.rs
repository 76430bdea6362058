//! What a discovery server of V2 would tell of a cluster: nobody needs to be asked where that is.

use prost_reflect::DynamicMessage;
use pyo3::prelude::*;

use super::super::known::{self, Known};
use super::super::tasks::missing;
use super::calls::Servers;
use crate::dialect::lorawan::{Network, hosted};
use crate::endpoint::Endpoint;
use crate::ids::AppId;
use crate::py::error::OrRaise as _;

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
    Ok(known::announcement(&host, &endpoint.to_string(), &format!("{scheme}://{mqtt}")))
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
}

impl Known for Cluster {
    fn announcement(&self, py: Python<'_>, app_id: &str) -> PyResult<DynamicMessage> {
        announcement(py, &self.name, app_id, self.insecure)
    }

    fn title(&self) -> String {
        format!("the cluster {}", self.name)
    }

    fn shown(&self) -> String {
        format!("cluster='{}' network='v3'", self.name)
    }

    fn no_gateways(&self) -> PyErr {
        missing::<Servers>("get_by_gateway_id()", "gateways are at the cluster's own Gateway Server")
    }
}
