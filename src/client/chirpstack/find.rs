//! Applications and devices by what programs call them (CS 4.4, 5.4).

use prost::Message as _;

use super::meaning::{is_silence, not_allowed};
use super::whole::Whole;
use super::{ChirpStack, Named, Tenancy, unreadable};
use crate::client::managed::code_of;
use crate::dialect::lorawan::{dev_eui, uuid};
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api;

/// The tag that a device is called by.
pub(super) const DEV_ID: &str = "dev_id";

/// A device, as the server has it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// What is replaced by an update.
    pub(super) whole: Whole<api::Device>,
    /// When it was heard last.
    pub(super) last_seen_at: Option<prost_types::Timestamp>,
}

impl ChirpStack {
    /// The device with this `DevEUI`.
    async fn device(&self, dev_eui: &str) -> Result<Option<Record>> {
        let request = api::GetDeviceRequest { dev_eui: dev_eui.to_owned() };
        let reply = self.reply("DeviceService", "Get", request.encode_to_vec().into()).await?;
        let failed = |error: prost::DecodeError| unreadable("DeviceService", "Get", &error);
        let last_seen_at = api::GetDeviceResponse::decode(reply.clone()).map_err(failed)?.last_seen_at;
        let whole = Whole::within(reply, "api.Device").map_err(failed)?;
        Ok(whole.map(|whole| Record { whole, last_seen_at }))
    }

    /// The application with this UUID.
    ///
    /// # Errors
    /// What the server says.
    pub async fn application(&self, id: &str) -> Result<Named> {
        let request = api::GetApplicationRequest { id: id.to_owned() };
        let answer: api::GetApplicationResponse = self.call("ApplicationService", "Get", &request).await?;
        let api::Application { id, name, tenant_id, .. } = answer.application.unwrap_or_default();
        Ok(Named { id, name, tenant_id })
    }

    /// The application of this name in a tenant.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none, [`Error::Ambiguous`] where there are several, and what the server says.
    pub async fn application_called(&self, tenant_id: &str, name: &str) -> Result<Named> {
        let (tenant_id, search) = (tenant_id.to_owned(), name.to_owned());
        let request = api::ListApplicationsRequest {
            search,
            tenant_id: tenant_id.clone(),
            ..api::ListApplicationsRequest::default()
        };
        // What is searched for is part of names, in any case.
        let all = self.all_of(&request).await?;
        let found = all.into_iter().filter(|item| item.name == name).map(|item| item.id);
        let id = one("app_id", name, "applications with the UUIDs", found.collect())?
            .ok_or_else(|| Error::invalid("app_id", name, "an application of this tenant, or its UUID"))?;
        Ok(Named { id, name: name.to_owned(), tenant_id })
    }

    /// The `DevEUI` of a device of an application, by its tag `dev_id`, else by its name; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where there are several, and what the server says.
    pub async fn device_called(&self, application_id: &str, dev_id: &str) -> Result<Option<String>> {
        let by_tag = api::ListDevicesRequest {
            application_id: application_id.to_owned(),
            tags: [(DEV_ID.to_owned(), dev_id.to_owned())].into(),
            // Names may change between two pages.
            order_by: api::list_devices_request::OrderBy::DevEui.into(),
            ..api::ListDevicesRequest::default()
        };
        let by_name = api::ListDevicesRequest { search: dev_id.to_owned(), tags: [].into(), ..by_tag.clone() };
        // Servers before 4.12 do not know tags, and list them all.
        let is_tagged = |item: &api::DeviceListItem| item.tags.get(DEV_ID).is_some_and(|tag| tag == dev_id);
        let is_named = |item: &api::DeviceListItem| item.name == dev_id;
        let euis = |items: Vec<api::DeviceListItem>, is_meant: &dyn Fn(&api::DeviceListItem) -> bool| {
            items.into_iter().filter(|item| is_meant(item)).map(|item| item.dev_eui).collect::<Vec<_>>()
        };
        let mut found = euis(self.all_of(&by_tag).await?, &is_tagged);
        if found.is_empty() {
            found = euis(self.all_of(&by_name).await?, &is_named);
        }
        one("dev_id", dev_id, "devices with the DevEUIs", found)
    }
}

/// The one that is called so, if any is.
pub(super) fn one(what: &'static str, name: &str, kind: &str, found: Vec<String>) -> Result<Option<String>> {
    match <[String; 1]>::try_from(found) {
        Ok([id]) => Ok(Some(id)),
        Err(found) if found.is_empty() => Ok(None),
        Err(found) => {
            let found = format!("{kind} {} are called that", found.join(" and "));
            Err(Error::Ambiguous { what, value: name.to_owned(), found })
        }
    }
}

impl Tenancy {
    /// The application by the server's word, which is asked once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name without a tenant, as [`ChirpStack::application_called`], and what the server says.
    pub(super) async fn home(&self) -> Result<Named> {
        let known = self.found.lock().get(&self.app_id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = match (uuid(&self.app_id), &self.tenant_id) {
            (Some(uuid), _) => self.server.application(&uuid).await?,
            (None, Some(tenant)) => self.server.application_called(tenant, &self.app_id).await?,
            (None, None) => {
                let expected =
                    "the application's UUID, or its name together with tenant_id: an API key does not know its tenant";
                return Err(Error::invalid("app_id", self.app_id.as_str(), expected));
            }
        };
        self.found.lock().insert(self.app_id.clone(), found.clone());
        Ok(found)
    }

    /// There is no such device.
    pub(super) fn absent(&self, dev_id: &str) -> Error {
        Error::rpc(RpcCode::NotFound, format!("there is no device {dev_id:?} in the application {:?}", self.app_id))
    }

    /// A device of the application: by its `DevEUI`, its tag `dev_id`, or its name.
    ///
    /// # Errors
    /// [`Error::Rpc`] where there is none, [`Error::Ambiguous`] where there are several, and what the server says.
    pub(super) async fn record(&self, dev_id: &str) -> Result<(Named, Record)> {
        let home = self.home().await?;
        if let Some(eui) = dev_eui(dev_id)
            && let Some(record) = self.record_at(&home, &eui).await?
        {
            return Ok((home, record));
        }
        let called = self.server.device_called(&home.id, dev_id).await?;
        let eui = called.ok_or_else(|| self.absent(dev_id))?;
        let record = self.record_at(&home, &eui).await?.ok_or_else(|| self.absent(dev_id))?;
        Ok((home, record))
    }

    /// The device with this `DevEUI`, if the application has it.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn record_at(&self, home: &Named, eui: &str) -> Result<Option<Record>> {
        match self.server.device(eui).await {
            // The key may be good for other applications as well.
            Ok(record) => Ok(record.filter(|record| record.whole.read.application_id == home.id)),
            Err(error) if code_of(&error) == Some(RpcCode::NotFound) => Ok(None),
            // If the key is good for the application, it is the device that is not there.
            Err(error) if is_silence(&error) => match self.server.application(&home.id).await {
                Ok(_) => Ok(None),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The outcome of a change to something that is there: what the server does not say is that the key may not.
    pub(super) async fn written<T>(&self, home: &Named, outcome: Result<T>) -> Result<T> {
        match outcome {
            Err(error) if is_silence(&error) && self.server.application(&home.id).await.is_ok() => Err(not_allowed()),
            outcome => outcome,
        }
    }
}
