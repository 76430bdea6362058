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
        Ok(self.items(&record.whole.read.dev_eui).await?.into_iter().map(|(bytes, _)| bytes).collect())
    }

    /// What waits for a device, encoded and read.
    async fn items(&self, dev_eui: &str) -> Result<Vec<(Bytes, api::DeviceQueueItem)>> {
        let request = api::GetDeviceQueueItemsRequest { dev_eui: dev_eui.to_owned(), count_only: false };
        let reply = self.server.reply("DeviceService", "GetQueue", request.encode_to_vec().into()).await?;
        let failed = |error: prost::DecodeError| unreadable("DeviceService", "GetQueue", &error);
        let items = Items::decode(reply).map_err(failed)?.result;
        items.into_iter().map(|item| Ok((item.clone(), api::DeviceQueueItem::decode(item).map_err(failed)?))).collect()
    }

    /// The IDs of what waits for a device and was not sent yet.
    async fn waiting(&self, dev_eui: &str) -> Result<Vec<String>> {
        let items = self.items(dev_eui).await?.into_iter().filter(|(_, item)| !item.is_pending);
        Ok(items.map(|(_, item)| item.id).collect())
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
        let flush = api::FlushDeviceQueueRequest { dev_eui: device.dev_eui.clone() };
        let flushed = async || {
            let outcome = self.server.tell("DeviceService", "FlushQueue", &flush).await;
            self.written(&home, outcome).await
        };
        if items.is_empty() && replace {
            return flushed().await.map(|()| Vec::new());
        }
        let (mut ids, all) = (Vec::new(), items.len());
        for item in items {
            let item = api::DeviceQueueItem { dev_eui: device.dev_eui.clone(), ..item };
            let waiting = if replace && ids.is_empty() { self.waiting(&device.dev_eui).await? } else { Vec::new() };
            let mut outcome = self.server.enqueue(item.clone(), replace && ids.is_empty()).await;
            // Servers before 4.15 do not know that the queue is to be emptied.
            if outcome.is_ok()
                && !waiting.is_empty()
                && self.waiting(&device.dev_eui).await?.iter().any(|id| waiting.contains(id))
            {
                flushed().await?;
                outcome = self.server.enqueue(item, false).await;
            }
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
