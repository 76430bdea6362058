//! The four servers' calls over gRPC (V3 3.3), on the store that MQTT uses, too.

mod access;
mod application;
mod check;
mod configuration;
mod device;
mod events;
mod identity;
mod keys;
mod link;
mod mask;
mod messages;
mod page;
mod stream;

use std::sync::Arc;

use tonic::service::Routes;

use self::access::Subject;
use super::stack::Stack;
use crate::rpc::proto::v3::app_as_server::AppAsServer;
use crate::rpc::proto::v3::application_access_server::ApplicationAccessServer;
use crate::rpc::proto::v3::application_registry_server::ApplicationRegistryServer;
use crate::rpc::proto::v3::application_up_storage_server::ApplicationUpStorageServer;
use crate::rpc::proto::v3::as_end_device_batch_registry_server::AsEndDeviceBatchRegistryServer;
use crate::rpc::proto::v3::as_end_device_registry_server::AsEndDeviceRegistryServer;
use crate::rpc::proto::v3::as_server::AsServer;
use crate::rpc::proto::v3::configuration_server::ConfigurationServer;
use crate::rpc::proto::v3::end_device_batch_registry_server::EndDeviceBatchRegistryServer;
use crate::rpc::proto::v3::end_device_registry_server::EndDeviceRegistryServer;
use crate::rpc::proto::v3::entity_access_server::EntityAccessServer;
use crate::rpc::proto::v3::events_server::EventsServer;
use crate::rpc::proto::v3::js_end_device_batch_registry_server::JsEndDeviceBatchRegistryServer;
use crate::rpc::proto::v3::js_end_device_registry_server::JsEndDeviceRegistryServer;
use crate::rpc::proto::v3::js_server::JsServer;
use crate::rpc::proto::v3::ns_end_device_batch_registry_server::NsEndDeviceBatchRegistryServer;
use crate::rpc::proto::v3::ns_end_device_registry_server::NsEndDeviceRegistryServer;
use crate::rpc::proto::v3::ns_server::NsServer;
use crate::rpc::proto::v3::{ApplicationIdentifiers, EndDeviceIdentifiers};
use crate::sandbox::http2;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;

/// The services of all servers.
#[derive(Clone, Debug)]
struct Servers(Arc<Stack>);

/// Methods of gRPC, for a listener.
pub(super) struct GrpcService {
    routes: Routes,
    stack: Arc<Stack>,
}

impl GrpcService {
    pub(super) fn new(stack: Arc<Stack>) -> Arc<Self> {
        let servers = Servers(stack.clone());
        let storage = servers.clone();
        let routes = Routes::new(ApplicationRegistryServer::new(servers.clone()))
            .add_service(ApplicationAccessServer::new(servers.clone()))
            .add_service(EntityAccessServer::new(servers.clone()))
            .add_service(EndDeviceRegistryServer::new(servers.clone()))
            .add_service(EndDeviceBatchRegistryServer::new(servers.clone()))
            .add_service(NsEndDeviceBatchRegistryServer::new(servers.clone()))
            .add_service(AsEndDeviceBatchRegistryServer::new(servers.clone()))
            .add_service(JsEndDeviceBatchRegistryServer::new(servers.clone()))
            .add_service(NsEndDeviceRegistryServer::new(servers.clone()))
            .add_service(AsEndDeviceRegistryServer::new(servers.clone()))
            .add_service(JsEndDeviceRegistryServer::new(servers.clone()))
            .add_service(NsServer::new(servers.clone()))
            .add_service(JsServer::new(servers.clone()))
            .add_service(ConfigurationServer::new(servers.clone()))
            .add_service(EventsServer::new(servers.clone()))
            .add_service(AsServer::new(servers.clone()))
            .add_service(AppAsServer::new(servers).max_decoding_message_size(16 << 20));
        // A stack that keeps nothing does not have the service.
        let routes =
            if stack.storage.is_on() { routes.add_service(ApplicationUpStorageServer::new(storage)) } else { routes };
        Arc::new(Self { routes: routes.prepare(), stack })
    }

    /// For calls from within.
    pub(super) fn routes(&self) -> Routes {
        self.routes.clone()
    }
}

impl Service for GrpcService {
    fn refuses_connections(&self) -> bool {
        self.stack.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.stack.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: Socket,
    {
        let mut aged = self.stack.age();
        let aged = async move {
            // The stack lives as long as its connections.
            let _changed = aged.changed().await;
        };
        http2::serve(stream, self.routes.clone(), arrival, aged).await;
    }
}

fn of_application(ids: Option<&ApplicationIdentifiers>) -> Subject {
    Subject { app_id: ids.map(|ids| ids.application_id.clone()).unwrap_or_default(), dev_id: None }
}

fn of_device(ids: Option<&EndDeviceIdentifiers>) -> Subject {
    let subject = of_application(ids.and_then(|ids| ids.application_ids.as_ref()));
    Subject { dev_id: ids.map(|ids| ids.device_id.clone()), ..subject }
}
