//! Registering devices, on four servers (V3 3.4.4, 3.4.5).

use super::masks::{is_of_application, is_of_join, is_of_network};
use super::part::Device;
use super::{Defaults, Stack, check_id, mask};
use crate::client::managed::{Undo, is_set, tolerate_absence};
use crate::error::{Error, Result};
use crate::rpc::proto::{handler, v3};

/// Longest name of a device, in characters.
const NAME: usize = 50;

/// A device as a program describes it.
pub type Registration = crate::client::managed::Registration<v3::EndDevice>;

impl Registration {
    pub(super) fn paths_of(&self, is_of: fn(&str) -> bool) -> Vec<String> {
        self.paths.iter().filter(|path| is_of(path)).cloned().collect()
    }

    /// A registration that makes a device anew as it is.
    #[must_use]
    pub fn again(device: &Device) -> Self {
        let v2 = device.to_v2();
        let mut extra = v3::EndDevice { name: device.identity.device.name.clone(), ..v3::EndDevice::default() };
        let mut paths = vec!["name".to_owned()];
        if let Some(versions) = &device.identity.device.version_ids {
            extra.version_ids = Some(versions.clone());
            paths.push("version_ids".to_owned());
        }
        if let Some(network) = device.network.as_ref().map(|part| &part.device) {
            extra.lorawan_version = network.lorawan_version;
            extra.lorawan_phy_version = network.lorawan_phy_version;
            extra.frequency_plan_id.clone_from(&network.frequency_plan_id);
            extra.supports_class_b = network.supports_class_b;
            extra.supports_class_c = network.supports_class_c;
            extra.supports_join = network.supports_join;
            extra.mac_settings.clone_from(&network.mac_settings);
            let kept =
                ["lorawan_version", "lorawan_phy_version", "frequency_plan_id", "supports_class_b", "supports_class_c"];
            paths.extend(kept.map(str::to_owned));
            if network.mac_settings.as_ref().is_some_and(|settings| settings.rx1_delay.is_some()) {
                paths.push("mac_settings.rx1_delay".to_owned());
            }
        }
        if let Some(formatters) = device.application.as_ref().and_then(|part| part.device.formatters.clone()) {
            extra.formatters = Some(formatters);
            paths.push("formatters".to_owned());
        }
        if let Some(root) = device.join.as_ref().and_then(|part| part.device.root_keys.clone()) {
            if root.nwk_key.is_some() {
                paths.push("root_keys.nwk_key.key".to_owned());
            }
            extra.root_keys = Some(v3::RootKeys { app_key: None, ..root });
        }
        let named = ["disable_f_cnt_check", "uses32_bit_f_cnt"].map(str::to_owned).into();
        Self { dev_id: v2.dev_id.clone(), device: v2, named, extra, paths }
    }
}

pub(super) fn envelope(key: &[u8]) -> v3::KeyEnvelope {
    v3::KeyEnvelope { key: key.to_vec(), ..v3::KeyEnvelope::default() }
}

/// V2's places are in single precision: the digits that somebody has written, not those of the nearest number.
pub(super) fn degrees(place: f32) -> f64 {
    place.to_string().parse().unwrap_or_else(|_| f64::from(place))
}

/// Check what can be checked before anything is sent.
///
/// # Errors
/// [`Error::Invalid`] for what no server would take.
pub fn check(registration: &Registration, defaults: &Defaults) -> Result<()> {
    plan(registration, v3::EndDeviceIdentifiers::default(), defaults).map(drop)
}

/// What each server is to be told.
struct Plan {
    ids: v3::EndDeviceIdentifiers,
    identity: v3::EndDevice,
    join: Option<(v3::EndDevice, Vec<String>)>,
    network: (v3::EndDevice, Vec<String>),
    application: (v3::EndDevice, Vec<String>),
}

