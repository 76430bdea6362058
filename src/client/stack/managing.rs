//! The stack as one of the networks that are managed alike.

use bytes::Bytes;

use super::part::Device;
use super::registration::Registration;
use super::{Application, Stack};
use crate::client::managed::Managed;
use crate::error::Result;
use crate::rpc::proto::{handler, v3};

impl Managed for Stack {
    type Extra = v3::EndDevice;
    type Device = Device;
    type Application = Application;
    /// The servers that were told something.
    type Changed = Vec<&'static str>;
    type Downlink = v3::ApplicationDownlink;
    type Queued = ();

    async fn application(&self) -> Result<Application> {
        self.application().await
    }

    async fn look_for_application(&self) -> Result<()> {
        self.look_for_application().await
    }

    async fn unregister(&self) -> Result<()> {
        self.unregister().await
    }

    async fn device(&self, dev_id: &str) -> Result<Device> {
        self.device(dev_id).await
    }

    async fn complete(&self, listed: Device) -> Result<Device> {
        self.complete(listed.identity).await
    }

    async fn devices(&self, limit: Option<u64>, offset: u64) -> Result<(Vec<Device>, Option<u64>)> {
        let (parts, total) = self.devices(limit, offset).await?;
        Ok((parts.into_iter().map(Device::listed).collect(), total))
    }

    async fn register_device(&self, registration: &Registration) -> Result<()> {
        Box::pin(self.register_device(registration)).await
    }

    async fn update_device(&self, updates: &Registration, forgotten: &[String]) -> Result<Vec<&'static str>> {
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

    async fn queue(&self, dev_id: &str, downlinks: Vec<v3::ApplicationDownlink>, replace: bool) -> Result<()> {
        self.queue(dev_id, downlinks, replace).await
    }

    async fn dev_addr(&self) -> Result<Vec<u8>> {
        self.dev_addr().await
    }

    fn to_v2(device: &Device) -> handler::Device {
        device.to_v2()
    }
}
