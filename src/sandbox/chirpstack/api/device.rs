//! Devices, their keys and sessions (CS 4.4).

use tonic::Status;

use super::Api;
use super::access::{Answer, about, internal, invalid, not_found, required};
use super::page::{contains, page};
use crate::rpc::proto::chirpstack::api::{self, list_devices_request::OrderBy};
use crate::rpc::proto::chirpstack::common::DeviceClass;
use crate::sandbox::chirpstack::device::Device;
use crate::sandbox::chirpstack::ids::{eui, hexadecimal, uuid};
use crate::sandbox::chirpstack::key::Caller;
use crate::sandbox::chirpstack::registry::{Kept, Registry};

/// Most characters of a name.
const LONGEST_NAME: usize = 100;
const ABOUT: &str = "x-log-dev_eui";

/// The tenant of a device, where it is there.
pub(super) fn tenant_of<'a>(registry: &'a Registry, dev_eui: &str) -> Option<&'a str> {
    registry.tenant_of(&registry.devices.get(dev_eui)?.record.value.application_id)
}

/// A device that is to be there.
pub(super) fn known<'a>(registry: &'a mut Registry, dev_eui: &str) -> Result<&'a mut Device, Status> {
    registry.devices.get_mut(dev_eui).ok_or_else(|| not_found(dev_eui))
}

/// A record as it is kept.
///
/// # Errors
/// For an ID that cannot be read.
fn read(record: api::Device) -> Result<api::Device, Status> {
    Ok(api::Device {
        dev_eui: eui(&record.dev_eui).map_err(internal)?,
        application_id: uuid(&record.application_id).map_err(invalid)?,
        device_profile_id: uuid(&record.device_profile_id).map_err(invalid)?,
        join_eui: eui(&record.join_eui).map_err(internal)?,
        ..record
    })
}

/// What the database does not take.
fn check(registry: &Registry, record: &api::Device) -> Result<(), Status> {
    if registry.tenant_of(&record.application_id).is_none() {
        return Err(internal("Record not found"));
    }
    if record.name.chars().count() > LONGEST_NAME {
        return Err(internal(format!("value too long for type character varying({LONGEST_NAME})")));
    }
    if !registry.profiles.contains_key(&record.device_profile_id) {
        let words = "insert or update on table \"device\" violates foreign key constraint \
                     \"device_device_profile_id_fkey\"";
        return Err(internal(words));
    }
    Ok(())
}

/// Keys as they are kept.
fn read_keys(keys: &api::DeviceKeys) -> Result<api::DeviceKeys, Status> {
    let key = |text: &str| hexadecimal::<16>(text).map_err(internal);
    Ok(api::DeviceKeys {
        dev_eui: eui(&keys.dev_eui).map_err(internal)?,
        nwk_key: key(&keys.nwk_key)?,
        app_key: key(&keys.app_key)?,
        gen_app_key: key(&keys.gen_app_key)?,
    })
}

