//! What a discovery server of V2 would tell of a ChirpStack, which is what it is configured to be.

use prost_reflect::DynamicMessage;
use pyo3::prelude::*;

use super::super::known::{self, Known};
use super::super::tasks::missing;
use super::calls::Api;
use crate::dialect::lorawan::Network;
use crate::endpoint::Endpoint;
use crate::py::error::OrRaise as _;
use crate::py::lorawan::api_endpoint;

/// A server's API, and the broker that it publishes to.
#[derive(Clone, Debug)]
pub(in super::super) struct Configured {
    api: Option<Endpoint>,
    /// As the program gave it.
    pub(in super::super) grpc_address: String,
    /// As a client of MQTT takes it.
    pub(in super::super) mqtt_address: String,
}

impl Configured {
    /// Where they are; `None` where neither is told.
    pub(in super::super) fn read(
        py: Python<'_>,
        grpc_address: Option<&str>,
        mqtt_address: Option<&str>,
        insecure: bool,
    ) -> PyResult<Option<Self>> {
        if grpc_address.is_none() && mqtt_address.is_none() {
            return Ok(None);
        }
        let api = grpc_address.map(|address| api_endpoint(py, "grpc_address", address, insecure)).transpose()?;
        if let Some(address) = mqtt_address {
            Network::ChirpStack.endpoint(address, insecure.then_some(false)).or_raise(py)?;
        }
        let text = |given: Option<&str>| given.unwrap_or_default().to_owned();
        Ok(Some(Self { api, grpc_address: text(grpc_address), mqtt_address: text(mqtt_address) }))
    }

    /// `host:port` of the API; empty where it is not told.
    fn net_address(&self) -> String {
        self.api.as_ref().map(Endpoint::to_string).unwrap_or_default()
    }
}

impl Known for Configured {
    fn announcement(&self, _py: Python<'_>, _app_id: &str) -> PyResult<DynamicMessage> {
        let id = self.api.as_ref().map_or("chirpstack", |api| &api.host);
        Ok(known::announcement(id, &self.net_address(), &self.mqtt_address))
    }

    fn title(&self) -> String {
        "ChirpStack".to_owned()
    }

    fn shown(&self) -> String {
        format!("grpc_address='{}' network='chirpstack'", self.net_address())
    }

    fn no_gateways(&self) -> PyErr {
        missing::<Api>("get_by_gateway_id()", "ApplicationClient.gateways() lists those of the tenant")
    }
}
