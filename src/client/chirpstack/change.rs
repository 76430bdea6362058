//! Changing devices (CS 4.4): each part is read, changed, and written back whole.

use super::device::{Device, PLACE, called, is_of_1_1};
use super::find::Record;
use super::managing::{Registration, check_id};
use super::register::{check_attributes, check_name, place, set_down_counter, set_network_key};
use super::whole::Whole;
use super::{Named, Tenancy};
use crate::client::managed::after;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api;
use crate::rpc::proto::lorawan;

impl Tenancy {
    /// Change a device: what is named in the registration is changed, the rest stays. Attributes without a value are removed
    /// by `forgotten`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what cannot be changed, and what the server says: what it had taken by then it keeps, which the
    /// error says.
    pub(super) async fn update_device(&self, updates: &Registration, forgotten: &[String]) -> Result<()> {
        check_id("dev_id", &updates.dev_id)?;
        check_attributes(updates.device.attributes.keys().chain(forgotten))?;
        check_name(&updates.extra.name)?;
        let (home, Record { mut whole, .. }) = self.record(&updates.dev_id).await?;
        let dev_eui = whole.read.dev_eui.clone();
        let lorawan = updates.lorawan();
        if updates.names("dev_eui") && hex::encode(&lorawan.dev_eui) != dev_eui {
            let expected =
                "the EUI that the device has: it cannot be changed, but the device deleted and registered anew";
            return Err(Error::invalid("dev_eui", hex::encode_upper(&lorawan.dev_eui), expected));
        }
        // What is no good is told before anything is written.
        let session = self.changed_session(updates, &lorawan, &dev_eui).await?;
        let before = whole.read.clone();
        change(&mut whole.read, updates, forgotten);
        if let Some(profile) = &updates.extra.profile {
            whole.read.device_profile_id = self.profile_called(&home, profile).await?;
        }
        let mut told = Vec::new();
        if whole.read != before {
            let outcome = self.server.put("DeviceService", "Update", &whole).await;
            self.written(&home, outcome).await?;
            told.push("the device");
        }
        if updates.names("app_key") || updates.extra.nwk_key.is_some() {
            let outcome = self.change_keys(updates, &lorawan, &dev_eui).await;
            self.written(&home, outcome).await.map_err(|error| after(&told, error))?;
            told.push("its keys");
        }
        if let Some(session) = session {
            let outcome = self.server.put("DeviceService", "Activate", &session).await;
            self.written(&home, outcome).await.map_err(|error| after(&told, error))?;
        }
        Ok(())
    }

    async fn change_keys(&self, updates: &Registration, lorawan: &lorawan::Device, dev_eui: &str) -> Result<()> {
        let known = self.keys(dev_eui).await?;
        let method = if known.is_some() { "UpdateKeys" } else { "CreateKeys" };
        let none = api::DeviceKeys { dev_eui: dev_eui.to_owned(), ..api::DeviceKeys::default() };
        let mut keys = known.unwrap_or_else(|| Whole::new("api.DeviceKeys", none));
        if let Some(nwk_key) = &updates.extra.nwk_key {
            keys.read.nwk_key = hex::encode(nwk_key);
        }
        if updates.names("app_key") {
            let has_two = updates.extra.nwk_key.is_some() || is_of_1_1(&keys.read);
            let place = if has_two { &mut keys.read.app_key } else { &mut keys.read.nwk_key };
            *place = hex::encode(&lorawan.app_key);
        }
        self.server.put("DeviceService", method, &keys).await
    }

    /// The session as it is to be, if anything of it is to change.
    async fn changed_session(
        &self,
        updates: &Registration,
        lorawan: &lorawan::Device,
        dev_eui: &str,
    ) -> Result<Option<Whole<api::DeviceActivation>>> {
        if !updates.changes_session() {
            return Ok(None);
        }
        let known = self.session(dev_eui).await?;
        if known.is_none() && !updates.names_a_session() {
            return Err(updates.half_a_session());
        }
        let none = api::DeviceActivation { dev_eui: dev_eui.to_owned(), ..api::DeviceActivation::default() };
        let mut session = known.unwrap_or_else(|| Whole::new("api.DeviceActivation", none));
        if updates.names("dev_addr") {
            session.read.dev_addr = hex::encode(&lorawan.dev_addr);
        }
        if updates.names("nwk_s_key") {
            set_network_key(&mut session.read, &lorawan.nwk_s_key);
        }
        if updates.names("app_s_key") {
            session.read.app_s_key = hex::encode(&lorawan.app_s_key);
        }
        if updates.names("f_cnt_up") {
            session.read.f_cnt_up = lorawan.f_cnt_up;
        }
        if updates.names("f_cnt_down") {
            set_down_counter(&mut session.read, lorawan.f_cnt_down);
        }
        Ok(Some(session))
    }

