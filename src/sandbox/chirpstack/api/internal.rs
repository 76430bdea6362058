//! What the web interface calls (CS 4.2, 4.6): log-in, keys, and the events of one device.

use std::collections::VecDeque;
use std::pin::Pin;

use tokio::sync::{broadcast, mpsc};
use tonic::codegen::tokio_stream::Stream;
use tonic::{Response, Status};

use super::Api;
use super::access::{Answer, about, invalid, not_found, required};
use super::device::tenant_of;
use super::page::page;
use crate::rpc::proto::chirpstack::api::{self, LogItem};
use crate::sandbox::chirpstack::ids::{eui, new_uuid, uuid};
use crate::sandbox::chirpstack::key::{Caller, Key, token, user_token};

/// The version that the captures are of.
const VERSION: &str = "4.20.0-test.1";
/// What a new server takes as name and as password.
const ADMIN: &str = "admin";
/// Items that may wait for who reads slowly.
const WAITING: usize = 64;

/// Events as they come.
pub(super) type Items = Pin<Box<dyn Stream<Item = Result<LogItem, Status>> + Send>>;

struct Coming(mpsc::Receiver<Result<LogItem, Status>>);

impl Stream for Coming {
    type Item = Result<LogItem, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Give what is kept, then what comes, until nobody reads any more.
async fn follow(
    dev_eui: String,
    kept: VecDeque<LogItem>,
    mut coming: broadcast::Receiver<(String, LogItem)>,
    tell: mpsc::Sender<Result<LogItem, Status>>,
) {
    for item in kept {
        if tell.send(Ok(item)).await.is_err() {
            return;
        }
    }
    loop {
        let item = tokio::select! {
            () = tell.closed() => return,
            item = coming.recv() => item,
        };
        match item {
            Ok((of, item)) if of == dev_eui => {
                if tell.send(Ok(item)).await.is_err() {
                    return;
                }
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

impl Api {
    pub(super) fn login(&self, request: &api::LoginRequest) -> Answer<api::LoginResponse> {
        if request.email != ADMIN || request.password != ADMIN {
            return Err(Status::unauthenticated("Invalid username or password"));
        }
        let id = new_uuid(&mut self.0.random());
        Ok(Response::new(api::LoginResponse { jwt: user_token(&id) }))
    }

    pub(super) fn version(caller: &Caller) -> Answer<api::GetVersionResponse> {
        caller.is_user()?;
        Ok(Response::new(api::GetVersionResponse { version: VERSION.to_owned() }))
    }

    pub(super) fn create_key(
        &self,
        caller: &Caller,
        request: &api::CreateApiKeyRequest,
    ) -> Answer<api::CreateApiKeyResponse> {
        caller.is_user()?;
        let given = required(request.api_key.clone(), "api_key")?;
        let tenant_id = if given.is_admin { None } else { Some(uuid(&given.tenant_id).map_err(invalid)?) };
        let id = new_uuid(&mut self.0.random());
        self.0.keys.lock().add(&id, Key { tenant_id, is_read_only: given.is_read_only, name: given.name });
        about(api::CreateApiKeyResponse { token: token(&id), id: id.clone() }, "x-log-api_key_id", &id)
    }

    pub(super) fn list_keys(
        &self,
        caller: &Caller,
        request: &api::ListApiKeysRequest,
    ) -> Answer<api::ListApiKeysResponse> {
        caller.is_user()?;
        let keys = self.0.keys.lock();
        let is_wanted = |key: &Key| match &key.tenant_id {
            None => request.is_admin,
            Some(tenant_id) => !request.is_admin && *tenant_id == request.tenant_id,
        };
        let wanted = keys.all().filter(|(_, key)| is_wanted(key)).map(|(id, key)| api::ApiKey {
            id: id.clone(),
            name: key.name.clone(),
            is_admin: key.tenant_id.is_none(),
            tenant_id: key.tenant_id.clone().unwrap_or_default(),
            is_read_only: key.is_read_only,
        });
        let (total_count, result) = page(wanted.collect(), request.limit, request.offset);
        Ok(Response::new(api::ListApiKeysResponse { total_count, result }))
    }

    pub(super) fn delete_key(&self, caller: &Caller, request: &api::DeleteApiKeyRequest) -> Answer<()> {
        caller.is_user()?;
        let id = uuid(&request.id).map_err(invalid)?;
        self.0.keys.lock().remove(&id).ok_or_else(|| not_found(&id))?;
        about((), "x-log-api_key_id", &id)
    }

    /// A DevEUI in upper case is that of a device, and nothing comes (seen).
    pub(super) fn events(&self, caller: &Caller, request: &api::StreamDeviceEventsRequest) -> Answer<Items> {
        let dev_eui = eui(&request.dev_eui).map_err(super::access::internal)?;
        let registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &dev_eui))?;
        let coming = self.0.listen();
        let kept = registry.devices.get(&request.dev_eui).map(|device| device.history.clone()).unwrap_or_default();
        drop(registry);
        let (tell, told) = mpsc::channel(WAITING);
        tokio::spawn(follow(request.dev_eui.clone(), kept, coming, tell));
        let items: Items = Box::pin(Coming(told));
        about(items, "x-log-dev_eui", &dev_eui)
    }
}
