//! An application: what it is, the codecs of its devices' profiles, its end (CS 4.4, 5.3).

use bytes::Bytes;

use super::profile::functions_of;
use super::whole::Whole;
use super::{ChirpStack, Named, Tenancy};
use crate::client::managed::Functions;
use crate::error::Result;
use crate::rpc::proto::chirpstack::api;

/// An application, and the device profiles that are meant.
#[derive(Clone, Debug)]
pub struct Application {
    /// The application's message, as it came.
    pub message: Bytes,
    /// Those of the profiles that its devices have; of the one that was asked for.
    pub profiles: Vec<Bytes>,
    /// The codec of the profile, where it is one.
    pub functions: Functions,
}

impl ChirpStack {
    async fn message(&self, id: &str) -> Result<Bytes> {
        let request = api::GetApplicationRequest { id: id.to_owned() };
        let found: Option<Whole<api::Application>> =
            self.whole("ApplicationService", "Get", &request, "api.Application").await?;
        Ok(found.map(|found| found.bytes).unwrap_or_default())
    }
}

impl Tenancy {
    /// What the server has of the application.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn application(&self) -> Result<Application> {
        let home = self.home().await?;
        let message = self.server.message(&home.id).await?;
        let profiles = match &self.profile {
            Some(given) => {
                let id = self.profile_called(&home, given).await?;
                vec![self.server.profile(&id).await?]
            }
            None => self.server.profiles_in_use(&home.id).await?,
        };
        let functions = match profiles.as_slice() {
            [profile] => functions_of(&profile.read),
            _ => Functions::default(),
        };
        Ok(Application { message, profiles: profiles.into_iter().map(|profile| profile.bytes).collect(), functions })
    }

    /// Delete the application with all its devices.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn unregister(&self) -> Result<()> {
        let home = self.home().await?;
        let request = api::DeleteApplicationRequest { id: home.id.clone() };
        let outcome = self.server.tell("ApplicationService", "Delete", &request).await;
        self.written(&home, outcome).await?;
        self.found.lock().remove(&self.app_id);
        Ok(())
    }

    /// The gateways of the tenant, or a part of them, and how many there are.
    ///
    /// # Errors
    /// What the server says.
    pub async fn gateways(&self, limit: Option<u64>, offset: u64) -> Result<(Vec<api::GatewayListItem>, u64)> {
        let Named { tenant_id, .. } = self.home().await?;
        let request = api::ListGatewaysRequest {
            tenant_id,
            order_by: api::list_gateways_request::OrderBy::GatewayId.into(),
            ..api::ListGatewaysRequest::default()
        };
        self.server.part_of(&request, limit, offset).await
    }
}
