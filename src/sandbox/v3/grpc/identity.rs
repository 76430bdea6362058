//! Devices at the Identity Server, which has the list of them.

use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status};

use super::application::id_taken;
use super::check::{check_batch, check_device, check_ids};
use super::device::{DEVICE, euis_taken, shown};
use super::mask::{Allowed, copy, dynamic, paths, typed};
use super::page::{Asked, sortable};
use super::{Servers, of_application, of_device};
use crate::rpc::proto::v3::end_device_batch_registry_server::EndDeviceBatchRegistry;
use crate::rpc::proto::v3::end_device_registry_server::EndDeviceRegistry;
use crate::rpc::proto::v3::{
    BatchDeleteEndDevicesRequest, BatchGetEndDevicesRequest, CreateEndDeviceRequest, EndDevice, EndDeviceIdentifiers,
    EndDevices, GetEndDeviceRequest, ListEndDevicesRequest, UpdateEndDeviceRequest,
};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::record::{Server, now};
use crate::sandbox::v3::right::{DEVICES_READ, DEVICES_WRITE};

const PUBLIC: Allowed = Allowed::all_of(&[
    "activated_at",
    "application_server_address",
    "attributes",
    "claim_authentication_code",
    "created_at",
    "description",
    "ids",
    "join_server_address",
    "last_seen_at",
    "locations",
    "lora_alliance_profile_ids",
    "name",
    "network_server_address",
    "picture",
    "serial_number",
    "service_profile_id",
    "updated_at",
    "version_ids",
]);
const CHANGEABLE: Allowed = Allowed { fields: PUBLIC.fields, only_below: &["ids", "created_at", "updated_at"] };
/// This machine, which all four servers are on.
const OURS: [&str; 4] = ["", "localhost", "127.0.0.1", "::1"];

fn not_found(app_id: &str, dev_id: &str) -> Failure {
    let format = "end device with id `{device_id}` not found in application with id `{application_id}`";
    Failure::new(Code::NotFound, "pkg/identityserver/store", "end_device_not_found", format)
        .with("application_id", app_id)
        .with("device_id", dev_id)
}

impl Servers {
    fn create(&self, request: CreateEndDeviceRequest) -> Result<EndDevice, Failure> {
        let given = request.end_device.unwrap_or_default();
        check_device(&given, "CreateEndDeviceRequest")?;
        let ids = given.ids.clone().unwrap_or_default();
        let subject = of_device(Some(&ids));
        for (address, name, format) in [
            (
                &given.network_server_address,
                "network_server_address_mismatch",
                "network server address `{address}` does not match `{expected}`",
            ),
            (
                &given.application_server_address,
                "application_server_address_mismatch",
                "application server address `{address}` does not match `{expected}`",
            ),
            (
                &given.join_server_address,
                "join_server_address_mismatch",
                "join server address `{address}` does not match `{expected}`",
            ),
        ] {
            if !OURS.contains(&address.as_str()) && *address != self.0.host {
                let failure = Failure::new(Code::InvalidArgument, "pkg/identityserver", name, format);
                return Err(failure.with("address", address).with("expected", OURS[1]));
            }
        }
        let mut registry = self.0.registry();
        let known = registry.device(&subject.app_id, &ids.device_id).ok();
        if known.is_some_and(|device| device.records.of(Server::Identity).is_some()) {
            return Err(id_taken());
        }
        if let Some(other) = registry.with_euis(Server::Identity, &ids.dev_eui, &ids.join_eui) {
            return Err(euis_taken("pkg/identityserver", &ids, other));
        }
        let device = registry.device_of(&ids).ok_or_else(|| not_found(&subject.app_id, &ids.device_id))?;
        let mut record = EndDevice::default();
        let wanted: Vec<_> = PUBLIC.fields.iter().map(|field| (*field).to_owned()).collect();
        let mut kept = dynamic(DEVICE, &record);
        copy(&dynamic(DEVICE, &given), &mut kept, &wanted);
        record = typed(&kept);
        record.version_ids.get_or_insert_default();
        (record.created_at, record.updated_at) = (Some(now()), Some(now()));
        *device.records.slot(Server::Identity) = Some(record.clone());
        Ok(record)
    }

