//! A device as a program describes it.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::rpc::proto::{handler, lorawan};

/// What a session is of; the first three make one.
const SESSION: [&str; 5] = ["dev_addr", "nwk_s_key", "app_s_key", "f_cnt_up", "f_cnt_down"];

/// A device that is to be, or what is to change of one.
#[derive(Clone, Debug, Default)]
pub struct Registration<E> {
    /// Its ID.
    pub dev_id: String,
    /// What V2 knows.
    pub device: handler::Device,
    /// Which fields of that are given, a default being as good a value as any.
    pub named: BTreeSet<String>,
    /// What its network knows beside that.
    pub extra: E,
    /// Which parts of that are given.
    pub paths: Vec<String>,
}

impl<E> Registration<E> {
    pub(in crate::client) fn lorawan(&self) -> lorawan::Device {
        match &self.device.device {
            Some(handler::device::Device::LorawanDevice(lorawan)) => lorawan.clone(),
            None => lorawan::Device::default(),
        }
    }

    pub(in crate::client) fn names(&self, field: &str) -> bool {
        self.named.contains(field)
    }

    /// Whether it has a session: an address and both keys, all zeros being none.
    pub(in crate::client) fn has_session(&self) -> bool {
        let lorawan = self.lorawan();
        [&lorawan.dev_addr, &lorawan.nwk_s_key, &lorawan.app_s_key].into_iter().all(|part| is_set(part))
    }

    /// Say of a new device what it is given of a session and cannot keep without a whole one.
    pub(in crate::client) fn warn_of_half_a_session(&self) {
        let lorawan = self.lorawan();
        let given = [
            is_set(&lorawan.dev_addr),
            is_set(&lorawan.nwk_s_key),
            is_set(&lorawan.app_s_key),
            lorawan.f_cnt_up > 0,
            lorawan.f_cnt_down > 0,
        ];
        if self.has_session() || !given.contains(&true) {
            return;
        }
        let given: Vec<_> = SESSION.into_iter().zip(given).filter(|(_, is_given)| *is_given).map(|it| it.0).collect();
        tracing::warn!(
            "{} keeps no {}: a device has a session by dev_addr, nwk_s_key and app_s_key together, or once it has joined",
            self.dev_id,
            given.join(" and no ")
        );
    }

    /// Whether something of the session is to change.
    pub(in crate::client) fn changes_session(&self) -> bool {
        SESSION.into_iter().any(|name| self.names(name))
    }

    /// Whether a whole session is named.
    pub(in crate::client) fn names_a_session(&self) -> bool {
        SESSION[..3].iter().all(|name| self.names(name))
    }

    /// What is wrong with a change of a session that is not there.
    pub(in crate::client) fn half_a_session(&self) -> Error {
        let expected = "dev_addr, nwk_s_key and app_s_key as well: the device has no session yet";
        let given: Vec<_> = SESSION.into_iter().filter(|name| self.names(name)).collect();
        Error::invalid("device", given.join(", "), expected)
    }
}

/// Whether bytes are given: all zeros stand for "none" in what V2 programs write.
pub(in crate::client) fn is_set(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != 0)
}
