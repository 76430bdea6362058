//! What the constructor of a management client is given, read; who is to be asked for the rest of it is asked later. So one
//! constructor serves programs that wait and programs that await.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::application::PyApplicationClient;
use super::chirpstack;
use super::discovery::{Discovery, PyDiscoveryClient, pem};
use super::handler::{Plant, PyHandlerClient, State};
use super::identity::{Identity, Server, announced_server, secret};
use super::known::Known as _;
use super::reply_bound::ReplyBound;
use super::v3;
use super::way::Way;
use crate::dialect::lorawan::Network;
use crate::ids::{AccessKey, AppId};
use crate::py::arguments::{Aliases, Given, text};
use crate::py::convert::trust;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place, wrap};

/// The arguments of ``ApplicationClient``; under its name, which errors tell.
#[pyclass(frozen, name = "ApplicationClient", module = "thingslink._native")]
pub(super) struct PyApplicationGiven(Application);

enum Application {
    /// Nothing is missing.
    At(Way),
    /// A discovery server is to say where.
    Discovered { identity: Identity, discovery: Box<Discovery>, timeout: Option<Py<PyAny>> },
}

impl PyApplicationGiven {
    /// Ask for what is missing.
    pub(super) fn open(&self, py: Python<'_>) -> PyResult<Prepared<Way>> {
        let (identity, discovery, timeout) = match &self.0 {
            Application::At(way) => return Ok(Prepared::Ready(way.clone())),
            Application::Discovered { identity, discovery, timeout } => (identity.clone(), discovery, timeout),
        };
        let timeout = timeout.as_ref().map(|timeout| timeout.bind(py).clone());
        let (insecure, largest) = (discovery.insecure, discovery.largest);
        let asked = PyDiscoveryClient::announcement(py, &identity.app_id, discovery, timeout.as_ref())?;
        asked.map(py, move |py, announcement| {
            Way::handler_at(py, identity, announced_server(&announcement, insecure, largest)?)
        })
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyApplicationGiven {
    #[new]
    #[pyo3(signature = (
        app_id, access_key=Given(None), handler_address=Given(None), cert_content=None,
        discovery_address=None, *, insecure_channel=false, token=None,
        discovery_certificate=None, timeout=None, network=None, cluster=None, identity_address=None,
        frequency_plan_id=None, lorawan_version=None, lorawan_phy_version=None, tenant_id=None, profile=None,
        max_reply_bytes=ReplyBound::default(), **aliases
    ))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: &Bound<'py, PyAny>,
        access_key: Given<'py>,
        handler_address: Given<'py>,
        cert_content: Option<Bound<'py, PyAny>>,
        discovery_address: Option<&str>,
        insecure_channel: bool,
        token: Option<Bound<'py, PyAny>>,
        discovery_certificate: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        network: Option<&str>,
        cluster: Option<String>,
        identity_address: Option<String>,
        frequency_plan_id: Option<String>,
        lorawan_version: Option<String>,
        lorawan_phy_version: Option<String>,
        tenant_id: Option<String>,
        profile: Option<String>,
        max_reply_bytes: ReplyBound,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let mut aliases = Aliases::new("ApplicationClient", aliases);
        let key = aliases.require("access_key", access_key, &["app_access_key"])?;
        let address = match aliases.find("handler_address", handler_address, &["net_address", "grpc_address"])? {
            Some(address) if !address.value.is_none() => address.text()?,
            _ => String::new(),
        };
        aliases.finish()?;
        let app_id = text("app_id", app_id)?;
        let (key, token) = (secret(key.name, &key.value)?, token.map_or(Ok(None), |token| secret("token", &token))?);
        let key_or_token = token.as_deref().or(key.as_deref());
        let network = network_of(py, network, cluster.as_deref(), &address, key_or_token, &app_id)?;
        let identity = Identity { app_id, key, token };
        let at = v3::At {
            cluster,
            identity_address,
            insecure: insecure_channel,
            frequency_plan_id,
            lorawan_version,
            lorawan_phy_version,
            largest: max_reply_bytes,
            ..v3::At::default()
        };
        let own = chirpstack::At { argument: "handler_address", tenant_id, profile, ..chirpstack::At::default() };
        own.refuse_elsewhere(network)?;
        if network != Network::V3 {
            at.refuse_but_on_v3(network)?;
        }
        if network == Network::ChirpStack {
            let certificate = pem("cert_content", cert_content.as_ref())?;
            let own = chirpstack::At {
                address,
                certificate,
                trusting_by: "cert_content",
                insecure: insecure_channel,
                largest: max_reply_bytes,
                ..own
            };
            return Ok(Self(Application::At(Way::api_at(py, identity, own)?)));
        }
        if network == Network::V3 {
            let certificate = pem("cert_content", cert_content.as_ref())?;
            let at = v3::At { address, certificate, ..at };
            return Ok(Self(Application::At(Way::stack_at(py, identity, at)?)));
        }
        if address.is_empty() {
            AppId::new(identity.app_id.as_str()).or_raise(py)?;
            // What is given as the certificate does not count then: programs of the original pass anything here.
            let certificate = pem("discovery_certificate", discovery_certificate.as_ref())?;
            let discovery = Discovery::new(discovery_address, certificate, insecure_channel);
            let discovery = Discovery { largest: max_reply_bytes, ..discovery };
            let timeout = timeout.map(Bound::unbind);
            return Ok(Self(Application::Discovered { identity, discovery: Box::new(discovery), timeout }));
        }
        let certificate = pem("cert_content", cert_content.as_ref())?;
        let server = Server { address, certificate, insecure: insecure_channel, largest: max_reply_bytes };
        Ok(Self(Application::At(Way::handler_at(py, identity, server)?)))
    }

    /// Application ID.
    #[getter]
    fn app_id(&self) -> String {
        match &self.0 {
            Application::At(way) => way.identity().lock().app_id.clone(),
            Application::Discovered { identity, .. } => identity.app_id.clone(),
        }
    }

    /// A client, if nothing is missing.
    fn known(&self) -> Option<PyApplicationClient> {
        match &self.0 {
            Application::At(way) => Some(PyApplicationClient::new_at(way.clone())),
            Application::Discovered { .. } => None,
        }
    }

    /// A client, when what was missing is known.
    fn open_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.open(py)?.map(py, |py, way| Py::new(py, PyApplicationClient::new_at(way)))?.future(py)
    }
}