    fn update(&self, request: UpdateEndDeviceRequest) -> Result<EndDevice, Failure> {
        let paths = paths(request.field_mask.as_ref());
        CHANGEABLE.check(DEVICE, paths)?;
        let given = request.end_device.unwrap_or_default();
        check_device(&given, "UpdateEndDeviceRequest")?;
        let subject = of_device(given.ids.as_ref());
        let (app_id, dev_id) = (subject.app_id, subject.dev_id.unwrap_or_default());
        let mut registry = self.0.registry();
        let record = registry.device(&app_id, &dev_id).ok().and_then(|device| device.identity());
        let record = record.ok_or_else(|| not_found(&app_id, &dev_id))?;
        if !paths.is_empty() {
            let mut changed = dynamic(DEVICE, record);
            copy(&dynamic(DEVICE, &given), &mut changed, paths);
            *record = EndDevice { updated_at: Some(now()), ..typed(&changed) };
        }
        Ok(shown(record, paths))
    }

    /// A page, and how many devices there are in all.
    fn page(&self, request: &ListEndDevicesRequest) -> Result<(EndDevices, usize), Failure> {
        let paths = paths(request.field_mask.as_ref());
        PUBLIC.check(DEVICE, paths)?;
        let mut registry = self.0.registry();
        let app_id = of_application(request.application_ids.as_ref()).app_id;
        let devices = registry.application(&app_id).into_iter().flat_map(|application| application.devices.values());
        let records: Vec<_> = devices.filter_map(|device| device.records.of(Server::Identity)).collect();
        let order = |record: &&EndDevice, field: &str| {
            let ids = record.ids.clone().unwrap_or_default();
            match field {
                "join_eui" => ids.join_eui,
                "dev_eui" => ids.dev_eui,
                "name" => record.name.clone().into_bytes(),
                "description" => record.description.clone().into_bytes(),
                "created_at" => sortable(record.created_at),
                "last_seen_at" => sortable(record.last_seen_at),
                _ => ids.device_id.into_bytes(),
            }
        };
        let (limit, page) = (request.limit, request.page);
        let asked = Asked { of: "ListEndDevicesRequest", order: &request.order, limit, page };
        let (records, total) = asked.of(records, order)?;
        let end_devices = records.into_iter().map(|record| shown(record, paths)).collect();
        Ok((EndDevices { end_devices }, total))
    }

    /// The devices of a request for several, but for those that are not there.
    fn batch(&self, request: &BatchGetEndDevicesRequest) -> Result<EndDevices, Failure> {
        let paths = paths(request.field_mask.as_ref());
        PUBLIC.check(DEVICE, paths)?;
        check_batch(&request.device_ids, "BatchGetEndDevicesRequest")?;
        let app_id = of_application(request.application_ids.as_ref()).app_id;
        let mut registry = self.0.registry();
        let mut end_devices = Vec::new();
        for dev_id in &request.device_ids {
            let record = registry.device(&app_id, dev_id).ok().and_then(|device| device.identity());
            end_devices.extend(record.map(|record| shown(record, paths)));
        }
        Ok(EndDevices { end_devices })
    }
}

#[tonic::async_trait]
impl EndDeviceRegistry for Servers {
    async fn create(&self, request: Request<CreateEndDeviceRequest>) -> Result<Response<EndDevice>, Status> {
        let subject = |request: &CreateEndDeviceRequest| {
            of_application(
                request
                    .end_device
                    .as_ref()
                    .and_then(|device| device.ids.as_ref())
                    .and_then(|ids| ids.application_ids.as_ref()),
            )
        };
        let method = "/ttn.lorawan.v3.EndDeviceRegistry/Create";
        self.0.answer(request, method, subject, |_| vec![DEVICES_WRITE], |request| Self::create(self, request)).await
    }

