//! Applications, their keys and their devices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::{AccessKey, is_network_id};

/// The `AppEUI` of simulated devices that are not given another one.
const APP_EUI: [u8; 8] = *b"\x70\xB3\xD5\x7E\xD0\x00\x00\xAA";

/// What an access key permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// `settings`: read and change the application.
    Settings,
    /// `devices`: read and change its devices, simulate uplinks.
    Devices,
    /// `delete`: delete the application.
    Delete,
    /// `messages:up:r`: receive uplinks and events.
    ReadUplinks,
    /// `messages:down:w`: send downlinks.
    WriteDownlinks,
    /// `messages:up:w`: publish what only the network does. No real key has it; made for tests.
    WriteUplinks,
}

impl Right {
    /// All rights of a normal key.
    pub const NORMAL: [Self; 5] =
        [Self::Settings, Self::Devices, Self::Delete, Self::ReadUplinks, Self::WriteDownlinks];
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Settings, "settings"),
        (Self::Devices, "devices"),
        (Self::Delete, "delete"),
        (Self::ReadUplinks, "messages:up:r"),
        (Self::WriteDownlinks, "messages:down:w"),
        (Self::WriteUplinks, "messages:up:w"),
    ];

    /// Read the network's word.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown one.
    pub fn parse(text: &str) -> Result<Self> {
        let expected = "settings, devices, delete, messages:up:r, messages:down:w or messages:up:w";
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(right, _)| *right).ok_or_else(|| Error::invalid("right", text, expected))
    }

    /// The network's word.
    pub(in crate::sandbox::v2) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(right, _)| *right == self).map_or("", |(_, name)| name)
    }
}

/// A device as the network knows it. What is all zero is not set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::sandbox::v2) struct Device {
    #[serde(with = "hex::serde")]
    pub(in crate::sandbox::v2) app_eui: [u8; 8],
    #[serde(with = "hex::serde")]
    pub(in crate::sandbox::v2) dev_eui: [u8; 8],
    #[serde(with = "hex::serde")]
    pub(in crate::sandbox::v2) dev_addr: [u8; 4],
    #[serde(with = "hex::serde")]
    pub(in crate::sandbox::v2) nwk_s_key: [u8; 16],
    #[serde(with = "hex::serde")]
    pub(in crate::sandbox::v2) app_s_key: [u8; 16],
    #[serde(with = "hex::serde")]
    pub(in crate::sandbox::v2) app_key: [u8; 16],
    pub(in crate::sandbox::v2) disable_f_cnt_check: bool,
    pub(in crate::sandbox::v2) uses32_bit_f_cnt: bool,
    pub(in crate::sandbox::v2) activation_constraints: String,
    /// Unix time in nanoseconds; 0 for never.
    pub(in crate::sandbox::v2) last_seen: i64,
    /// Latitude and longitude in degrees, altitude in metres.
    pub(in crate::sandbox::v2) location: Option<(f64, f64, i32)>,
    /// Free texts that go along with decoded uplinks.
    pub(in crate::sandbox::v2) attributes: BTreeMap<String, String>,
    pub(in crate::sandbox::v2) description: String,
    /// Frame counter of the next uplink.
    pub(in crate::sandbox::v2) uplinks: u32,
    /// Frame counter of the next downlink.
    pub(in crate::sandbox::v2) downlinks: u32,
    /// Whether it acknowledges confirmed downlinks.
    pub(in crate::sandbox::v2) acknowledges: bool,
}

/// How an application's payloads are read and written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::sandbox::v2) struct Settings {
    /// `custom`, `cayennelpp` or nothing.
    pub(in crate::sandbox::v2) payload_format: String,
    pub(in crate::sandbox::v2) decoder: String,
    pub(in crate::sandbox::v2) converter: String,
    pub(in crate::sandbox::v2) validator: String,
    pub(in crate::sandbox::v2) encoder: String,
    pub(in crate::sandbox::v2) register_on_join_access_key: String,
}

/// An application. Its keys belong to the account server: they stay when the handler forgets it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Application {
    #[serde(skip)]
    keys: Vec<(AccessKey, BTreeSet<Right>)>,
    /// Whether the handler knows it.
    registered: bool,
    settings: Arc<Settings>,
    devices: BTreeMap<String, Device>,
}

/// Applications by ID.
#[derive(Debug, Default)]
pub(in crate::sandbox::v2) struct Registry {
    /// Whether applications and keys are taken as they come.
    any_key: bool,
    applications: BTreeMap<String, Application>,
    made: u32,
    /// Grows with every change.
    version: u64,
}

impl Registry {
    /// Take applications and keys as they come from now on.
    pub(in crate::sandbox::v2) fn take_any_key(&mut self) {
        self.any_key = true;
    }

    /// Somebody names an application: where any is taken, it exists from now on.
    pub(in crate::sandbox::v2) fn welcome(&mut self, app_id: &str) {
        if self.any_key && is_network_id(app_id) && !self.applications.contains_key(app_id) {
            self.applications.insert(app_id.to_owned(), Application { registered: true, ..Application::default() });
            self.version += 1;
        }
    }

