//! Reading, listing and deleting devices (CS 4.4), in the shape that V2 programs know (CS 5.3).

use std::collections::HashMap;

use bytes::Bytes;

use super::find::{DEV_ID, Record};
use super::meaning::is_silence;
use super::whole::Whole;
use super::{Named, Tenancy};
use crate::client::managed::{code_of, is_set, nanoseconds};
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api;
use crate::rpc::proto::{handler, lorawan};

/// The tags that hold what V2 has fields for and `ChirpStack` has not.
pub(super) const PLACE: [&str; 3] = ["latitude", "longitude", "altitude"];

/// A device of an application.
#[derive(Clone, Debug)]
pub struct Device {
    /// The application, as the program calls it.
    app_id: String,
    /// The device's record; of one that was listed what lists have.
    record: Whole<api::Device>,
    /// When it was heard last.
    last_seen_at: Option<prost_types::Timestamp>,
    keys: Option<Whole<api::DeviceKeys>>,
    session: Option<Whole<api::DeviceActivation>>,
}

impl Device {
    /// Its `DevEUI`.
    #[must_use]
    pub fn dev_eui(&self) -> &str {
        &self.record.read.dev_eui
    }

    /// The messages that the server has of it, as they came: device, keys, session.
    #[must_use]
    pub fn messages(&self) -> [Option<Bytes>; 3] {
        let keys = self.keys.as_ref().map(|keys| keys.bytes.clone());
        [Some(self.record.bytes.clone()), keys, self.session.as_ref().map(|session| session.bytes.clone())]
    }

    pub(super) fn to_v2(&self) -> handler::Device {
        let record = &self.record.read;
        let dev_id = called(&record.dev_eui, &record.name, &record.tags);
        let keys = self.keys.as_ref().map(|keys| keys.read.clone()).unwrap_or_default();
        let session = self.session.as_ref().map(|session| session.read.clone()).unwrap_or_default();
        let number = |name: &str| record.tags.get(name).map(String::as_str).unwrap_or_default();
        // All zeros are what the server keeps of keys that nobody has set.
        let secret = |text: &str| Some(hex(text)).filter(|key| is_set(key)).unwrap_or_default();
        let lorawan = lorawan::Device {
            app_eui: Some(hex(&record.join_eui)).filter(|eui| is_set(eui)).unwrap_or_default(),
            dev_eui: hex(&record.dev_eui),
            app_id: self.app_id.clone(),
            dev_id: dev_id.to_owned(),
            dev_addr: hex(&session.dev_addr),
            nwk_s_key: hex(&session.nwk_s_enc_key),
            app_s_key: hex(&session.app_s_key),
            app_key: secret(if is_of_1_1(&keys) { &keys.app_key } else { &keys.nwk_key }),
            f_cnt_up: session.f_cnt_up,
            // Below LoRaWAN 1.1 both count the same frames.
            f_cnt_down: session.n_f_cnt_down.max(session.a_f_cnt_down),
            disable_f_cnt_check: record.skip_fcnt_check,
            uses32_bit_f_cnt: true,
            last_seen: self.last_seen_at.as_ref().map_or(0, nanoseconds),
            ..lorawan::Device::default()
        };
        let is_own = |name: &str| name != DEV_ID && !PLACE.contains(&name);
        let attributes = record.tags.iter().filter(|(name, _)| is_own(name));
        handler::Device {
            app_id: self.app_id.clone(),
            dev_id: dev_id.to_owned(),
            device: Some(handler::device::Device::LorawanDevice(lorawan)),
            latitude: number("latitude").parse().unwrap_or_default(),
            longitude: number("longitude").parse().unwrap_or_default(),
            altitude: number("altitude").parse().unwrap_or_default(),
            attributes: attributes.map(|(name, value)| (name.clone(), value.clone())).collect(),
            description: record.description.clone(),
        }
    }
}

/// What a device is called: by its tag, its name, or its `DevEUI` (CS 5.4).
pub(super) fn called<'a>(dev_eui: &'a str, name: &'a str, tags: &'a HashMap<String, String>) -> &'a str {
    let tag = tags.get(DEV_ID).map(String::as_str).unwrap_or_default();
    [tag, name].into_iter().find(|called| !called.is_empty()).unwrap_or(dev_eui)
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_default()
}

/// Whether the keys are of LoRaWAN 1.1, which has two; the one of 1.0 stands where the `NwkKey` does (CS 4.4).
pub(super) fn is_of_1_1(keys: &api::DeviceKeys) -> bool {
    is_set(&hex(&keys.app_key))
}

impl Tenancy {
    /// Read a device: its record, its keys, its session.
    ///
    /// # Errors
    /// That there is none, and what the server says.
    pub(super) async fn device(&self, dev_id: &str) -> Result<Device> {
        let (_, record) = self.record(dev_id).await?;
        self.completed(record).await
    }

    /// Read the rest of a device that was listed.
    pub(super) async fn complete(&self, listed: Device) -> Result<Device> {
        let home = self.home().await?;
        let dev_eui = &listed.record.read.dev_eui;
        let record = self.record_at(&home, dev_eui).await?.ok_or_else(|| self.absent(dev_eui))?;
        self.completed(record).await
    }

