//! The API of a `ChirpStack` server (CS 4): what its answers mean, and what takes several calls, as one.

mod kept;

use std::time::Duration;

use prost::Message;

pub use self::kept::KEPT;
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result, RpcCode};
use crate::ids::AccessKey;
use crate::rpc::proto::chirpstack::api;
use crate::rpc::{Authority, CallOptions, Channel, Method, Server};

/// What a page of a list has at most.
const PAGE: u32 = 1000;

/// A server's API.
#[derive(Clone, Debug)]
pub struct ChirpStack {
    channel: Channel,
    key: AccessKey,
    timeout: Duration,
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl ChirpStack {
    /// A way to the server; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Tls`] where nobody can be trusted.
    pub fn new(endpoint: &Endpoint, trust: &Trust, key: AccessKey, timeout: Duration) -> Result<Self> {
        let server = Server::new(vec![endpoint.clone()], trust)?.trusting_by("ca_certs").probed_rarely().or_by_web();
        Ok(Self { channel: server.channel(), key, timeout })
    }

    fn method(&self, service: &str, name: &str) -> Result<(Method, CallOptions)> {
        let full = format!("api.{service}");
        let method = Method::find(&full, name)
            .ok_or_else(|| Error::rpc(RpcCode::Unimplemented, format!("no method {full}/{name}")))?;
        let authority = Authority::Bearer(self.key.clone());
        Ok((method, CallOptions { timeout: Some(self.timeout), authority, metadata: Vec::new() }))
    }

    async fn call<A: Message + Default>(&self, service: &str, name: &str, request: &impl Message) -> Result<A> {
        let (method, options) = self.method(service, name)?;
        let reply = self.channel.call(&method, request.encode_to_vec().into(), &options).await.map_err(explain)?;
        A::decode(reply.message).map_err(|error| Error::Malformed {
            message: format!("answer of {service}/{name}"),
            reason: error.to_string(),
        })
    }

    /// The application with this UUID.
    ///
    /// # Errors
    /// What the server says.
    pub async fn application(&self, id: &str) -> Result<Named> {
        let request = api::GetApplicationRequest { id: id.to_owned() };
        let answer: api::GetApplicationResponse = self.call("ApplicationService", "Get", &request).await?;
        let application = answer.application.unwrap_or_default();
        Ok(Named { id: application.id, name: application.name })
    }

    /// The application of this name in a tenant.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none, [`Error::Ambiguous`] where there are several, and what the server says.
    pub async fn application_called(&self, tenant_id: &str, name: &str) -> Result<Named> {
        let (mut found, mut offset) = (Vec::new(), 0);
        loop {
            let request = api::ListApplicationsRequest {
                limit: PAGE,
                offset,
                search: name.to_owned(),
                tenant_id: tenant_id.to_owned(),
            };
            let page: api::ListApplicationsResponse = self.call("ApplicationService", "List", &request).await?;
            let count = u32::try_from(page.result.len()).unwrap_or(PAGE);
            // What is searched for is part of names, in any case.
            found.extend(page.result.into_iter().filter(|item| item.name == name).map(|item| item.id));
            offset += count;
            if count < PAGE {
                break;
            }
        }
        match <[String; 1]>::try_from(found) {
            Ok([id]) => Ok(Named { id, name: name.to_owned() }),
            Err(found) if found.is_empty() => {
                Err(Error::invalid("app_id", name, "an application of this tenant, or its UUID"))
            }
            Err(found) => {
                let found = format!("applications with the UUIDs {} are called that", found.join(" and "));
                Err(Error::Ambiguous { what: "app_id", value: name.to_owned(), found })
            }
        }
    }

    /// The `DevEUI` of a device of an application, by its tag `dev_id`, else by its name; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where there are several, and what the server says.
    pub async fn device_called(&self, application_id: &str, dev_id: &str) -> Result<Option<String>> {
        let by_tag = api::ListDevicesRequest {
            limit: PAGE,
            application_id: application_id.to_owned(),
            tags: [("dev_id".to_owned(), dev_id.to_owned())].into(),
            ..api::ListDevicesRequest::default()
        };
        let by_name = api::ListDevicesRequest { search: dev_id.to_owned(), tags: [].into(), ..by_tag.clone() };
        // Servers before 4.12 do not know tags, and list them all.
        let is_tagged = |item: &api::DeviceListItem| item.tags.get("dev_id").is_some_and(|tag| tag == dev_id);
        let is_named = |item: &api::DeviceListItem| item.name == dev_id;
        let found = self.devices(&by_tag, is_tagged).await?;
        let found = if found.is_empty() { self.devices(&by_name, is_named).await? } else { found };
        match found.as_slice() {
            [] => Ok(None),
            [eui] => Ok(Some(eui.clone())),
            several => {
                let found = format!("devices with the DevEUIs {} are called that", several.join(" and "));
                Err(Error::Ambiguous { what: "dev_id", value: dev_id.to_owned(), found })
            }
        }
    }

    async fn devices(
        &self,
        request: &api::ListDevicesRequest,
        is_meant: impl Fn(&api::DeviceListItem) -> bool,
    ) -> Result<Vec<String>> {
        let (mut found, mut request) = (Vec::new(), request.clone());
        loop {
            // By their EUIs, since names may change between two pages.
            request.order_by = api::list_devices_request::OrderBy::DevEui.into();
            let page: api::ListDevicesResponse = self.call("DeviceService", "List", &request).await?;
            let count = u32::try_from(page.result.len()).unwrap_or(PAGE);
            found.extend(page.result.into_iter().filter(|item| is_meant(item)).map(|item| item.dev_eui));
            request.offset += count;
            if count < PAGE {
                return Ok(found);
            }
        }
    }

    /// Whether the profile of a device has a codec, without which fields would be sent as nothing.
    ///
    /// # Errors
    /// What the server says.
    pub async fn has_codec(&self, dev_eui: &str) -> Result<bool> {
        let request = api::GetDeviceRequest { dev_eui: dev_eui.to_owned() };
        let device: api::GetDeviceResponse = self.call("DeviceService", "Get", &request).await?;
        let request = api::GetDeviceProfileRequest { id: device.device.unwrap_or_default().device_profile_id };
        let profile: api::GetDeviceProfileResponse = self.call("DeviceProfileService", "Get", &request).await?;
        Ok(profile.device_profile.is_some_and(|profile| profile.payload_codec_runtime != 0))
    }

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

/// What the server means (CS 4.3): it has one code for what is not there and for what a key may not do.
fn explain(error: Error) -> Error {
    let Error::Rpc { code, details, reported } = error else { return error };
    let details = match (code, details.as_str()) {
        (RpcCode::Unauthenticated, "") => {
            "not found, or not allowed for this API key: ChirpStack says the same of both".to_owned()
        }
        (RpcCode::Unauthenticated, words) => format!("{words}: is access_key an API key of this ChirpStack?"),
        _ => details,
    };
    Error::Rpc { code, details, reported }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_about_the_reason_is_put_into_words() {
        let text = |details: &str| explain(Error::rpc(RpcCode::Unauthenticated, details)).to_string();
        assert!(text("").contains("not found, or not allowed"));
        assert!(text("InvalidToken").contains("InvalidToken: is access_key"));
        assert!(matches!(explain(Error::NotConnected), Error::NotConnected));
    }
}
