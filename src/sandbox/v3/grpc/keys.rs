//! What a key is, may do, and new ones, at the Identity Server.

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::application::not_found;
use super::check::check_key;
use super::{Servers, of_application};
use crate::rpc::proto::v3::application_access_server::ApplicationAccess;
use crate::rpc::proto::v3::auth_info_response::{AccessMethod, ApiKeyAccess};
use crate::rpc::proto::v3::entity_access_server::EntityAccess;
use crate::rpc::proto::v3::entity_identifiers::Ids;
use crate::rpc::proto::v3::{
    ApiKey, ApplicationIdentifiers, AuthInfoResponse, CreateApplicationApiKeyRequest, EntityIdentifiers, Rights,
    UserIdentifiers,
};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::key::{self, Owner};
use crate::sandbox::v3::right::{self, ALL, SETTINGS_API_KEYS};

impl Servers {
    /// What a call's key is; nothing of a call without one.
    fn auth_info(&self, metadata: &MetadataMap) -> Result<AuthInfoResponse, Failure> {
        let Some((owner, key)) = self.0.owners(metadata)?.and_then(|owners| owners.into_iter().next()) else {
            return Ok(AuthInfoResponse::default());
        };
        let mut rights = key.rights.expanded();
        let (ids, universal) = match owner {
            Owner::Application(application_id) => {
                (Ids::ApplicationIds(ApplicationIdentifiers { application_id }), None)
            }
            Owner::User(user_id) => {
                rights.push(ALL);
                let user = UserIdentifiers { user_id, ..UserIdentifiers::default() };
                (Ids::UserIds(user), Some(Rights { rights: right::Rights::universal() }))
            }
        };
        let is_admin = universal.is_some();
        let api_key = Some(key.told(rights));
        let access = ApiKeyAccess { api_key, entity_ids: Some(EntityIdentifiers { ids: Some(ids) }) };
        let access_method = Some(AccessMethod::ApiKey(access));
        Ok(AuthInfoResponse { access_method, universal_rights: universal, is_admin })
    }
}

#[tonic::async_trait]
impl EntityAccess for Servers {
    async fn auth_info(&self, request: Request<()>) -> Result<Response<AuthInfoResponse>, Status> {
        let method = "/ttn.lorawan.v3.EntityAccess/AuthInfo";
        let work = |metadata: &MetadataMap, ()| Self::auth_info(self, metadata);
        self.0.answer_anybody(request, method, |()| of_application(None), work).await
    }
}

#[tonic::async_trait]
impl ApplicationAccess for Servers {
    async fn list_rights(&self, request: Request<ApplicationIdentifiers>) -> Result<Response<Rights>, Status> {
        let work = |metadata: &MetadataMap, ids: ApplicationIdentifiers| {
            let rights = self.0.rights_of(metadata, &ids.application_id)?;
            Ok(Rights { rights: rights.map(|rights| rights.expanded()).unwrap_or_default() })
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        let method = "/ttn.lorawan.v3.ApplicationAccess/ListRights";
        self.0.answer_anybody(request, method, subject, work).await
    }

    async fn create_api_key(
        &self,
        request: Request<CreateApplicationApiKeyRequest>,
    ) -> Result<Response<ApiKey>, Status> {
        let work = |request: CreateApplicationApiKeyRequest| {
            check_key(&request)?;
            let app_id = of_application(request.application_ids.as_ref()).app_id;
            let made = key::ApiKey::make(&request, &mut self.0.random());
            let mut registry = self.0.registry();
            let made = registry.add_key(&app_id, made).ok_or_else(|| not_found(&app_id))?;
            Ok(ApiKey { key: made.secret.reveal().to_owned(), ..made.told(made.rights.numbers()) })
        };
        let subject = |request: &CreateApplicationApiKeyRequest| of_application(request.application_ids.as_ref());
        // Nobody gives what one does not have.
        let needed =
            |request: &CreateApplicationApiKeyRequest| [&[SETTINGS_API_KEYS], request.rights.as_slice()].concat();
        let method = "/ttn.lorawan.v3.ApplicationAccess/CreateAPIKey";
        self.0.answer(request, method, subject, needed, work).await
    }
}
