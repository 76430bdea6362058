//! Device profiles (CS 4.4). They have more fields than the definitions name, so their bytes are kept as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::{Request as HttpRequest, Response as HttpResponse};
use prost::Message as _;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use super::Api;
use super::access::{Answer, about, internal, invalid, not_found, required};
use super::page::{contains, page};
use crate::rpc::proto::chirpstack::api;
use crate::sandbox::chirpstack::ids::{new_uuid, uuid};
use crate::sandbox::chirpstack::key::Caller;
use crate::sandbox::chirpstack::registry::{Kept, Profile};

const ABOUT: &str = "x-log-device_profile_id";

/// What has a profile in it, as its bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Whole {
    #[prost(bytes = "vec", optional, tag = "1")]
    device_profile: Option<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    created_at: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "3")]
    updated_at: Option<prost_types::Timestamp>,
}

/// The service, one method at a time.
#[derive(Clone, Debug)]
pub(super) struct Profiles(pub(super) Api);

impl NamedService for Profiles {
    const NAME: &'static str = "api.DeviceProfileService";
}

impl Service<HttpRequest<Body>> for Profiles {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        let api = self.0.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                "Create" => api.serve(request, Api::create_profile).await,
                "Get" => api.serve(request, Api::get_profile).await,
                "Update" => api.serve(request, Api::update_profile).await,
                "Delete" => api.serve(request, Api::delete_profile).await,
                "List" => api.serve(request, Api::list_profiles).await,
                "ListAdrAlgorithms" => api.serve(request, |_, _, (): &()| Ok(Response::new(adr_algorithms()))).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// A profile as it is kept: with its IDs in their usual form, which stand before what was given and so hold.
fn kept(given: &[u8], id: &str, tenant_id: &str) -> Result<Profile, Status> {
    let mut known = api::DeviceProfile::decode(given).map_err(|error| internal(error.to_string()))?;
    (known.id, known.tenant_id) = (id.to_owned(), tenant_id.to_owned());
    let mut bytes = given.to_vec();
    let ids =
        api::DeviceProfile { id: id.to_owned(), tenant_id: tenant_id.to_owned(), ..api::DeviceProfile::default() };
    // Of fields that stand there twice the last one counts.
    ids.encode(&mut bytes).map_err(|error| internal(error.to_string()))?;
    Ok(Profile { known, bytes })
}

impl Api {
    async fn serve<M, R>(
        self,
        request: HttpRequest<Body>,
        work: fn(&Self, &Caller, &M) -> Answer<R>,
    ) -> HttpResponse<Body>
    where
        M: prost::Message + Default + 'static,
        R: prost::Message + Default + 'static,
    {
        let method = service_fn(move |request: Request<M>| {
            let api = self.clone();
            async move {
                let caller = api.caller(request.metadata()).await?;
                work(&api, &caller, request.get_ref())
            }
        });
        Grpc::new(ProstCodec::<R, M>::default()).unary(method, request).await
    }

    fn create_profile(&self, caller: &Caller, request: &Whole) -> Answer<api::CreateDeviceProfileResponse> {
        let given = required(request.device_profile.as_ref(), "device_profile")?;
        let read = api::DeviceProfile::decode(&**given).map_err(|error| internal(error.to_string()))?;
        let tenant_id = uuid(&read.tenant_id).map_err(invalid)?;
        caller.may_write(Some(&tenant_id))?;
        let id = new_uuid(&mut self.0.random());
        let profile = kept(given, &id, &tenant_id)?;
        self.0.registry().profiles.insert(id.clone(), Kept::new(profile));
        about(api::CreateDeviceProfileResponse { id: id.clone() }, ABOUT, &id)
    }

