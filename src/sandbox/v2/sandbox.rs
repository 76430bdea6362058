//! The offline network as a whole: what listens, and all that a program asks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, broadcast};

use super::network::Network;
use super::registry::Right;
use super::state::StateFile;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::sandbox::broker::QoS;
use crate::sandbox::certificate::Certificate;
use crate::sandbox::fault::Faults;
use crate::sandbox::frame::{Received, UplinkFrame};
use crate::sandbox::http2::with_http2;
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::{Bound, Listener, address};
use crate::sandbox::room::{MAX_CONNECTIONS, Room};
use crate::sandbox::stream::{self, Field as _, StreamOptions};
use crate::sandbox::v2::grpc::{Announced, GrpcService};

/// Where a sandbox listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on.
    pub host: String,
    /// Port of plain MQTT; 0 for a free one.
    pub mqtt_port: u16,
    /// Port of MQTT over TLS; 0 for a free one, `None` for none.
    pub mqtts_port: Option<u16>,
    /// Port of the discovery service; 0 for a free one.
    pub discovery_port: u16,
    /// Port of the handler; 0 for a free one.
    pub handler_port: u16,
    /// Whether discovery and handler speak plain text in place of TLS.
    pub insecure: bool,
    /// Where applications and devices are kept; `None` forgets them with the sandbox.
    pub state: Option<PathBuf>,
    /// Makes radio conditions repeatable.
    pub seed: Option<u64>,
    /// Whether applications and keys are taken as they come.
    pub any_key: bool,
    /// Most connections at a time, over all ports.
    pub max_connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            mqtt_port: 0,
            mqtts_port: None,
            discovery_port: 0,
            handler_port: 0,
            insecure: false,
            state: None,
            seed: None,
            any_key: false,
            max_connections: MAX_CONNECTIONS,
        }
    }
}

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    network: Arc<Network>,
    options: Options,
    certificate: Certificate,
    state: Option<Arc<StateFile>>,
    serving: Mutex<Option<Serving>>,
    /// Ports stay the same over restarts.
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    mqtt: u16,
    mqtts: Option<u16>,
    discovery: u16,
    handler: u16,
}

/// Everything that ends when the sandbox stops.
#[derive(Debug)]
struct Serving {
    plain: Listener,
    tls: Option<Listener>,
    discovery: Listener,
    handler: Listener,
    saving: Option<tokio::task::JoinHandle<()>>,
}

impl Sandbox {
    /// Start.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when an address cannot be listened on, or the state cannot be read.
    pub async fn start(options: Options) -> Result<Self> {
        let network = Arc::new(Network::new(Room::new(options.max_connections)));
        if let Some(seed) = options.seed {
            network.radio().seed(seed);
        }
        if options.any_key {
            network.registry().take_any_key();
        }
        let state = match options.state.clone() {
            Some(path) => Some(Arc::new(StateFile::open(path, network.clone())?)),
            None => None,
        };
        let mut sandbox = Self {
            network,
            ports: Ports {
                mqtt: options.mqtt_port,
                mqtts: options.mqtts_port,
                discovery: options.discovery_port,
                handler: options.handler_port,
            },
            certificate: Certificate::new(&options.host)?,
            options,
            state,
            serving: Mutex::default(),
        };
        let (serving, ports) = sandbox.serve().await?;
        sandbox.ports = ports;
        *sandbox.serving.get_mut() = Some(serving);
        Ok(sandbox)
    }

    async fn serve(&self) -> Result<(Serving, Ports)> {
        let host = &self.options.host;
        let plain = Listener::bind(host, self.ports.mqtt, None, self.network.clone()).await?;
        let tls = match self.ports.mqtts {
            Some(port) => {
                let server = Some(self.certificate.server.clone());
                Some(Listener::bind(host, port, server, self.network.clone()).await?)
            }
            None => None,
        };
        let server = (!self.options.insecure).then(|| with_http2(&self.certificate.server));
        let discovery = Bound::bind(host, self.ports.discovery, server.clone()).await?;
        let handler = Bound::bind(host, self.ports.handler, server).await?;
        let ports = Ports {
            mqtt: plain.address.port(),
            mqtts: tls.as_ref().map(|tls| tls.address.port()),
            discovery: discovery.address.port(),
            handler: handler.address.port(),
        };
        let announced = Announced {
            net_address: self.address(ports.handler),
            certificate: if self.options.insecure { String::new() } else { self.certificate.pem.clone() },
            mqtt_address: self.address(ports.mqtt),
        };
        let discovery = discovery.serve(GrpcService::discovery(self.network.clone(), announced));
        let handler = handler.serve(GrpcService::handler(self.network.clone()));
        let saving = self.state.clone().map(|state| tokio::spawn(state.follow()));
        Ok((Serving { plain, tls, discovery, handler, saving }, ports))
    }

    fn address(&self, port: u16) -> String {
        address(&self.options.host, port)
    }

    /// `host:port` of plain MQTT.
    #[must_use]
    pub fn mqtt_address(&self) -> String {
        self.address(self.ports.mqtt)
    }

    /// `mqtts://host:port`, if TLS is served.
    #[must_use]
    pub fn mqtts_address(&self) -> Option<String> {
        self.ports.mqtts.map(|port| format!("mqtts://{}", self.address(port)))
    }

    /// `host:port` of the discovery service.
    #[must_use]
    pub fn discovery_address(&self) -> String {
        self.address(self.ports.discovery)
    }

    /// `host:port` of the handler's managers.
    #[must_use]
    pub fn handler_address(&self) -> String {
        self.address(self.ports.handler)
    }

