//! Where clients go that are given no address: to the public network, unless the whole program is led to another one.

use pyo3::prelude::*;

use super::error::OrRaise as _;
use crate::endpoint::{Endpoint, Trust, masked};
use crate::net;
use crate::rpc::{DISCOVERY_PORT, addresses};
use crate::sync::Mutex;

/// The public network's discovery server.
const DISCOVERY: &str = "discovery.thethings.network:1900";

static LEAD: Mutex<Lead> = Mutex::new(Lead { discovery: None, mqtt: None, trust: None });

/// What stands in for the public network.
#[derive(Clone, Default)]
pub(super) struct Lead {
    discovery: Option<String>,
    /// Used whatever is announced.
    pub(super) mqtt: Option<String>,
    /// PEM certificates to trust at both, where a program names none.
    pub(super) trust: Option<Vec<u8>>,
}

impl Lead {
    /// What holds now.
    pub(super) fn current() -> Self {
        LEAD.lock().clone()
    }

    /// Whether anything is led anywhere.
    pub(super) fn is_somewhere(&self) -> bool {
        self.discovery.is_some() || self.mqtt.is_some()
    }

    /// The discovery server to ask.
    pub(super) fn discovery(&self) -> &str {
        self.discovery.as_deref().unwrap_or(DISCOVERY)
    }

    /// The MQTT address, where there is nobody to ask for it.
    pub(super) fn only_mqtt(&self) -> Option<&str> {
        self.mqtt.as_deref().filter(|_| self.discovery.is_none())
    }
}

/// Lead clients that are given no address; what is ``None`` stays as it is.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_lead", signature = (*, discovery=None, mqtt=None, ca_certs=None))]
pub(super) fn lead(
    py: Python<'_>,
    discovery: Option<String>,
    mqtt: Option<String>,
    ca_certs: Option<String>,
) -> PyResult<()> {
    if let Some(address) = &discovery {
        addresses("address", address, DISCOVERY_PORT, true).or_raise(py)?;
    }
    if let Some(address) = &mqtt {
        Endpoint::parse(address, None).or_raise(py)?;
    }
    let pem = ca_certs.map(String::into_bytes);
    if let Some(pem) = &pem {
        net::client_config(&Trust::Pem(pem.clone())).or_raise(py)?;
    }
    let mut lead = LEAD.lock();
    lead.discovery = discovery.or(lead.discovery.take());
    lead.mqtt = mqtt.or(lead.mqtt.take());
    lead.trust = pem.or(lead.trust.take());
    Ok(())
}

/// Whether clients that are given no address are led anywhere.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_is_led")]
pub(super) fn is_led() -> bool {
    LEAD.lock().is_somewhere()
}

/// An address as it may be shown in an error.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_masked")]
pub(super) fn masked_address(address: &str) -> String {
    masked(address)
}
