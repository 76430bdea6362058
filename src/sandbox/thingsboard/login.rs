//! Who may come in (TB 1.1).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Notify, mpsc};

use super::device::{Credentials, Device};
use super::hub::{Hub, Seat};
use super::state::{Member, Order, State};
use super::wire::{Level, Login};
use crate::dialect::mqtt::code;
use crate::sandbox::journal::Entry;

/// The code of a refusal, which tells what was shown and not what is wrong with it.
fn refusal(login: &Login) -> u8 {
    match (login.level, &login.credentials) {
        (Level::V5, Some(_)) => code::BAD_LOGIN,
        (Level::V5, None) if !login.client_id.trim().is_empty() => code::CLIENT_ID_NOT_VALID,
        (Level::V5, None) => code::NOT_AUTHORISED,
        (Level::V3, None) if !login.client_id.trim().is_empty() => code::V311_CLIENT_ID_NOT_VALID,
        (Level::V3, _) => code::V311_NOT_AUTHORISED,
    }
}

/// The device that a login belongs to: a certificate comes before names and passwords, and these before a token, with
/// which a password does no harm.
fn device_of<'s>(state: &'s State, login: &Login, shown: Option<&[u8]>) -> Option<&'s str> {
    let (username, password) = login
        .credentials
        .as_ref()
        .map_or((None, None), |(user, password)| (Some(user.as_str()), Some(password.as_str())));
    let by_certificate = |device: &Device| match &device.credentials {
        Credentials::Certificate(wanted) => shown == Some(wanted.as_slice()),
        _ => false,
    };
    let by_names = |device: &Device| match &device.credentials {
        Credentials::Basic { client_id, username: wanted_name, password: wanted } => {
            let same = |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
            same(client_id, Some(&login.client_id)) && same(wanted_name, username) && same(wanted, password)
        }
        _ => false,
    };
    let by_token = |device: &Device| match &device.credentials {
        Credentials::Token(token) => username == Some(token),
        _ => false,
    };
    let find = |fits: &dyn Fn(&Device) -> bool| state.devices.iter().find(|(_, device)| fits(device));
    find(&by_certificate).or_else(|| find(&by_names)).or_else(|| find(&by_token)).map(|(name, _)| name.as_str())
}

impl Hub {
    /// Judge a login; a refusal gives the code in the client's level.
    pub(super) fn log_in(
        &self,
        login: Login,
        shown: Option<&[u8]>,
    ) -> std::result::Result<(Seat, mpsc::UnboundedReceiver<Order>), u8> {
        let refuse = |code: u8| {
            self.journal.write(Entry::Refused { app_id: String::new(), code });
            Err(code)
        };
        if login.level == Level::V5 && self.refuses_level_5.load(Ordering::Relaxed) {
            return refuse(code::V311_UNSUPPORTED_VERSION);
        }
        let fault = self.faults.login_code();
        if fault != 0 {
            return refuse(fault);
        }
        let username = login.credentials.as_ref().map(|(username, _)| username.as_str());
        let provisioning = username == Some("provision") || login.client_id == "provision";
        let mut state = self.state();
        let device = if provisioning {
            None
        } else {
            let Some(device) = device_of(&state, &login, shown).map(str::to_owned) else {
                drop(state);
                return refuse(refusal(&login));
            };
            if !state.charge(&device, 0) {
                drop(state);
                let codes = (code::V311_SERVER_UNAVAILABLE, code::CONNECTION_RATE_EXCEEDED);
                return refuse(if login.level == Level::V5 { codes.1 } else { codes.0 });
            }
            // A device has one session, whatever its clients call themselves.
            state.end_sessions(&device, code::SESSION_TAKEN_OVER);
            Some(device)
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let client_id = if login.client_id.is_empty() { format!("sandbox-{serial}") } else { login.client_id };
        let (orders, receiver) = mpsc::unbounded_channel();
        let cut = Arc::<Notify>::default();
        let (behind, filters) = (BTreeSet::new(), Vec::new());
        let member = Member { device: device.clone(), behind, filters, orders, cut: cut.clone() };
        state.members.insert(serial, member);
        drop(state);
        let name = device.clone().unwrap_or_else(|| "provision".to_owned());
        self.journal.write(Entry::Connected { client_id: client_id.clone(), app_id: name });
        Ok((Seat { serial, client_id, device, cut }, receiver))
    }
}
