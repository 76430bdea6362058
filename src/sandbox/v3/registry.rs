//! Applications, their keys and their devices.

use std::collections::{BTreeMap, VecDeque};

use super::downlink::Downlink;
use super::right::Rights;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::sandbox::frame::Inbox;

/// The `JoinEUI` of simulated devices.
const JOIN_EUI: [u8; 8] = *b"\x70\xB3\xD5\x7E\xD0\x00\x00\xA1";
/// Downlinks that may wait for one device (V3 2.6).
pub(super) const QUEUE: usize = 10_000;

/// What a device and the network agreed on.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) key_id: [u8; 16],
    pub(super) dev_addr: [u8; 4],
    /// Frame counter of the next uplink.
    pub(super) uplinks: u32,
    /// Frame counter of the next downlink.
    pub(super) downlinks: u32,
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) dev_eui: [u8; 8],
    pub(super) join_eui: [u8; 8],
    pub(super) session: Option<Session>,
    /// Latitude and longitude in degrees, altitude in metres.
    pub(super) location: Option<(f64, f64, i32)>,
    pub(super) attributes: BTreeMap<String, String>,
    /// Whether it acknowledges confirmed downlinks.
    pub(super) acknowledges: bool,
    /// The spreading factor that it sends with.
    pub(super) spreading: u8,
    pub(super) waiting: VecDeque<Downlink>,
    /// A confirmed downlink that was sent and not acknowledged.
    pub(super) unacknowledged: Option<Downlink>,
    pub(super) inbox: Inbox,
}

#[derive(Debug, Default)]
struct Application {
    keys: Vec<(AccessKey, Rights)>,
    devices: BTreeMap<String, Device>,
}

/// Applications by ID.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Whether applications and keys are taken as they come.
    any_key: bool,
    tenant: Option<String>,
    applications: BTreeMap<String, Application>,
    made: u32,
}

/// Whether a text has the form of the stack's IDs: `^[a-z0-9](?:[-]?[a-z0-9]){2,}$`, at most 36 characters.
pub(super) fn is_id(id: &str) -> bool {
    let letters = id.bytes().filter(|byte| *byte != b'-').count();
    letters >= 3
        && id.len() <= 36
        && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !(id.starts_with('-') || id.ends_with('-') || id.contains("--"))
}

/// Whether a text has the form of an API key (V3 1.3).
fn is_key(text: &str) -> bool {
    let is_part = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    text.strip_prefix("NNSXS.")
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(id, secret)| is_part(id, 39) && is_part(secret, 52))
}

fn check_id(what: &'static str, id: &str) -> Result<()> {
    if is_id(id) {
        return Ok(());
    }
    Err(Error::invalid(what, id, "3 to 36 of a-z and 0-9 with single '-' between them, and no '_' on this network"))
}

fn no_application(app_id: &str) -> Error {
    Error::invalid("app_id", app_id, "an application of this sandbox")
}

impl Registry {
    pub(super) fn new(tenant: Option<String>, any_key: bool) -> Self {
        Self { any_key, tenant, ..Self::default() }
    }

    /// An application's name in user names and topics.
    pub(super) fn uid(&self, app_id: &str) -> String {
        self.tenant.as_ref().map_or_else(|| app_id.to_owned(), |tenant| format!("{app_id}@{tenant}"))
    }

    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The application of a user name, and what this password permits; `None` for any login that is refused.
    pub(super) fn log_in(&mut self, username: &str, password: &str) -> Option<(String, Rights)> {
        let app_id = match &self.tenant {
            Some(tenant) => username.strip_suffix(tenant.as_str())?.strip_suffix('@')?,
            None => username,
        };
        if !is_id(app_id) || !is_key(password) {
            return None;
        }
        if self.any_key {
            self.applications.entry(app_id.to_owned()).or_default();
        }
        let keys = &self.applications.get(app_id)?.keys;
        let known = keys.iter().find(|(key, _)| key.reveal() == password).map(|(_, rights)| rights.clone());
        Some((app_id.to_owned(), known.or_else(|| self.any_key.then(Rights::all))?))
    }

    /// Register an application, or give it another key.
    pub(super) fn add_application(&mut self, app_id: &str, key: AccessKey, rights: Rights) -> Result<()> {
        check_id("app_id", app_id)?;
        if !is_key(key.reveal()) {
            let expected = "an API key: NNSXS., 39 of A-Z and 0-9, a dot, and 52 of them";
            return Err(Error::invalid("access_key", "***", expected));
        }
        let keys = &mut self.applications.entry(app_id.to_owned()).or_default().keys;
        keys.retain(|(known, _)| *known != key);
        keys.push((key, rights));
        Ok(())
    }

