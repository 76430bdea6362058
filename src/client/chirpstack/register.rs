//! Registering devices (CS 4.4): the device, its keys, its session.

use super::device::PLACE;
use super::find::DEV_ID;
use super::managing::{Registration, check_id};
use super::{Named, Tenancy};
use crate::client::managed::{Undo, is_set, tolerate_absence};
use crate::dialect::lorawan::dev_eui;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api;
use crate::rpc::proto::handler;

/// Longest name of a device, in characters.
const NAME: usize = 100;

/// What the server is to be told. What belongs to its application and its profile is not in it yet.
pub(super) struct Plan {
    device: api::Device,
    keys: Option<api::DeviceKeys>,
    session: Option<api::DeviceActivation>,
}

pub(super) fn plan(registration: &Registration) -> Result<Plan> {
    check_id("dev_id", &registration.dev_id)?;
    let (lorawan, extra, v2) = (registration.lorawan(), &registration.extra, &registration.device);
    let expected = if !is_set(&lorawan.dev_eui) {
        Some("a dev_eui, not all zeros: ChirpStack knows devices by theirs")
    } else if dev_eui(&registration.dev_id).is_some_and(|eui| eui != hex::encode(&lorawan.dev_eui)) {
        Some("a dev_id that is no DevEUI, or that of the device itself")
    } else {
        None
    };
    if let Some(expected) = expected {
        return Err(Error::invalid("device", &registration.dev_id, expected));
    }
    let dev_eui = hex::encode(&lorawan.dev_eui);
    let keys = keys(registration).map(|keys| api::DeviceKeys { dev_eui: dev_eui.clone(), ..keys });
    let has_session = registration.has_session();
    if keys.is_none() && !has_session {
        let expected = "an app_key (OTAA), or a dev_addr, a nwk_s_key and an app_s_key (ABP), not all zeros";
        return Err(Error::invalid("device", &registration.dev_id, expected));
    }
    let mut session = api::DeviceActivation { dev_eui: dev_eui.clone(), ..api::DeviceActivation::default() };
    session.dev_addr = hex::encode(&lorawan.dev_addr);
    set_network_key(&mut session, &lorawan.nwk_s_key);
    session.app_s_key = hex::encode(&lorawan.app_s_key);
    session.f_cnt_up = lorawan.f_cnt_up;
    set_down_counter(&mut session, lorawan.f_cnt_down);
    let name = if extra.name.is_empty() { &registration.dev_id } else { &extra.name };
    check_name(name)?;
    let mut device = api::Device {
        dev_eui: dev_eui.clone(),
        name: name.clone(),
        description: v2.description.clone(),
        skip_fcnt_check: lorawan.disable_f_cnt_check,
        is_disabled: extra.is_disabled,
        variables: extra.variables.clone(),
        join_eui: hex::encode(&lorawan.app_eui),
        ..api::Device::default()
    };
    check_attributes(v2.attributes.keys())?;
    device.tags.clone_from(&v2.attributes);
    if registration.dev_id != dev_eui {
        device.tags.insert(DEV_ID.to_owned(), registration.dev_id.clone());
    }
    if v2.latitude != 0.0 || v2.longitude != 0.0 || v2.altitude != 0 {
        for (name, value) in PLACE.into_iter().zip(place(v2)) {
            device.tags.insert(name.to_owned(), value);
        }
    }
    Ok(Plan { device, keys, session: has_session.then_some(session) })
}

/// A name that the server takes.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.chars().count() > NAME {
        return Err(Error::invalid("name", name, "at most 100 characters"));
    }
    Ok(())
}

/// Attributes are tags, of which these have a use of their own.
pub(super) fn check_attributes<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<()> {
    match names.find(|name| *name == DEV_ID || PLACE.contains(&name.as_str())) {
        Some(name) => Err(Error::invalid(
            "attributes",
            name.as_str(),
            "other names than dev_id, latitude, longitude and altitude: the device's tags of these names are its ID and place",
        )),
        None => Ok(()),
    }
}

/// Where a device is, as texts in the order of [`PLACE`].
pub(super) fn place(v2: &handler::Device) -> [String; 3] {
    [v2.latitude.to_string(), v2.longitude.to_string(), v2.altitude.to_string()]
}

/// The keys that a device joins with: of LoRaWAN 1.1 where there are two, else of 1.0, whose one stands where the `NwkKey`
/// does (CS 4.4).
fn keys(registration: &Registration) -> Option<api::DeviceKeys> {
    let app_key = registration.lorawan().app_key;
    match (&registration.extra.nwk_key, is_set(&app_key)) {
        (Some(nwk_key), _) => Some(api::DeviceKeys {
            nwk_key: hex::encode(nwk_key),
            app_key: hex::encode(&app_key),
            ..api::DeviceKeys::default()
        }),
        (None, true) => Some(api::DeviceKeys { nwk_key: hex::encode(&app_key), ..api::DeviceKeys::default() }),
        (None, false) => None,
    }
}

/// LoRaWAN 1.0's network session key is all three of 1.1.
pub(super) fn set_network_key(session: &mut api::DeviceActivation, key: &[u8]) {
    session.nwk_s_enc_key = hex::encode(key);
    session.s_nwk_s_int_key.clone_from(&session.nwk_s_enc_key);
    session.f_nwk_s_int_key.clone_from(&session.nwk_s_enc_key);
}

/// Below LoRaWAN 1.1 both count the same frames.
pub(super) fn set_down_counter(session: &mut api::DeviceActivation, counter: u32) {
    (session.n_f_cnt_down, session.a_f_cnt_down) = (counter, counter);
}

impl Tenancy {
    /// Register a device. What was done by then is undone if a step fails.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`super::check`], [`Error::Rpc`] for an ID that is in use, and what the server says.
    pub(super) async fn register_device(&self, registration: &Registration) -> Result<()> {
        let Plan { mut device, keys, session } = plan(registration)?;
        let home = self.home().await?;
        // The server takes any number of devices of one name.
        self.is_free(&home, &registration.dev_id).await?;
        device.device_profile_id =
            self.profile_for(&home, registration.extra.profile.as_deref(), keys.is_some()).await?;
        device.application_id.clone_from(&home.id);
        let dev_eui = device.dev_eui.clone();
        let created =
            self.server.tell("DeviceService", "Create", &api::CreateDeviceRequest { device: Some(device) }).await;
        self.written(&home, created).await?;
        let server = self.server.clone();
        let undo = Undo::new(&registration.dev_id, async move {
            tolerate_absence(server.tell("DeviceService", "Delete", &api::DeleteDeviceRequest { dev_eui }).await)
        });
        let rest = async {
            if let Some(keys) = keys {
                let request = api::CreateDeviceKeysRequest { device_keys: Some(keys) };
                self.server.tell("DeviceService", "CreateKeys", &request).await?;
            }
            if let Some(session) = session {
                let request = api::ActivateDeviceRequest { device_activation: Some(session) };
                self.server.tell("DeviceService", "Activate", &request).await?;
            }
            Ok(())
        };
        match rest.await {
            Ok(()) => {
                undo.keep();
                registration.warn_of_half_a_session();
                Ok(())
            }
            Err(error) => Err(undo.because_of(error).await),
        }
    }

    /// No device of the application is called so.
    pub(super) async fn is_free(&self, home: &Named, dev_id: &str) -> Result<()> {
        match self.server.device_called(&home.id, dev_id).await? {
            None => Ok(()),
            Some(eui) => {
                let details = format!("the application has a device {dev_id:?} already, with the DevEUI {eui}");
                Err(Error::rpc(RpcCode::AlreadyExists, details))
            }
        }
    }
}
