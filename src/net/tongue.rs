//! What a server speaks, told by its first bytes: for errors that say who answers where somebody else was expected.

use std::fmt;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// TLS.
    Tls,
    /// HTTP/1.
    Web,
    /// HTTP/2.
    Grpc,
    /// MQTT.
    Mqtt,
    /// SSH.
    Ssh,
    /// None of these.
    Other,
}

impl Tongue {
    /// By the first bytes; `None` while they are too few to tell.
    #[must_use]
    pub fn of(first: &[u8]) -> Option<Self> {
        match first {
            // An alert or a handshake, of any version.
            [0x15 | 0x16, 3, ..] => Some(Self::Tls),
            [b'H', b'T', b'T', b'P', ..] => Some(Self::Web),
            [b'S', b'S', b'H', b'-', ..] => Some(Self::Ssh),
            // The answer to a login.
            [0x20, _, ..] => Some(Self::Mqtt),
            // The settings, which are to come first (RFC 9113, 3.4).
            [_, _, _, 4, _, 0, 0, 0, 0, ..] => Some(Self::Grpc),
            _ if first.len() >= 9 => Some(Self::Other),
            _ => None,
        }
    }
}

impl fmt::Display for Tongue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::Web => "HTTP, as a web server does,",
            Self::Grpc => "HTTP/2, as gRPC servers such as discovery servers and handlers do,",
            Self::Mqtt => "MQTT",
            Self::Ssh => "SSH",
            Self::Other => "another protocol",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart_by_their_first_bytes() {
        for (first, expected) in [
            (&b"\x15\x03\x03\x00\x02\x02\x32"[..], Some(Tongue::Tls)),
            (b"HTTP/1.1 400 Bad Request", Some(Tongue::Web)),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00", Some(Tongue::Grpc)),
            (b"\x20\x02\x00\x00", Some(Tongue::Mqtt)),
            (b"SSH-2.0-OpenSSH_9.2", Some(Tongue::Ssh)),
            (b"220 mail.example ESMTP", Some(Tongue::Other)),
            (b"HT", None),
            (b"", None),
        ] {
            assert_eq!(Tongue::of(first), expected, "{first:?}");
        }
    }
}
