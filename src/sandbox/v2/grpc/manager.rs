//! The application manager (V2 2.7).

use std::sync::Arc;

use serde_json::Value;
use tonic::{Request, Response, Status};

use super::access::{admit, has_right, number};
use super::record;
use crate::ids::is_network_id;
use crate::rpc::proto::handler::application_manager_server::ApplicationManager;
use crate::rpc::proto::handler::{
    Application, ApplicationIdentifier, Device, DeviceIdentifier, DeviceList, DryDownlinkMessage, DryDownlinkResult,
    DryUplinkMessage, DryUplinkResult, LogEntry, SimulatedUplinkMessage,
};
use crate::sandbox::frame::UplinkFrame;
use crate::sandbox::v2::Network;
use crate::sandbox::v2::payload::{self, Log};
use crate::sandbox::v2::{Right, Settings};

/// The service.
#[derive(Debug)]
pub(super) struct Manager(pub(super) Arc<Network>);

fn valid_id(what: &str, id: &str) -> Result<(), Status> {
    if is_network_id(id) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{what} not valid: ID \"{id}\" has the wrong format")))
}

fn not_found(what: &str, id: &str) -> Status {
    Status::not_found(format!("{what} \"{id}\" not found"))
}

impl Manager {
    /// Whether the handler serves the application.
    fn served(&self, app_id: &str) -> Result<(), Status> {
        if self.0.registry().is_registered(app_id) { Ok(()) } else { Err(not_found("Application", app_id)) }
    }
}

fn logs(logs: Vec<Log>) -> Vec<LogEntry> {
    logs.into_iter().map(|log| LogEntry { function: log.function.to_owned(), fields: log.fields }).collect()
}

/// The settings that a dry run brings along.
fn dry_settings(application: Option<&Application>) -> Settings {
    application.map(|application| record::settings(application, String::new())).unwrap_or_default()
}

fn port(number: u32) -> Result<u8, Status> {
    u8::try_from(number).map_err(|_| Status::invalid_argument("Port not valid: expected 0 to 255"))
}

/// Payload functions take up to 300 ms: not on the threads that serve connections.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Status::internal(format!("Internal error: {error}")))
}

fn refused(words: String) -> Status {
    if words.starts_with("App not valid") || words.contains(" not valid: ") {
        Status::invalid_argument(words)
    } else {
        Status::unknown(words)
    }
}

#[tonic::async_trait]
impl ApplicationManager for Manager {
    async fn register_application(&self, request: Request<ApplicationIdentifier>) -> Result<Response<()>, Status> {
        let app_id = &request.get_ref().app_id;
        valid_id("Application Identifier", app_id)?;
        admit(&self.0, &request, app_id, Right::Settings).await?;
        if self.0.registry().set_registered(app_id, true) {
            return Ok(Response::new(()));
        }
        Err(Status::already_exists(format!("Application \"{app_id}\" already exists")))
    }

    async fn get_application(&self, request: Request<ApplicationIdentifier>) -> Result<Response<Application>, Status> {
        let app_id = &request.get_ref().app_id;
        valid_id("Application Identifier", app_id)?;
        admit(&self.0, &request, app_id, Right::Settings).await?;
        let settings = self.0.registry().settings(app_id).ok_or_else(|| not_found("Application", app_id))?;
        let may_see_key = has_right(&self.0, request.metadata(), app_id, Right::Devices);
        Ok(Response::new(record::application(app_id, &settings, may_see_key)))
    }

    async fn set_application(&self, request: Request<Application>) -> Result<Response<()>, Status> {
        let wire = request.get_ref();
        valid_id("Application", &wire.app_id)?;
        admit(&self.0, &request, &wire.app_id, Right::Settings).await?;
        let old = self.0.registry().settings(&wire.app_id).ok_or_else(|| not_found("Application", &wire.app_id))?;
        let key = if has_right(&self.0, request.metadata(), &wire.app_id, Right::Devices) {
            wire.register_on_join_access_key.clone()
        } else {
            old.register_on_join_access_key.clone()
        };
        self.0.registry().set_settings(&wire.app_id, record::settings(wire, key));
        Ok(Response::new(()))
    }

    async fn delete_application(&self, request: Request<ApplicationIdentifier>) -> Result<Response<()>, Status> {
        let app_id = &request.get_ref().app_id;
        valid_id("Application Identifier", app_id)?;
        admit(&self.0, &request, app_id, Right::Delete).await?;
        self.served(app_id)?;
        let devices = self.0.registry().devices(app_id);
        for dev_id in devices {
            // Somebody else may have deleted it meanwhile, which is as good.
            drop(self.0.delete(app_id, &dev_id));
        }
        self.0.registry().set_registered(app_id, false);
        Ok(Response::new(()))
    }

