//! Applications, their keys and their devices.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::downlink::Downlink;
use super::key::{ApiKey, Owner, parts};
use super::record::{Records, Server, identifiers, now};
use super::right::Rights;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::rpc::proto::v3::{self, ApplicationIdentifiers, ApplicationLink, EndDevice, EndDeviceIdentifiers};
use crate::sandbox::frame::Inbox;

/// The `JoinEUI` of simulated devices.
const JOIN_EUI: [u8; 8] = *b"\x70\xB3\xD5\x7E\xD0\x00\x00\xA1";
/// What EUIs that are issued begin with; those of simulated devices have a 1 in place of the 2.
const ISSUED: u64 = 0x70B3_D57E_D200_0000;
/// Who has a key where any key is taken.
const ANYBODY: &str = "anybody";
/// The network that addresses of devices are of.
pub(super) const NET_ID: [u8; 3] = [0, 0, 0x13];
/// Downlinks that may wait for one device (V3 2.6).
pub(super) const QUEUE: usize = 10_000;

/// What a device and the network agreed on.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Empty for a device that did not join over the air.
    pub(super) key_id: Vec<u8>,
    pub(super) dev_addr: [u8; 4],
    /// Frame counter of the next uplink.
    pub(super) uplinks: u32,
    /// Frame counter of the next downlink.
    pub(super) downlinks: u32,
}

impl Session {
    pub(super) fn new(key_id: Vec<u8>, dev_addr: [u8; 4]) -> Self {
        Self { key_id, dev_addr, uplinks: 0, downlinks: 1 }
    }
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) records: Records,
    pub(super) session: Option<Session>,
    /// Whether it acknowledges confirmed downlinks.
    pub(super) acknowledges: bool,
    /// The spreading factor that it sends with.
    pub(super) spreading: u8,
    pub(super) waiting: VecDeque<Downlink>,
    /// A confirmed downlink that was sent and not acknowledged.
    pub(super) unacknowledged: Option<Downlink>,
    pub(super) inbox: Inbox,
}

impl Device {
    fn new(records: Records) -> Self {
        Self {
            records,
            session: None,
            acknowledges: true,
            spreading: 7,
            waiting: VecDeque::new(),
            unacknowledged: None,
            inbox: Inbox::default(),
        }
    }

    /// A session begins.
    pub(super) fn begin(&mut self, session: Session, random: &mut fastrand::Rng) {
        self.records.count_join(random);
        self.records.begin(&session, random);
        self.session = Some(session);
        self.unacknowledged = None;
    }

    /// A server is told of a session: of another one than before, or how far its counters are; `tells` is whether it is
    /// told of this field. Gives the address.
    pub(super) fn adopt(
        &mut self,
        server: Server,
        told: &v3::Session,
        tells: impl Fn(&str) -> bool,
    ) -> Option<[u8; 4]> {
        let dev_addr = <[u8; 4]>::try_from(&told.dev_addr[..]).ok()?;
        let is_network = server == Server::Network;
        if is_network && self.session.as_ref().is_none_or(|session| session.dev_addr != dev_addr) {
            let key_id = told.keys.as_ref().map(|keys| keys.session_key_id.clone()).unwrap_or_default();
            self.session = Some(Session::new(key_id, dev_addr));
            self.unacknowledged = None;
        }
        let session = self.session.as_mut().filter(|session| session.dev_addr == dev_addr)?;
        if is_network && tells("last_f_cnt_up") {
            // Zero is "none yet", too.
            session.uplinks = if told.last_f_cnt_up == 0 { 0 } else { told.last_f_cnt_up.saturating_add(1) };
        }
        if is_network && tells("last_n_f_cnt_down") {
            session.downlinks = told.last_n_f_cnt_down.saturating_add(1);
        }
        // Below LoRaWAN 1.1 both servers count with one counter, which the one that is further on knows.
        if server == Server::Application && tells("last_a_f_cnt_down") {
            session.downlinks = session.downlinks.max(told.last_a_f_cnt_down.saturating_add(1));
        }
        Some(dev_addr)
    }

    /// What the Identity Server has of it.
    pub(super) fn identity(&mut self) -> Option<&mut EndDevice> {
        self.records.slot(Server::Identity).as_mut()
    }
}

/// An application.
#[derive(Debug)]
pub(super) struct Application {
    keys: Vec<ApiKey>,
    pub(super) record: v3::Application,
    pub(super) link: Option<ApplicationLink>,
    pub(super) devices: BTreeMap<String, Device>,
}

impl Application {
    fn new(app_id: &str) -> Self {
        let record = v3::Application {
            ids: Some(ApplicationIdentifiers { application_id: app_id.to_owned() }),
            created_at: Some(now()),
            updated_at: Some(now()),
            ..v3::Application::default()
        };
        Self { keys: Vec::new(), record, link: None, devices: BTreeMap::new() }
    }
}

