//! Devices at Network, Application and Join Server: each keeps a part of them.

use prost_reflect::{DynamicMessage, ReflectMessage as _};
use tonic::{Code, Request, Response, Status};

use super::check::{check_batch, check_device, check_ids};
use super::mask::{Allowed, copy, dynamic, paths, typed};
use super::{Servers, of_application, of_device};
use crate::rpc::proto::v3::as_end_device_batch_registry_server::AsEndDeviceBatchRegistry;
use crate::rpc::proto::v3::as_end_device_registry_server::AsEndDeviceRegistry;
use crate::rpc::proto::v3::js_end_device_batch_registry_server::JsEndDeviceBatchRegistry;
use crate::rpc::proto::v3::js_end_device_registry_server::JsEndDeviceRegistry;
use crate::rpc::proto::v3::ns_end_device_batch_registry_server::NsEndDeviceBatchRegistry;
use crate::rpc::proto::v3::ns_end_device_registry_server::NsEndDeviceRegistry;
use crate::rpc::proto::v3::{
    BatchDeleteEndDevicesRequest, EndDevice, EndDeviceIdentifiers, GetEndDeviceRequest, MacVersion, SetEndDeviceRequest,
};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::formatter;
use crate::sandbox::v3::plan;
use crate::sandbox::v3::record::{Server, now};
use crate::sandbox::v3::registry::Registry;
use crate::sandbox::v3::right::{DEVICES_READ, DEVICES_READ_KEYS, DEVICES_WRITE, DEVICES_WRITE_KEYS};

pub(super) const DEVICE: &str = "ttn.lorawan.v3.EndDevice";

const NETWORK: Allowed = Allowed::all_of(&[
    "battery_percentage",
    "created_at",
    "downlink_margin",
    "frequency_plan_id",
    "ids",
    "last_dev_status_received_at",
    "lora_alliance_profile_ids",
    "lorawan_phy_version",
    "lorawan_version",
    "mac_settings",
    "mac_state",
    "max_frequency",
    "min_frequency",
    "multicast",
    "pending_mac_state",
    "pending_session",
    "power_state",
    "serial_number",
    "session",
    "supports_class_b",
    "supports_class_c",
    "supports_join",
    "updated_at",
    "version_ids",
]);
const OF_APPLICATION: &[&str] = &[
    "formatters",
    "ids",
    "lora_alliance_profile_ids",
    "pending_session",
    "serial_number",
    "session",
    "skip_payload_crypto",
    "skip_payload_crypto_override",
    "version_ids",
];
const APPLICATION_GET: Allowed = Allowed::all_of(OF_APPLICATION);
const APPLICATION_SET: Allowed =
    Allowed { fields: OF_APPLICATION, only_below: &["session", "session.keys", "pending_session"] };
const JOIN: Allowed = Allowed::all_of(&[
    "application_server_address",
    "application_server_id",
    "application_server_kek_label",
    "ids",
    "last_dev_nonce",
    "last_join_nonce",
    "last_rj_count_0",
    "last_rj_count_1",
    "net_id",
    "network_server_address",
    "network_server_kek_label",
    "provisioner_id",
    "provisioning_data",
    "resets_join_nonces",
    "root_keys",
    "used_dev_nonces",
]);

/// Whether a path leads to keys.
fn is_secret(path: &str) -> bool {
    let of_session = |session: &str| {
        path == session
            || path
                .strip_prefix(session)
                .is_some_and(|rest| rest.starts_with(".keys") && rest != ".keys.session_key_id")
    };
    path.split('.').next() == Some("root_keys") || of_session("session") || of_session("pending_session")
}

fn needed(right: i32, keys: i32, mask: Option<&prost_types::FieldMask>) -> Vec<i32> {
    if paths(mask).iter().any(|path| is_secret(path)) { vec![right, keys] } else { vec![right] }
}