    /// Register an application, or give a known one another key.
    pub(in crate::sandbox::v2) fn add_application(
        &mut self,
        app_id: &str,
        key: AccessKey,
        rights: BTreeSet<Right>,
    ) -> Result<()> {
        if !is_network_id(app_id) {
            return Err(Error::invalid("app_id", app_id, "2 to 36 of a-z and 0-9 with single '-' or '_' between them"));
        }
        let new = !self.applications.contains_key(app_id);
        let application = self.applications.entry(app_id.to_owned()).or_default();
        application.registered |= new;
        application.keys.retain(|(known, _)| *known != key);
        application.keys.push((key, rights));
        self.version += 1;
        Ok(())
    }

    /// The rights of a login; `None` if there is no such application or key.
    pub(in crate::sandbox::v2) fn rights(&mut self, app_id: &str, key: &str) -> Option<BTreeSet<Right>> {
        self.welcome(app_id);
        let application = self.applications.get_mut(app_id)?;
        if self.any_key && !key.is_empty() && application.keys.iter().all(|(known, _)| known.reveal() != key) {
            application.keys.push((AccessKey::new(key), Right::NORMAL.into()));
        }
        application.keys.iter().find(|(known, _)| known.reveal() == key).map(|(_, rights)| rights.clone())
    }

    /// Whether the handler serves this application.
    pub(in crate::sandbox::v2) fn is_registered(&self, app_id: &str) -> bool {
        self.applications.get(app_id).is_some_and(|application| application.registered)
    }

    /// IDs of the applications that the handler serves.
    pub(in crate::sandbox::v2) fn applications(&self) -> Vec<String> {
        self.applications.iter().filter(|(_, known)| known.registered).map(|(app_id, _)| app_id.clone()).collect()
    }

    /// Whether a served application has a device with this `AppEUI`.
    pub(in crate::sandbox::v2) fn serves_app_eui(&self, app_eui: &[u8]) -> bool {
        let served = self.applications.values().filter(|application| application.registered);
        served.flat_map(|application| application.devices.values()).any(|device| device.app_eui == app_eui)
    }

    /// Have the handler serve an application, or no longer; then its devices and settings are forgotten. Tells whether
    /// that changed anything.
    pub(in crate::sandbox::v2) fn set_registered(&mut self, app_id: &str, registered: bool) -> bool {
        let Some(application) = self.applications.get_mut(app_id) else { return false };
        if application.registered == registered {
            return false;
        }
        application.registered = registered;
        if !registered {
            application.devices.clear();
            application.settings = Arc::default();
        }
        self.version += 1;
        true
    }

    /// How a served application's payloads are read and written.
    pub(in crate::sandbox::v2) fn settings(&self, app_id: &str) -> Option<Arc<Settings>> {
        let application = self.applications.get(app_id).filter(|application| application.registered)?;
        Some(application.settings.clone())
    }

    /// Replace the settings of an application.
    pub(in crate::sandbox::v2) fn set_settings(&mut self, app_id: &str, settings: Settings) {
        if let Some(application) = self.applications.get_mut(app_id) {
            application.settings = Arc::new(settings);
            self.version += 1;
        }
    }

    /// The device, registered now with an EUI and an address if need be; tells whether it is new.
    pub(in crate::sandbox::v2) fn register(&mut self, app_id: &str, dev_id: &str) -> Result<(&mut Device, bool)> {
        if !is_network_id(dev_id) {
            return Err(Error::invalid("dev_id", dev_id, "2 to 36 of a-z and 0-9 with single '-' or '_' between them"));
        }
        self.welcome(app_id);
        self.version += 1;
        let address = self.new_address();
        let number = u64::from(self.made);
        let Some(application) = self.applications.get_mut(app_id) else {
            return Err(Error::invalid("app_id", app_id, "an application of this sandbox"));
        };
        let mut new = false;
        let device = application.devices.entry(dev_id.to_owned()).or_insert_with(|| {
            new = true;
            Device {
                app_eui: APP_EUI,
                dev_eui: (0x0004_A30B_0000_0000 + number).to_be_bytes(),
                dev_addr: address,
                activation_constraints: "local".to_owned(),
                acknowledges: true,
                ..Device::default()
            }
        });
        Ok((device, new))
    }

    /// A device address that nobody has. `0x2601…` is the block of The Things Network that its documentation shows.
    pub(in crate::sandbox::v2) fn new_address(&mut self) -> [u8; 4] {
        self.made = self.made.wrapping_add(1);
        (0x2601_0000 + (self.made & 0x00FF_FFFF)).to_be_bytes()
    }

    /// Put a device's record in place; tells whether the device is new.
    pub(in crate::sandbox::v2) fn put(&mut self, app_id: &str, dev_id: &str, device: Device) -> bool {
        self.version += 1;
        let Some(application) = self.applications.get_mut(app_id) else { return false };
        application.devices.insert(dev_id.to_owned(), device).is_none()
    }

