//! Tenants, applications, device profiles, devices and gateways, as the server's database has them.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use super::device::Device;
use super::ids::new_uuid;
use crate::rpc::proto::chirpstack::api::{self, CodecRuntime};
use crate::rpc::proto::chirpstack::common::{Location, LocationSource, MacVersion};
use crate::sandbox::air::{ALTITUDE, GATEWAYS};

/// What is kept, and since when.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    pub(super) value: T,
    pub(super) created_at: prost_types::Timestamp,
    pub(super) updated_at: prost_types::Timestamp,
}

/// Now, as the database has it: to microseconds.
pub(super) fn now() -> prost_types::Timestamp {
    to_microseconds(SystemTime::now().into())
}

/// A time as the database keeps it.
pub(super) fn to_microseconds(time: prost_types::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { nanos: time.nanos / 1000 * 1000, ..time }
}

impl<T> Kept<T> {
    pub(super) fn new(value: T) -> Self {
        let now = now();
        Self { value, created_at: now, updated_at: now }
    }

    pub(super) fn replace(&mut self, value: T) {
        self.value = value;
        self.updated_at = now();
    }
}

/// A device profile, and all the bytes that it was written with: it has fields that the definitions here do not name.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    pub(super) known: api::DeviceProfile,
    pub(super) bytes: Vec<u8>,
}

impl Profile {
    pub(super) fn new(known: api::DeviceProfile) -> Self {
        let bytes = prost::Message::encode_to_vec(&known);
        Self { known, bytes }
    }
}

/// Everything, by ID.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) tenants: BTreeMap<String, Kept<api::Tenant>>,
    pub(super) applications: BTreeMap<String, Kept<api::Application>>,
    pub(super) profiles: BTreeMap<String, Kept<Profile>>,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) gateways: BTreeMap<String, Kept<api::Gateway>>,
    /// The tenant of what the program itself registers.
    pub(super) tenant_id: String,
    /// The profile of devices that the program itself registers.
    profile_id: String,
    /// Devices by application and name: the first of a name.
    names: HashMap<(String, String), String>,
    /// Devices that were made here.
    made: u32,
    /// Addresses that were given to devices.
    addresses: u32,
}