    fn get_profile(&self, caller: &Caller, request: &api::GetDeviceProfileRequest) -> Answer<Whole> {
        let id = uuid(&request.id).map_err(invalid)?;
        let registry = self.0.registry();
        let found = registry.profiles.get(&id);
        caller.may_read(found.map(|known| known.value.known.tenant_id.as_str()))?;
        let found = found.ok_or_else(|| not_found(&id))?;
        let response = Whole {
            device_profile: Some(found.value.bytes.clone()),
            created_at: Some(found.created_at),
            updated_at: Some(found.updated_at),
        };
        about(response, ABOUT, &id)
    }

    /// A full replacement. A script that is none is taken (seen).
    fn update_profile(&self, caller: &Caller, request: &Whole) -> Answer<()> {
        let given = required(request.device_profile.as_ref(), "device_profile")?;
        let read = api::DeviceProfile::decode(&**given).map_err(|error| internal(error.to_string()))?;
        let id = uuid(&read.id).map_err(invalid)?;
        let mut registry = self.0.registry();
        let tenant_id = registry.profiles.get(&id).map(|known| known.value.known.tenant_id.clone());
        caller.may_write(tenant_id.as_deref())?;
        let found = registry.profiles.get_mut(&id).ok_or_else(|| not_found(&id))?;
        found.replace(kept(given, &id, &tenant_id.unwrap_or_default())?);
        about((), ABOUT, &id)
    }

    fn delete_profile(&self, caller: &Caller, request: &api::DeleteDeviceProfileRequest) -> Answer<()> {
        let id = uuid(&request.id).map_err(invalid)?;
        let mut registry = self.0.registry();
        let tenant_id = registry.profiles.get(&id).map(|known| known.value.known.tenant_id.clone());
        caller.may_write(tenant_id.as_deref())?;
        if registry.devices.values().any(|device| device.record.value.device_profile_id == id) {
            let words = "update or delete on table \"device_profile\" violates foreign key constraint \
                         \"device_device_profile_id_fkey\" on table \"device\"";
            return Err(internal(words));
        }
        registry.profiles.remove(&id).ok_or_else(|| not_found(&id))?;
        about((), ABOUT, &id)
    }

    fn list_profiles(
        &self,
        caller: &Caller,
        request: &api::ListDeviceProfilesRequest,
    ) -> Answer<api::ListDeviceProfilesResponse> {
        let tenant_id = uuid(&request.tenant_id).map_err(invalid)?;
        caller.may_read(Some(&tenant_id))?;
        let registry = self.0.registry();
        let own = registry.profiles.values().filter(|kept| kept.value.known.tenant_id == tenant_id);
        let mut found: Vec<_> = own
            .filter(|kept| contains(&kept.value.known.name, &request.search))
            .map(|kept| {
                let known = &kept.value.known;
                api::DeviceProfileListItem {
                    id: known.id.clone(),
                    created_at: Some(kept.created_at),
                    updated_at: Some(kept.updated_at),
                    name: known.name.clone(),
                    region: known.region,
                    mac_version: known.mac_version,
                    reg_params_revision: known.reg_params_revision,
                    supports_otaa: known.supports_otaa,
                    supports_class_b: known.supports_class_b,
                    supports_class_c: known.supports_class_c,
                }
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let (total_count, result) = page(found, request.limit, request.offset);
        about(api::ListDeviceProfilesResponse { total_count, result }, "x-log-tenant_id", &tenant_id)
    }
}

/// What the server has of its own.
fn adr_algorithms() -> api::ListDeviceProfileAdrAlgorithmsResponse {
    let named = [
        ("default", "Default ADR algorithm (LoRa only)"),
        ("lr_fhss", "LR-FHSS only ADR algorithm"),
        ("lora_lr_fhss", "LoRa & LR-FHSS ADR algorithm"),
    ];
    let result: Vec<_> =
        named.map(|(id, name)| api::AdrAlgorithmListItem { id: id.to_owned(), name: name.to_owned() }).into();
    let total_count = u32::try_from(result.len()).unwrap_or(0);
    api::ListDeviceProfileAdrAlgorithmsResponse { total_count, result }
}
