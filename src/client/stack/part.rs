//! What the servers have answered of a device.

use bytes::Bytes;
use prost::Message as _;

use crate::error::{Error, Result};
use crate::rpc::proto::v3;

/// What one server keeps of a device.
#[derive(Clone, Debug)]
pub struct Part {
    /// As it came, with what these definitions do not know.
    pub message: Bytes,
    /// The same, read.
    pub device: v3::EndDevice,
}

impl Part {
    pub(super) fn read(message: Bytes) -> Result<Self> {
        let device = v3::EndDevice::decode(message.clone()).map_err(|error| Error::Malformed {
            message: "ttn.lorawan.v3.EndDevice".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { message, device })
    }

    pub(super) fn ids(&self) -> v3::EndDeviceIdentifiers {
        self.device.ids.clone().unwrap_or_default()
    }
}

/// A device, from its servers. What a server does not have, or may not tell to this key, is left out.
#[derive(Clone, Debug)]
pub struct Device {
    /// The Identity Server's: without it there is no device.
    pub identity: Part,
    /// The Network Server's.
    pub network: Option<Part>,
    /// The Application Server's.
    pub application: Option<Part>,
    /// The Join Server's.
    pub join: Option<Part>,
}

impl Device {
    /// One of which the Identity Server's part alone was asked for.
    #[must_use]
    pub fn listed(identity: Part) -> Self {
        Self { identity, network: None, application: None, join: None }
    }
}