/// Applications by ID.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Whether applications and keys are taken as they come.
    any_key: bool,
    tenant: Option<String>,
    applications: BTreeMap<String, Application>,
    /// Their IDs are taken, as long as nobody purges them.
    deleted: BTreeSet<String>,
    /// Keys of administrators, by the users' IDs.
    users: BTreeMap<String, Vec<ApiKey>>,
    made: u32,
    issued: u32,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadKey {
    NoKey,
    UnknownId,
    WrongSecret,
    Expired,
}

/// Whether a text has the form of the stack's IDs: `^[a-z0-9](?:[-]?[a-z0-9]){2,}$`, at most 36 characters.
pub(super) fn is_id(id: &str) -> bool {
    let letters = id.bytes().filter(|byte| *byte != b'-').count();
    letters >= 3
        && id.len() <= 36
        && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !(id.starts_with('-') || id.ends_with('-') || id.contains("--"))
}

fn check_id(what: &'static str, id: &str) -> Result<()> {
    if is_id(id) {
        return Ok(());
    }
    Err(Error::invalid(what, id, "3 to 36 of a-z and 0-9 with single '-' between them, and no '_' on this network"))
}

fn check_key(key: &AccessKey) -> Result<()> {
    let expected = "an API key: NNSXS., 39 of A-Z and 0-9, a dot, and 52 of them";
    parts(key.reveal()).map(|_| ()).ok_or_else(|| Error::invalid("access_key", "***", expected))
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

    /// Where any is taken, an application exists as soon as somebody names it.
    fn welcome(&mut self, app_id: &str) {
        if self.any_key && is_id(app_id) && !self.applications.contains_key(app_id) {
            self.applications.insert(app_id.to_owned(), Application::new(app_id));
        }
    }

    /// The application of a user name, and what this password permits; `None` for any login that is refused.
    pub(super) fn log_in(&mut self, username: &str, password: &str) -> Option<(String, Rights)> {
        let app_id = match &self.tenant {
            Some(tenant) => username.strip_suffix(tenant.as_str())?.strip_suffix('@')?,
            None => username,
        };
        let app_id = Some(app_id).filter(|app_id| is_id(app_id))?.to_owned();
        let rights = self.rights(&app_id, password).ok()??;
        // An administrator may do anything, but there has to be something to do it with.
        self.applications.contains_key(&app_id).then_some(())?;
        Some((app_id, rights))
    }

    /// Whose this key is. A sandbox's key may be of several applications.
    pub(super) fn owners(&self, key: &str) -> std::result::Result<Vec<(Owner, ApiKey)>, BadKey> {
        let (id, _) = parts(key).ok_or(BadKey::NoKey)?;
        if self.any_key {
            let anybody = ApiKey::new(AccessKey::new(key), Rights::all());
            return Ok(vec![(Owner::User(ANYBODY.to_owned()), anybody)]);
        }
        let of_users = self.users.iter().flat_map(|(of, keys)| keys.iter().map(|key| (Owner::User(of.clone()), key)));
        let known = self
            .applications
            .iter()
            .flat_map(|(of, application)| application.keys.iter().map(|key| (Owner::Application(of.clone()), key)));
        let mut named = of_users.chain(known).filter(|(_, known)| known.id() == id).peekable();
        if named.peek().is_none() {
            return Err(BadKey::UnknownId);
        }
        let own: Vec<_> = named.filter(|(_, known)| known.secret.reveal() == key).collect();
        if own.is_empty() {
            return Err(BadKey::WrongSecret);
        }
        if own.iter().any(|(_, key)| key.has_expired()) {
            return Err(BadKey::Expired);
        }
        Ok(own.into_iter().map(|(owner, key)| (owner, key.clone())).collect())
    }

    /// What a key permits with an application; `None` for a key of another one.
    pub(super) fn rights(&mut self, app_id: &str, key: &str) -> std::result::Result<Option<Rights>, BadKey> {
        let owners = self.owners(key)?;
        self.welcome(app_id);
        if self.any_key {
            return Ok(self.applications.contains_key(app_id).then(Rights::all));
        }
        Ok(owners.into_iter().find_map(|(owner, key)| match owner {
            Owner::User(_) => Some(Rights::all()),
            Owner::Application(of) => (of == app_id).then_some(key.rights),
        }))
    }

    /// Register an application, or give it another key.
    pub(super) fn add_application(&mut self, app_id: &str, key: AccessKey, rights: Rights) -> Result<()> {
        check_id("app_id", app_id)?;
        check_key(&key)?;
        let keys = &mut self.applications.entry(app_id.to_owned()).or_insert_with(|| Application::new(app_id)).keys;
        keys.retain(|known| known.secret != key);
        keys.push(ApiKey::new(key, rights));
        self.deleted.remove(app_id);
        Ok(())
    }

    /// Register an administrator, or give one another key.
    pub(super) fn add_administrator(&mut self, user_id: &str, key: AccessKey) -> Result<()> {
        check_id("user_id", user_id)?;
        check_key(&key)?;
        let keys = self.users.entry(user_id.to_owned()).or_default();
        keys.retain(|known| known.secret != key);
        keys.push(ApiKey::new(key, Rights::all()));
        Ok(())
    }

    /// Take in an application that somebody makes; `None` if its ID is taken.
    pub(super) fn create_application(&mut self, record: v3::Application) -> Option<&v3::Application> {
        let app_id = record.ids.as_ref()?.application_id.clone();
        if self.deleted.contains(&app_id) || self.applications.contains_key(&app_id) {
            return None;
        }
        let application = self.applications.entry(app_id.clone()).or_insert_with(|| Application::new(&app_id));
        application.record =
            v3::Application { created_at: application.record.created_at, updated_at: Some(now()), ..record };
        Some(&application.record)
    }

    /// What all applications are, by their IDs.
    pub(super) fn applications(&self) -> impl Iterator<Item = &v3::Application> {
        self.applications.values().map(|application| &application.record)
    }

    /// An EUI that nobody has, for a device of an application, which counts them.
    pub(super) fn issue_eui(&mut self, app_id: &str) -> Option<[u8; 8]> {
        let record = &mut self.applications.get_mut(app_id)?.record;
        record.dev_eui_counter += 1;
        self.issued += 1;
        Some((ISSUED + u64::from(self.issued)).to_be_bytes())
    }

    /// Give an application one more key.
    pub(super) fn add_key(&mut self, app_id: &str, key: ApiKey) -> Option<&ApiKey> {
        let keys = &mut self.applications.get_mut(app_id)?.keys;
        keys.push(key);
        keys.last()
    }

    pub(super) fn application(&mut self, app_id: &str) -> Option<&mut Application> {
        self.applications.get_mut(app_id)
    }

    /// Delete an application and its devices; its keys are gone, too, and its ID stays taken.
    pub(super) fn remove_application(&mut self, app_id: &str) {
        self.applications.remove(app_id);
        self.deleted.insert(app_id.to_owned());
    }

    /// Register a simulated device if it is new; with a session, or as one that has yet to join.
    pub(super) fn register(
        &mut self,
        app_id: &str,
        dev_id: &str,
        joined: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        check_id("dev_id", dev_id)?;
        self.welcome(app_id);
        let dev_addr = self.new_address();
        let number = u64::from(self.made);
        let application = self.applications.get_mut(app_id);
        let application =
            application.ok_or_else(|| Error::invalid("app_id", app_id, "an application of this sandbox"))?;
        if !application.devices.contains_key(dev_id) {
            let ids = identifiers(app_id, dev_id, (0x70B3_D57E_D100_0000 + number).to_be_bytes(), JOIN_EUI);
            let mut device = Device::new(Records::of_simulated(&ids, random));
            if joined {
                device.begin(Session::new(random.u128(..).to_be_bytes().to_vec(), dev_addr), random);
            }
            application.devices.insert(dev_id.to_owned(), device);
        }
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

    /// The device of these identifiers, which may have no record yet; `None` for an unknown application.
    pub(super) fn device_of(&mut self, ids: &EndDeviceIdentifiers) -> Option<&mut Device> {
        let app_id = &ids.application_ids.as_ref()?.application_id;
        let devices = &mut self.applications.get_mut(app_id)?.devices;
        Some(devices.entry(ids.device_id.clone()).or_insert_with(|| Device::new(Records::default())))
    }

    /// The application and device that a server has with these EUIs.
    pub(super) fn with_euis(&self, server: Server, dev_eui: &[u8], join_eui: &[u8]) -> Option<(String, String)> {
        if dev_eui.is_empty() {
            return None;
        }
        self.applications.iter().find_map(|(app_id, application)| {
            let has = |device: &Device| {
                let ids = device.records.of(server).and_then(|record| record.ids.as_ref());
                ids.is_some_and(|ids| ids.dev_eui == dev_eui && ids.join_eui == join_eui)
            };
            let found = application.devices.iter().find(|(_, device)| has(device));
            found.map(|(dev_id, _)| (app_id.clone(), dev_id.clone()))
        })
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
        assert_eq!((own.uid("app1"), hosted.uid("app1")), ("app1".to_owned(), "app1@ttn".to_owned()));
    }

    #[test]
    fn a_bad_key_is_bad_in_one_of_three_ways() {
        let mut registry = Registry::default();
        registry.add_application("app1", AccessKey::new(KEY), Rights::all()).unwrap();
        assert_eq!(registry.rights("app1", "ttn-account-v2.x"), Err(BadKey::NoKey));
        assert_eq!(registry.rights("app1", &KEY.replace('A', "C")), Err(BadKey::UnknownId));
        assert_eq!(registry.rights("app1", &KEY.replace('B', "C")), Err(BadKey::WrongSecret));
        assert_eq!(registry.rights("app1", KEY), Ok(Some(Rights::all())));
        assert_eq!(registry.rights("app2", KEY), Ok(None));
    }
}
