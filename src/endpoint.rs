//! Where to connect and how to trust: addresses, schemes, default ports, TLS options.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Error, Result};
use crate::ids::is_access_key;

/// Port of plain MQTT.
pub const MQTT_PORT: u16 = 1883;
/// Port of MQTT over TLS.
pub const MQTTS_PORT: u16 = 8883;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
}

impl Endpoint {
    /// A server by its name or address alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is none.
    pub fn new(host: &str, port: u16, tls: bool) -> Result<Self> {
        check_host(host)?;
        Ok(Self { host: host.to_owned(), port, tls })
    }

    /// Read the address of an MQTT server: `host`, `host:port`, `mqtt://…`, `mqtts://…`; an IPv6 address as `[…]` when a
    /// port follows.
    ///
    /// `mqtts://` means TLS and `mqtt://` means none; without a scheme `tls` decides, and where that says nothing
    /// port 8883 means TLS.
    ///
    /// # Errors
    /// [`Error::Address`] for what cannot be read, in the words of the original where it has them;
    /// [`Error::Invalid`] when `tls` contradicts the scheme.
    pub fn parse(address: &str, tls: Option<bool>) -> Result<Self> {
        let fail = |reason: String| Error::Address { address: masked(address), reason };
        if let Some(reason) = secret_in(address) {
            return Err(fail(reason.to_owned()));
        }
        let (scheme, rest) = match address.split_once("://") {
            Some(("mqtt", rest)) => (Some(false), rest),
            Some(("mqtts", rest)) => (Some(true), rest),
            Some((other, _)) => return Err(fail(format!("unknown scheme '{other}'"))),
            None => (None, address),
        };
        if let (Some(scheme), Some(tls)) = (scheme, tls)
            && scheme != tls
        {
            return Err(Error::invalid("tls", tls.to_string(), "no contradiction to the scheme of the address"));
        }
        let (host, port) = split_host_port(rest).ok_or_else(|| fail("Invalid host.".into()))?;
        if !is_host(host) {
            return Err(fail("Invalid host.".into()));
        }
        let port = port.map(|text| parse_port(&masked(text)).map_err(&fail)).transpose()?;
        let tls = scheme.or(tls).unwrap_or(port == Some(MQTTS_PORT));
        let port = port.unwrap_or(if tls { MQTTS_PORT } else { MQTT_PORT });
        Ok(Self { host: host.to_owned(), port, tls })
    }

    /// Read an address without a scheme: `host`, `host:port` or an IPv6 address, `[…]` when a port follows.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `what` and what was `expected`.
    pub fn parse_plain(
        what: &'static str,
        address: &str,
        expected: &'static str,
        port: u16,
        tls: bool,
    ) -> Result<Self> {
        let fail = || Error::invalid(what, masked(address), expected);
        if let Some(reason) = secret_in(address) {
            return Err(Error::invalid(what, masked(address), reason));
        }
        let (host, given) = split_host_port(address).ok_or_else(fail)?;
        if !is_host(host) {
            return Err(fail());
        }
        let port = given.map_or(Ok(port), parse_port).map_err(|_| fail())?;
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl Endpoint {
    /// Whether this was a server of The Things Network's public network V2, which was switched off in December 2021.
    /// Those of its successor, `….cloud.thethings.network`, are not.
    #[must_use]
    pub fn is_switched_off(&self) -> bool {
        let host = self.host.trim_end_matches('.').to_ascii_lowercase();
        match host.strip_suffix(".thethings.network") {
            Some(name) => !name.contains('.'),
            None => host.ends_with(".thethingsnetwork.org"),
        }
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_end_matches('.').to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// The endpoint of the same address with TLS, where it leaves that open: it says neither `mqtt://` nor a port.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn secured(self, address: &str) -> Result<Self> {
        match Self::parse(address, Some(true)) {
            Ok(secured) if secured.port != self.port => Ok(secured),
            _ => {
                let expected = "an address with TLS, mqtts://… or port 8883: a key goes without TLS to this machine alone, \
                                or with tls=False";
                Err(Error::invalid("mqtt_address", masked(address), expected))
            }
        }
    }

    /// What kept a connection from being opened, in the words that help where nothing can be behind it any more.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::Unresolved { .. } | Error::Unreachable { .. } | Error::Timeout { .. } if self.is_switched_off() => {
                Error::SwitchedOff { address: self.to_string(), reason: error.to_string() }
            }
            error => error,
        }
    }
}

