//! The stack as a whole: what listens, and all that a program asks of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, broadcast};

use super::grpc::GrpcService;
use super::http::HttpService;
use super::registry::Registry;
use super::right::Rights;
use super::stack::Stack;
use crate::dialect::lorawan::base64;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::rpc::proto::v3::{Location, LocationSource};
use crate::sandbox::certificate::Certificate;
use crate::sandbox::fault::Faults;
use crate::sandbox::frame::{Received, UplinkFrame};
use crate::sandbox::http2::with_http2;
use crate::sandbox::journal::Entry;
use crate::sandbox::listener::{Listener, address};
use crate::sandbox::room::{MAX_CONNECTIONS, Room};
use crate::sandbox::stream::{self, Field as _, StreamOptions};

/// Where a sandbox listens, and for whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on.
    pub host: String,
    /// Port of plain MQTT; 0 for a free one.
    pub mqtt_port: u16,
    /// Port of MQTT over TLS; 0 for a free one, `None` for none.
    pub mqtts_port: Option<u16>,
    /// Port of the four servers' calls (gRPC); 0 for a free one.
    pub management_port: u16,
    /// Port of the same calls over HTTP; 0 for a free one.
    pub http_port: u16,
    /// Whether both are plain text in place of TLS.
    pub insecure: bool,
    /// The tenant that applications belong to; `None` as where the stack is one's own.
    pub tenant: Option<String>,
    /// Whether messages are kept for who asks for them later; `None` where there is a tenant, as on hosted stacks.
    pub storage: Option<bool>,
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
            management_port: 0,
            http_port: 0,
            insecure: false,
            tenant: None,
            storage: None,
            seed: None,
            any_key: false,
            max_connections: MAX_CONNECTIONS,
        }
    }
}

/// Why gateways refuse to send.
const REASONS: [&str; 8] = [
    "UNKNOWN_ERROR",
    "TOO_LATE",
    "TOO_EARLY",
    "COLLISION_PACKET",
    "COLLISION_BEACON",
    "TX_FREQ",
    "TX_POWER",
    "GPS_UNLOCKED",
];

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    stack: Arc<Stack>,
    options: Options,
    certificate: Certificate,
    serving: Mutex<Option<Serving>>,
    /// Ports stay the same over restarts.
    mqtt_port: u16,
    mqtts_port: Option<u16>,
    management_port: u16,
    http_port: u16,
}

/// Everything that ends when the sandbox stops.
#[derive(Debug)]
struct Serving {
    plain: Listener,
    tls: Option<Listener>,
    management: Listener,
    http: Listener,
}

impl Sandbox {
    /// Start.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when an address cannot be listened on, [`Error::Invalid`] for a tenant that is none.
    pub async fn start(options: Options) -> Result<Self> {
        if let Some(tenant) = options.tenant.as_deref().filter(|tenant| !super::registry::is_id(tenant)) {
            return Err(Error::invalid("tenant", tenant, "a tenant's ID, such as \"ttn\""));
        }
        let registry = Registry::new(options.tenant.clone(), options.any_key);
        let keeps = options.storage.unwrap_or(options.tenant.is_some());
        let room = Room::new(options.max_connections);
        let mut sandbox = Self {
            stack: Arc::new(Stack::new(options.host.clone(), registry, room, options.seed, keeps)),
            mqtt_port: options.mqtt_port,
            mqtts_port: options.mqtts_port,
            management_port: options.management_port,
            http_port: options.http_port,
            certificate: Certificate::new(&options.host)?,
            options,
            serving: Mutex::default(),
        };
        let serving = sandbox.serve().await?;
        sandbox.mqtt_port = serving.plain.address.port();
        sandbox.mqtts_port = serving.tls.as_ref().map(|tls| tls.address.port());
        sandbox.management_port = serving.management.address.port();
        sandbox.http_port = serving.http.address.port();
        *sandbox.serving.get_mut() = Some(serving);
        let tls = sandbox.mqtts_port.map(|port| address(&sandbox.options.host, port)).unwrap_or_default();
        // The first time.
        let _set = sandbox.stack.broker.set((sandbox.mqtt_address(), tls));
        Ok(sandbox)
    }

