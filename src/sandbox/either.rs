//! A sandbox of any LoRaWAN network: what a program asks of all of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::fault::Faults;
use super::frame::{Received, UplinkFrame};
use super::journal::Entry;
use super::stream::StreamOptions;
use super::{chirpstack, v2, v3};
use crate::error::Result;

/// Where a sandbox listens, and for whom.
#[derive(Clone, Debug)]
pub enum NetworkOptions {
    /// As The Things Network V2.
    V2(v2::Options),
    /// As The Things Stack V3.
    V3(v3::Options),
    /// As ChirpStack 4.
    ChirpStack(chirpstack::Options),
}

/// A running sandbox. What its methods do is said where each network has them.
#[derive(Debug)]
pub enum NetworkSandbox {
    /// As The Things Network V2.
    V2(v2::Sandbox),
    /// As The Things Stack V3.
    V3(v3::Sandbox),
    /// As ChirpStack 4.
    ChirpStack(chirpstack::Sandbox),
}

macro_rules! of_each {
    ($self:ident, $sandbox:ident => $answer:expr) => {
        match $self {
            NetworkSandbox::V2($sandbox) => $answer,
            NetworkSandbox::V3($sandbox) => $answer,
            NetworkSandbox::ChirpStack($sandbox) => $answer,
        }
    };
}

#[expect(missing_docs, clippy::missing_errors_doc, reason = "each is what the network's own does")]
impl NetworkSandbox {
    pub async fn start(options: NetworkOptions) -> Result<Self> {
        Ok(match options {
            NetworkOptions::V2(options) => Self::V2(v2::Sandbox::start(options).await?),
            NetworkOptions::V3(options) => Self::V3(v3::Sandbox::start(options).await?),
            NetworkOptions::ChirpStack(options) => Self::ChirpStack(chirpstack::Sandbox::start(options).await?),
        })
    }

    pub async fn stop(&self) {
        of_each!(self, sandbox => sandbox.stop().await);
    }

    pub async fn resume(&self) -> Result<()> {
        of_each!(self, sandbox => sandbox.resume().await)
    }

    #[must_use]
    pub fn mqtt_address(&self) -> String {
        of_each!(self, sandbox => sandbox.mqtt_address())
    }

    #[must_use]
    pub fn mqtts_address(&self) -> Option<String> {
        of_each!(self, sandbox => sandbox.mqtts_address())
    }

    #[must_use]
    pub fn certificate(&self) -> &str {
        of_each!(self, sandbox => sandbox.certificate())
    }

    pub fn forget_state(&self) {
        of_each!(self, sandbox => sandbox.forget_state());
    }

    pub fn forget_devices(&self) {
        of_each!(self, sandbox => sandbox.forget_devices());
    }

    pub fn register_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        of_each!(self, sandbox => sandbox.register_device(app_id, dev_id))
    }

    pub fn delete_device(&self, app_id: &str, dev_id: &str) -> Result<()> {
        of_each!(self, sandbox => sandbox.delete_device(app_id, dev_id))
    }

    #[must_use]
    pub fn devices(&self, app_id: &str) -> Vec<String> {
        of_each!(self, sandbox => sandbox.devices(app_id))
    }

    pub fn locate(&self, app_id: &str, dev_id: &str, latitude: f64, longitude: f64, altitude: i32) -> Result<()> {
        of_each!(self, sandbox => sandbox.locate(app_id, dev_id, latitude, longitude, altitude))
    }

    pub fn configure_device(
        &self,
        app_id: &str,
        dev_id: &str,
        attributes: Option<BTreeMap<String, String>>,
        acknowledges: Option<bool>,
    ) -> Result<()> {
        of_each!(self, sandbox => sandbox.configure_device(app_id, dev_id, attributes, acknowledges))
    }

    pub fn join(&self, app_id: &str, dev_id: &str) -> Result<()> {
        of_each!(self, sandbox => sandbox.join(app_id, dev_id))
    }

    pub async fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32> {
        of_each!(self, sandbox => sandbox.uplink(app_id, dev_id, frame).await)
    }

    #[must_use]
    pub fn downlinks(&self, app_id: &str, dev_id: &str) -> Vec<String> {
        of_each!(self, sandbox => sandbox.downlinks(app_id, dev_id))
    }

    #[must_use]
    pub fn received(&self, app_id: &str, dev_id: &str) -> Vec<Received> {
        of_each!(self, sandbox => sandbox.received(app_id, dev_id))
    }

    #[must_use]
    pub fn next_received(&self, app_id: &str, dev_id: &str) -> Option<Received> {
        of_each!(self, sandbox => sandbox.next_received(app_id, dev_id))
    }

    pub fn publish_raw(&self, topic: &str, payload: Bytes, retain: bool) {
        match self {
            Self::V2(sandbox) => sandbox.publish_raw(topic, payload, retain),
            Self::V3(sandbox) => sandbox.publish_raw(topic, &payload),
            Self::ChirpStack(sandbox) => sandbox.publish_raw(topic, payload, retain),
        }
    }

    pub fn stream(
        &self,
        app_id: &str,
        options: StreamOptions,
    ) -> Result<std::pin::Pin<Box<dyn Future<Output = Result<u64>> + Send>>> {
        Ok(match self {
            Self::V2(sandbox) => Box::pin(sandbox.stream(app_id, options)?),
            Self::V3(sandbox) => Box::pin(sandbox.stream(app_id, options)?),
            Self::ChirpStack(sandbox) => Box::pin(sandbox.stream(app_id, options)?),
        })
    }

    #[must_use]
    pub fn faults(&self) -> &Faults {
        of_each!(self, sandbox => sandbox.faults())
    }

    pub fn cut(&self, client_id: Option<&str>) -> usize {
        of_each!(self, sandbox => sandbox.cut(client_id))
    }

    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        of_each!(self, sandbox => sandbox.clients())
    }

    #[must_use]
    pub fn backlog(&self, client_id: &str) -> usize {
        of_each!(self, sandbox => sandbox.backlog(client_id))
    }

    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        of_each!(self, sandbox => sandbox.journal())
    }

    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        of_each!(self, sandbox => sandbox.follow())
    }
}
