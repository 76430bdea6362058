//! ThingsBoard's MQTT transport, device and gateway API: topics are commands, nothing is passed from client to client.

mod connection;
mod control;
mod decimal;
mod device;
#[cfg(test)]
mod fuzz;
mod gateway;
mod hub;
mod json;
mod limits;
mod login;
mod packages;
mod provision;
mod requests;
mod state;
mod telemetry;
mod tls;
mod values;
mod verdict;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, broadcast};

pub use self::device::{Credentials, Scope};
use self::hub::Hub;
pub use self::limits::TransportLimits;
use super::certificate::Certificate;
use super::fault::Faults;
use super::journal::Entry;
use super::listener::{Arrival, Listener, Service};
use super::room::Room;
use crate::dialect::thingsboard::Package;
use crate::error::Result;

/// Where it listens.
#[derive(Clone, Debug)]
pub struct ThingsBoardOptions {
    /// Address to listen on.
    pub host: String,
    /// Port of plain MQTT; 0 for a free one.
    pub port: u16,
    /// Port of MQTT over TLS, where clients may show a certificate; 0 for a free one, `None` for none.
    pub tls_port: Option<u16>,
    /// Most connections at a time.
    pub max_connections: usize,
}

/// A running ThingsBoard.
#[derive(Debug)]
pub struct ThingsBoard {
    options: ThingsBoardOptions,
    hub: Arc<Hub>,
    certificate: Certificate,
    server: Arc<ServerConfig>,
    serving: Mutex<Vec<Listener>>,
    /// Ports stay the same over restarts.
    port: u16,
    tls_port: Option<u16>,
}

impl Service for Hub {
    fn refuses_connections(&self) -> bool {
        self.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        connection::serve(stream, &self, arrival).await;
    }
}

impl ThingsBoard {
    /// Start.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when an address cannot be listened on.
    pub async fn start(options: ThingsBoardOptions) -> Result<Self> {
        let certificate = Certificate::new(&options.host)?;
        let server = tls::accepting_clients(&certificate)?;
        let hub = Arc::new(Hub::new(Room::new(options.max_connections)));
        let (port, tls_port) = (options.port, options.tls_port);
        let mut this = Self { options, hub, certificate, server, serving: Mutex::default(), port, tls_port };
        let listeners = this.listen().await?;
        this.port = listeners[0].address.port();
        this.tls_port = listeners.get(1).map(|listener| listener.address.port());
        *this.serving.get_mut() = listeners;
        Ok(this)
    }

    async fn listen(&self) -> Result<Vec<Listener>> {
        let host = &self.options.host;
        let mut listeners = vec![Listener::bind(host, self.port, None, self.hub.clone()).await?];
        if let Some(port) = self.tls_port {
            listeners.push(Listener::bind(host, port, Some(self.server.clone()), self.hub.clone()).await?);
        }
        Ok(listeners)
    }

    /// Address that it listens on.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.options.host
    }

    /// Port of plain MQTT.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Port of MQTT over TLS, if it is served.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// The PEM certificate that TLS clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate.pem
    }

    /// Close all connections and listen no longer. Returns when everything has ended.
    pub async fn stop(&self) {
        for listener in std::mem::take(&mut *self.serving.lock().await) {
            listener.stop().await;
        }
    }

    /// Serve again on the same ports; does nothing if it serves.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when a port is taken by somebody else.
    pub async fn resume(&self) -> Result<()> {
        let mut serving = self.serving.lock().await;
        if serving.is_empty() {
            *serving = self.listen().await?;
        }
        Ok(())
    }

    /// Register a device, or give a known one other credentials.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name, or credentials that another device has.
    pub fn add_device(&self, name: &str, profile: &str, gateway: bool, credentials: Credentials) -> Result<()> {
        self.hub.add_device(name, profile, gateway, credentials)
    }

    /// Delete a device; its sessions are ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device.
    pub fn delete_device(&self, name: &str) -> Result<()> {
        self.hub.delete_device(name)
    }

    /// Names of the devices, sorted.
    #[must_use]
    pub fn devices(&self) -> Vec<String> {
        self.hub.devices()
    }

    /// A device as JSON: name, profile, gateway, credentials, claim.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<Value> {
        self.hub.describe(name)
    }

    /// Names of the devices that are connected, themselves or through a gateway, sorted.
    #[must_use]
    pub fn connected(&self) -> Vec<String> {
        self.hub.connected()
    }

    /// The telemetry of a device as it came, each entry `{"ts": ms, "values": {…}}`.
    #[must_use]
    pub fn telemetry(&self, device: &str) -> Vec<Value> {
        self.hub.telemetry(device)
    }

    /// The attributes of a device.
    #[must_use]
    pub fn attributes(&self, device: &str, scope: Scope) -> Map<String, Value> {
        self.hub.attributes(device, scope)
    }

    /// Change attributes of a device; shared ones are pushed to it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device.
    pub fn set_attributes(&self, device: &str, scope: Scope, values: Map<String, Value>) -> Result<()> {
        self.hub.set_attributes(device, scope, values)
    }

    /// Delete shared attributes of a device, and tell it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device.
    pub fn delete_shared(&self, device: &str, keys: &[String]) -> Result<()> {
        self.hub.delete_shared(device, keys)
    }

    /// Call a device and wait for its answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the device is unknown or not connected, or answers with something else than JSON,
    /// [`Error::Timeout`].
    pub async fn call(&self, device: &str, method: &str, params: Value, within: Duration) -> Result<Value> {
        self.hub.call(device, method, params, within).await
    }

    /// What calls of clients to this method are answered with, none unless told; `None` leaves the method unanswered.
    pub fn script(&self, method: &str, answer: Option<Value>) {
        self.hub.script(method, answer);
    }

    /// Offer a package to a device, through its shared attributes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device.
    pub fn offer_package(
        &self,
        device: &str,
        package: Package,
        attributes: Map<String, Value>,
        data: Vec<u8>,
    ) -> Result<()> {
        self.hub.offer_package(device, package, attributes, data)
    }

    /// Let devices be provisioned with this key and secret; `None` ends it.
    pub fn allow_provisioning(&self, key_and_secret: Option<(String, String)>) {
        self.hub.allow_provisioning(key_and_secret);
    }

    /// What sessions are told as their limits, and held to.
    pub fn limit(&self, limits: TransportLimits) {
        self.hub.limit(limits);
    }

    /// Acknowledge the next messages on topics that begin so with this reason code (MQTT 5).
    pub fn reject(&self, prefix: &str, reason: u8, count: u32) {
        self.hub.reject(prefix, reason, count);
    }

    /// Refuse level 5 of MQTT, or no longer.
    pub fn refuse_level_5(&self, on: bool) {
        self.hub.refuse_level_5(on);
    }

    /// Drop a device behind a gateway, as the server does, for a reason such as 150 (rate limit).
    pub fn drop_device(&self, device: &str, reason: u32) {
        self.hub.drop_device(device, reason);
    }

    /// Send bytes as they are to a device's sessions: for tests of what a server should not send.
    pub fn push_raw(&self, device: &str, topic: &str, payload: Vec<u8>) -> usize {
        self.hub.push_raw(device, topic, payload)
    }

    /// The faults that can be switched on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.hub.faults
    }

    /// Cut all connections; returns how many there were.
    pub fn cut(&self) -> usize {
        self.hub.cut()
    }

    /// Follow what passes through, from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.hub.journal.follow()
    }

    /// What passed through lately, first to last.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.hub.journal.lately()
    }
}
