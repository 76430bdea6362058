//! The services' methods: who calls is looked at, and the rest is for whom it concerns.

use tonic::Request;

use super::Api;
use super::access::Answer;
use super::internal::Items;
use crate::rpc::proto::chirpstack::api::application_service_server::ApplicationService;
use crate::rpc::proto::chirpstack::api::device_service_server::DeviceService;
use crate::rpc::proto::chirpstack::api::gateway_service_server::GatewayService;
use crate::rpc::proto::chirpstack::api::internal_service_server::InternalService;
use crate::rpc::proto::chirpstack::api::tenant_service_server::TenantService;
use crate::rpc::proto::chirpstack::api::{
    ActivateDeviceRequest, CreateApiKeyRequest, CreateApiKeyResponse, CreateApplicationRequest,
    CreateApplicationResponse, CreateDeviceKeysRequest, CreateDeviceRequest, CreateGatewayRequest, CreateTenantRequest,
    CreateTenantResponse, DeactivateDeviceRequest, DeleteApiKeyRequest, DeleteApplicationRequest,
    DeleteDeviceKeysRequest, DeleteDeviceRequest, DeleteGatewayRequest, EnqueueDeviceQueueItemRequest,
    EnqueueDeviceQueueItemResponse, FlushDevNoncesRequest, FlushDeviceQueueRequest,
    GenerateMqttIntegrationClientCertificateRequest, GenerateMqttIntegrationClientCertificateResponse,
    GetApplicationRequest, GetApplicationResponse, GetDeviceActivationRequest, GetDeviceActivationResponse,
    GetDeviceKeysRequest, GetDeviceKeysResponse, GetDeviceNextFCntDownRequest, GetDeviceNextFCntDownResponse,
    GetDeviceQueueItemsRequest, GetDeviceQueueItemsResponse, GetDeviceRequest, GetDeviceResponse, GetGatewayRequest,
    GetGatewayResponse, GetRandomDevAddrRequest, GetRandomDevAddrResponse, GetTenantRequest, GetTenantResponse,
    GetVersionResponse, ListApiKeysRequest, ListApiKeysResponse, ListApplicationDeviceProfilesRequest,
    ListApplicationDeviceProfilesResponse, ListApplicationsRequest, ListApplicationsResponse, ListDevicesRequest,
    ListDevicesResponse, ListGatewaysRequest, ListGatewaysResponse, ListTenantsRequest, ListTenantsResponse,
    LoginRequest, LoginResponse, StreamDeviceEventsRequest, UpdateApplicationRequest, UpdateDeviceKeysRequest,
    UpdateDeviceRequest,
};

/// A service whose methods are all alike: the name, what it takes and gives, and what answers.
macro_rules! service {
    ($service:ident { $($method:ident($request:ty) -> $response:ty = $work:ident;)* }) => {
        #[tonic::async_trait]
        impl $service for Api {
            $(
                async fn $method(&self, request: Request<$request>) -> Answer<$response> {
                    let caller = self.caller(request.metadata()).await?;
                    Api::$work(self, &caller, request.get_ref())
                }
            )*
        }
    };
}

service!(DeviceService {
    create(CreateDeviceRequest) -> () = create_device;
    get(GetDeviceRequest) -> GetDeviceResponse = get_device;
    update(UpdateDeviceRequest) -> () = update_device;
    delete(DeleteDeviceRequest) -> () = delete_device;
    list(ListDevicesRequest) -> ListDevicesResponse = list_devices;
    create_keys(CreateDeviceKeysRequest) -> () = create_keys;
    get_keys(GetDeviceKeysRequest) -> GetDeviceKeysResponse = get_keys;
    update_keys(UpdateDeviceKeysRequest) -> () = update_keys;
    delete_keys(DeleteDeviceKeysRequest) -> () = delete_keys;
    flush_dev_nonces(FlushDevNoncesRequest) -> () = flush_nonces;
    activate(ActivateDeviceRequest) -> () = activate;
    deactivate(DeactivateDeviceRequest) -> () = deactivate;
    get_activation(GetDeviceActivationRequest) -> GetDeviceActivationResponse = activation;
    get_random_dev_addr(GetRandomDevAddrRequest) -> GetRandomDevAddrResponse = random_address;
    enqueue(EnqueueDeviceQueueItemRequest) -> EnqueueDeviceQueueItemResponse = enqueue;
    flush_queue(FlushDeviceQueueRequest) -> () = flush_queue;
    get_queue(GetDeviceQueueItemsRequest) -> GetDeviceQueueItemsResponse = queue;
    get_next_f_cnt_down(GetDeviceNextFCntDownRequest) -> GetDeviceNextFCntDownResponse = next_counter;
});

service!(ApplicationService {
    create(CreateApplicationRequest) -> CreateApplicationResponse = create_application;
    get(GetApplicationRequest) -> GetApplicationResponse = get_application;
    update(UpdateApplicationRequest) -> () = update_application;
    delete(DeleteApplicationRequest) -> () = delete_application;
    list(ListApplicationsRequest) -> ListApplicationsResponse = list_applications;
    list_device_profiles(ListApplicationDeviceProfilesRequest) -> ListApplicationDeviceProfilesResponse = profiles_of;
    generate_mqtt_integration_client_certificate(GenerateMqttIntegrationClientCertificateRequest)
        -> GenerateMqttIntegrationClientCertificateResponse = certificate;
});

service!(GatewayService {
    create(CreateGatewayRequest) -> () = create_gateway;
    get(GetGatewayRequest) -> GetGatewayResponse = get_gateway;
    list(ListGatewaysRequest) -> ListGatewaysResponse = list_gateways;
    delete(DeleteGatewayRequest) -> () = delete_gateway;
});

service!(TenantService {
    create(CreateTenantRequest) -> CreateTenantResponse = create_tenant;
    get(GetTenantRequest) -> GetTenantResponse = get_tenant;
    list(ListTenantsRequest) -> ListTenantsResponse = list_tenants;
});

#[tonic::async_trait]
impl InternalService for Api {
    type StreamDeviceEventsStream = Items;

    async fn login(&self, request: Request<LoginRequest>) -> Answer<LoginResponse> {
        self.0.faults.pause().await;
        Api::login(self, request.get_ref())
    }

    async fn get_version(&self, request: Request<()>) -> Answer<GetVersionResponse> {
        Api::version(&self.caller(request.metadata()).await?)
    }

    async fn create_api_key(&self, request: Request<CreateApiKeyRequest>) -> Answer<CreateApiKeyResponse> {
        let caller = self.caller(request.metadata()).await?;
        self.create_key(&caller, request.get_ref())
    }

    async fn list_api_keys(&self, request: Request<ListApiKeysRequest>) -> Answer<ListApiKeysResponse> {
        let caller = self.caller(request.metadata()).await?;
        self.list_keys(&caller, request.get_ref())
    }

    async fn delete_api_key(&self, request: Request<DeleteApiKeyRequest>) -> Answer<()> {
        let caller = self.caller(request.metadata()).await?;
        self.delete_key(&caller, request.get_ref())
    }

    async fn stream_device_events(&self, request: Request<StreamDeviceEventsRequest>) -> Answer<Items> {
        let caller = self.caller(request.metadata()).await?;
        self.events(&caller, request.get_ref())
    }
}