impl Registry {
    /// With a tenant, its gateways and two profiles without a codec: for devices that join, and for those that do not.
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        let mut registry = Self { tenant_id: new_uuid(random), profile_id: new_uuid(random), ..Self::default() };
        let tenant = api::Tenant {
            id: registry.tenant_id.clone(),
            name: "thingslink".to_owned(),
            can_have_gateways: true,
            ..api::Tenant::default()
        };
        registry.tenants.insert(registry.tenant_id.clone(), Kept::new(tenant));
        let profile = api::DeviceProfile {
            id: registry.profile_id.clone(),
            tenant_id: registry.tenant_id.clone(),
            name: "simulated".to_owned(),
            mac_version: MacVersion::Lorawan103.into(),
            adr_algorithm_id: "default".to_owned(),
            payload_codec_runtime: CodecRuntime::None.into(),
            flush_queue_on_activate: true,
            uplink_interval: 3600,
            supports_otaa: true,
            ..api::DeviceProfile::default()
        };
        let personalized = api::DeviceProfile {
            id: new_uuid(random),
            name: "personalized".to_owned(),
            supports_otaa: false,
            abp_rx1_delay: 1,
            abp_rx2_freq: 869_525_000,
            ..profile.clone()
        };
        for profile in [profile, personalized] {
            registry.profiles.insert(profile.id.clone(), Kept::new(Profile::new(profile)));
        }
        for gateway in &GATEWAYS {
            let gateway_id = hex::encode(gateway.eui);
            let made = api::Gateway {
                gateway_id: gateway_id.clone(),
                name: gateway.id.to_owned(),
                tenant_id: registry.tenant_id.clone(),
                location: Some(Location {
                    latitude: gateway.latitude,
                    longitude: gateway.longitude,
                    altitude: ALTITUDE.into(),
                    source: LocationSource::Config.into(),
                    ..Location::default()
                }),
                stats_interval: 30,
                ..api::Gateway::default()
            };
            registry.gateways.insert(gateway_id, Kept::new(made));
        }
        registry
    }

    /// The ID of an application of the program's tenant, of its ID or its name.
    pub(super) fn application_id(&self, given: &str) -> Option<&str> {
        if let Some((id, _)) = self.applications.get_key_value(given) {
            return Some(id);
        }
        let own = self.applications.values().filter(|known| known.value.tenant_id == self.tenant_id);
        let mut named: Vec<_> = own.filter(|known| known.value.name == given).collect();
        named.sort_by_key(|known| (known.created_at.seconds, known.created_at.nanos));
        named.first().map(|known| known.value.id.as_str())
    }

    /// The tenant of an application.
    pub(super) fn tenant_of(&self, application_id: &str) -> Option<&str> {
        self.applications.get(application_id).map(|known| known.value.tenant_id.as_str())
    }

    /// The profile of a device.
    pub(super) fn profile_of(&self, device: &api::Device) -> Option<&api::DeviceProfile> {
        self.profiles.get(&device.device_profile_id).map(|known| &known.value.known)
    }

    /// The DevEUI of an application's device, of its DevEUI or its name.
    pub(super) fn dev_eui(&self, application_id: &str, given: &str) -> Option<&str> {
        let is_own = |device: &&Device| device.record.value.application_id == application_id;
        if let Some(device) = self.devices.get(given).filter(is_own) {
            return Some(&device.record.value.dev_eui);
        }
        self.names.get(&(application_id.to_owned(), given.to_owned())).map(String::as_str)
    }

    /// Keep a device that is new.
    pub(super) fn add_device(&mut self, device: Device) {
        let record = &device.record.value;
        let name = (record.application_id.clone(), record.name.clone());
        if !name.1.is_empty() {
            self.names.entry(name).or_insert_with(|| record.dev_eui.clone());
        }
        self.devices.insert(record.dev_eui.clone(), device);
    }

    /// Forget a device; gives it.
    pub(super) fn remove_device(&mut self, dev_eui: &str) -> Option<Device> {
        let device = self.devices.remove(dev_eui)?;
        let name = (device.record.value.application_id.clone(), device.record.value.name.clone());
        if self.names.get(&name).is_some_and(|known| known == dev_eui) {
            self.names.remove(&name);
            let others = self.devices.values().map(|device| &device.record.value);
            let next = others.into_iter().find(|other| other.application_id == name.0 && other.name == name.1);
            if let Some(next) = next.map(|other| other.dev_eui.clone()) {
                self.names.insert(name, next);
            }
        }
        Some(device)
    }

    /// Make a device of the program's profile; `given` is its name, or its DevEUI.
    pub(super) fn make_device(&mut self, application_id: &str, given: &str, random: &mut fastrand::Rng) -> String {
        self.made += 1;
        let is_eui = given.len() == 16 && super::ids::eui(given).is_ok();
        let dev_eui = if is_eui {
            given.to_ascii_lowercase()
        } else {
            format!("{:016x}", 0x70B3_D57E_D100_0000_u64 + u64::from(self.made))
        };
        let record = api::Device {
            dev_eui: dev_eui.clone(),
            name: if is_eui { String::new() } else { given.to_owned() },
            application_id: application_id.to_owned(),
            device_profile_id: self.profile_id.clone(),
            join_eui: "70b3d57ed00201e4".to_owned(),
            ..api::Device::default()
        };
        let mut device = Device::new(record);
        let zeros = || "0".repeat(32);
        let nwk_key = format!("{:032x}", random.u128(..));
        let keys = api::DeviceKeys { dev_eui: dev_eui.clone(), nwk_key, app_key: zeros(), gen_app_key: zeros() };
        device.keys = Some(Kept::new(keys));
        self.add_device(device);
        dev_eui
    }

    /// A device address that no device made here has.
    pub(super) fn new_address(&mut self) -> String {
        self.addresses = (self.addresses + 1) & 0x00FF_FFFF;
        format!("{:08x}", 0x0100_0000 | self.addresses)
    }
}
