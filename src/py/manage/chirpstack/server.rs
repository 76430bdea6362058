//! Where the API is: a client's constructor.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::super::identity::Identity;
use super::super::reply_bound::ReplyBound;
use super::super::stub::Connection;
use super::calls::{Api, Calls};
use crate::client::chirpstack::Found;
use crate::dialect::lorawan::{Network, uuid};
use crate::endpoint::Trust;
use crate::ids::AppId;
use crate::py::error::OrRaise as _;
use crate::py::lorawan::{api_endpoint, tenant};
use crate::sync::Mutex;

/// What only clients of ChirpStack are told, and where the API is.
#[derive(Default)]
pub(in super::super) struct At {
    /// `host:port` of the API.
    pub(in super::super) address: String,
    /// What the program calls it.
    pub(in super::super) argument: &'static str,
    pub(in super::super) tenant_id: Option<String>,
    pub(in super::super) profile: Option<String>,
    pub(in super::super) certificate: Option<Vec<u8>>,
    /// What the program calls the certificate.
    pub(in super::super) trusting_by: &'static str,
    pub(in super::super) insecure: bool,
    pub(in super::super) largest: ReplyBound,
}

impl At {
    /// Refuse what only ChirpStack has.
    pub(in super::super) fn refuse_elsewhere(&self, network: Network) -> PyResult<()> {
        let given = [("tenant_id", self.tenant_id.is_some()), ("profile", self.profile.is_some())];
        match given.into_iter().find(|(_, given)| *given && network != Network::ChirpStack) {
            Some((name, _)) => {
                let text = format!("{name} is not valid on {}: only ChirpStack has it", network.title());
                Err(PyValueError::new_err(text))
            }
            None => Ok(()),
        }
    }
}

impl Calls {
    pub(in super::super) fn new(py: Python<'_>, identity: Identity, at: At) -> PyResult<Self> {
        AppId::new(identity.app_id.as_str()).or_raise(py)?;
        if at.address.is_empty() {
            let text = format!(
                "no address: expected {}=\"host:port\" of ChirpStack's API, which is that of its web interface, as a rule at port \
                 8080",
                at.argument
            );
            return Err(PyValueError::new_err(text));
        }
        let tenant_id = at.tenant_id.as_deref().map(tenant).transpose()?;
        if tenant_id.is_none() && uuid(&identity.app_id).is_none() {
            let text = format!(
                "app_id {:?} is not valid: expected the application's UUID, or its name together with tenant_id: an API key does \
                 not know its tenant",
                identity.app_id
            );
            return Err(PyValueError::new_err(text));
        }
        let endpoint = api_endpoint(py, at.argument, &at.address, at.insecure)?;
        let address = endpoint.to_string();
        let trust = at.certificate.map_or(Trust::System, Trust::Pem);
        let connection = Connection::to(py, vec![endpoint], &trust, at.trusting_by, at.largest, |server| {
            server.probed_rarely().or_by_web()
        })?;
        let site = Api { connection, tenant_id, profile: at.profile, found: Found::default() };
        Ok(Self { identity: Mutex::new(identity), address, site })
    }
}
