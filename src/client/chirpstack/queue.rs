//! A device's queue of downlinks (CS 4.4).

use bytes::Bytes;
use prost::Message as _;

use super::{ChirpStack, Tenancy, unreadable};
use crate::client::managed::extended;
use crate::error::{Error, Result};
use crate::rpc::proto::chirpstack::api;

/// The items of a queue, encoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Items {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    result: Vec<Bytes>,
}

impl ChirpStack {
    /// Put a downlink into its device's queue, emptied before if `replaces`. Gives its ID.
    ///
    /// # Errors
    /// What the server says.
    pub async fn enqueue(&self, item: api::DeviceQueueItem, replaces: bool) -> Result<String> {
        let request = api::EnqueueDeviceQueueItemRequest { queue_item: Some(item), flush_queue: replaces };
        let answer: api::EnqueueDeviceQueueItemResponse = self.call("DeviceService", "Enqueue", &request).await?;
        Ok(answer.id)
    }
}

impl Tenancy {
    /// The downlinks that wait, encoded, in their order.
    ///
    /// # Errors
    /// What the server says.
    pub async fn downlinks(&self, dev_id: &str) -> Result<Vec<Bytes>> {
        let (_, record) = self.record(dev_id).await?;
        let request = api::GetDeviceQueueItemsRequest { dev_eui: record.whole.read.dev_eui, count_only: false };
        let reply = self.server.reply("DeviceService", "GetQueue", request.encode_to_vec().into()).await?;
        let failed = |error: prost::DecodeError| unreadable("DeviceService", "GetQueue", &error);
        let items = Items::decode(reply).map_err(failed)?.result;
        items.iter().try_for_each(|item| api::DeviceQueueItem::decode(item.clone()).map(drop)).map_err(failed)?;
        Ok(items)
    }

    /// Append downlinks to the queue, or have them replace it; what was sent and waits for its acknowledgement stays. One goes
    /// after the other, which keeps their order. Gives their IDs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fields where there is no codec, and what the server says: those that were queued by then stay.
    pub async fn queue(&self, dev_id: &str, items: Vec<api::DeviceQueueItem>, replace: bool) -> Result<Vec<String>> {
        let (home, record) = self.record(dev_id).await?;
        let device = record.whole.read;
        if items.iter().any(|item| item.object.is_some())
            && !self.server.profile_has_codec(&device.device_profile_id).await?
        {
            return Err(no_codec());
        }
        if items.is_empty() && replace {
            let request = api::FlushDeviceQueueRequest { dev_eui: device.dev_eui };
            let outcome = self.server.tell("DeviceService", "FlushQueue", &request).await;
            return self.written(&home, outcome).await.map(|()| Vec::new());
        }
        let (mut ids, all) = (Vec::new(), items.len());
        for item in items {
            let item = api::DeviceQueueItem { dev_eui: device.dev_eui.clone(), ..item };
            let outcome = self.server.enqueue(item, replace && ids.is_empty()).await;
            ids.push(self.written(&home, outcome).await.map_err(|error| match ids.len() {
                0 => error,
                queued => extended(error, &format!("{queued} of {all} downlinks were queued by then, and stay")),
            })?);
        }
        Ok(ids)
    }
}

/// Fields that nothing would encode.
pub(in crate::client) fn no_codec() -> Error {
    let expected = "bytes: the profile of this device has no codec, and ChirpStack would send fields as nothing";
    Error::invalid("payload", "{...}", expected)
}
