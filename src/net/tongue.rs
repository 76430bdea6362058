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
    /// AMQP, of whatever version.
    Amqp,
    /// What Redis speaks, and Valkey.
    Redis,
    /// What NATS speaks.
    Nats,
    /// What `MySQL` and `MariaDB` speak.
    MySql,
    /// SMTP, FTP, POP or IMAP.
    Mail,
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
            [b'A', b'M', b'Q', b'P', ..] => Some(Self::Amqp),
            [b'-', b'E', b'R', b'R', ..] | [b'-', b'N', b'O', b'A', ..] | [b'-', b'D', b'E', b'N', ..] => {
                Some(Self::Redis)
            }
            [b'I', b'N', b'F', b'O', b' ', ..] => Some(Self::Nats),
            // The greeting or an error, the first packet of its sequence. No answer of MQTT has a second byte of 0.
            [_, 0, 0, 0, 0x0a | 0xff, ..] => Some(Self::MySql),
            [b'2', b'2', b'0', b' ' | b'-', ..] | [b'+', b'O', b'K', ..] | [b'*', b' ', b'O', b'K', ..] => {
                Some(Self::Mail)
            }
            // The answer to a login.
            [0x20, _, ..] => Some(Self::Mqtt),
            // The settings, which are to come first (RFC 9113, 3.4).
            [_, _, _, 4, _, 0, 0, 0, 0, ..] => Some(Self::Grpc),
            _ if first.len() >= 9 => Some(Self::Other),
            _ => None,
        }
    }

    /// By all that was said before it fell silent or hung up; `None` if that is nothing, or may have become settings.
    #[must_use]
    pub fn of_all(said: &[u8]) -> Option<Self> {
        let may_be_settings = said.get(3) == Some(&4);
        Self::of(said).or_else(|| (!said.is_empty() && !may_be_settings).then_some(Self::Other))
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
            Self::Amqp => "AMQP, as RabbitMQ does,",
            Self::Redis => "as Redis does",
            Self::Nats => "as NATS does",
            Self::MySql => "as MySQL does",
            Self::Mail => "as a mail or FTP server does",
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
            (b"AMQP\x00\x00\x09\x01", Some(Tongue::Amqp)),
            (b"-ERR unknown command 'PRI'\r\n", Some(Tongue::Redis)),
            (b"-DENIED Redis is running in protected mode", Some(Tongue::Redis)),
            (b"INFO {\"server_id\":", Some(Tongue::Nats)),
            (b"J\x00\x00\x00\x0a8.0.33\x00", Some(Tongue::MySql)),
            (b"220 mail.example ESMTP", Some(Tongue::Mail)),
            (b"\x20\x0d\x00\x00\x0a\x12\x00\x05", Some(Tongue::Mqtt)),
            (b"something else", Some(Tongue::Other)),
            (b"ERROR\r\n", None),
            (b"HT", None),
            (b"", None),
        ] {
            assert_eq!(Tongue::of(first), expected, "{first:?}");
        }
        assert_eq!(Tongue::of_all(b"ERROR\r\n"), Some(Tongue::Other));
        assert_eq!((Tongue::of_all(b""), Tongue::of_all(b"\x00\x00\x12\x04\x00")), (None, None));
    }
}
