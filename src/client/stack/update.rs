//! Changing devices: each server is told only what it keeps, and what is changed (V3 3.4.8).

use super::masks::{is_of_application, is_of_identity, is_of_join, is_of_network};
use super::part::{Device, Part};
use super::registration::{Registration, check, envelope, place, random_id};
use super::shape::SERVERS;
use super::{Stack, check_id, mask};
use crate::client::managed::{after, code_of, extended};
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::v3;

/// What one server is told.
#[derive(Default)]
struct Change {
    device: v3::EndDevice,
    paths: Vec<String>,
}

impl Change {
    fn add(&mut self, paths: &[&str]) {
        self.paths.extend(paths.iter().map(|path| (*path).to_owned()));
    }

    fn session(&mut self) -> &mut v3::Session {
        self.device.session.get_or_insert_default()
    }

    fn keys(&mut self) -> &mut v3::SessionKeys {
        self.session().keys.get_or_insert_default()
    }
}

impl Stack {
    /// Change a device: what is named in the registration is changed, the rest stays. Attributes without a value are removed
    /// by `forgotten`. Gives the servers that were told something.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what cannot be changed, and what the servers say: those that were told by then keep it, which
    /// the error says.
    pub async fn update_device(&self, updates: &Registration, forgotten: &[String]) -> Result<Vec<&'static str>> {
        check_id("dev_id", &updates.dev_id)?;
        let identity = self.identity_part(&updates.dev_id).await?;
        let changes = changes(updates, forgotten, &identity)?;
        if updates.changes_session() && !updates.names_a_session() && !self.has_session(&identity.ids()).await? {
            return Err(updates.half_a_session());
        }
        let mut told = Vec::new();
        for (server, change) in SERVERS.into_iter().zip(changes) {
            if change.paths.is_empty() {
                continue;
            }
            let mut device = change.device;
            device.ids = Some(v3::EndDeviceIdentifiers { dev_addr: Vec::new(), ..identity.ids() });
            self.write(server, device, &change.paths).await.map_err(|error| after(&told, error))?;
            told.push(server);
        }
        Ok(told)
    }

    /// Whether the Network Server knows a session of a device.
    async fn has_session(&self, ids: &v3::EndDeviceIdentifiers) -> Result<bool> {
        let field_mask = mask(["session.dev_addr"]);
        let request = v3::GetEndDeviceRequest { end_device_ids: Some(ids.clone()), field_mask };
        match self.call::<v3::EndDevice>("NsEndDeviceRegistry", "Get", &request).await {
            Ok(device) => Ok(device.session.is_some_and(|session| !session.dev_addr.is_empty())),
            Err(error) if code_of(&error) == Some(RpcCode::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, server: &str, device: v3::EndDevice, paths: &[String]) -> Result<()> {
        match server {
            "IS" => {
                let field_mask = mask(paths.iter().map(String::as_str));
                let request = v3::UpdateEndDeviceRequest { end_device: Some(device), field_mask };
                self.tell("EndDeviceRegistry", "Update", &request).await
            }
            "JS" => self.set("JsEndDeviceRegistry", device, paths).await,
            "NS" => self.set("NsEndDeviceRegistry", device, paths).await,
            _ => self.set("AsEndDeviceRegistry", device, paths).await,
        }
    }

    /// Give a device a session without a join: an address of the network's, these keys, counters that begin anew. A device
    /// that joins may join all the same.
    ///
    /// # Errors
    /// What the servers say.
    pub async fn personalize(&self, dev_id: &str, nwk_s_key: &[u8], app_s_key: &[u8]) -> Result<Device> {
        let device = self.device(dev_id).await?;
        let address = self.dev_addr().await?;
        let joins = device.network.as_ref().is_some_and(|part| part.device.supports_join);
        let (mut network, mut application) = (Change::default(), Change::default());
        network.add(&["session.dev_addr", "session.keys.f_nwk_s_int_key.key", "session.last_f_cnt_up"]);
        network.add(&["session.last_n_f_cnt_down"]);
        network.session().dev_addr.clone_from(&address);
        network.keys().f_nwk_s_int_key = Some(envelope(nwk_s_key));
        application.add(&["session.dev_addr", "session.keys.app_s_key.key", "session.last_a_f_cnt_down"]);
        application.session().dev_addr = address;
        application.keys().app_s_key = Some(envelope(app_s_key));
        if joins {
            let id = random_id();
            network.add(&["session.keys.session_key_id", "session.started_at"]);
            network.session().started_at = Some(std::time::SystemTime::now().into());
            network.keys().session_key_id.clone_from(&id);
            application.add(&["session.keys.session_key_id"]);
            application.keys().session_key_id = id;
        }
        let mut told = Vec::new();
        for (server, change) in [("NS", network), ("AS", application)] {
            let ids = v3::EndDeviceIdentifiers { dev_addr: Vec::new(), ..device.identity.ids() };
            let message = v3::EndDevice { ids: Some(ids), ..change.device };
            self.write(server, message, &change.paths).await.map_err(|error| after(&told, error))?;
            told.push(server);
        }
        self.complete(device.identity).await
    }

    /// Move a device to another application. If that fails it is put back.
    ///
    /// # Errors
    /// What the servers say, and that the device's keys may not be read, before anything is changed: without them it would be
    /// of no use there; with what became of the device if it could not be put back.
    pub async fn move_device(&self, dev_id: &str, to: &Self) -> Result<()> {
        let device = self.whole_device(dev_id).await?;
        let registration = Registration::again(&device);
        // Checked before it is deleted here: the network allows each pair of EUIs only once.
        check(&registration, &to.defaults)?;
        check(&registration, &self.defaults)?;
        self.delete(&device.identity.ids()).await?;
        let Err(error) = Box::pin(to.register_device(&registration)).await else { return Ok(()) };
        match Box::pin(self.register_device(&registration)).await {
            Ok(()) => Err(error),
            Err(lost) => Err(extended(error, &format!("it could not be put back either ({lost})"))),
        }
    }
}

/// What each server is to be told, in the order of [`SERVERS`].
fn changes(updates: &Registration, forgotten: &[String], known: &Part) -> Result<[Change; 4]> {
    let (lorawan, v2, extra, ids) = (updates.lorawan(), &updates.device, &updates.extra, known.ids());
    for (name, given, kept) in
        [("dev_eui", &lorawan.dev_eui, &ids.dev_eui), ("app_eui", &lorawan.app_eui, &ids.join_eui)]
    {
        if updates.names(name) && !given.is_empty() && given != kept {
            let expected =
                "the EUI that the device has: it cannot be changed, but the device deleted and registered anew";
            return Err(Error::invalid(name, hex::encode_upper(given), expected));
        }
    }
    let [mut identity, mut join, mut network, mut application] = <[Change; 4]>::default();

    identity.paths = updates.paths_of(is_of_identity);
    identity.device.name.clone_from(&extra.name);
    identity.device.version_ids.clone_from(&extra.version_ids);
    if updates.names("description") {
        identity.add(&["description"]);
        identity.device.description.clone_from(&v2.description);
    }
    // The whole map is replaced on the server: read, merged, written.
    if updates.names("attributes") {
        identity.add(&["attributes"]);
        let mut attributes = known.device.attributes.clone();
        attributes.extend(v2.attributes.clone());
        attributes.retain(|name, _| !forgotten.contains(name));
        identity.device.attributes = attributes;
    }
    if ["latitude", "longitude", "altitude"].into_iter().any(|name| updates.names(name)) {
        identity.add(&["locations"]);
        let (mut locations, given) = (known.device.locations.clone(), place(v2));
        let user = locations.entry("user".to_owned()).or_default();
        user.source = given.source;
        if updates.names("latitude") {
            user.latitude = given.latitude;
        }
        if updates.names("longitude") {
            user.longitude = given.longitude;
        }
        if updates.names("altitude") {
            user.altitude = given.altitude;
        }
        identity.device.locations = locations;
    }

    join.paths = updates.paths_of(is_of_join);
    join.device.root_keys.clone_from(&extra.root_keys);
    join.device.resets_join_nonces = extra.resets_join_nonces;
    if updates.names("app_key") {
        join.add(&["root_keys.app_key.key"]);
        join.device.root_keys.get_or_insert_default().app_key = Some(envelope(&lorawan.app_key));
    }

    network.paths = updates.paths_of(is_of_network);
    network.device = v3::EndDevice { ids: None, ..extra.clone() };
    network.device.root_keys = None;
    network.device.formatters = None;
    application.paths = updates.paths_of(is_of_application);
    application.device.formatters.clone_from(&extra.formatters);
    application.device.version_ids.clone_from(&extra.version_ids);
    if updates.names("dev_addr") {
        network.add(&["session.dev_addr"]);
        application.add(&["session.dev_addr"]);
        network.session().dev_addr.clone_from(&lorawan.dev_addr);
        application.session().dev_addr.clone_from(&lorawan.dev_addr);
    }
    if updates.names("nwk_s_key") {
        network.add(&["session.keys.f_nwk_s_int_key.key"]);
        network.keys().f_nwk_s_int_key = Some(envelope(&lorawan.nwk_s_key));
    }
    if updates.names("app_s_key") {
        application.add(&["session.keys.app_s_key.key"]);
        application.keys().app_s_key = Some(envelope(&lorawan.app_s_key));
    }
    if updates.names("f_cnt_up") {
        network.add(&["session.last_f_cnt_up"]);
        network.session().last_f_cnt_up = lorawan.f_cnt_up;
    }
    if updates.names("f_cnt_down") {
        network.add(&["session.last_n_f_cnt_down"]);
        application.add(&["session.last_a_f_cnt_down"]);
        network.session().last_n_f_cnt_down = lorawan.f_cnt_down;
        application.session().last_a_f_cnt_down = lorawan.f_cnt_down;
    }
    if updates.names("disable_f_cnt_check") {
        network.add(&["mac_settings.resets_f_cnt"]);
        let settings = network.device.mac_settings.get_or_insert_default();
        settings.resets_f_cnt = Some(v3::BoolValue { value: lorawan.disable_f_cnt_check });
    }
    if updates.names("uses32_bit_f_cnt") {
        network.add(&["mac_settings.supports_32_bit_f_cnt"]);
        let settings = network.device.mac_settings.get_or_insert_default();
        settings.supports_32_bit_f_cnt = Some(v3::BoolValue { value: lorawan.uses32_bit_f_cnt });
    }
    Ok([identity, join, network, application])
}
