//! The queues of devices (CS 4.4).

use tonic::Status;

use super::Api;
use super::access::{Answer, about, internal, not_found, required};
use super::device::{known, tenant_of};
use crate::rpc::proto::chirpstack::api;
use crate::sandbox::chirpstack::ids::{eui, new_uuid};
use crate::sandbox::chirpstack::key::Caller;
use crate::sandbox::chirpstack::server::Server;

const ABOUT: &str = "x-log-dev_eui";

impl Api {
    pub(super) fn enqueue(
        &self,
        caller: &Caller,
        request: &api::EnqueueDeviceQueueItemRequest,
    ) -> Answer<api::EnqueueDeviceQueueItemResponse> {
        let item = required(request.queue_item.clone(), "queue_item")?;
        let dev_eui = eui(&item.dev_eui).map_err(internal)?;
        let registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        if !registry.devices.contains_key(&dev_eui) {
            return Err(not_found(&dev_eui));
        }
        let item = Server::encoded(&registry, item).map_err(internal)?;
        drop(registry);
        if item.f_port % 256 == 0 {
            return Err(Status::invalid_argument("Validation error: FPort must be between 1 - 255"));
        }
        let id = new_uuid(&mut self.0.random());
        let mut registry = self.0.registry();
        if request.flush_queue {
            // What was sent and is not acknowledged stays.
            known(&mut registry, &dev_eui)?.queue.retain(|item| item.is_pending);
        }
        let item = api::DeviceQueueItem { id: id.clone(), dev_eui: dev_eui.clone(), is_pending: false, ..item };
        self.0.enqueue(&mut registry, item).map_err(internal)?;
        about(api::EnqueueDeviceQueueItemResponse { id }, ABOUT, &dev_eui)
    }

    pub(super) fn flush_queue(&self, caller: &Caller, request: &api::FlushDeviceQueueRequest) -> Answer<()> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        known(&mut registry, &dev_eui)?.queue.clear();
        about((), ABOUT, &dev_eui)
    }

    /// The items come even where their number alone is asked for (seen).
    pub(super) fn queue(
        &self,
        caller: &Caller,
        request: &api::GetDeviceQueueItemsRequest,
    ) -> Answer<api::GetDeviceQueueItemsResponse> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &dev_eui))?;
        let result: Vec<_> = known(&mut registry, &dev_eui)?.queue.iter().cloned().collect();
        let total_count = u32::try_from(result.len()).unwrap_or(u32::MAX);
        about(api::GetDeviceQueueItemsResponse { total_count, result }, ABOUT, &dev_eui)
    }

    pub(super) fn next_counter(
        &self,
        caller: &Caller,
        request: &api::GetDeviceNextFCntDownRequest,
    ) -> Answer<api::GetDeviceNextFCntDownResponse> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &dev_eui))?;
        let device = known(&mut registry, &dev_eui)?;
        let f_cnt_down = device.session.as_ref().map_or(0, |session| session.n_f_cnt_down);
        about(api::GetDeviceNextFCntDownResponse { f_cnt_down }, ABOUT, &dev_eui)
    }
}
