//! The server as a whole: what listens, and all that a program asks of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinSet;

use super::api::ApiService;
use super::authority::Authority;
use super::server::{Server, Settings};
use super::traffic::Answer;
use crate::dialect::lorawan::{Topics, base64};
use crate::error::{Error, Result};
use crate::sandbox::broker::QoS;
use crate::sandbox::fault::Faults;
use crate::sandbox::frame::{Received, UplinkFrame};
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::{Listener, address};
use crate::sandbox::room::{MAX_CONNECTIONS, Room};
use crate::sandbox::stream::{self, Field as _, StreamOptions};

/// How long commands are waited for that come at once.
const TOGETHER: Duration = Duration::from_millis(2);

/// Where a sandbox listens, and what its server is configured to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on.
    pub host: String,
    /// Port of plain MQTT; 0 for a free one.
    pub mqtt_port: u16,
    /// Port of MQTT over TLS; 0 for a free one, `None` for none.
    pub mqtts_port: Option<u16>,
    /// Port of gRPC and gRPC-web; 0 for a free one.
    pub management_port: u16,
    /// Makes radio conditions and identifiers repeatable.
    pub seed: Option<u64>,
    /// Whether any API key is taken.
    pub any_key: bool,
    /// Whether events and commands are protobuf in place of JSON.
    pub protobuf: bool,
    /// The level at which events are published, 0 or 1.
    pub event_qos: u8,
    /// Whether TLS clients must show a certificate of their application.
    pub client_certificates: bool,
    /// How topics are written.
    pub topics: Topics,
    /// Most connections at a time, over all ports.
    pub max_connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            mqtt_port: 0,
            mqtts_port: None,
            management_port: 0,
            seed: None,
            any_key: false,
            protobuf: false,
            event_qos: 0,
            client_certificates: false,
            topics: Topics::default(),
            max_connections: MAX_CONNECTIONS,
        }
    }
}

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) server: Arc<Server>,
    pub(super) options: Options,
    serving: Mutex<Option<Serving>>,
    /// Ports stay the same over restarts.
    mqtt_port: u16,
    mqtts_port: Option<u16>,
    management_port: u16,
}

/// Everything that ends when the sandbox stops.
#[derive(Debug)]
struct Serving {
    plain: Listener,
    tls: Option<Listener>,
    management: Listener,
    /// Handles commands; ends as soon as it is dropped.
    handling: JoinSet<()>,
}