    /// With keys and session.
    pub(super) async fn completed(&self, record: Record) -> Result<Device> {
        let Record { whole: record, last_seen_at } = record;
        let dev_eui = &record.read.dev_eui;
        let (keys, session) = tokio::join!(self.keys(dev_eui), self.session(dev_eui));
        Ok(Device { app_id: self.app_id.clone(), record, last_seen_at, keys: keys?, session: session? })
    }

    /// The keys of a device; `None` where it has none, or this key may not read them.
    pub(super) async fn keys(&self, dev_eui: &str) -> Result<Option<Whole<api::DeviceKeys>>> {
        let request = api::GetDeviceKeysRequest { dev_eui: dev_eui.to_owned() };
        tolerated(self.server.whole("DeviceService", "GetKeys", &request, "api.DeviceKeys").await)
    }

    /// The session of a device; `None` where it has none, or this key may not read it.
    pub(super) async fn session(&self, dev_eui: &str) -> Result<Option<Whole<api::DeviceActivation>>> {
        let request = api::GetDeviceActivationRequest { dev_eui: dev_eui.to_owned() };
        tolerated(self.server.whole("DeviceService", "GetActivation", &request, "api.DeviceActivation").await)
    }

    /// List the devices by their `DevEUI`s, all or a part of them; and how many there are.
    pub(super) async fn devices(&self, limit: Option<u64>, offset: u64) -> Result<(Vec<Device>, Option<u64>)> {
        let home = self.home().await?;
        let request = api::ListDevicesRequest {
            application_id: home.id.clone(),
            order_by: api::list_devices_request::OrderBy::DevEui.into(),
            ..api::ListDevicesRequest::default()
        };
        let (items, total) = self.server.part_of(&request, limit, offset).await?;
        Ok((items.into_iter().map(|item| self.listed(&home, item)).collect(), Some(total)))
    }

    fn listed(&self, home: &Named, item: api::DeviceListItem) -> Device {
        let record = api::Device {
            dev_eui: item.dev_eui,
            name: item.name,
            description: item.description,
            application_id: home.id.clone(),
            device_profile_id: item.device_profile_id,
            tags: item.tags,
            ..api::Device::default()
        };
        Device {
            app_id: self.app_id.clone(),
            record: Whole::new("api.Device", record),
            last_seen_at: item.last_seen_at,
            keys: None,
            session: None,
        }
    }

    /// Delete a device.
    pub(super) async fn delete_device(&self, dev_id: &str) -> Result<()> {
        let (home, record) = self.record(dev_id).await?;
        let request = api::DeleteDeviceRequest { dev_eui: record.whole.read.dev_eui };
        let outcome = self.server.tell("DeviceService", "Delete", &request).await;
        self.written(&home, outcome).await
    }
}

/// What is not there, or may not be read, is left out.
fn tolerated<T>(outcome: Result<Option<T>>) -> Result<Option<T>> {
    let is_left_out = |error: &Error| code_of(error) == Some(RpcCode::NotFound) || is_silence(error);
    match outcome {
        Err(error) if is_left_out(&error) => Ok(None),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(tags: &[(&str, &str)], keys: api::DeviceKeys) -> handler::Device {
        let record = api::Device {
            dev_eui: "70b3d57ed005f1a2".to_owned(),
            name: "soil-probe-03".to_owned(),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            join_eui: "0".repeat(16),
            ..api::Device::default()
        };
        let device = Device {
            app_id: "green".to_owned(),
            record: Whole::new("api.Device", record),
            last_seen_at: Some(prost_types::Timestamp { seconds: 1, nanos: 2 }),
            keys: Some(Whole::new("api.DeviceKeys", keys)),
            session: None,
        };
        device.to_v2()
    }

    fn lorawan(device: &handler::Device) -> lorawan::Device {
        let Some(handler::device::Device::LorawanDevice(lorawan)) = &device.device else { panic!("no device") };
        lorawan.clone()
    }

    #[test]
    fn a_device_is_called_by_its_tag_and_has_v2s_fields() {
        let (key, zeros) = ("2b7e151628aed2a6abf7158809cf4f3c", "0".repeat(32));
        let keys = api::DeviceKeys { nwk_key: key.to_owned(), app_key: zeros, ..api::DeviceKeys::default() };
        let found = device(&[("dev_id", "soil_03"), ("latitude", "52.3731"), ("altitude", "12"), ("a", "b")], keys);
        assert_eq!((found.dev_id.as_str(), found.latitude, found.altitude), ("soil_03", 52.3731, 12));
        assert_eq!(found.attributes, [("a".to_owned(), "b".to_owned())].into());
        let lorawan = lorawan(&found);
        assert_eq!((hex::encode(lorawan.app_key), lorawan.last_seen), (key.to_owned(), 1_000_000_002));
        assert!(lorawan.app_eui.is_empty() && lorawan.uses32_bit_f_cnt);
    }

    #[test]
    fn without_a_tag_the_name_counts_and_of_two_keys_that_of_the_application() {
        let keys = api::DeviceKeys { nwk_key: "11".repeat(16), app_key: "22".repeat(16), ..api::DeviceKeys::default() };
        let found = device(&[], keys);
        assert_eq!(found.dev_id, "soil-probe-03");
        assert_eq!(lorawan(&found).app_key, [0x22; 16]);
        assert_eq!(called("70b3d57ed005f1a2", "", &HashMap::new()), "70b3d57ed005f1a2");
    }
}
