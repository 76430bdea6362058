//! Where the services of The Things Network V2 are found (V2 1.2).

use crate::endpoint::Endpoint;
use crate::error::Result;

/// Port of discovery servers.
pub const DISCOVERY_PORT: u16 = 1900;
/// Port of handlers.
pub const HANDLER_PORT: u16 = 1904;

const EXPECTED: &str = "host:port, such as \"eu.thethings.network:1904\"";

/// A comma-separated list of addresses, as announcements have it.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) naming the address that cannot be read.
pub fn addresses(what: &'static str, text: &str, port: u16, tls: bool) -> Result<Vec<Endpoint>> {
    text.split(',').map(|address| Endpoint::parse_plain(what, address.trim(), EXPECTED, port, tls)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_addresses_are_read_one_by_one() {
        let endpoints = addresses("handler_address", "a:1, b", HANDLER_PORT, true).unwrap();
        let texts: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a:1", "b:1904"]);
        let error = addresses("handler_address", "a:1,", HANDLER_PORT, true).unwrap_err().to_string();
        assert!(error.contains("handler_address") && error.contains("eu.thethings.network:1904"), "{error}");
    }
}
