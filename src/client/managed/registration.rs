//! A device as a program describes it.

use std::collections::BTreeSet;

use crate::rpc::proto::{handler, lorawan};

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
}

/// Whether bytes are given: all zeros stand for "none" in what V2 programs write.
pub(in crate::client) fn is_set(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != 0)
}