    async fn serve(&self) -> Result<Serving> {
        let host = &self.options.host;
        let plain = Listener::bind(host, self.mqtt_port, None, self.stack.clone()).await?;
        let tls = match self.mqtts_port {
            Some(port) => {
                Some(Listener::bind(host, port, Some(self.certificate.server.clone()), self.stack.clone()).await?)
            }
            None => None,
        };
        let server = (!self.options.insecure).then(|| with_http2(&self.certificate.server));
        let grpc = GrpcService::new(self.stack.clone());
        let http = HttpService::new(&grpc, self.stack.clone());
        let management = Listener::bind(host, self.management_port, server, grpc).await?;
        let server = (!self.options.insecure).then(|| self.certificate.server.clone());
        let http = Listener::bind(host, self.http_port, server, http).await?;
        Ok(Serving { plain, tls, management, http })
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

    /// `host:port` of the four servers' calls.
    #[must_use]
    pub fn management_address(&self) -> String {
        address(&self.options.host, self.management_port)
    }

    /// `https://host:port` of the same calls over HTTP, in plain text `http://host:port`; their paths begin with `/api/v3`.
    #[must_use]
    pub fn http_address(&self) -> String {
        let scheme = if self.options.insecure { "http" } else { "https" };
        format!("{scheme}://{}", address(&self.options.host, self.http_port))
    }

    /// The PEM certificate that TLS clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate.pem
    }

    /// Close all connections and listen no longer. Returns when everything has ended.
    pub async fn stop(&self) {
        let Some(serving) = self.serving.lock().await.take() else { return };
        serving.http.stop().await;
        serving.management.stop().await;
        if let Some(tls) = serving.tls {
            tls.stop().await;
        }
        serving.plain.stop().await;
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

    /// Limit what the stack calls so, `as:accept:mqtt`, `as:down:mqtt` or `grpc:method`, to so many a minute and a burst; `None` ends
    /// it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name, or a rate that is none.
    pub fn limit(&self, class: &str, rate: Option<(f64, u32)>) -> Result<()> {
        self.stack.limits.set(class, rate)
    }

    /// Forget downlink queues. Applications, keys and devices stay.
    pub fn forget_state(&self) {
        self.stack.registry().forget_downlinks();
    }

    /// Forget all devices, too.
    pub fn forget_devices(&self) {
        self.stack.registry().forget_devices();
    }

    /// Register an application, or give it another key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an ID or a key that the stack would refuse.
    pub fn add_application(&self, app_id: &str, key: AccessKey, rights: Rights) -> Result<()> {
        self.stack.registry().add_application(app_id, key, rights)
    }

    /// Register an administrator, or give one another key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an ID or a key that the stack would refuse.
    pub fn add_administrator(&self, user_id: &str, key: AccessKey) -> Result<()> {
        self.stack.registry().add_administrator(user_id, key)
    }

    /// Register a device, if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad ID or an unknown application.
    pub fn register_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.stack.register(app_id, dev_id)
    }

    /// Register a device that has yet to join, if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad ID or an unknown application.
    pub fn register_unjoined(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.stack.registry().register(app_id, dev_id, false, &mut self.stack.random())
    }