    /// Register a device if it is new; with a session, or as one that has yet to join.
    pub(super) fn register(&mut self, app_id: &str, dev_id: &str, key_id: Option<[u8; 16]>) -> Result<()> {
        check_id("dev_id", dev_id)?;
        if self.any_key && is_id(app_id) {
            self.applications.entry(app_id.to_owned()).or_default();
        }
        let dev_addr = self.new_address();
        let number = u64::from(self.made);
        let application = self.applications.get_mut(app_id).ok_or_else(|| no_application(app_id))?;
        application.devices.entry(dev_id.to_owned()).or_insert_with(|| Device {
            dev_eui: (0x70B3_D57E_D100_0000 + number).to_be_bytes(),
            join_eui: JOIN_EUI,
            session: key_id.map(|key_id| Session { key_id, dev_addr, uplinks: 0, downlinks: 1 }),
            location: None,
            attributes: BTreeMap::new(),
            acknowledges: true,
            spreading: 7,
            waiting: VecDeque::new(),
            unacknowledged: None,
            inbox: Inbox::default(),
        });
        Ok(())
    }

    /// A device address that nobody has.
    pub(super) fn new_address(&mut self) -> [u8; 4] {
        self.made = self.made.wrapping_add(1);
        (0x260B_0000 + (self.made & 0x0000_FFFF)).to_be_bytes()
    }

    /// A registered device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub(super) fn device(&mut self, app_id: &str, dev_id: &str) -> Result<&mut Device> {
        let known = self.applications.get_mut(app_id).and_then(|application| application.devices.get_mut(dev_id));
        known.ok_or_else(|| Error::invalid("dev_id", dev_id, "a device that is registered in this sandbox"))
    }

    /// Forget a device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub(super) fn remove(&mut self, app_id: &str, dev_id: &str) -> Result<()> {
        self.device(app_id, dev_id)?;
        if let Some(application) = self.applications.get_mut(app_id) {
            application.devices.remove(dev_id);
        }
        Ok(())
    }

    /// Device IDs of an application, sorted.
    pub(super) fn devices(&self, app_id: &str) -> Vec<String> {
        self.applications.get(app_id).map(|found| found.devices.keys().cloned().collect()).unwrap_or_default()
    }

    /// Forget all downlinks that wait.
    pub(super) fn forget_downlinks(&mut self) {
        for device in self.applications.values_mut().flat_map(|application| application.devices.values_mut()) {
            device.waiting.clear();
            device.unacknowledged = None;
        }
    }

    /// Forget all devices.
    pub(super) fn forget_devices(&mut self) {
        for application in self.applications.values_mut() {
            application.devices.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "NNSXS.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

    #[test]
    fn ids_have_the_stacks_form() {
        assert!(["abc", "a-b-c", "0a0", &"a".repeat(36)].into_iter().all(is_id));
        assert!(
            ["ab", "a-b", "A-bc", "a_bc", "-abc", "abc-", "a--bc", "", &"a".repeat(37)]
                .into_iter()
                .all(|id| !is_id(id))
        );
    }

    #[test]
    fn a_login_names_the_tenant_where_there_is_one() {
        let (mut own, mut hosted) = (Registry::default(), Registry::new(Some("ttn".into()), false));
        for registry in [&mut own, &mut hosted] {
            registry.add_application("app1", AccessKey::new(KEY), Rights::all()).unwrap();
            assert!(registry.add_application("app1", AccessKey::new("NNSXS.A.B"), Rights::all()).is_err());
            assert!(registry.log_in("app1@other", KEY).is_none() && registry.log_in("app1@", KEY).is_none());
        }
        assert!(own.log_in("app1", KEY).is_some() && own.log_in("app1@ttn", KEY).is_none());
        assert!(hosted.log_in("app1", KEY).is_none() && hosted.log_in("app1@ttn", KEY).is_some());
        assert!(own.log_in("app1", &KEY.replace('A', "C")).is_none() && own.log_in("app2", KEY).is_none());
        assert_eq!((own.uid("app1"), hosted.uid("app1")), ("app1".to_owned(), "app1@ttn".to_owned()));
    }
}
