//! Where an MQTT client connects to.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::client::lorawan::Client;
use crate::dialect::lorawan::Network;
use crate::endpoint::Trust;
use crate::error::Error;
use crate::nats::{self, Login, Monitor};
use crate::py::error::OrRaise as _;
use crate::py::manage::{Discovery, PyDiscoveryClient};
use crate::py::prepared::Prepared;
use crate::sync::Mutex;

/// Where to connect, read when it is needed: the original accepted anything until then.
pub(in crate::py) struct Address {
    /// Given, or announced and remembered.
    pub(in crate::py) mqtt: Mutex<String>,
    pub(in crate::py) network: Network,
    pub(super) discovery: Discovery,
    pub(in crate::py) tls: Option<bool>,
    pub(super) login: Login,
    pub(super) trust: Trust,
    pub(super) monitor: Option<Monitor>,
}

/// A call of `connect` under way.
type Opening = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Address {
    /// Connect a client there; gives the host as well.
    pub(in crate::py) fn opening(
        &self,
        py: Python<'_>,
        client: &Client,
        address: &str,
        timeout: Duration,
    ) -> PyResult<(Opening, String)> {
        let client = client.clone();
        if !nats::Address::is_one(address) {
            let endpoint = self.network.endpoint(address, self.tls).or_raise(py)?;
            let host = endpoint.host.clone();
            return Ok((Box::pin(async move { client.connect(&endpoint, timeout).await }), host));
        }
        let config = client.config();
        let options = nats::Options {
            address: nats::Address::parse(address).or_raise(py)?,
            login: self.login.clone(),
            trust: self.trust.clone(),
            name: format!("thingslink worker of {}", config.app_id),
            timeout,
            window: config.outbox.in_flight,
            monitor: self.monitor.clone(),
        };
        let host = options.address.to_string();
        Ok((Box::pin(async move { client.join(options, timeout).await }), host))
    }

    /// The MQTT address, asked of the discovery server if none was given, and the time that is left.
    pub(in crate::py) fn resolve(
        self: &Arc<Self>,
        py: Python<'_>,
        app_id: &str,
        timeout: Duration,
    ) -> PyResult<Prepared<(String, Duration)>> {
        let known = self.mqtt.lock().clone();
        if !known.is_empty() {
            return Ok(Prepared::Ready((known, timeout)));
        }
        let expected = match self.network {
            Network::V2 => None,
            Network::V3 => Some("the server's address, or cluster=\"eu1\" and the like"),
            Network::ChirpStack => Some("the address of the MQTT broker that ChirpStack publishes to"),
        };
        if let Some(expected) = expected {
            let title = self.network.title();
            let text =
                format!("mqtt_address '' is not valid: expected {expected}, since {title} has no discovery server");
            return Err(PyValueError::new_err(text));
        }
        let begun = Instant::now();
        let seconds = timeout.as_secs_f64().into_pyobject(py)?.into_any();
        let (address, app_id) = (self.clone(), app_id.to_owned());
        let asked = PyDiscoveryClient::announcement(py, &app_id, &self.discovery, Some(&seconds))?;
        asked.map(py, move |_, announcement| {
            let announced = announcement.get_field_by_name("mqtt_address");
            let announced = announced.and_then(|address| address.as_str().map(str::to_owned)).unwrap_or_default();
            if announced.is_empty() {
                let text = format!("the handler of {app_id:?} announces no MQTT address: give one as mqtt_address");
                return Err(PyRuntimeError::new_err(text));
            }
            announced.clone_into(&mut address.mqtt.lock());
            Ok((announced, timeout.saturating_sub(begun.elapsed())))
        })
    }
}