    /// The PEM certificate that TLS clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate.pem
    }

    /// Whether it serves now.
    pub async fn is_running(&self) -> bool {
        self.serving.lock().await.is_some()
    }

    /// Close all connections and listen no longer. Returns when everything has ended and the state is saved.
    pub async fn stop(&self) {
        let Some(serving) = self.serving.lock().await.take() else { return };
        serving.discovery.stop().await;
        serving.handler.stop().await;
        if let Some(tls) = serving.tls {
            tls.stop().await;
        }
        serving.plain.stop().await;
        if let (Some(saving), Some(state)) = (serving.saving, &self.state) {
            saving.abort();
            if let Err(error) = state.save() {
                tracing::error!(%error, "the sandbox's state is not saved");
            }
        }
    }

    /// Serve again on the same ports; does nothing if it serves.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when a port is taken by somebody else.
    pub async fn resume(&self) -> Result<()> {
        let mut serving = self.serving.lock().await;
        if serving.is_none() {
            *serving = Some(self.serve().await?.0);
        }
        Ok(())
    }

    /// Let the handler answer so many calls a second for each application, as the public network did; `None` for any
    /// number.
    pub fn limit_calls(&self, per_second: Option<f64>) {
        self.network.throttle.set(per_second);
    }

    /// Forget sessions, retained messages and downlink queues. Applications, keys and devices stay.
    pub fn forget_state(&self) {
        self.network.router.reset();
        self.network.radio().forget();
    }

    /// Forget all devices, too.
    pub fn forget_devices(&self) {
        self.network.registry().forget_devices();
    }

    /// Register an application, or give it another key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an ID that the network would refuse.
    pub fn add_application(&self, app_id: &str, key: AccessKey, rights: BTreeSet<Right>) -> Result<()> {
        self.network.registry().add_application(app_id, key, rights)
    }

    /// Register a device, if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad ID or an unknown application.
    pub fn register_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.network.register(app_id, dev_id)
    }

    /// Remove a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn delete_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.network.delete(app_id, dev_id)
    }

    /// IDs of an application's devices, sorted.
    #[must_use]
    pub fn devices(&self, app_id: &str) -> Vec<String> {
        self.network.registry().devices(app_id)
    }

    /// Place a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn locate(&self, app_id: &str, dev_id: &str, latitude: f64, longitude: f64, altitude: i32) -> Result<()> {
        self.network.locate(app_id, dev_id, (latitude, longitude, altitude))
    }

    /// Set a device's attributes, and whether it acknowledges confirmed downlinks.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn configure_device(
        &self,
        app_id: &str,
        dev_id: &str,
        attributes: Option<BTreeMap<String, String>>,
        acknowledges: Option<bool>,
    ) -> Result<()> {
        let mut registry = self.network.registry();
        let device = registry
            .device(app_id, dev_id)
            .ok_or_else(|| Error::invalid("dev_id", dev_id, "a device that is registered in this sandbox"))?;
        device.attributes = attributes.unwrap_or_else(|| std::mem::take(&mut device.attributes));
        device.acknowledges = acknowledges.unwrap_or(device.acknowledges);
        Ok(())
    }

    /// Let a device join.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.network.join(app_id, dev_id)
    }

    /// Let a device send an uplink; returns its frame counter. Downlinks that clients have written before it was called
    /// are in time for the window that the uplink opens.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device or the fields are no JSON.
    pub async fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        stream::take_in(self.network.router.take_in(app_id), &self.network.faults).await;
        self.network.uplink(app_id, dev_id, frame)
    }

    /// Downlinks that wait for a device, as base64 texts, first to go first.
    #[must_use]
    pub fn downlinks(&self, app_id: &str, dev_id: &str) -> Vec<String> {
        self.network.downlinks(app_id, dev_id)
    }

    /// Downlinks that have reached a device, first to last; of very many the latest.
    #[must_use]
    pub fn received(&self, app_id: &str, dev_id: &str) -> Vec<Received> {
        self.network.received(app_id, dev_id)
    }

    /// The next downlink that has reached a device and that this did not give yet.
    #[must_use]
    pub fn next_received(&self, app_id: &str, dev_id: &str) -> Option<Received> {
        self.network.next_received(app_id, dev_id)
    }

    /// Publish bytes as they are, as if the network did: for tests of what a network should not send.
    pub fn publish_raw(&self, topic: &str, payload: Bytes, retain: bool) {
        self.network.router.publish(topic, payload, QoS::AtLeastOnce, retain, Duration::ZERO);
    }

    /// Let many devices send; resolves when all is sent, with the number of uplinks.
    ///
    /// # Errors
    /// [`Error::Invalid`] for numbers out of range or an unknown application.
    pub fn stream(
        &self,
        app_id: &str,
        options: StreamOptions,
    ) -> Result<impl Future<Output = Result<u64>> + Send + use<>> {
        stream::register(&*self.network, app_id, &options)?;
        Ok(stream::run(self.network.clone(), app_id.to_owned(), options))
    }

    /// The faults that can be switched on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.network.faults
    }

    /// Cut the connections of one client, or of all; returns how many there were.
    pub fn cut(&self, client_id: Option<&str>) -> usize {
        self.network.router.cut(client_id)
    }

    /// Identifiers of the clients that are connected, sorted.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        self.network.router.connected()
    }

    /// Messages that wait for a client or are unacknowledged by it.
    #[must_use]
    pub fn backlog(&self, client_id: &str) -> usize {
        self.network.router.backlog(client_id)
    }

    /// What passed through lately, first to last.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.network.journal.lately()
    }

    /// Follow what passes through, from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.network.journal.follow()
    }
}