fn is_host(text: &str) -> bool {
    let is_strange = |letter: char| letter.is_whitespace() || letter.is_control() || "/@?#".contains(letter);
    !text.is_empty() && !text.contains(is_strange) && !is_access_key(text)
}

/// Check the name or the address of a host.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_host(host: &str) -> Result<()> {
    if is_host(host) {
        return Ok(());
    }
    let expected = "a name or an address alone; credentials are arguments of their own";
    Err(Error::invalid("host", masked(host), expected))
}

/// Where a secret that stands in an address belongs, if there is one.
fn secret_in(address: &str) -> Option<&'static str> {
    if address.contains('@') {
        return Some("no credentials in the address: they are arguments of their own, app_id and access_key");
    }
    if is_access_key(address) {
        return Some("an address, not an access key: are the arguments mixed up?");
    }
    None
}

/// An address as it may be shown: what may be a secret, before `@`, after `?` and `#`, or a key in the address's place, is
/// masked.
#[must_use]
pub fn masked(address: &str) -> String {
    if is_access_key(address) {
        return "***".to_owned();
    }
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (credentials, host) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("***@", host));
    let end = host.find(['?', '#']).map_or(host.len(), |at| at + 1);
    format!("{scheme}{credentials}{}{}", &host[..end], if end < host.len() { "***" } else { "" })
}

/// Split off the port. A bare IPv6 address has none; what follows a second colon is ignored, as the original did.
fn split_host_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    let mut parts = text.split(':');
    Some((parts.next()?, parts.next()))
}

