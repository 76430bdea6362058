//! Applications (CS 4.4).

use std::collections::BTreeSet;

use super::Api;
use super::access::{Answer, about, internal, invalid, not_found, required};
use super::page::{contains, page};
use crate::rpc::proto::chirpstack::api;
use crate::sandbox::chirpstack::ids::{new_uuid, uuid};
use crate::sandbox::chirpstack::key::Caller;
use crate::sandbox::chirpstack::registry::Kept;

const ABOUT: &str = "x-log-application_id";

impl Api {
    pub(super) fn create_application(
        &self,
        caller: &Caller,
        request: &api::CreateApplicationRequest,
    ) -> Answer<api::CreateApplicationResponse> {
        let given = required(request.application.clone(), "application")?;
        let tenant_id = uuid(&given.tenant_id).map_err(invalid)?;
        caller.may_write(Some(&tenant_id))?;
        let id = new_uuid(&mut self.0.random());
        let mut registry = self.0.registry();
        if !registry.tenants.contains_key(&tenant_id) {
            let words = "insert or update on table \"application\" violates foreign key constraint \
                         \"application_tenant_id_fkey\"";
            return Err(internal(words));
        }
        let application = api::Application { id: id.clone(), tenant_id, ..given };
        registry.applications.insert(id.clone(), Kept::new(application));
        about(api::CreateApplicationResponse { id: id.clone() }, ABOUT, &id)
    }

    pub(super) fn get_application(
        &self,
        caller: &Caller,
        request: &api::GetApplicationRequest,
    ) -> Answer<api::GetApplicationResponse> {
        let id = uuid(&request.id).map_err(invalid)?;
        let registry = self.0.registry();
        caller.may_read(registry.tenant_of(&id))?;
        let known = registry.applications.get(&id).ok_or_else(|| not_found(&id))?;
        let response = api::GetApplicationResponse {
            application: Some(known.value.clone()),
            created_at: Some(known.created_at),
            updated_at: Some(known.updated_at),
            measurement_keys: Vec::new(),
        };
        about(response, ABOUT, &id)
    }

    /// A full replacement, but for the tenant.
    pub(super) fn update_application(&self, caller: &Caller, request: &api::UpdateApplicationRequest) -> Answer<()> {
        let given = required(request.application.clone(), "application")?;
        let id = uuid(&given.id).map_err(invalid)?;
        let mut registry = self.0.registry();
        caller.may_write(registry.tenant_of(&id))?;
        let known = registry.applications.get_mut(&id).ok_or_else(|| not_found(&id))?;
        let tenant_id = known.value.tenant_id.clone();
        known.replace(api::Application { id: id.clone(), tenant_id, ..given });
        about((), ABOUT, &id)
    }

    pub(super) fn delete_application(&self, caller: &Caller, request: &api::DeleteApplicationRequest) -> Answer<()> {
        let id = uuid(&request.id).map_err(invalid)?;
        let mut registry = self.0.registry();
        caller.may_write(registry.tenant_of(&id))?;
        registry.applications.remove(&id).ok_or_else(|| not_found(&id))?;
        let devices = registry.devices.values().map(|device| &device.record.value);
        let own = devices.filter(|record| record.application_id == id).map(|record| record.dev_eui.clone());
        for dev_eui in own.collect::<Vec<_>>() {
            registry.remove_device(&dev_eui);
        }
        about((), ABOUT, &id)
    }

    pub(super) fn list_applications(
        &self,
        caller: &Caller,
        request: &api::ListApplicationsRequest,
    ) -> Answer<api::ListApplicationsResponse> {
        let tenant_id = uuid(&request.tenant_id).map_err(invalid)?;
        caller.may_read(Some(&tenant_id))?;
        let registry = self.0.registry();
        let own = registry.applications.values().filter(|known| known.value.tenant_id == tenant_id);
        let mut found: Vec<_> = own
            .filter(|known| contains(&known.value.name, &request.search))
            .map(|known| api::ApplicationListItem {
                id: known.value.id.clone(),
                created_at: Some(known.created_at),
                updated_at: Some(known.updated_at),
                name: known.value.name.clone(),
                description: known.value.description.clone(),
            })
            .collect();
        // Those of one name as they were made.
        let place = |item: &api::ApplicationListItem| {
            let made = item.created_at.unwrap_or_default();
            (item.name.clone(), made.seconds, made.nanos)
        };
        found.sort_by_key(place);
        let (total_count, result) = page(found, request.limit, request.offset);
        about(api::ListApplicationsResponse { total_count, result }, "x-log-tenant_id", &tenant_id)
    }

    /// Those in use.
    pub(super) fn profiles_of(
        &self,
        caller: &Caller,
        request: &api::ListApplicationDeviceProfilesRequest,
    ) -> Answer<api::ListApplicationDeviceProfilesResponse> {
        let id = uuid(&request.application_id).map_err(invalid)?;
        let registry = self.0.registry();
        caller.may_read(registry.tenant_of(&id))?;
        let devices = registry.devices.values().map(|device| &device.record.value);
        let profiles = devices.filter(|record| record.application_id == id).filter_map(|it| registry.profile_of(it));
        let by_name: BTreeSet<_> = profiles.map(|profile| (&profile.name, &profile.id)).collect();
        let result = by_name
            .into_iter()
            .map(|(name, id)| api::ApplicationDeviceProfileListItem { id: id.clone(), name: name.clone() })
            .collect();
        about(api::ListApplicationDeviceProfilesResponse { result }, ABOUT, &id)
    }

    pub(super) fn certificate(
        &self,
        caller: &Caller,
        request: &api::GenerateMqttIntegrationClientCertificateRequest,
    ) -> Answer<api::GenerateMqttIntegrationClientCertificateResponse> {
        let id = uuid(&request.application_id).map_err(invalid)?;
        let registry = self.0.registry();
        caller.may_write(registry.tenant_of(&id))?;
        drop(registry);
        let (signed, until) = self.0.authority.sign(&id).map_err(|error| internal(error.to_string()))?;
        let response = api::GenerateMqttIntegrationClientCertificateResponse {
            tls_cert: signed.pem,
            tls_key: signed.key_pem,
            ca_cert: self.0.authority.pem().to_owned(),
            expires_at: Some(until),
        };
        about(response, ABOUT, &id)
    }
}
