//! Where the servers are: a client's constructor.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::super::identity::Identity;
use super::super::reply_bound::ReplyBound;
use super::super::stub::Connection;
use super::calls::{Calls, Servers, plain};
use super::dictionary;
use crate::client::stack::Defaults;
use crate::dialect::lorawan::region::{frequency_plan_id, identity_host};
use crate::dialect::lorawan::{Network, hosted};
use crate::endpoint::{Endpoint, Trust};
use crate::ids::AppId;
use crate::py::error::OrRaise as _;
use crate::rpc::Server;
use crate::rpc::proto::v3;
use crate::sync::Mutex;

/// Where the servers are, as a client's constructor is told.
#[derive(Default)]
pub(in super::super) struct Place {
    /// `host:port` of the cluster's gRPC servers; empty where the cluster says it.
    pub(in super::super) address: String,
    /// The cluster's name or host.
    pub(in super::super) cluster: Option<String>,
    /// `host:port` of the Identity Server.
    pub(in super::super) identity_address: Option<String>,
    pub(in super::super) certificate: Option<Vec<u8>>,
    /// What the program calls the certificate, where that is not `cert_content`.
    pub(in super::super) argument: Option<&'static str>,
    pub(in super::super) insecure: bool,
    pub(in super::super) frequency_plan_id: Option<String>,
    pub(in super::super) lorawan_version: Option<String>,
    pub(in super::super) lorawan_phy_version: Option<String>,
    pub(in super::super) largest: ReplyBound,
}

impl Place {
    /// Refuse what a client of another network cannot be told.
    pub(in super::super) fn refuse_but_on_v3(&self, network: Network) -> PyResult<()> {
        let foreign = [
            ("cluster", &self.cluster),
            ("identity_address", &self.identity_address),
            ("frequency_plan_id", &self.frequency_plan_id),
            ("lorawan_version", &self.lorawan_version),
            ("lorawan_phy_version", &self.lorawan_phy_version),
        ];
        let Some((name, _)) = foreign.into_iter().find(|(_, given)| given.is_some()) else { return Ok(()) };
        let text = format!("{name} is not an argument for {}: expected network=\"v3\" with it", network.title());
        Err(PyValueError::new_err(text))
    }
}

const EXPECTED: &str = "host:port, such as \"eu1.cloud.thethings.network:8884\"";

impl Calls {
    pub(in super::super) fn new(py: Python<'_>, identity: Identity, place: Place) -> PyResult<Self> {
        let whole = AppId::new(identity.app_id.clone()).and_then(|app_id| Network::V3.app_id(app_id, None));
        let whole = whole.or_raise(py)?;
        let app_id = plain(whole.as_str());
        let (port, tls) = if place.insecure { (1884, false) } else { (8884, true) };
        let parse = |what, address: &str| Endpoint::parse_plain(what, address, EXPECTED, port, tls).or_raise(py);
        let cluster = match &place.cluster {
            Some(cluster) => Some(parse("cluster", &hosted::host(cluster, &identity.app_id).or_raise(py)?)?),
            None => None,
        };
        let endpoint = match (&cluster, place.address.as_str()) {
            (None, "") => {
                return Err(PyValueError::new_err(
                    "no address: expected cluster=\"eu1\" (nam1, au1, or a host name) or handler_address=\"host:port\"",
                ));
            }
            (Some(cluster), "") => cluster.clone(),
            (_, address) => parse("handler_address", address)?,
        };
        // What the servers call themselves, however they are reached.
        let host = cluster.as_ref().unwrap_or(&endpoint).host.clone();
        let identity_endpoint = match &place.identity_address {
            Some(address) => parse("identity_address", address)?,
            None if identity_host(&host) == host => endpoint.clone(),
            None => Endpoint { host: identity_host(&host), ..endpoint.clone() },
        };
        let argument = place.argument.unwrap_or("cert_content");
        let trust = place.certificate.map_or(Trust::System, Trust::Pem);
        let address = endpoint.to_string();
        let same = identity_endpoint == endpoint;
        let connect =
            |endpoint| Connection::to(py, vec![endpoint], &trust, argument, place.largest, Server::probed_rarely);
        let identity_server = connect(identity_endpoint)?;
        let servers = if same { identity_server.clone() } else { connect(endpoint)? };
        let version = |what, given: Option<&String>, default: i32, find: fn(&str, &str) -> PyResult<i32>| {
            given.map_or(Ok(default), |given| find(what, given))
        };
        let defaults = Defaults {
            frequency_plan_id: place.frequency_plan_id.or_else(|| frequency_plan_id(&host).map(str::to_owned)),
            lorawan_version: version(
                "lorawan_version",
                place.lorawan_version.as_ref(),
                v3::MacVersion::MacV102.into(),
                dictionary::lorawan_version,
            )?,
            lorawan_phy_version: version(
                "lorawan_phy_version",
                place.lorawan_phy_version.as_ref(),
                v3::PhyVersion::PhyV102RevB.into(),
                dictionary::phy_version,
            )?,
            host,
        };
        let identity = Mutex::new(Identity { app_id: app_id.to_owned(), ..identity });
        let site = Servers { identity: identity_server, cluster: servers, defaults: Arc::new(defaults) };
        Ok(Self { identity, address, site })
    }
}