fn parse_port(text: &str) -> std::result::Result<u16, String> {
    match text.parse::<u64>() {
        Ok(port @ 1..=65535) => Ok(u16::try_from(port).expect("matched the range of u16")),
        Ok(port) => Err(format!("port {port} is not in 1..65535")),
        Err(_) => Err(format!("invalid literal for int() with base 10: '{text}'")),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whom to trust on a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The operating system's roots.
    #[default]
    System,
    /// These PEM certificates and no others; a self-signed server certificate may be among them.
    Pem(Vec<u8>),
    /// Whoever answers: no protection against an impostor. Only for those who ask for it by name.
    Anyone,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str, tls: Option<bool>) -> (String, u16, bool) {
        let endpoint = Endpoint::parse(address, tls).unwrap();
        (endpoint.host, endpoint.port, endpoint.tls)
    }

    #[test]
    fn every_documented_form_is_read() {
        for (address, host, port, tls) in [
            ("h:1883", "h", 1883, false),
            ("h:8883", "h", 8883, true),
            ("h", "h", 1883, false),
            ("mqtt://h", "h", 1883, false),
            ("mqtts://h", "h", 8883, true),
            ("mqtt://h:8883", "h", 8883, false),
            ("mqtts://h:1", "h", 1, true),
            ("[::1]:1883", "::1", 1883, false),
            ("[::1]", "::1", 1883, false),
            ("::1", "::1", 1883, false),
            ("mqtts://[fe80::1]:9", "fe80::1", 9, true),
            ("h:1883:9", "h", 1883, false),
        ] {
            assert_eq!(parsed(address, None), (host.to_owned(), port, tls), "{address}");
        }
    }

    #[test]
    fn secrets_in_an_address_are_masked_and_told_where_they_belong() {
        for (address, shown) in [
            ("mqtt://app:KEY@host:1883", "mqtt://***@host:1883"),
            ("app:KEY@host", "***@host"),
            ("KEY@host:1883", "***@host:1883"),
            ("mqtts://a@b:KE@Y@host", "mqtts://***@host"),
            ("https://a:KEY@host/path?x=KEY", "https://***@host/path?***"),
            ("ttn-account-v2.KEY", "***"),
            ("NNSXS.KEY:1883", "***"),
        ] {
            assert_eq!(masked(address), shown);
            let expected = if shown == "***" { "mixed up" } else { "app_id and access_key" };
            let errors = [
                Endpoint::parse(address, None).unwrap_err(),
                Endpoint::parse_plain("handler_address", address, "host:port", 1, true).unwrap_err(),
            ];
            for error in errors.map(|error| error.to_string()) {
                assert!(!error.contains("KE") && error.contains(shown) && error.contains(expected), "{error}");
            }
        }
        for (address, shown) in [("mqtt://h?token=KEY", "mqtt://h?***"), ("h:1883#KEY", "h:1883#***"), ("h:1", "h:1")] {
            assert_eq!(masked(address), shown);
        }
        let error = Endpoint::parse("http://h:80/api?token=KEY", None).unwrap_err().to_string();
        assert!(!error.contains("KEY"), "{error}");
        let error = Endpoint::parse("mqtt://h:1883?token=KEY", None).unwrap_err().to_string();
        assert!(!error.contains("KEY"), "{error}");
    }

    #[test]
    fn tls_decides_where_the_address_does_not() {
        assert_eq!(parsed("h", Some(true)), ("h".into(), 8883, true));
        assert_eq!(parsed("h:8883", Some(false)), ("h".into(), 8883, false));
        assert!(Endpoint::parse("mqtt://h", Some(true)).is_err());
        assert!(Endpoint::parse("mqtts://h", Some(false)).is_err());
    }

    #[test]
    fn plain_addresses_are_read() {
        for (address, host, port) in [("h:1", "h", 1), ("h", "h", 1904), ("[::1]:7", "::1", 7), ("::1", "::1", 1904)] {
            let endpoint = Endpoint::parse_plain("address", address, "host:port", 1904, true).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
        }
        for address in ["", ":1", "h:", "h:x", "http://h:1", "a b:1", "h:70000"] {
            let error = Endpoint::parse_plain("address", address, "host:port", 1904, true).unwrap_err().to_string();
            assert!(error.starts_with("address") && error.ends_with("expected host:port"), "{error}");
        }
    }

    #[test]
    fn servers_of_the_network_that_is_no_more_are_known() {
        let endpoint = |host: &str| Endpoint { host: host.to_owned(), port: 1883, tls: false };
        for host in ["eu.thethings.network", "DISCOVERY.thethings.network.", "discovery.thethingsnetwork.org"] {
            assert!(endpoint(host).is_switched_off(), "{host}");
        }
        for host in ["eu1.cloud.thethings.network", "thethings.network.example", "localhost", "notthethings.network"] {
            assert!(!endpoint(host).is_switched_off(), "{host}");
        }
    }

    #[test]
    fn whatever_keeps_from_reaching_it_is_explained() {
        let gone = Endpoint { host: "eu.thethings.network".into(), port: 1883, tls: false };
        let refused = || Error::unreachable("eu.thethings.network:1883", std::io::Error::from_raw_os_error(111));
        let unresolved = Error::Unresolved { host: "eu.thethings.network".into(), reason: "unknown".into() };
        let late = Error::Timeout { what: "connecting".into(), after: std::time::Duration::from_secs(3) };
        for error in [refused(), unresolved, late] {
            let text = gone.explain(error.clone()).to_string();
            assert!(text.contains("2021") && text.contains("--sandbox") && text.contains(&error.to_string()), "{text}");
        }
        assert!(matches!(gone.explain(Error::NotConnected), Error::NotConnected));
        let other = Endpoint { host: "localhost".into(), ..gone };
        assert!(matches!(other.explain(refused()), Error::Unreachable { .. }));
    }

    #[test]
    fn errors_use_the_words_of_the_original() {
        for (address, words) in [
            ("h:abc", "invalid literal for int() with base 10: 'abc'"),
            ("h:", "invalid literal for int() with base 10: ''"),
            (":1883", "Invalid host."),
            ("[::1", "Invalid host."),
            ("[::1]x", "Invalid host."),
            ("h:0", "port 0 is not in 1..65535"),
            ("h:70000", "port 70000"),
            ("http://h", "unknown scheme 'http'"),
            ("a b", "Invalid host."),
        ] {
            let error = Endpoint::parse(address, None).unwrap_err().to_string();
            assert!(error.contains(words), "{address}: {error}");
        }
    }
}
