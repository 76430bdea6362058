//! The network that a client manages its application on.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyAttributeError, PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;

use super::calls::{ADDRESSES, Calls, MANAGER};
use super::identity::{Identity, Server};
use super::stub::{Connection, PyStub};
use super::v3;
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

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::V2(_) => "v2",
            Self::V3(_) => "v3",
        }
    }

    pub(super) fn identity(&self) -> &Mutex<Identity> {
        match self {
            Self::V2(calls) => &calls.identity,
            Self::V3(calls) => &calls.identity,
        }
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::V2(calls) => &calls.address,
            Self::V3(calls) => &calls.address,
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::V2(calls) => calls.connection.close(),
            Self::V3(calls) => calls.close(),
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
        }
    }

    /// The handler, whose stub a program may replace.
    pub(super) fn handler(&self) -> PyResult<&Arc<Calls>> {
        match self {
            Self::V2(calls) => Ok(calls),
            Self::V3(_) => {
                Err(PyAttributeError::new_err("client: The Things Stack V3 has four servers, and no one stub"))
            }
        }
    }

    /// The stack, for what V2 does not have.
    pub(super) fn stack(&self, what: &str) -> PyResult<&Arc<v3::Calls>> {
        match self {
            Self::V3(calls) => Ok(calls),
            Self::V2(_) => Err(PyNotImplementedError::new_err(format!(
                "{what} is for The Things Stack V3: V2 has nothing like it"
            ))),
        }
    }
}
