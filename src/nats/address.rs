//! Where NATS servers are: `nats://host:4222`, `tls://host`, several of a cluster separated by commas.

use std::fmt;

use crate::endpoint::{Endpoint, masked};
use crate::error::{Error, Result};

/// Port of NATS.
pub const PORT: u16 = 4222;

const EXPECTED: &str = "nats://host[:port] or tls://host[:port], several servers of a cluster separated by commas";
const SECRET: &str =
    "no credentials in the address: they are arguments of their own, such as nats_user and nats_password";

/// The servers of one cluster, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    servers: Vec<Endpoint>,
}

impl Address {
    /// Whether a text names servers of NATS, well or badly.
    #[must_use]
    pub fn is_one(address: &str) -> bool {
        ["nats://", "tls://"].iter().any(|scheme| address.starts_with(scheme))
    }

    /// Read it.
    ///
    /// # Errors
    /// [`Error::Invalid`], which shows no secret.
    pub fn parse(address: &str) -> Result<Self> {
        let shown = || address.split(',').map(|one| masked(one.trim())).collect::<Vec<_>>().join(",");
        if address.contains('@') {
            return Err(Error::invalid("nats_address", shown(), SECRET));
        }
        let fail = || Error::invalid("nats_address", shown(), EXPECTED);
        let read = |one: &str| {
            let (scheme, rest) = one.trim().split_once("://").ok_or_else(fail)?;
            let tls = match scheme {
                "nats" => false,
                "tls" => true,
                _ => return Err(fail()),
            };
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            Endpoint::parse_plain("nats_address", rest, EXPECTED, PORT, tls).map_err(|_| fail())
        };
        let servers = address.split(',').map(read).collect::<Result<Vec<_>>>()?;
        Ok(Self { servers })
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Endpoint] {
        &self.servers
    }

    /// Whether TLS is asked for.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.servers.iter().any(|server| server.tls)
    }

    /// As async-nats reads them.
    pub(super) fn urls(&self) -> Vec<String> {
        let scheme = |tls| if tls { "tls" } else { "nats" };
        self.servers.iter().map(|server| format!("{}://{server}", scheme(server.tls))).collect()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urls().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (given, shown) in [
            ("nats://h", "nats://h:4222"),
            ("nats://h:1/", "nats://h:1"),
            ("tls://h", "tls://h:4222"),
            ("nats://[::1]:9", "nats://[::1]:9"),
            ("nats://a:1, nats://b:2,tls://c", "nats://a:1,nats://b:2,tls://c:4222"),
        ] {
            assert_eq!(Address::parse(given).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_none_is_named_without_its_secrets() {
        for given in ["", "h:4222", "mqtt://h", "nats://", "nats://h:x", "nats://a,", "nats://a b", "ws://h"] {
            let error = Address::parse(given).unwrap_err().to_string();
            assert!(error.starts_with("nats_address") && error.contains("nats://host[:port]"), "{error}");
        }
        for given in ["nats://me:S3CRET@h", "nats://h,nats://S3CRET@h:1", "nats://h/?token=S3CRET", "nats://h#S3CRET"] {
            let error = Address::parse(given).unwrap_err().to_string();
            assert!(!error.contains("S3CRET"), "{error}");
        }
        assert!(Address::parse("nats://me:x@h").unwrap_err().to_string().contains("nats_password"));
    }
}