    async fn get(&self, request: Request<GetEndDeviceRequest>) -> Result<Response<EndDevice>, Status> {
        let work = |request: GetEndDeviceRequest| {
            let paths = paths(request.field_mask.as_ref());
            PUBLIC.check(DEVICE, paths)?;
            check_ids(request.end_device_ids.as_ref(), &[("GetEndDeviceRequest", "end_device_ids")])?;
            let subject = of_device(request.end_device_ids.as_ref());
            let (app_id, dev_id) = (subject.app_id, subject.dev_id.unwrap_or_default());
            let mut registry = self.0.registry();
            let record = registry.device(&app_id, &dev_id).ok().and_then(|device| device.identity());
            Ok(shown(record.ok_or_else(|| not_found(&app_id, &dev_id))?, paths))
        };
        let subject = |request: &GetEndDeviceRequest| of_device(request.end_device_ids.as_ref());
        let method = "/ttn.lorawan.v3.EndDeviceRegistry/Get";
        self.0.answer(request, method, subject, |_| vec![DEVICES_READ], work).await
    }

    async fn list(&self, request: Request<ListEndDevicesRequest>) -> Result<Response<EndDevices>, Status> {
        let subject = |request: &ListEndDevicesRequest| of_application(request.application_ids.as_ref());
        let method = "/ttn.lorawan.v3.EndDeviceRegistry/List";
        let mut total = 0;
        let work = |request: ListEndDevicesRequest| {
            let (page, all) = self.page(&request)?;
            total = all;
            Ok(page)
        };
        let mut response = self.0.answer(request, method, subject, |_| vec![DEVICES_READ], work).await?;
        response.metadata_mut().insert("x-total-count", MetadataValue::from(total as u64));
        Ok(response)
    }

    async fn update(&self, request: Request<UpdateEndDeviceRequest>) -> Result<Response<EndDevice>, Status> {
        let subject = |request: &UpdateEndDeviceRequest| {
            of_device(request.end_device.as_ref().and_then(|device| device.ids.as_ref()))
        };
        let method = "/ttn.lorawan.v3.EndDeviceRegistry/Update";
        self.0.answer(request, method, subject, |_| vec![DEVICES_WRITE], |request| Self::update(self, request)).await
    }

    async fn delete(&self, request: Request<EndDeviceIdentifiers>) -> Result<Response<()>, Status> {
        let work = |ids: EndDeviceIdentifiers| {
            let app_id = of_device(Some(&ids)).app_id;
            let is_known = {
                let mut registry = self.0.registry();
                registry.device(&app_id, &ids.device_id).is_ok_and(|device| device.identity().is_some())
            };
            if !is_known {
                return Err(not_found(&app_id, &ids.device_id));
            }
            self.delete_device(Server::Identity, &ids)
        };
        let subject = |ids: &EndDeviceIdentifiers| of_device(Some(ids));
        let method = "/ttn.lorawan.v3.EndDeviceRegistry/Delete";
        self.0.answer(request, method, subject, |_| vec![DEVICES_WRITE], work).await
    }
}

#[tonic::async_trait]
impl EndDeviceBatchRegistry for Servers {
    async fn get(&self, request: Request<BatchGetEndDevicesRequest>) -> Result<Response<EndDevices>, Status> {
        let subject = |request: &BatchGetEndDevicesRequest| of_application(request.application_ids.as_ref());
        let method = "/ttn.lorawan.v3.EndDeviceBatchRegistry/Get";
        self.0.answer(request, method, subject, |_| vec![DEVICES_READ], |request| self.batch(&request)).await
    }

    async fn delete(&self, request: Request<BatchDeleteEndDevicesRequest>) -> Result<Response<()>, Status> {
        let subject = |request: &BatchDeleteEndDevicesRequest| of_application(request.application_ids.as_ref());
        let method = "/ttn.lorawan.v3.EndDeviceBatchRegistry/Delete";
        let work = |request: BatchDeleteEndDevicesRequest| self.delete_devices(Server::Identity, &request);
        self.0.answer(request, method, subject, |_| vec![DEVICES_WRITE], work).await
    }
}