    async fn get_device(&self, request: Request<DeviceIdentifier>) -> Result<Response<Device>, Status> {
        let DeviceIdentifier { app_id, dev_id } = request.get_ref();
        valid_id("Device Identifier", dev_id)?;
        admit(&self.0, &request, app_id, Right::Devices).await?;
        self.served(app_id)?;
        let mut registry = self.0.registry();
        let device = registry.device(app_id, dev_id).ok_or_else(|| not_found("Device", dev_id))?;
        Ok(Response::new(record::to_wire(app_id, dev_id, device, true)))
    }

    async fn set_device(&self, request: Request<Device>) -> Result<Response<()>, Status> {
        let wire = request.get_ref();
        valid_id("Device", &wire.dev_id)?;
        admit(&self.0, &request, &wire.app_id, Right::Devices).await?;
        self.served(&wire.app_id)?;
        self.0.put(wire)?;
        Ok(Response::new(()))
    }

    async fn delete_device(&self, request: Request<DeviceIdentifier>) -> Result<Response<()>, Status> {
        let DeviceIdentifier { app_id, dev_id } = request.get_ref();
        valid_id("Device Identifier", dev_id)?;
        admit(&self.0, &request, app_id, Right::Devices).await?;
        self.served(app_id)?;
        self.0.delete(app_id, dev_id).map_err(|_| not_found("Device", dev_id))?;
        Ok(Response::new(()))
    }

    async fn get_devices_for_application(
        &self,
        request: Request<ApplicationIdentifier>,
    ) -> Result<Response<DeviceList>, Status> {
        let app_id = &request.get_ref().app_id;
        valid_id("Application Identifier", app_id)?;
        admit(&self.0, &request, app_id, Right::Devices).await?;
        self.served(app_id)?;
        let (limit, offset) = (number(request.metadata(), "limit"), number(request.metadata(), "offset"));
        let (page, total) = self.0.registry().page(app_id, limit, offset);
        let devices: Vec<_> =
            page.iter().map(|(dev_id, device)| record::to_wire(app_id, dev_id, device, false)).collect();
        let selected = devices.len();
        let mut response = Response::new(DeviceList { devices });
        response.metadata_mut().insert("total", total.into());
        response.metadata_mut().insert("selected", selected.into());
        Ok(response)
    }

    async fn dry_downlink(&self, request: Request<DryDownlinkMessage>) -> Result<Response<DryDownlinkResult>, Status> {
        self.0.faults.pause().await;
        let wire = request.into_inner();
        match (wire.payload.is_empty(), wire.fields.is_empty()) {
            (true, true) => Err(Status::invalid_argument("Downlink not valid: Neither Fields nor Payload provided")),
            (false, false) => Err(Status::invalid_argument("Downlink not valid: Both Fields and Payload provided")),
            (false, true) => Ok(Response::new(DryDownlinkResult { payload: wire.payload, logs: Vec::new() })),
            (true, false) => {
                let fields: Value = serde_json::from_str(&wire.fields)
                    .map_err(|error| Status::invalid_argument(format!("Fields not valid: {error}")))?;
                let (settings, port) = (dry_settings(wire.app.as_ref()), port(wire.port)?);
                let (payload, printed) =
                    aside(move || payload::encode(&settings, &fields, port)).await?.map_err(refused)?;
                Ok(Response::new(DryDownlinkResult { payload, logs: logs(printed) }))
            }
        }
    }

    async fn dry_uplink(&self, request: Request<DryUplinkMessage>) -> Result<Response<DryUplinkResult>, Status> {
        self.0.faults.pause().await;
        let wire = request.into_inner();
        let (settings, port, payload) = (dry_settings(wire.app.as_ref()), port(wire.port)?, wire.payload.clone());
        let decoded = aside(move || payload::decode(&settings, &payload, port)).await?.map_err(refused)?;
        Ok(Response::new(DryUplinkResult {
            payload: wire.payload,
            fields: decoded.fields.to_string(),
            valid: decoded.valid,
            logs: logs(decoded.logs),
        }))
    }

    async fn simulate_uplink(&self, request: Request<SimulatedUplinkMessage>) -> Result<Response<()>, Status> {
        let wire = request.get_ref();
        valid_id("Device Identifier", &wire.dev_id)?;
        admit(&self.0, &request, &wire.app_id, Right::Devices).await?;
        self.served(&wire.app_id)?;
        if self.0.registry().device(&wire.app_id, &wire.dev_id).is_none() {
            return Err(not_found("Device", &wire.dev_id));
        }
        let frame = UplinkFrame {
            payload: Some(wire.payload.clone()).filter(|payload| !payload.is_empty()),
            port: port(wire.port)?,
            ..UplinkFrame::default()
        };
        let (network, app_id, dev_id) = (self.0.clone(), wire.app_id.clone(), wire.dev_id.clone());
        aside(move || network.simulate(&app_id, &dev_id, &frame))
            .await?
            .map_err(|_| not_found("Device", &wire.dev_id))
            .map(Response::new)
    }
}
