//! The network that a client manages its application on.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyAttributeError, PyNotImplementedError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::calls::{ADDRESSES, Calls, MANAGER};
use super::chirpstack;
use super::identity::{Identity, Server};
use super::stub::{Connection, PyStub};
use super::tasks::Site as _;
use super::v3;
use crate::dialect::lorawan::Network;
use crate::endpoint::Trust;
use crate::ids::AppId;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::rpc::{HANDLER_PORT, addresses};
use crate::sync::Mutex;

/// The calls of a network.
#[derive(Clone)]
pub(super) enum Way {
    /// The Things Network V2: its handler.
    V2(Arc<Calls>),
    /// The Things Stack V3: its four servers.
    V3(Arc<v3::Calls>),
    /// ChirpStack: its API.
    ChirpStack(Arc<chirpstack::Calls>),
}

impl Way {
    /// To this handler.
    pub(super) fn handler_at(py: Python<'_>, identity: Identity, server: Server) -> PyResult<Self> {
        AppId::new(identity.app_id.as_str()).or_raise(py)?;
        let trust = match (server.certificate, server.insecure) {
            (_, true) => Trust::System,
            (Some(certificate), false) => Trust::Pem(certificate),
            (None, false) => return Err(PyRuntimeError::new_err("You need to provide credentials")),
        };
        let endpoints = addresses("handler_address", &server.address, HANDLER_PORT, !server.insecure).or_raise(py)?;
        let connection = Connection::new(py, endpoints, &trust, "cert_content", server.largest)?;
        let client = Py::new(py, PyStub::new(MANAGER, connection.clone()))?.into_any();
        let stub = Py::new(py, PyStub::new(ADDRESSES, connection.clone()))?.into_any();
        let calls = Calls {
            identity: Mutex::new(identity),
            client: Mutex::new(client),
            addresses: stub,
            connection,
            address: server.address,
        };
        Ok(Self::V2(Arc::new(calls)))
    }

    /// To these servers of The Things Stack V3.
    pub(super) fn stack_at(py: Python<'_>, identity: Identity, at: v3::At) -> PyResult<Self> {
        Ok(Self::V3(Arc::new(v3::Calls::new(py, identity, at)?)))
    }

    /// To the API of a ChirpStack.
    pub(super) fn api_at(py: Python<'_>, identity: Identity, at: chirpstack::At) -> PyResult<Self> {
        Ok(Self::ChirpStack(Arc::new(chirpstack::Calls::new(py, identity, at)?)))
    }

    pub(super) fn network(&self) -> Network {
        match self {
            Self::V2(_) => Network::V2,
            Self::V3(_) => Network::V3,
            Self::ChirpStack(_) => Network::ChirpStack,
        }
    }

    pub(super) fn identity(&self) -> &Mutex<Identity> {
        match self {
            Self::V2(calls) => &calls.identity,
            Self::V3(calls) => &calls.identity,
            Self::ChirpStack(calls) => &calls.identity,
        }
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::V2(calls) => &calls.address,
            Self::V3(calls) => &calls.address,
            Self::ChirpStack(calls) => &calls.address,
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::V2(calls) => calls.connection.close(),
            Self::V3(calls) => calls.site.close(),
            Self::ChirpStack(calls) => calls.site.close(),
        }
    }

    /// A page of the devices.
    pub(super) fn page(
        &self,
        py: Python<'_>,
        limit: Option<u64>,
        offset: Option<u64>,
        complete: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        match self {
            // What its lists have is all that there is to be had by lists.
            Self::V2(calls) => calls.page(py, limit, offset, timeout),
            Self::V3(calls) => calls.page(py, limit, offset, complete, timeout),
            Self::ChirpStack(calls) => calls.page(py, limit, offset, complete, timeout),
        }
    }

    /// The handler, whose stub a program may replace.
    pub(super) fn handler(&self) -> PyResult<&Arc<Calls>> {
        match self {
            Self::V2(calls) => Ok(calls),
            Self::V3(_) => {
                Err(PyAttributeError::new_err("client: The Things Stack V3 has four servers, and no one stub"))
            }
            Self::ChirpStack(_) => {
                Err(PyAttributeError::new_err("client: ChirpStack has six services, and no one stub"))
            }
        }
    }

    /// The stack, for what it alone has.
    pub(super) fn stack(&self, what: &str) -> PyResult<&Arc<v3::Calls>> {
        match self {
            Self::V3(calls) => Ok(calls),
            other => Err(other.has_nothing_like(what, "The Things Stack V3")),
        }
    }

    /// The API of ChirpStack, for what it alone has.
    pub(super) fn chirpstack(&self, what: &str) -> PyResult<&Arc<chirpstack::Calls>> {
        match self {
            Self::ChirpStack(calls) => Ok(calls),
            other => Err(other.has_nothing_like(what, "ChirpStack")),
        }
    }

    /// What only other networks have.
    pub(super) fn has_nothing_like(&self, what: &str, others: &str) -> PyErr {
        let own = match self {
            Self::V2(_) => "V2",
            Self::V3(_) => "The Things Stack V3",
            Self::ChirpStack(_) => "ChirpStack",
        };
        PyNotImplementedError::new_err(format!("{what} is for {others}: {own} has nothing like it"))
    }

    /// What only codecs of ChirpStack need to be told.
    pub(super) fn refuse_profile(&self, profile: Option<&String>) -> PyResult<()> {
        if profile.is_some() && self.network() != Network::ChirpStack {
            let title = self.network().title();
            return Err(PyValueError::new_err(format!(
                "profile is not valid on {title}: only ChirpStack has profiles"
            )));
        }
        Ok(())
    }
}
