//! Where the gRPC servers are that belong to an MQTT server of The Things Stack V3.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::client::lorawan::Management;
use crate::dialect::lorawan::region::identity_host;
use crate::dialect::lorawan::{Network, hosted};
use crate::endpoint::{Endpoint, Trust};
use crate::py::error::OrRaise as _;

const EXPECTED: &str = "host:port, such as \"eu1.cloud.thethings.network:8884\"";
const IDENTITY: &str = "an address beside the cluster's own management_address, which is not known here";

/// At the addresses that were given, else on the cluster's or hosted server's own `host`; nowhere on V2.
pub(in crate::py) fn management(
    py: Python<'_>,
    network: Network,
    (given, identity): (Option<&str>, Option<&str>),
    (host, is_cluster): (Option<&str>, bool),
    insecure: bool,
    trust: Trust,
) -> PyResult<Option<Management>> {
    if network != Network::V3 {
        let names = [("management_address", given), ("identity_address", identity)];
        return match names.into_iter().find(|(_, given)| given.is_some()) {
            Some((name, _)) => Err(PyValueError::new_err(format!("{name} is not valid on {}", network.title()))),
            None => Ok(None),
        };
    }
    let known = host.filter(|host| is_cluster || hosted::is_hosted(host));
    let Some(address) = given.or(known) else {
        return match identity {
            Some(identity) => {
                Err(PyValueError::new_err(format!("identity_address {identity:?} is not valid: expected {IDENTITY}")))
            }
            None => Ok(None),
        };
    };
    let (port, tls) = if insecure { (1884, false) } else { (8884, true) };
    let cluster = Endpoint::parse_plain("management_address", address, EXPECTED, port, tls).or_raise(py)?;
    let identity = match identity {
        Some(address) => Endpoint::parse_plain("identity_address", address, EXPECTED, port, tls).or_raise(py)?,
        None => Endpoint { host: identity_host(&cluster.host), ..cluster.clone() },
    };
    Ok(Some(Management { cluster, identity, trust }))
}