impl Api {
    pub(super) fn create_device(&self, caller: &Caller, request: &api::CreateDeviceRequest) -> Answer<()> {
        let record = read(required(request.device.clone(), "device")?)?;
        let mut registry = self.0.registry();
        caller.may_write(registry.tenant_of(&record.application_id))?;
        check(&registry, &record)?;
        if registry.devices.contains_key(&record.dev_eui) {
            return Err(internal("duplicate key value violates unique constraint \"device_pkey\""));
        }
        let dev_eui = record.dev_eui.clone();
        registry.add_device(Device::new(record));
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn get_device(
        &self,
        caller: &Caller,
        request: &api::GetDeviceRequest,
    ) -> Answer<api::GetDeviceResponse> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &dev_eui))?;
        let device = known(&mut registry, &dev_eui)?;
        let response = api::GetDeviceResponse {
            device: Some(device.record.value.clone()),
            created_at: Some(device.record.created_at),
            updated_at: Some(device.record.updated_at),
            last_seen_at: device.last_seen_at,
            device_status: device.status,
            class_enabled: 0,
        };
        let is_class_c = response
            .device
            .as_ref()
            .and_then(|record| registry.profile_of(record))
            .is_some_and(|it| it.supports_class_c);
        let class = if is_class_c { DeviceClass::ClassC } else { DeviceClass::ClassA };
        about(api::GetDeviceResponse { class_enabled: class.into(), ..response }, ABOUT, &dev_eui)
    }

    /// A full replacement: what is left out is emptied.
    pub(super) fn update_device(&self, caller: &Caller, request: &api::UpdateDeviceRequest) -> Answer<()> {
        let record = read(required(request.device.clone(), "device")?)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &record.dev_eui))?;
        caller.may_write(registry.tenant_of(&record.application_id))?;
        let dev_eui = record.dev_eui.clone();
        known(&mut registry, &dev_eui)?;
        check(&registry, &record)?;
        let Some(mut device) = registry.remove_device(&dev_eui) else { return Err(not_found(&dev_eui)) };
        device.record.replace(record);
        registry.add_device(device);
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn delete_device(&self, caller: &Caller, request: &api::DeleteDeviceRequest) -> Answer<()> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        registry.remove_device(&dev_eui).ok_or_else(|| not_found(&dev_eui))?;
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn list_devices(
        &self,
        caller: &Caller,
        request: &api::ListDevicesRequest,
    ) -> Answer<api::ListDevicesResponse> {
        let application_id = uuid(&request.application_id).map_err(invalid)?;
        let registry = self.0.registry();
        caller.may_read(registry.tenant_of(&application_id))?;
        let is_wanted = |device: &&Device| {
            let record = &device.record.value;
            record.application_id == application_id
                && contains(&record.name, &request.search)
                && request.tags.iter().all(|(name, value)| record.tags.get(name) == Some(value))
                && (request.device_profile_id.is_empty() || record.device_profile_id == request.device_profile_id)
        };
        let item = |device: &Device| {
            let record = &device.record.value;
            api::DeviceListItem {
                dev_eui: record.dev_eui.clone(),
                created_at: Some(device.record.created_at),
                updated_at: Some(device.record.updated_at),
                last_seen_at: device.last_seen_at,
                name: record.name.clone(),
                description: record.description.clone(),
                device_profile_id: record.device_profile_id.clone(),
                device_profile_name: registry.profile_of(record).map(|it| it.name.clone()).unwrap_or_default(),
                device_status: device.status,
                tags: record.tags.clone(),
            }
        };
        let mut found: Vec<_> = registry.devices.values().filter(is_wanted).map(item).collect();
        // They are by DevEUI already.
        match request.order_by() {
            OrderBy::Name => found.sort_by(|one, other| one.name.cmp(&other.name)),
            OrderBy::DevEui => {}
            OrderBy::LastSeenAt => found.sort_by_key(|item| item.last_seen_at.map(|at| (at.seconds, at.nanos))),
            OrderBy::DeviceProfileName => {
                found.sort_by(|one, other| one.device_profile_name.cmp(&other.device_profile_name));
            }
        }
        if request.order_by_desc {
            found.reverse();
        }
        let (total_count, result) = page(found, request.limit, request.offset);
        about(api::ListDevicesResponse { total_count, result }, "x-log-application_id", &application_id)
    }

    pub(super) fn create_keys(&self, caller: &Caller, request: &api::CreateDeviceKeysRequest) -> Answer<()> {
        let keys = read_keys(&required(request.device_keys.clone(), "device_keys")?)?;
        let dev_eui = keys.dev_eui.clone();
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        let Some(device) = registry.devices.get_mut(&dev_eui) else {
            let words = "insert or update on table \"device_keys\" violates foreign key constraint \"device_keys_dev_eui_fkey\"";
            return Err(internal(words));
        };
        if device.keys.is_some() {
            return Err(internal("duplicate key value violates unique constraint \"device_keys_pkey\""));
        }
        device.keys = Some(Kept::new(keys));
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn get_keys(
        &self,
        caller: &Caller,
        request: &api::GetDeviceKeysRequest,
    ) -> Answer<api::GetDeviceKeysResponse> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &dev_eui))?;
        let kept = known(&mut registry, &dev_eui)?.keys.clone().ok_or_else(|| not_found(&dev_eui))?;
        let response = api::GetDeviceKeysResponse {
            device_keys: Some(kept.value),
            created_at: Some(kept.created_at),
            updated_at: Some(kept.updated_at),
        };
        about(response, ABOUT, &dev_eui)
    }

    pub(super) fn update_keys(&self, caller: &Caller, request: &api::UpdateDeviceKeysRequest) -> Answer<()> {
        let keys = read_keys(&required(request.device_keys.clone(), "device_keys")?)?;
        let dev_eui = keys.dev_eui.clone();
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        known(&mut registry, &dev_eui)?.keys.as_mut().ok_or_else(|| not_found(&dev_eui))?.replace(keys);
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn delete_keys(&self, caller: &Caller, request: &api::DeleteDeviceKeysRequest) -> Answer<()> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        known(&mut registry, &dev_eui)?.keys.take().ok_or_else(|| not_found(&dev_eui))?;
        about((), ABOUT, &dev_eui)
    }

    /// A simulated device never uses one twice, so there is nothing to forget.
    pub(super) fn flush_nonces(&self, caller: &Caller, request: &api::FlushDevNoncesRequest) -> Answer<()> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        known(&mut registry, &dev_eui)?;
        about((), ABOUT, &dev_eui)
    }

    /// Nothing is looked at but the form (seen).
    pub(super) fn activate(&self, caller: &Caller, request: &api::ActivateDeviceRequest) -> Answer<()> {
        let given = required(request.device_activation.clone(), "device_activation")?;
        let key = |text: &str| hexadecimal::<16>(text).map_err(internal);
        let dev_eui = eui(&given.dev_eui).map_err(internal)?;
        let session = api::DeviceActivation {
            dev_eui: dev_eui.clone(),
            dev_addr: hexadecimal::<4>(&given.dev_addr).map_err(internal)?,
            app_s_key: key(&given.app_s_key)?,
            nwk_s_enc_key: key(&given.nwk_s_enc_key)?,
            s_nwk_s_int_key: key(&given.s_nwk_s_int_key)?,
            f_nwk_s_int_key: key(&given.f_nwk_s_int_key)?,
            ..given
        };
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        known(&mut registry, &dev_eui)?.begin(session);
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn deactivate(&self, caller: &Caller, request: &api::DeactivateDeviceRequest) -> Answer<()> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_write(tenant_of(&registry, &dev_eui))?;
        let device = known(&mut registry, &dev_eui)?;
        device.session = None;
        device.queue.clear();
        about((), ABOUT, &dev_eui)
    }

    pub(super) fn activation(
        &self,
        caller: &Caller,
        request: &api::GetDeviceActivationRequest,
    ) -> Answer<api::GetDeviceActivationResponse> {
        let dev_eui = eui(&request.dev_eui).map_err(internal)?;
        let mut registry = self.0.registry();
        caller.may_read(tenant_of(&registry, &dev_eui))?;
        let device_activation = known(&mut registry, &dev_eui)?.session.clone();
        about(api::GetDeviceActivationResponse { device_activation }, ABOUT, &dev_eui)
    }

    pub(super) fn random_address(
        &self,
        caller: &Caller,
        request: &api::GetRandomDevAddrRequest,
    ) -> Answer<api::GetRandomDevAddrResponse> {
        let mut registry = self.0.registry();
        if request.tenant_id.is_empty() {
            let dev_eui = eui(&request.dev_eui).map_err(internal)?;
            caller.may_read(tenant_of(&registry, &dev_eui))?;
        } else {
            caller.may_read(Some(&uuid(&request.tenant_id).map_err(invalid)?))?;
        }
        let dev_addr = registry.new_address();
        about(api::GetRandomDevAddrResponse { dev_addr }, ABOUT, &request.dev_eui)
    }
}
