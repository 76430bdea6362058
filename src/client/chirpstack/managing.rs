//! `ChirpStack` as one of the networks that are managed alike.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Application, Device, Tenancy};
use crate::client::managed::{Managed, Registration as Described};
use crate::dialect::lorawan::Network;
use crate::error::Result;
use crate::rpc::proto::chirpstack::api;
use crate::rpc::proto::handler;

/// What a device of `ChirpStack` has that V2 does not know.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// What people see; the ID unless it is given.
    pub name: String,
    /// The device profile, by its UUID or its name.
    pub profile: Option<String>,
    /// Whether the server ignores the device.
    pub is_disabled: bool,
    /// What the codec is told.
    pub variables: HashMap<String, String>,
    /// The key of the network, of LoRaWAN 1.1.
    pub nwk_key: Option<Vec<u8>>,
}

/// A device as a program describes it.
pub type Registration = Described<Extra>;

/// Check the ID of a device.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for what cannot be one on this network.
pub fn check_id(_what: &'static str, id: &str) -> Result<()> {
    Network::ChirpStack.dev_id(id).map(drop)
}

/// Check what can be checked before anything is sent.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for what the server would not take, or not as it is meant.
pub fn check(registration: &Registration) -> Result<()> {
    super::register::plan(registration).map(drop)
}

impl Managed for Tenancy {
    type Extra = Extra;
    type Device = Device;
    type Application = Application;
    type Changed = ();
    type Downlink = api::DeviceQueueItem;
    type Queued = Vec<String>;

    async fn application(&self) -> Result<Application> {
        self.application().await
    }

    async fn look_for_application(&self) -> Result<()> {
        let home = self.home().await?;
        self.server.application(&home.id).await.map(drop)
    }

    async fn unregister(&self) -> Result<()> {
        self.unregister().await
    }

    async fn device(&self, dev_id: &str) -> Result<Device> {
        self.device(dev_id).await
    }

    async fn complete(&self, listed: Device) -> Result<Device> {
        self.complete(listed).await
    }

    async fn devices(&self, limit: Option<u64>, offset: u64) -> Result<(Vec<Device>, Option<u64>)> {
        self.devices(limit, offset).await
    }

    async fn register_device(&self, registration: &Registration) -> Result<()> {
        Box::pin(self.register_device(registration)).await
    }

    async fn update_device(&self, updates: &Registration, forgotten: &[String]) -> Result<()> {
        Box::pin(self.update_device(updates, forgotten)).await
    }

    async fn delete_device(&self, dev_id: &str) -> Result<()> {
        self.delete_device(dev_id).await
    }

    async fn personalize(&self, dev_id: &str, nwk_s_key: &[u8], app_s_key: &[u8]) -> Result<Device> {
        Box::pin(self.personalize(dev_id, nwk_s_key, app_s_key)).await
    }

    async fn move_device(&self, dev_id: &str, to: &Self) -> Result<()> {
        Box::pin(self.move_device(dev_id, to)).await
    }

    async fn downlinks(&self, dev_id: &str) -> Result<Vec<Bytes>> {
        self.downlinks(dev_id).await
    }

    async fn queue(&self, dev_id: &str, downlinks: Vec<api::DeviceQueueItem>, replace: bool) -> Result<Vec<String>> {
        Box::pin(self.queue(dev_id, downlinks, replace)).await
    }

    async fn dev_addr(&self) -> Result<Vec<u8>> {
        self.dev_addr().await
    }

    fn to_v2(device: &Device) -> handler::Device {
        device.to_v2()
    }
}