    /// Whether another device of the application has this pair of EUIs.
    pub(in crate::sandbox::v2) fn has_euis(
        &self,
        app_id: &str,
        dev_id: &str,
        app_eui: [u8; 8],
        dev_eui: [u8; 8],
    ) -> bool {
        let devices = self.applications.get(app_id).into_iter().flat_map(|application| &application.devices);
        devices.into_iter().any(|(id, known)| id != dev_id && known.app_eui == app_eui && known.dev_eui == dev_eui)
    }

    /// A registered device.
    pub(in crate::sandbox::v2) fn device(&mut self, app_id: &str, dev_id: &str) -> Option<&mut Device> {
        self.version += 1;
        self.applications.get_mut(app_id)?.devices.get_mut(dev_id)
    }

    /// A page of an application's devices, sorted by ID, and how many there are in all.
    pub(in crate::sandbox::v2) fn page(
        &self,
        app_id: &str,
        limit: usize,
        offset: usize,
    ) -> (Vec<(String, Device)>, usize) {
        let Some(application) = self.applications.get(app_id) else { return (Vec::new(), 0) };
        let limit = if limit == 0 { usize::MAX } else { limit };
        let page = application.devices.iter().skip(offset).take(limit);
        (page.map(|(dev_id, device)| (dev_id.clone(), device.clone())).collect(), application.devices.len())
    }

    /// Forget a device; tells whether there was one.
    pub(in crate::sandbox::v2) fn remove(&mut self, app_id: &str, dev_id: &str) -> bool {
        self.version += 1;
        self.applications.get_mut(app_id).is_some_and(|application| application.devices.remove(dev_id).is_some())
    }

    /// Device IDs of an application, sorted.
    pub(in crate::sandbox::v2) fn devices(&self, app_id: &str) -> Vec<String> {
        self.applications.get(app_id).map(|found| found.devices.keys().cloned().collect()).unwrap_or_default()
    }

    /// Forget all devices of all applications.
    pub(in crate::sandbox::v2) fn forget_devices(&mut self) {
        self.version += 1;
        for application in self.applications.values_mut() {
            application.devices.clear();
        }
    }

    /// Changes with every change.
    pub(in crate::sandbox::v2) fn version(&self) -> u64 {
        self.version
    }

    /// Everything but the access keys, as JSON.
    pub(in crate::sandbox::v2) fn save(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.applications)
    }

    /// Take in what [`Registry::save`] gave.
    pub(in crate::sandbox::v2) fn load(&mut self, saved: &[u8]) -> serde_json::Result<()> {
        let saved: BTreeMap<String, Application> = serde_json::from_slice(saved)?;
        let devices = saved.values().map(|application| application.devices.len()).sum::<usize>();
        // Addresses that were given before are not given again.
        self.made = self.made.wrapping_add(u32::try_from(devices).unwrap_or(0));
        for (app_id, mut application) in saved {
            if let Some(known) = self.applications.remove(&app_id) {
                application.keys = known.keys;
            }
            self.applications.insert(app_id, application);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_the_rights_of_its_key() {
        let mut registry = Registry::default();
        registry.add_application("demo-app", AccessKey::new("a"), Right::NORMAL.into()).unwrap();
        registry.add_application("demo-app", AccessKey::new("b"), [Right::ReadUplinks].into()).unwrap();
        assert_eq!(registry.rights("demo-app", "b").unwrap().len(), 1);
        assert!(registry.rights("demo-app", "c").is_none() && registry.rights("other", "a").is_none());
    }

    #[test]
    fn where_any_key_is_taken_applications_exist_when_they_are_named() {
        let mut registry = Registry::default();
        registry.welcome("demo-app");
        assert!(!registry.is_registered("demo-app"));
        registry.take_any_key();
        registry.welcome("demo-app");
        assert!(registry.is_registered("demo-app"));
        for key in ["a", "b"] {
            assert_eq!(registry.rights("other", key), Some(Right::NORMAL.into()));
        }
        assert!(registry.rights("other", "").is_none() && registry.rights("No ID", "a").is_none());
    }

    #[test]
    fn a_saved_registry_comes_back() {
        let mut registry = Registry::default();
        registry.add_application("demo-app", AccessKey::new("secret"), Right::NORMAL.into()).unwrap();
        registry.register("demo-app", "node-1").unwrap().0.uplinks = 7;
        registry.set_settings("demo-app", Settings { decoder: "D".into(), ..Settings::default() });
        let saved = registry.save().unwrap();
        assert!(!String::from_utf8_lossy(&saved).contains("secret"));
        let mut again = Registry::default();
        again.load(&saved).unwrap();
        assert_eq!(again.device("demo-app", "node-1"), registry.device("demo-app", "node-1"));
        assert_eq!(again.settings("demo-app").unwrap().decoder, "D");
    }

    #[test]
    fn devices_are_registered_once() {
        let mut registry = Registry::default();
        registry.add_application("demo-app", AccessKey::new("a"), Right::NORMAL.into()).unwrap();
        assert!(registry.register("demo-app", "node-1").unwrap().1);
        assert!(!registry.register("demo-app", "node-1").unwrap().1);
        assert!(registry.register("demo-app", "Node").is_err() && registry.register("none", "node-1").is_err());
        assert!(registry.remove("demo-app", "node-1") && !registry.remove("demo-app", "node-1"));
    }
}