pub(super) fn euis_taken(
    namespace: &'static str,
    ids: &EndDeviceIdentifiers,
    (app_id, dev_id): (String, String),
) -> Failure {
    let format = "an end device with JoinEUI `{join_eui}` and DevEUI `{dev_eui}` is already registered as `{device_id}` \
                  in application `{application_id}`";
    Failure::new(Code::AlreadyExists, namespace, "end_device_euis_taken", format)
        .with("join_eui", hex::encode_upper(&ids.join_eui))
        .with("dev_eui", hex::encode_upper(&ids.dev_eui))
        .with("application_id", app_id)
        .with("device_id", dev_id)
}

/// A record's identifiers and times, and what a mask names of it.
pub(super) fn shown(record: &EndDevice, paths: &[String]) -> EndDevice {
    let full = dynamic(DEVICE, record);
    let mut shown = DynamicMessage::new(full.descriptor());
    copy(&full, &mut shown, paths);
    EndDevice { ids: record.ids.clone(), created_at: record.created_at, updated_at: record.updated_at, ..typed(&shown) }
}

fn field_value(namespace: &'static str, field: &str) -> Failure {
    let format = "invalid value of field `{field}`";
    Failure::new(Code::InvalidArgument, namespace, "field_value", format).with("field", field)
}

