//! Gateways and tenants (CS 4.4).

use super::Api;
use super::access::{Answer, about, internal, invalid, not_found, required};
use super::page::{contains, page};
use crate::rpc::proto::chirpstack::api::{self, list_gateways_request::OrderBy};
use crate::sandbox::chirpstack::ids::{eui, new_uuid, uuid};
use crate::sandbox::chirpstack::key::Caller;
use crate::sandbox::chirpstack::registry::{Kept, Registry};

const ABOUT: &str = "x-log-gateway_id";
const ABOUT_TENANT: &str = "x-log-tenant_id";

fn tenant_of<'a>(registry: &'a Registry, gateway_id: &str) -> Option<&'a str> {
    registry.gateways.get(gateway_id).map(|known| known.value.tenant_id.as_str())
}

impl Api {
    pub(super) fn create_gateway(&self, caller: &Caller, request: &api::CreateGatewayRequest) -> Answer<()> {
        let given = required(request.gateway.clone(), "gateway")?;
        let gateway_id = eui(&given.gateway_id).map_err(internal)?;
        let tenant_id = uuid(&given.tenant_id).map_err(invalid)?;
        caller.may_write(Some(&tenant_id))?;
        let mut registry = self.0.registry();
        if registry.gateways.contains_key(&gateway_id) {
            return Err(internal("duplicate key value violates unique constraint \"gateway_pkey\""));
        }
        let gateway = api::Gateway { gateway_id: gateway_id.clone(), tenant_id, ..given };
        registry.gateways.insert(gateway_id.clone(), Kept::new(gateway));
        about((), ABOUT, &gateway_id)
    }

    pub(super) fn get_gateway(
        &self,
        caller: &Caller,
        request: &api::GetGatewayRequest,
    ) -> Answer<api::GetGatewayResponse> {
        let gateway_id = eui(&request.gateway_id).map_err(internal)?;
        let registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &gateway_id))?;
        let known = registry.gateways.get(&gateway_id).ok_or_else(|| not_found(&gateway_id))?;
        let response = api::GetGatewayResponse {
            gateway: Some(known.value.clone()),
            created_at: Some(known.created_at),
            updated_at: Some(known.updated_at),
            last_seen_at: None,
        };
        about(response, ABOUT, &gateway_id)
    }

    pub(super) fn delete_gateway(&self, caller: &Caller, request: &api::DeleteGatewayRequest) -> Answer<()> {
        let gateway_id = eui(&request.gateway_id).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &gateway_id))?;
        registry.gateways.remove(&gateway_id).ok_or_else(|| not_found(&gateway_id))?;
        about((), ABOUT, &gateway_id)
    }

    pub(super) fn list_gateways(
        &self,
        caller: &Caller,
        request: &api::ListGatewaysRequest,
    ) -> Answer<api::ListGatewaysResponse> {
        let tenant_id = if request.tenant_id.is_empty() {
            caller.is_admin()?;
            None
        } else {
            let tenant_id = uuid(&request.tenant_id).map_err(invalid)?;
            caller.may_read(Some(&tenant_id))?;
            Some(tenant_id)
        };
        let registry = self.0.registry();
        let own =
            registry.gateways.values().filter(|known| tenant_id.as_ref().is_none_or(|it| *it == known.value.tenant_id));
        let mut found: Vec<_> = own
            .filter(|known| contains(&known.value.name, &request.search))
            .map(|known| {
                let gateway = known.value.clone();
                api::GatewayListItem {
                    tenant_id: gateway.tenant_id,
                    gateway_id: gateway.gateway_id,
                    name: gateway.name,
                    description: gateway.description,
                    location: gateway.location,
                    created_at: Some(known.created_at),
                    updated_at: Some(known.updated_at),
                    ..api::GatewayListItem::default()
                }
            })
            .collect();
        // They are by ID already, and none has told when it was seen.
        if request.order_by() == OrderBy::Name {
            found.sort_by(|one, other| one.name.cmp(&other.name));
        }
        if request.order_by_desc {
            found.reverse();
        }
        let (total_count, result) = page(found, request.limit, request.offset);
        Ok(tonic::Response::new(api::ListGatewaysResponse { total_count, result }))
    }

    pub(super) fn create_tenant(
        &self,
        caller: &Caller,
        request: &api::CreateTenantRequest,
    ) -> Answer<api::CreateTenantResponse> {
        let given = required(request.tenant.clone(), "tenant")?;
        caller.may_write(None)?;
        let id = new_uuid(&mut self.0.random());
        self.0.registry().tenants.insert(id.clone(), Kept::new(api::Tenant { id: id.clone(), ..given }));
        about(api::CreateTenantResponse { id: id.clone() }, ABOUT_TENANT, &id)
    }

    pub(super) fn get_tenant(
        &self,
        caller: &Caller,
        request: &api::GetTenantRequest,
    ) -> Answer<api::GetTenantResponse> {
        let id = uuid(&request.id).map_err(invalid)?;
        caller.may_read(Some(&id))?;
        let registry = self.0.registry();
        let known = registry.tenants.get(&id).ok_or_else(|| not_found(&id))?;
        let response = api::GetTenantResponse {
            tenant: Some(known.value.clone()),
            created_at: Some(known.created_at),
            updated_at: Some(known.updated_at),
        };
        about(response, ABOUT_TENANT, &id)
    }

    pub(super) fn list_tenants(
        &self,
        caller: &Caller,
        request: &api::ListTenantsRequest,
    ) -> Answer<api::ListTenantsResponse> {
        caller.is_admin()?;
        let registry = self.0.registry();
        let mut found: Vec<_> = registry
            .tenants
            .values()
            .filter(|known| contains(&known.value.name, &request.search))
            .map(|known| api::TenantListItem {
                id: known.value.id.clone(),
                created_at: Some(known.created_at),
                updated_at: Some(known.updated_at),
                name: known.value.name.clone(),
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let (total_count, result) = page(found, request.limit, request.offset);
        Ok(tonic::Response::new(api::ListTenantsResponse { total_count, result }))
    }
}