impl Stack {
    /// Register a device. What was done by then is undone if a server refuses.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`check`], and what the servers say.
    pub async fn register_device(&self, registration: &Registration) -> Result<()> {
        let plan = plan(registration, self.device_ids(&registration.dev_id), &self.defaults)?;
        let request = v3::CreateEndDeviceRequest { end_device: Some(plan.identity) };
        self.tell("EndDeviceRegistry", "Create", &request).await?;
        let (stack, ids) = (self.clone(), plan.ids);
        let undo = Undo::new(&registration.dev_id, async move { tolerate_absence(stack.delete(&ids).await) });
        let join = plan.join.map(|plan| ("JsEndDeviceRegistry", plan));
        let others = [("NsEndDeviceRegistry", plan.network), ("AsEndDeviceRegistry", plan.application)];
        for (service, (device, paths)) in join.into_iter().chain(others) {
            if let Err(error) = self.set(service, device, &paths).await {
                return Err(undo.because_of(error).await);
            }
        }
        undo.keep();
        registration.warn_of_half_a_session();
        Ok(())
    }

    pub(super) async fn set(&self, service: &str, device: v3::EndDevice, paths: &[String]) -> Result<()> {
        let field_mask = mask(paths.iter().map(String::as_str));
        self.tell(service, "Set", &v3::SetEndDeviceRequest { end_device: Some(device), field_mask }).await
    }
}

fn plan(registration: &Registration, mut ids: v3::EndDeviceIdentifiers, defaults: &Defaults) -> Result<Plan> {
    check_id("dev_id", &registration.dev_id)?;
    let (lorawan, extra) = (registration.lorawan(), &registration.extra);
    let joins = is_set(&lorawan.app_key) || extra.supports_join;
    let has_session = registration.has_session();
    if !joins && !has_session {
        let expected = "an app_key (OTAA), or a dev_addr, a nwk_s_key and an app_s_key (ABP), not all zeros";
        return Err(Error::invalid("device", &registration.dev_id, expected));
    }
    if joins && (!is_set(&lorawan.dev_eui) || lorawan.app_eui.is_empty()) {
        let expected = "a dev_eui, not all zeros, and an app_eui: a device that joins has both";
        return Err(Error::invalid("device", &registration.dev_id, expected));
    }
    ids.dev_eui.clone_from(&lorawan.dev_eui);
    ids.join_eui.clone_from(&lorawan.app_eui);
    let bare = || v3::EndDevice { ids: Some(ids.clone()), ..v3::EndDevice::default() };
    let host = &defaults.host;

    let mut identity = bare();
    let v2 = &registration.device;
    let name = [&extra.name, &v2.description, &registration.dev_id].into_iter().find(|name| !name.is_empty());
    identity.name = name.map(|name| name.chars().take(NAME).collect()).unwrap_or_default();
    identity.description.clone_from(&v2.description);
    identity.attributes.clone_from(&v2.attributes);
    identity.version_ids.clone_from(&extra.version_ids);
    identity.network_server_address.clone_from(host);
    identity.application_server_address.clone_from(host);
    if joins {
        identity.join_server_address.clone_from(host);
    }
    if v2.latitude != 0.0 || v2.longitude != 0.0 || v2.altitude != 0 {
        identity.locations.insert("user".to_owned(), place(v2));
    }

    let join = (is_set(&lorawan.app_key) || extra.root_keys.is_some()).then(|| {
        let mut device = bare();
        let mut root = extra.root_keys.clone().unwrap_or_default();
        let mut paths = vec!["network_server_address".to_owned(), "application_server_address".to_owned()];
        device.network_server_address.clone_from(host);
        device.application_server_address.clone_from(host);
        device.resets_join_nonces = extra.resets_join_nonces;
        if is_set(&lorawan.app_key) {
            root.app_key = Some(envelope(&lorawan.app_key));
            paths.push("root_keys.app_key.key".to_owned());
        }
        device.root_keys = Some(root);
        paths.extend(registration.paths_of(is_of_join));
        (device, paths)
    });
    // Those of a device that goes on without joining anew are the same on both servers.
    let session_key_id: Vec<u8> = if joins && has_session { random_id() } else { Vec::new() };
    let network = network_plan(registration, bare(), joins, has_session.then_some(&session_key_id), defaults)?;
    let mut application = (bare(), registration.paths_of(is_of_application));
    application.0.formatters.clone_from(&extra.formatters);
    application.0.version_ids.clone_from(&extra.version_ids);
    if has_session {
        let keys = v3::SessionKeys {
            app_s_key: Some(envelope(&lorawan.app_s_key)),
            session_key_id: session_key_id.clone(),
            ..v3::SessionKeys::default()
        };
        application.0.session = Some(v3::Session {
            dev_addr: lorawan.dev_addr.clone(),
            keys: Some(keys),
            last_a_f_cnt_down: lorawan.f_cnt_down,
            ..v3::Session::default()
        });
        let paths = ["session.dev_addr", "session.keys.app_s_key.key", "session.last_a_f_cnt_down"];
        application.1.extend(paths.map(str::to_owned));
        if joins {
            application.1.push("session.keys.session_key_id".to_owned());
        }
    }
    Ok(Plan { ids, identity, join, network, application })
}