impl Server {
    fn on_get(self) -> &'static Allowed {
        match self {
            Self::Network | Self::Identity => &NETWORK,
            Self::Application => &APPLICATION_GET,
            Self::Join => &JOIN,
        }
    }

    fn on_set(self) -> &'static Allowed {
        if self == Self::Application { &APPLICATION_SET } else { self.on_get() }
    }

    fn missing(self, uid: &str, dev_id: &str, is_get: bool) -> Failure {
        let named = |namespace| Failure::new(Code::NotFound, namespace, "device_not_found", "device not found");
        match self {
            Self::Join => named("pkg/joinserver"),
            _ if is_get => Failure::new(Code::NotFound, "pkg/redis", "not_found", "entity not found"),
            Self::Application => {
                let format = "device `{device_uid}` not found";
                Failure::new(Code::NotFound, "pkg/applicationserver", "device_not_found", format)
                    .with("device_uid", format!("{uid}.{dev_id}"))
            }
            Self::Network | Self::Identity => named("pkg/networkserver"),
        }
    }

    /// What only this server looks at before it sets a record.
    fn check(self, registry: &Registry, device: &EndDevice, paths: &[String]) -> Result<(), Failure> {
        let ids = device.ids.clone().unwrap_or_default();
        let other =
            registry.with_euis(self, &ids.dev_eui, &ids.join_eui).filter(|(_, dev_id)| *dev_id != ids.device_id);
        let sets = |path: &str| paths.iter().any(|given| given == path);
        match (self, other) {
            (Self::Network, Some(other)) => Err(euis_taken("pkg/internal/registry", &ids, other)),
            (Self::Join, Some(_)) => Err(field_value("pkg/joinserver", "root_keys.app_key.key")),
            (Self::Network, None) => {
                let id = device.frequency_plan_id.as_str();
                if sets("frequency_plan_id") && !id.is_empty() && !plan::may_be(id) {
                    return Err(plan::not_found(id));
                }
                let is_1_1 = device.lorawan_version == i32::from(MacVersion::MacV11);
                if sets("lorawan_version") && is_1_1 && ids.dev_eui.is_empty() {
                    return Err(field_value("pkg/networkserver", "ids.dev_eui"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What the Network Server adds to a session that it is told of: when it began, and below LoRaWAN 1.1 the one key of the
/// network in the places of all three.
fn complete(record: &mut EndDevice) {
    let Some(session) = &mut record.session else { return };
    session.started_at.get_or_insert_with(now);
    let Some(keys) = session.keys.as_mut().filter(|_| record.lorawan_version != i32::from(MacVersion::MacV11)) else {
        return;
    };
    if keys.f_nwk_s_int_key.is_some() {
        keys.s_nwk_s_int_key.clone_from(&keys.f_nwk_s_int_key);
        keys.nwk_s_enc_key.clone_from(&keys.f_nwk_s_int_key);
    }
}

impl Servers {
    fn get_device(&self, server: Server, request: &GetEndDeviceRequest) -> Result<EndDevice, Failure> {
        let paths = paths(request.field_mask.as_ref());
        server.on_get().check(DEVICE, paths)?;
        check_ids(request.end_device_ids.as_ref(), &[("GetEndDeviceRequest", "end_device_ids")])?;
        let subject = of_device(request.end_device_ids.as_ref());
        let (app_id, dev_id) = (subject.app_id, subject.dev_id.unwrap_or_default());
        let mut registry = self.0.registry();
        let uid = registry.uid(&app_id);
        let device = registry.device(&app_id, &dev_id).ok();
        let known = device.and_then(|device| {
            let waiting = u32::try_from(device.waiting.len()).unwrap_or(u32::MAX);
            Some((device.session.clone(), waiting, device.records.of(server)?.clone()))
        });
        let (session, waiting, mut record) = known.ok_or_else(|| server.missing(&uid, &dev_id, true))?;
        if let (Some(session), Some(kept)) = (&session, &mut record.session) {
            // Counters move with every frame.
            match server {
                Server::Network => {
                    kept.last_f_cnt_up = session.uplinks.saturating_sub(1);
                    kept.last_n_f_cnt_down = session.downlinks.saturating_sub(1);
                }
                // What waits has its number already.
                _ => kept.last_a_f_cnt_down = session.downlinks.saturating_sub(1).saturating_add(waiting),
            }
        }
        let mut shown = shown(&record, paths);
        if let (Some(ids), Some(session), Server::Network | Server::Join) = (&mut shown.ids, session, server) {
            ids.dev_addr = session.dev_addr.to_vec();
        }
        Ok(shown)
    }

    fn set_device(&self, server: Server, request: SetEndDeviceRequest) -> Result<EndDevice, Failure> {
        let paths = paths(request.field_mask.as_ref());
        server.on_set().check(DEVICE, paths)?;
        let given = request.end_device.unwrap_or_default();
        check_device(&given, "SetEndDeviceRequest")?;
        let place = [("SetEndDeviceRequest", "end_device"), ("EndDevice", "formatters")];
        formatter::check(given.formatters.as_ref(), &place)?;
        let ids = given.ids.clone().unwrap_or_default();
        let mut registry = self.0.registry();
        server.check(&registry, &given, paths)?;
        let no_application = || server.missing("", "", true);
        let device = registry.device_of(&ids).ok_or_else(no_application)?;
        let slot = device.records.slot(server);
        let known = slot.take().unwrap_or_else(|| EndDevice {
            ids: Some(EndDeviceIdentifiers { dev_addr: Vec::new(), ..ids.clone() }),
            created_at: Some(now()),
            ..EndDevice::default()
        });
        let mut changed = dynamic(DEVICE, &known);
        copy(&dynamic(DEVICE, &given), &mut changed, paths.iter().filter(|path| !path.starts_with("ids")));
        let record = EndDevice { updated_at: Some(now()), ..typed(&changed) };
        let mut shown = shown(&record, paths);
        let record = slot.insert(record);
        if server == Server::Network {
            complete(record);
        }
        if let Some(session) = record.session.clone().filter(|_| paths.iter().any(|path| path.starts_with("session"))) {
            let tells = |field: &str| {
                paths.iter().any(|path| path == "session" || path.strip_prefix("session.") == Some(field))
            };
            let dev_addr = device.adopt(server, &session, tells);
            if let (Server::Network, Some(dev_addr), Some(ids)) = (server, dev_addr, &mut shown.ids) {
                ids.dev_addr = dev_addr.to_vec();
            }
        }
        Ok(shown)
    }

    pub(super) fn delete_device(&self, server: Server, ids: &EndDeviceIdentifiers) -> Result<(), Failure> {
        let app_id = of_device(Some(ids)).app_id;
        let mut registry = self.0.registry();
        let uid = registry.uid(&app_id);
        Self::forget(&mut registry, server, &app_id, &ids.device_id)
            .ok_or_else(|| server.missing(&uid, &ids.device_id, false))
    }

    /// Delete several; those that are not there are passed over.
    pub(super) fn delete_devices(&self, server: Server, request: &BatchDeleteEndDevicesRequest) -> Result<(), Failure> {
        check_batch(&request.device_ids, "BatchDeleteEndDevicesRequest")?;
        let app_id = of_application(request.application_ids.as_ref()).app_id;
        let mut registry = self.0.registry();
        for dev_id in &request.device_ids {
            let _known = Self::forget(&mut registry, server, &app_id, dev_id);
        }
        Ok(())
    }

    /// Let a server forget a device; `None` if it does not know it.
    fn forget(registry: &mut Registry, server: Server, app_id: &str, dev_id: &str) -> Option<()> {
        let device = registry.device(app_id, dev_id).ok()?;
        device.records.slot(server).take()?;
        match server {
            Server::Network => device.session = None,
            Server::Application => device.waiting.clear(),
            Server::Identity | Server::Join => {}
        }
        if device.records.is_empty() {
            // It is there.
            let _removed = registry.remove(app_id, dev_id);
        }
        Some(())
    }
}

/// The three services are one, but for the server.
macro_rules! device_registry {
    ($service:ident, $batch:ident, $server:expr) => {
        #[tonic::async_trait]
        impl $service for Servers {
            async fn get(&self, request: Request<GetEndDeviceRequest>) -> Result<Response<EndDevice>, Status> {
                let method = concat!("/ttn.lorawan.v3.", stringify!($service), "/Get");
                let subject = |request: &GetEndDeviceRequest| of_device(request.end_device_ids.as_ref());
                let rights = |request: &GetEndDeviceRequest| {
                    needed(DEVICES_READ, DEVICES_READ_KEYS, request.field_mask.as_ref())
                };
                self.0.answer(request, method, subject, rights, |request| self.get_device($server, &request)).await
            }

            async fn set(&self, request: Request<SetEndDeviceRequest>) -> Result<Response<EndDevice>, Status> {
                let method = concat!("/ttn.lorawan.v3.", stringify!($service), "/Set");
                let subject = |request: &SetEndDeviceRequest| {
                    of_device(request.end_device.as_ref().and_then(|device| device.ids.as_ref()))
                };
                let rights = |request: &SetEndDeviceRequest| {
                    needed(DEVICES_WRITE, DEVICES_WRITE_KEYS, request.field_mask.as_ref())
                };
                self.0.answer(request, method, subject, rights, |request| self.set_device($server, request)).await
            }

            async fn delete(&self, request: Request<EndDeviceIdentifiers>) -> Result<Response<()>, Status> {
                let method = concat!("/ttn.lorawan.v3.", stringify!($service), "/Delete");
                let subject = |ids: &EndDeviceIdentifiers| of_device(Some(ids));
                let rights = |_: &EndDeviceIdentifiers| vec![DEVICES_WRITE];
                self.0.answer(request, method, subject, rights, |ids| self.delete_device($server, &ids)).await
            }
        }

        #[tonic::async_trait]
        impl $batch for Servers {
            async fn delete(&self, request: Request<BatchDeleteEndDevicesRequest>) -> Result<Response<()>, Status> {
                let method = concat!("/ttn.lorawan.v3.", stringify!($batch), "/Delete");
                let subject = |request: &BatchDeleteEndDevicesRequest| of_application(request.application_ids.as_ref());
                let rights = |_: &BatchDeleteEndDevicesRequest| vec![DEVICES_WRITE];
                let work = |request: BatchDeleteEndDevicesRequest| self.delete_devices($server, &request);
                self.0.answer(request, method, subject, rights, work).await
            }
        }
    };
}

device_registry!(NsEndDeviceRegistry, NsEndDeviceBatchRegistry, Server::Network);
device_registry!(AsEndDeviceRegistry, AsEndDeviceBatchRegistry, Server::Application);
device_registry!(JsEndDeviceRegistry, JsEndDeviceBatchRegistry, Server::Join);
