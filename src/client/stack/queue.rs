//! A device's queue of downlinks, and uplinks that no device has sent (V3 3.4.10, 3.4.11).

use bytes::Bytes;

use super::{Stack, check_id};
use crate::error::Result;
use crate::rpc::message::elements;
use crate::rpc::proto::v3;

impl Stack {
    /// The downlinks that wait, encoded, in their order.
    ///
    /// # Errors
    /// What the Application Server says.
    pub async fn downlinks(&self, dev_id: &str) -> Result<Vec<Bytes>> {
        check_id("dev_id", dev_id)?;
        let reply = self.reply("AppAs", "DownlinkQueueList", &self.device_ids(dev_id)).await?;
        elements("ttn.lorawan.v3.ApplicationDownlinks", reply.message)
    }

    /// Whether there is such a device: the error says that there is none. The queue of one that is not there is empty.
    ///
    /// # Errors
    /// What the Identity Server says.
    pub async fn look_for_device(&self, dev_id: &str) -> Result<()> {
        let request = v3::GetEndDeviceRequest { end_device_ids: Some(self.device_ids(dev_id)), field_mask: None };
        self.tell("EndDeviceRegistry", "Get", &request).await
    }

    /// Append downlinks to the queue, or have them replace it. All are taken or none.
    ///
    /// # Errors
    /// What the Application Server says.
    pub async fn queue(&self, dev_id: &str, downlinks: Vec<v3::ApplicationDownlink>, replace: bool) -> Result<()> {
        check_id("dev_id", dev_id)?;
        let request = v3::DownlinkQueueRequest { end_device_ids: Some(self.device_ids(dev_id)), downlinks };
        let name = if replace { "DownlinkQueueReplace" } else { "DownlinkQueuePush" };
        self.tell("AppAs", name, &request).await
    }

    /// Have the network handle a payload as if a device had sent it.
    ///
    /// # Errors
    /// What the Application Server says.
    pub async fn simulate_uplink(&self, dev_id: &str, payload: Vec<u8>, port: u32) -> Result<()> {
        check_id("dev_id", dev_id)?;
        let uplink = v3::ApplicationUplink {
            f_port: port,
            frm_payload: payload,
            settings: Some(settings(self.defaults.frequency_plan_id.as_deref())),
            ..v3::ApplicationUplink::default()
        };
        let request = v3::ApplicationUp {
            end_device_ids: Some(self.device_ids(dev_id)),
            up: Some(v3::application_up::Up::UplinkMessage(uplink)),
            ..v3::ApplicationUp::default()
        };
        self.tell("AppAs", "SimulateUplink", &request).await
    }
}

/// How something is said to have been received: on a channel of the band.
pub(super) fn settings(frequency_plan_id: Option<&str>) -> v3::TxSettings {
    let frequency = match frequency_plan_id.and_then(|plan| plan.split('_').next()) {
        Some("US") => 903_900_000,
        Some("AU") => 916_800_000,
        Some("AS") => 923_200_000,
        _ => 868_100_000,
    };
    let lora = v3::LoRaDataRate { bandwidth: 125_000, spreading_factor: 7, coding_rate: "4/5".to_owned() };
    let data_rate = v3::DataRate { modulation: Some(v3::data_rate::Modulation::Lora(lora)) };
    v3::TxSettings { data_rate: Some(data_rate), frequency, ..v3::TxSettings::default() }
}
