//! What each of the four servers keeps of a device (V3 3.4, 3.5).

use std::time::SystemTime;

use super::registry::Session;
use crate::rpc::proto::v3;
use crate::rpc::proto::v3::{
    ApplicationIdentifiers, EndDevice, EndDeviceIdentifiers, KeyEnvelope, MacVersion, PhyVersion, RootKeys, SessionKeys,
};

/// The servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Identity,
    Network,
    Application,
    Join,
}

/// Their records of one device.
#[derive(Debug, Default)]
pub(super) struct Records([Option<EndDevice>; 4]);

/// Now, as records have it.
pub(super) fn now() -> prost_types::Timestamp {
    SystemTime::now().into()
}

/// What a device is called.
pub(super) fn identifiers(app_id: &str, dev_id: &str, dev_eui: [u8; 8], join_eui: [u8; 8]) -> EndDeviceIdentifiers {
    EndDeviceIdentifiers {
        device_id: dev_id.to_owned(),
        application_ids: Some(ApplicationIdentifiers { application_id: app_id.to_owned() }),
        dev_eui: dev_eui.to_vec(),
        join_eui: join_eui.to_vec(),
        dev_addr: Vec::new(),
    }
}

fn random_key(random: &mut fastrand::Rng) -> KeyEnvelope {
    KeyEnvelope { key: random.u128(..).to_be_bytes().to_vec(), ..KeyEnvelope::default() }
}

impl Records {
    /// Those of a device that joins over the air, complete.
    pub(super) fn of_simulated(ids: &EndDeviceIdentifiers, random: &mut fastrand::Rng) -> Self {
        let blank = || EndDevice {
            ids: Some(ids.clone()),
            created_at: Some(now()),
            updated_at: Some(now()),
            ..EndDevice::default()
        };
        let address = || "localhost".to_owned();
        let identity = EndDevice {
            network_server_address: address(),
            application_server_address: address(),
            join_server_address: address(),
            ..blank()
        };
        let network = EndDevice {
            supports_join: true,
            lorawan_version: MacVersion::MacV102.into(),
            lorawan_phy_version: PhyVersion::PhyV102RevB.into(),
            frequency_plan_id: "EU_863_870_TTN".to_owned(),
            ..blank()
        };
        let join = EndDevice {
            network_server_address: address(),
            application_server_address: address(),
            root_keys: Some(RootKeys { app_key: Some(random_key(random)), ..RootKeys::default() }),
            ..blank()
        };
        Self([Some(identity), Some(network), Some(blank()), Some(join)])
    }

    pub(super) fn of(&self, server: Server) -> Option<&EndDevice> {
        self.0[server as usize].as_ref()
    }

    pub(super) fn slot(&mut self, server: Server) -> &mut Option<EndDevice> {
        &mut self.0[server as usize]
    }

    /// Whether no server knows the device any more.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The first of an identifier that any server has.
    fn eui(&self, of: impl Fn(&EndDeviceIdentifiers) -> &[u8]) -> &[u8] {
        let ids = self.0.iter().flatten().filter_map(|record| record.ids.as_ref());
        ids.map(of).find(|eui| !eui.is_empty()).unwrap_or_default()
    }

    pub(super) fn dev_eui(&self) -> &[u8] {
        self.eui(|ids| &ids.dev_eui)
    }

    pub(super) fn join_eui(&self) -> &[u8] {
        self.eui(|ids| &ids.join_eui)
    }

    /// The device has joined: the Join Server counts it.
    pub(super) fn count_join(&mut self, random: &mut fastrand::Rng) {
        if let Some(join) = self.slot(Server::Join) {
            join.used_dev_nonces.push(random.u16(..).into());
            join.last_join_nonce += 1;
        }
    }

    /// A session begins: Network and Application Server get their keys of it.
    pub(super) fn begin(&mut self, session: &Session, random: &mut fastrand::Rng) {
        let begun = |keys: SessionKeys| v3::Session {
            dev_addr: session.dev_addr.to_vec(),
            keys: Some(SessionKeys { session_key_id: session.key_id.clone(), ..keys }),
            ..v3::Session::default()
        };
        if let Some(network) = self.slot(Server::Network) {
            let key = Some(random_key(random));
            let keys = SessionKeys {
                f_nwk_s_int_key: key.clone(),
                s_nwk_s_int_key: key.clone(),
                nwk_s_enc_key: key,
                ..SessionKeys::default()
            };
            network.session = Some(v3::Session { started_at: Some(now()), ..begun(keys) });
        }
        if let Some(application) = self.slot(Server::Application) {
            let keys = SessionKeys { app_s_key: Some(random_key(random)), ..SessionKeys::default() };
            application.session = Some(begun(keys));
        }
    }
}