impl Sandbox {
    /// Start.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when an address cannot be listened on, [`Error::Invalid`] for another level than 0 and 1.
    pub async fn start(options: Options) -> Result<Self> {
        let qos = match options.event_qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            other => return Err(Error::invalid("event_qos", other.to_string(), "0 or 1")),
        };
        let settings = Settings {
            is_json: !options.protobuf,
            qos,
            wants_certificates: options.client_certificates,
            topics: options.topics.clone(),
        };
        let room = Room::new(options.max_connections);
        let authority = Authority::new(&options.host)?;
        let mut sandbox = Self {
            server: Server::new(room, options.seed, settings, options.any_key, authority),
            mqtt_port: options.mqtt_port,
            mqtts_port: options.mqtts_port,
            management_port: options.management_port,
            options,
            serving: Mutex::default(),
        };
        let serving = sandbox.serve().await?;
        sandbox.mqtt_port = serving.plain.address.port();
        sandbox.mqtts_port = serving.tls.as_ref().map(|tls| tls.address.port());
        sandbox.management_port = serving.management.address.port();
        *sandbox.serving.get_mut() = Some(serving);
        Ok(sandbox)
    }

    async fn serve(&self) -> Result<Serving> {
        let host = &self.options.host;
        let server = &self.server;
        let plain = Listener::bind(host, self.mqtt_port, None, server.clone()).await?;
        let tls = match self.mqtts_port {
            Some(port) => {
                let tls = server.authority.tls(server.settings.wants_certificates)?;
                Some(Listener::bind(host, port, Some(tls), server.clone()).await?)
            }
            None => None,
        };
        let management = Listener::bind(host, self.management_port, None, ApiService::new(server.clone())).await?;
        let mut handling = JoinSet::new();
        handling.spawn(handle_commands(server.clone()));
        Ok(Serving { plain, tls, management, handling })
    }

    /// `host:port` of plain MQTT.
    #[must_use]
    pub fn mqtt_address(&self) -> String {
        address(&self.options.host, self.mqtt_port)
    }

    /// `mqtts://host:port`, if TLS is served.
    #[must_use]
    pub fn mqtts_address(&self) -> Option<String> {
        self.mqtts_port.map(|port| format!("mqtts://{}", address(&self.options.host, port)))
    }

    /// `host:port` of gRPC and gRPC-web, in plain text.
    #[must_use]
    pub fn management_address(&self) -> String {
        address(&self.options.host, self.management_port)
    }

    /// The PEM certificate that TLS clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        self.server.authority.pem()
    }

    /// Close all connections and listen no longer. Returns when everything has ended.
    pub async fn stop(&self) {
        let Some(Serving { plain, tls, management, handling }) = self.serving.lock().await.take() else { return };
        management.stop().await;
        if let Some(tls) = tls {
            tls.stop().await;
        }
        plain.stop().await;
        drop(handling);
    }

    /// Serve again on the same ports; does nothing if it serves.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when a port is taken by somebody else.
    pub async fn resume(&self) -> Result<()> {
        let mut serving = self.serving.lock().await;
        if serving.is_none() {
            *serving = Some(self.serve().await?);
        }
        Ok(())
    }

    /// Forget sessions and retained messages of the broker, and downlink queues. Applications, keys and devices stay.
    pub fn forget_state(&self) {
        self.server.router.reset();
        for device in self.server.registry().devices.values_mut() {
            device.queue.clear();
        }
    }

    /// Forget all devices, too.
    pub fn forget_devices(&self) {
        let mut registry = self.server.registry();
        let all: Vec<_> = registry.devices.keys().cloned().collect();
        for dev_eui in all {
            registry.remove_device(&dev_eui);
        }
    }

    /// Register a device, if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name or an unknown application.
    pub fn register_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.server.register(app_id, dev_id)
    }

    /// Register a device that has yet to join, if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name or an unknown application.
    pub fn register_unjoined(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.server.register_device(app_id, dev_id, false)
    }

    /// Remove a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn delete_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        let mut registry = self.server.registry();
        let dev_eui = registry.known_device(app_id, dev_id)?;
        registry.remove_device(&dev_eui);
        Ok(())
    }

    /// Names of an application's devices, sorted; the DevEUI of one without.
    #[must_use]
    pub fn devices(&self, app_id: &str) -> Vec<String> {
        let registry = self.server.registry();
        let Some(application_id) = registry.application_id(app_id) else { return Vec::new() };
        let records = registry.devices.values().map(|device| &device.record.value);
        let own = records.filter(|record| record.application_id == application_id);
        let mut names: Vec<_> =
            own.map(|record| if record.name.is_empty() { &record.dev_eui } else { &record.name }.clone()).collect();
        names.sort_unstable();
        names
    }

    /// The DevEUI of a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn dev_eui(&self, app_id: &str, dev_id: &str) -> Result<String> {
        self.server.registry().known_device(app_id, dev_id)
    }

    /// Tell where a device is.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn locate(&self, app_id: &str, dev_id: &str, latitude: f64, longitude: f64, altitude: i32) -> Result<()> {
        self.server.locate(app_id, dev_id, (latitude, longitude, altitude))
    }

    /// Publish an event of an integration.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device, or the object is no JSON.
    pub fn integrate(&self, app_id: &str, dev_id: &str, name: &str, kind: &str, object: &str) -> Result<()> {
        self.server.integrate(app_id, dev_id, name, kind, object)
    }

    /// Set a device's tags, and whether it acknowledges confirmed downlinks.
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
        let mut registry = self.server.registry();
        let device = registry.device(app_id, dev_id)?;
        if let Some(attributes) = attributes {
            device.record.value.tags = attributes.into_iter().collect();
        }
        device.simulated.acknowledges = acknowledges.unwrap_or(device.simulated.acknowledges);
        Ok(())
    }

    /// Let a device send with this spreading factor, 7 to 12.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device, or no such factor.
    pub fn set_spreading_factor(&self, app_id: &str, dev_id: &str, spreading: u8) -> Result<()> {
        if !(7..=12).contains(&spreading) {
            return Err(Error::invalid("spreading_factor", spreading.to_string(), "7 to 12"));
        }
        self.server.registry().device(app_id, dev_id)?.simulated.spreading = spreading;
        Ok(())
    }

    /// Let a device count its next frame so.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn set_counter(&self, app_id: &str, dev_id: &str, counter: u32) -> Result<()> {
        self.server.registry().device(app_id, dev_id)?.simulated.counter = counter;
        Ok(())
    }

    /// Let a device join.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.server.join(app_id, dev_id)
    }

    /// Let a device send an uplink; returns its frame counter. Downlinks that clients have written before it was called
    /// are in time for the window that the uplink opens.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device, it has not joined, or the fields are no JSON.
    pub async fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        self.take_in().await;
        self.server.uplink(app_id, dev_id, frame)
    }

    /// Let a device tell its margin and battery, with a frame that has nothing else; returns its frame counter.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device, or it has not joined.
    pub async fn report_status(&self, app_id: &str, dev_id: &str, margin: i32, battery: u8) -> Result<u32> {
        self.take_in().await;
        let frame = UplinkFrame { payload: None, ..UplinkFrame::default() };
        self.server.send(app_id, dev_id, &frame, Some(Answer { margin, battery }))
    }

    async fn take_in(&self) {
        stream::take_in(self.server.router.take_in(""), &self.server.faults).await;
        self.server.take_commands();
    }

    /// Downlinks that wait for a device, as base64 texts, first to go first.
    #[must_use]
    pub fn downlinks(&self, app_id: &str, dev_id: &str) -> Vec<String> {
        let mut registry = self.server.registry();
        let device = registry.device(app_id, dev_id);
        device.into_iter().flat_map(|device| &device.queue).map(|item| base64::encode(&item.data)).collect()
    }

    /// Downlinks that have reached a device, first to last; of very many the latest.
    #[must_use]
    pub fn received(&self, app_id: &str, dev_id: &str) -> Vec<Received> {
        let mut registry = self.server.registry();
        registry.device(app_id, dev_id).map(|device| device.simulated.inbox.all()).unwrap_or_default()
    }

    /// The next downlink that has reached a device and that this did not give yet.
    #[must_use]
    pub fn next_received(&self, app_id: &str, dev_id: &str) -> Option<Received> {
        self.server.registry().device(app_id, dev_id).ok()?.simulated.inbox.next()
    }

    /// Let gateways refuse the next downlinks for this reason; without one they do not answer.
    pub fn refuse_downlinks(&self, reason: &str, count: u32) {
        self.server.refusals.add(reason, count);
    }

    /// What the server has written to its log, first to last: of what clients did wrong nobody else is told.
    #[must_use]
    pub fn server_log(&self) -> Vec<String> {
        self.server.log()
    }

    /// Publish bytes as they are, as if the server did: for tests of what a network should not send.
    pub fn publish_raw(&self, topic: &str, payload: Bytes, retain: bool) {
        self.server.router.publish(topic, payload, QoS::AtLeastOnce, retain, Duration::ZERO);
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
        stream::register(&*self.server, app_id, &options)?;
        Ok(stream::run(self.server.clone(), app_id.to_owned(), options))
    }

    /// The faults that can be switched on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Cut the connections of one client, or of all; returns how many there were.
    pub fn cut(&self, client_id: Option<&str>) -> usize {
        self.server.router.cut(client_id)
    }

    /// Identifiers of the clients that are connected, sorted.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        self.server.router.connected()
    }

    /// Messages that wait for a client.
    #[must_use]
    pub fn backlog(&self, client_id: &str) -> usize {
        self.server.router.backlog(client_id)
    }

    /// What passed through lately, first to last.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.server.journal.lately()
    }

    /// Follow what passes through, from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.server.journal.follow()
    }
}

/// Handle commands as they come, those together that come at once, for ever.
async fn handle_commands(server: Arc<Server>) {
    loop {
        server.arrived.notified().await;
        tokio::time::sleep(TOGETHER).await;
        server.take_commands();
    }
}