    /// Remove a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn delete_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.stack.registry().remove(app_id, dev_id)
    }

    /// IDs of an application's devices, sorted.
    #[must_use]
    pub fn devices(&self, app_id: &str) -> Vec<String> {
        self.stack.registry().devices(app_id)
    }

    /// Place a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn locate(&self, app_id: &str, dev_id: &str, latitude: f64, longitude: f64, altitude: i32) -> Result<()> {
        let mut registry = self.stack.registry();
        if let Some(record) = registry.device(app_id, dev_id)?.identity() {
            let place = Location {
                latitude,
                longitude,
                altitude,
                source: LocationSource::SourceRegistry.into(),
                ..Location::default()
            };
            record.locations.insert("user".to_owned(), place);
        }
        Ok(())
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
        let mut registry = self.stack.registry();
        let device = registry.device(app_id, dev_id)?;
        if let (Some(attributes), Some(record)) = (attributes, device.identity()) {
            record.attributes = attributes.into_iter().collect();
        }
        device.acknowledges = acknowledges.unwrap_or(device.acknowledges);
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
        self.stack.registry().device(app_id, dev_id)?.spreading = spreading;
        Ok(())
    }

    /// Let a device join.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        self.stack.join(app_id, dev_id)
    }

    /// Let a device send an uplink; returns its frame counter. Downlinks that clients have written before it was called
    /// are in time for the window that the uplink opens.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such device, it has not joined, or the fields are no JSON.
    pub async fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        stream::take_in(self.stack.router.take_in(app_id), &self.stack.faults).await;
        self.stack.uplink(app_id, dev_id, frame)
    }

    /// Downlinks that wait for a device, as base64 texts, first to go first.
    #[must_use]
    pub fn downlinks(&self, app_id: &str, dev_id: &str) -> Vec<String> {
        let mut registry = self.stack.registry();
        let device = registry.device(app_id, dev_id);
        device
            .into_iter()
            .flat_map(|device| &device.waiting)
            .map(|waiting| base64::encode(&waiting.frm_payload))
            .collect()
    }

    /// Downlinks that have reached a device, first to last; of very many the latest.
    #[must_use]
    pub fn received(&self, app_id: &str, dev_id: &str) -> Vec<Received> {
        self.stack.registry().device(app_id, dev_id).map(|device| device.inbox.all()).unwrap_or_default()
    }

    /// The next downlink that has reached a device and that this did not give yet.
    #[must_use]
    pub fn next_received(&self, app_id: &str, dev_id: &str) -> Option<Received> {
        self.stack.registry().device(app_id, dev_id).ok()?.inbox.next()
    }

    /// Let gateways refuse the next downlinks for this reason.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a reason that gateways do not have.
    pub fn refuse_downlinks(&self, reason: &str, count: u32) -> Result<()> {
        if !REASONS.contains(&reason) {
            let expected = "UNKNOWN_ERROR, TOO_LATE, TOO_EARLY, COLLISION_PACKET, COLLISION_BEACON, TX_FREQ, TX_POWER or \
                            GPS_UNLOCKED on this network";
            return Err(Error::invalid("reason", reason, expected));
        }
        self.stack.refusals.add(reason, count);
        Ok(())
    }

    /// Publish bytes as they are, as if the stack did: for tests of what a network should not send. Nothing is retained.
    pub fn publish_raw(&self, topic: &str, payload: &Bytes) {
        if let Some(uid) = topic.strip_prefix("v3/").and_then(|rest| rest.split('/').next()) {
            self.stack.router.publish(uid, topic, payload, Duration::ZERO);
        }
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
        stream::register(&*self.stack, app_id, &options)?;
        Ok(stream::run(self.stack.clone(), app_id.to_owned(), options))
    }

    /// The faults that can be switched on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.stack.faults
    }

    /// Cut the connections of one client, or of all; returns how many there were.
    pub fn cut(&self, client_id: Option<&str>) -> usize {
        self.stack.router.cut(client_id)
    }

    /// Part with all connections as the stack does when they are 24 hours old; returns how many clients of MQTT there were.
    pub fn end_day(&self) -> usize {
        self.stack.end_day()
    }

    /// Identifiers of the clients that are connected, sorted.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        self.stack.router.connected()
    }

    /// Messages that wait for a client.
    #[must_use]
    pub fn backlog(&self, client_id: &str) -> usize {
        self.stack.router.backlog(client_id)
    }

    /// What passed through lately, first to last.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.stack.journal.lately()
    }

    /// Follow what passes through, from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.stack.journal.follow()
    }
}