/// The network that a client manages: by what is said outright, by where it goes, by its key or its application.
fn network_of(
    py: Python<'_>,
    network: Option<&str>,
    cluster: Option<&str>,
    address: &str,
    key: Option<&str>,
    app_id: &str,
) -> PyResult<Network> {
    if let Some(network) = network {
        return network.parse().or_raise(py);
    }
    if cluster.is_some() {
        return Ok(Network::V3);
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Ok(Network::of(&AccessKey::new(key.unwrap_or_default()), Some(host), app_id))
}

/// The arguments of ``HandlerClient``; under its name, which errors tell.
#[pyclass(frozen, name = "HandlerClient", module = "thingslink._native")]
pub(super) struct PyHandlerGiven {
    identity: Identity,
    discovery: Discovery,
    timeout: Option<Py<PyAny>>,
    cluster: Option<String>,
    plant: Option<Plant>,
}

impl PyHandlerGiven {
    /// Ask who the handler is.
    pub(super) fn open(&self, py: Python<'_>) -> PyResult<Prepared<PyHandlerClient>> {
        let Self { identity, discovery, timeout, cluster, plant } = self;
        let asked = if let Some(plant) = plant {
            Prepared::Ready(plant.at.announcement(py, &identity.app_id)?)
        } else if let Some(cluster) = cluster {
            Prepared::Ready(v3::announcement(py, cluster, &identity.app_id, discovery.insecure)?)
        } else {
            let timeout = timeout.as_ref().map(|timeout| timeout.bind(py).clone());
            PyDiscoveryClient::announcement(py, &identity.app_id, discovery, timeout.as_ref())?
        };
        let (Identity { app_id, key, token }, discovery) = (identity.clone(), discovery.clone());
        let (cluster, plant) = (cluster.clone(), plant.clone());
        asked.map(py, move |py, announcement| {
            let announcement = Some(wrap(py, Place::new(announcement))?.unbind());
            let insecure = discovery.insecure;
            Ok(PyHandlerClient::of(discovery, State { app_id, key, token, insecure, announcement, cluster, plant }))
        })
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyHandlerGiven {
    #[new]
    #[pyo3(signature = (
        app_id, access_key=Given(None), discovery_address=None, cert_path=None,
        insecure_channel=false, *, token=None, timeout=None, cluster=None, network=None, grpc_address=None,
        mqtt_address=None, tenant_id=None, max_reply_bytes=ReplyBound::default(), **aliases
    ))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: &Bound<'py, PyAny>,
        access_key: Given<'py>,
        discovery_address: Option<&str>,
        cert_path: Option<Bound<'py, PyAny>>,
        insecure_channel: bool,
        token: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        cluster: Option<String>,
        network: Option<&str>,
        grpc_address: Option<&str>,
        mqtt_address: Option<&str>,
        tenant_id: Option<String>,
        max_reply_bytes: ReplyBound,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let mut aliases = Aliases::new("HandlerClient", aliases);
        let key = aliases.require("access_key", access_key, &["app_access_key"])?;
        aliases.finish()?;
        let app_id = text("app_id", app_id)?;
        AppId::new(app_id.as_str()).or_raise(py)?;
        let (key, token) = (secret(key.name, &key.value)?, token.map_or(Ok(None), |token| secret("token", &token))?);
        let given = cert_path.filter(|path| !path.cast::<PyString>().is_ok_and(|path| path.is_empty().unwrap_or(true)));
        let certificate = match trust("cert_path", given.as_ref())? {
            crate::endpoint::Trust::Pem(pem) => Some(pem),
            _ => None,
        };
        let discovery = Discovery::new(discovery_address, certificate, insecure_channel);
        let discovery = Discovery { argument: "cert_path", largest: max_reply_bytes, ..discovery };
        let cluster = cluster.or_else(|| v3::cluster_at(discovery_address));
        let plant = chirpstack::Configured::read(py, grpc_address, mqtt_address, insecure_channel)?;
        let own = chirpstack::At { tenant_id, ..chirpstack::At::default() };
        let named: Option<Network> = network.map(str::parse).transpose().or_raise(py)?;
        let network = match (named, &plant) {
            (Some(network), _) => network,
            (None, Some(_)) => Network::ChirpStack,
            (None, None) if cluster.is_some() => Network::V3,
            // Who names a discovery server means V2.
            (None, None) if discovery_address.is_some() || discovery.lead.is_somewhere() => Network::V2,
            (None, None) => {
                let key = AccessKey::new(token.as_deref().or(key.as_deref()).unwrap_or_default());
                Network::of(&key, None, &app_id)
            }
        };
        own.refuse_elsewhere(network)?;
        if network != Network::ChirpStack && plant.is_some() {
            let name = if grpc_address.is_some() { "grpc_address" } else { "mqtt_address" };
            let text = format!("{name} is not valid on {}: only ChirpStack has it", network.title());
            return Err(PyValueError::new_err(text));
        }
        if network == Network::ChirpStack && plant.is_none() {
            return Err(PyValueError::new_err(
                "no address: a ChirpStack is nowhere to be discovered: expected grpc_address=\"host:port\" of its API, and \
                 mqtt_address=\"host:port\" of the broker that it publishes to",
            ));
        }
        let plant = plant.map(|at| Plant { at, tenant_id: own.tenant_id });
        let is_of_stack = token.as_ref().or(key.as_ref()).is_some_and(|key| AccessKey::new(key.as_str()).is_of_stack());
        if is_of_stack && cluster.is_none() && discovery_address.is_none() && !discovery.lead.is_somewhere() {
            return Err(PyValueError::new_err(
                "no cluster: an API key of The Things Stack V3 needs cluster=\"eu1\" (nam1, au1, or a host name)",
            ));
        }
        let timeout = timeout.map(Bound::unbind);
        Ok(Self { identity: Identity { app_id, key, token }, discovery, timeout, cluster, plant })
    }

    /// Application ID.
    #[getter]
    fn app_id(&self) -> String {
        self.identity.app_id.clone()
    }

    /// A client, when the handler is known.
    fn open_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.open(py)?.map(py, Py::new)?.future(py)
    }
}
