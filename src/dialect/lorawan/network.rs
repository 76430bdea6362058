//! Which networks there are, how each is told from the others, and how it takes identifiers, addresses and logins.

use std::fmt;
use std::str::FromStr;

use super::{chirpstack, hosted, uuid, v2, v3};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId};

/// A network, by what it speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// The Things Network V2.
    #[default]
    V2,
    /// The Things Stack V3.
    V3,
    /// `ChirpStack` v4.
    ChirpStack,
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            "chirpstack" => Ok(Self::ChirpStack),
            other => Err(Error::invalid("network", other, "\"v2\", \"v3\" or \"chirpstack\"")),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::ChirpStack => "chirpstack",
        })
    }
}

impl Network {
    /// The network that a key, the server's host and the application belong to.
    #[must_use]
    pub fn of(access_key: &AccessKey, host: Option<&str>, app_id: &str) -> Self {
        if access_key.is_of_stack() || host.is_some_and(hosted::is_hosted) {
            Self::V3
        } else if access_key.is_of_chirpstack() || uuid(app_id).is_some() {
            Self::ChirpStack
        } else {
            Self::V2
        }
    }

    /// Its name in sentences.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::V2 => "The Things Network V2",
            Self::V3 => "The Things Stack V3",
            Self::ChirpStack => "ChirpStack",
        }
    }

    /// The application as the network's login has it. `host` is the server's, if it is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no application of the network.
    pub fn app_id(self, app_id: AppId, host: Option<&str>) -> Result<AppId> {
        match self {
            Self::V2 => Ok(app_id),
            Self::V3 => v3::app_id(app_id, host),
            Self::ChirpStack => chirpstack::app_id(app_id),
        }
    }

    /// The application as messages have it.
    #[must_use]
    pub fn plain(self, app_id: &AppId) -> &str {
        self.plain_text(app_id.as_str())
    }

    /// As [`Network::plain`], of an application in a topic.
    #[must_use]
    pub fn plain_text(self, app_id: &str) -> &str {
        match self {
            Self::V2 | Self::ChirpStack => app_id,
            Self::V3 => v3::plain(app_id),
        }
    }

    /// Check a device ID.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no device of the network.
    pub fn dev_id(self, id: impl Into<String>) -> Result<DevId> {
        match self {
            Self::V2 => DevId::new(id),
            Self::V3 => v3::dev_id(id.into()),
            Self::ChirpStack => chirpstack::dev_id(id.into()),
        }
    }

    /// Read the address of its server. On V3 a key goes without TLS to this machine alone, unless `tls` is `Some(false)`.
    ///
    /// # Errors
    /// As [`Endpoint::parse`], and [`Error::Invalid`] for an address without TLS.
    pub fn endpoint(self, address: &str, tls: Option<bool>) -> Result<Endpoint> {
        let endpoint = Endpoint::parse(address, tls)?;
        // What a broker of ChirpStack is told is not the key.
        if self != Self::V3 || endpoint.tls || tls == Some(false) || endpoint.is_loopback() {
            return Ok(endpoint);
        }
        endpoint.secured(address)
    }

    /// User name and password of an application's login. Brokers of `ChirpStack` have users of their own.
    #[must_use]
    pub fn login(self, app_id: &AppId, access_key: &AccessKey) -> Option<(String, AccessKey)> {
        match self {
            Self::V2 => Some(v2::login(app_id, access_key)),
            Self::V3 => Some(v3::login(app_id, access_key)),
            Self::ChirpStack => None,
        }
    }

    /// A login of this application that the server on this host refused, in the network's own words.
    #[must_use]
    pub fn refused(self, code: u8, app_id: &AppId, host: &str) -> Error {
        match self {
            Self::V2 => v2::refused(code),
            Self::V3 => v3::refused(code, app_id, host),
            Self::ChirpStack => chirpstack::refused(code),
        }
    }

    /// Why a server may refuse the login of this key, as the end of a sentence; empty where nothing is known.
    #[must_use]
    pub fn hint(self, access_key: &AccessKey) -> &'static str {
        match self {
            Self::V2 => access_key.hint(),
            Self::V3 => v3::hint(access_key),
            Self::ChirpStack => chirpstack::hint(access_key),
        }
    }
    /// Why a server may refuse topics of a client with this key, likewise.
    #[must_use]
    pub fn topic_hint(self, access_key: &AccessKey) -> &'static str {
        match self {
            Self::V2 => access_key.hint(),
            Self::V3 => v3::topic_hint(access_key),
            Self::ChirpStack => chirpstack::hint(access_key),
        }
    }
}