    /// Give a device a session without a join: an address of the network's, these keys, counters that begin anew.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn personalize(&self, dev_id: &str, nwk_s_key: &[u8], app_s_key: &[u8]) -> Result<Device> {
        let (home, record) = self.record(dev_id).await?;
        let dev_eui = record.whole.read.dev_eui.clone();
        let request = api::GetRandomDevAddrRequest { dev_eui: dev_eui.clone(), tenant_id: String::new() };
        let address = self.random_address(&request).await?;
        let mut session = api::DeviceActivation {
            dev_eui,
            dev_addr: hex::encode(address),
            app_s_key: hex::encode(app_s_key),
            ..api::DeviceActivation::default()
        };
        set_network_key(&mut session, nwk_s_key);
        let request = api::ActivateDeviceRequest { device_activation: Some(session) };
        let outcome = self.server.tell("DeviceService", "Activate", &request).await;
        self.written(&home, outcome).await?;
        self.completed(record).await
    }

    /// A device address of the network's.
    ///
    /// # Errors
    /// What the server says; [`Error::Malformed`] for an address of another length.
    pub(super) async fn dev_addr(&self) -> Result<Vec<u8>> {
        let Named { tenant_id, .. } = self.home().await?;
        let asked = self.random_address(&api::GetRandomDevAddrRequest { dev_eui: String::new(), tenant_id }).await;
        let Err(Error::Rpc { code: RpcCode::Internal | RpcCode::Unauthenticated, .. }) = &asked else { return asked };
        // Older servers give one to a device alone.
        let Some(device) = self.devices(Some(1), 0).await?.0.pop() else { return asked };
        let dev_eui = device.dev_eui().to_owned();
        self.random_address(&api::GetRandomDevAddrRequest { dev_eui, tenant_id: String::new() }).await
    }

    async fn random_address(&self, request: &api::GetRandomDevAddrRequest) -> Result<Vec<u8>> {
        let answer: api::GetRandomDevAddrResponse =
            self.server.call("DeviceService", "GetRandomDevAddr", request).await?;
        let address = hex::decode(&answer.dev_addr).ok().filter(|address| address.len() == 4);
        address.ok_or_else(|| Error::Malformed {
            message: "answer of DeviceService/GetRandomDevAddr".to_owned(),
            reason: format!("expected 8 hex digits, got {:?}", answer.dev_addr),
        })
    }

    /// Move a device to another application of the same tenant: its profile is the tenant's.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another tenant, [`Error::Rpc`] where the ID is in use there, and what the server says.
    pub(super) async fn move_device(&self, dev_id: &str, to: &Self) -> Result<()> {
        let (home, Record { mut whole, .. }) = self.record(dev_id).await?;
        let target = to.home().await?;
        if target.tenant_id != home.tenant_id {
            let expected = "a client of an application of the same tenant, since the device's profile is the tenant's";
            return Err(Error::invalid("to", to.app_id.as_str(), expected));
        }
        let api::Device { dev_eui, name, tags, .. } = &whole.read;
        to.is_free(&target, called(dev_eui, name, tags)).await?;
        whole.read.application_id.clone_from(&target.id);
        let outcome = self.server.put("DeviceService", "Update", &whole).await;
        self.written(&home, outcome).await
    }
}

/// Change what is named of a device's record.
fn change(device: &mut api::Device, updates: &Registration, forgotten: &[String]) {
    let (lorawan, v2, extra) = (updates.lorawan(), &updates.device, &updates.extra);
    let is_given = |path: &str| updates.paths.iter().any(|given| given == path);
    if is_given("name") {
        device.name.clone_from(&extra.name);
    }
    if is_given("is_disabled") {
        device.is_disabled = extra.is_disabled;
    }
    if is_given("variables") {
        device.variables.clone_from(&extra.variables);
    }
    if updates.names("description") {
        device.description.clone_from(&v2.description);
    }
    if updates.names("app_eui") {
        device.join_eui = hex::encode(&lorawan.app_eui);
    }
    if updates.names("disable_f_cnt_check") {
        device.skip_fcnt_check = lorawan.disable_f_cnt_check;
    }
    if updates.names("attributes") {
        device.tags.extend(v2.attributes.clone());
        device.tags.retain(|name, _| !forgotten.contains(name));
    }
    for (name, value) in PLACE.into_iter().zip(place(v2)) {
        if updates.names(name) {
            device.tags.insert(name.to_owned(), value);
        }
    }
}