fn network_plan(
    registration: &Registration,
    mut device: v3::EndDevice,
    joins: bool,
    session_key_id: Option<&Vec<u8>>,
    defaults: &Defaults,
) -> Result<(v3::EndDevice, Vec<String>)> {
    let (lorawan, extra) = (registration.lorawan(), &registration.extra);
    device.supports_join = joins;
    device.lorawan_version = chosen(extra.lorawan_version, defaults.lorawan_version);
    device.lorawan_phy_version = chosen(extra.lorawan_phy_version, defaults.lorawan_phy_version);
    device.frequency_plan_id = match (extra.frequency_plan_id.as_str(), &defaults.frequency_plan_id) {
        ("", Some(plan)) => plan.clone(),
        ("", None) => {
            let expected = "a frequency plan such as \"EU_863_870_TTN\", for this device or for the client: the cluster \
                            suggests none";
            return Err(Error::invalid("frequency_plan_id", "", expected));
        }
        (plan, _) => plan.to_owned(),
    };
    device.supports_class_b = extra.supports_class_b;
    device.supports_class_c = extra.supports_class_c;
    device.version_ids.clone_from(&extra.version_ids);
    let always = ["supports_join", "lorawan_version", "lorawan_phy_version", "frequency_plan_id"];
    let mut paths: Vec<String> = always.map(str::to_owned).into();
    paths.extend(registration.paths_of(is_of_network).into_iter().filter(|path| !always.contains(&path.as_str())));
    let mut settings = extra.mac_settings.clone().unwrap_or_default();
    if let Some(session_key_id) = session_key_id {
        let keys = v3::SessionKeys {
            f_nwk_s_int_key: Some(envelope(&lorawan.nwk_s_key)),
            session_key_id: session_key_id.clone(),
            ..v3::SessionKeys::default()
        };
        let now = joins.then(|| prost_types::Timestamp::from(std::time::SystemTime::now()));
        device.session = Some(v3::Session {
            dev_addr: lorawan.dev_addr.clone(),
            keys: Some(keys),
            last_f_cnt_up: lorawan.f_cnt_up,
            last_n_f_cnt_down: lorawan.f_cnt_down,
            started_at: now,
            ..v3::Session::default()
        });
        let session = [
            "session.dev_addr",
            "session.keys.f_nwk_s_int_key.key",
            "session.last_f_cnt_up",
            "session.last_n_f_cnt_down",
        ];
        paths.extend(session.map(str::to_owned));
        if joins {
            paths.extend(["session.keys.session_key_id", "session.started_at"].map(str::to_owned));
        }
    }
    if registration.names("disable_f_cnt_check") {
        settings.resets_f_cnt = Some(v3::BoolValue { value: lorawan.disable_f_cnt_check });
        paths.push("mac_settings.resets_f_cnt".to_owned());
    }
    if registration.names("uses32_bit_f_cnt") {
        settings.supports_32_bit_f_cnt = Some(v3::BoolValue { value: lorawan.uses32_bit_f_cnt });
        paths.push("mac_settings.supports_32_bit_f_cnt".to_owned());
    }
    device.mac_settings = (settings != v3::MacSettings::default()).then_some(settings);
    Ok((device, paths))
}

pub(super) fn place(v2: &handler::Device) -> v3::Location {
    v3::Location {
        latitude: degrees(v2.latitude),
        longitude: degrees(v2.longitude),
        altitude: v2.altitude,
        accuracy: 0,
        source: v3::LocationSource::SourceRegistry.into(),
    }
}

fn chosen(given: i32, default: i32) -> i32 {
    if given == 0 { default } else { given }
}

pub(super) fn random_id() -> Vec<u8> {
    fastrand::u128(..).to_be_bytes().to_vec()
}
