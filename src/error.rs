//! The one error type of the crate: a variant exists because a caller can act differently on it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, with the facts a caller needs to act on it. Never carries a secret. A clone is the same error: one
/// failure may be told to several listeners.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is not usable; nothing was sent.
    #[error("{what} {value:?} is not valid: expected {expected}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// The value as given, shortened when long.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A name stands for several things; nothing was sent.
    #[error("{what}{} is not clear: {found}", given(value))]
    Ambiguous {
        /// Which argument.
        what: &'static str,
        /// The value as given; empty where none is.
        value: String,
        /// What it may stand for, each by a name of its own.
        found: String,
    },
    /// The address cannot be read.
    #[error(
        "{reason} (in the address {address:?}; expected host, host:port, mqtt://host[:port] or mqtts://host[:port])"
    )]
    Address {
        /// The address as given.
        address: String,
        /// The original SDK's words for it.
        reason: String,
    },
    /// The host name has no address.
    #[error("cannot resolve host {host:?}: {reason}")]
    Unresolved {
        /// The name that was looked up.
        host: String,
        /// The resolver's words, without decoration.
        reason: String,
    },
    /// No connection could be opened.
    #[error("cannot connect to {address}: {source}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// The operating system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// A server of a network that is no more was not reached.
    #[error(
        "{address} belonged to the public network of The Things Network V2, which was switched off in December 2021 \
         ({reason}): give the address of another network; a program that names none is led there by `thingslink run \
         --discovery HOST:PORT` or `--mqtt HOST:PORT`, and to an offline network by `thingslink run --sandbox`"
    )]
    SwitchedOff {
        /// `host:port`.
        address: String,
        /// Why it was not reached.
        reason: String,
    },
    /// The TLS handshake failed, or a certificate cannot be used.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// `host:port`, or where the certificate came from.
        address: String,
        /// What was wrong.
        reason: String,
    },
    /// The server answered the login with a refusal.
    #[error("{text}")]
    Refused {
        /// Its code, 1–255: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5.
        code: u8,
        /// What the code means, in a sentence: [`Error::refused`], or in a network's own words.
        text: Cow<'static, str>,
    },
    /// The server refused a subscription; messages of that filter will not arrive.
    #[error("the server refused the subscription to {filter:?}{hint}")]
    SubscriptionRefused {
        /// The topic filter, or several.
        filter: String,
        /// What may be behind it, to be appended; empty where nothing is known.
        hint: &'static str,
    },
    /// The server refused a message, or hung up over it again and again.
    #[error("the server refused a message to {topic:?}: reason code {reason}")]
    Rejected {
        /// Its topic.
        topic: String,
        /// MQTT 5's reason code, 128 or more.
        reason: u8,
    },
    /// Something did not happen in time.
    #[error("{what} took longer than {} s", after.as_secs_f64())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// There is no session to send on; nothing was queued.
    #[error("client not connected")]
    NotConnected,
    /// A connection that existed was lost.
    #[error("connection to {address} lost: {reason}")]
    Lost {
        /// `host:port`.
        address: String,
        /// How it ended.
        reason: String,
    },
    /// The peer does not speak the protocol.
    #[error("{address} broke the MQTT protocol: {reason}")]
    Protocol {
        /// `host:port`.
        address: String,
        /// What was wrong with the bytes.
        reason: String,
    },
    /// A message is larger than a limit.
    #[error("{what} of {size} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A bounded queue has no room.
    #[error("the queue of unsent messages is full ({limit} messages)")]
    Full {
        /// The bound.
        limit: usize,
    },
    /// A message from the network cannot be understood.
    #[error("cannot decode the message on {topic:?}: {reason}")]
    Decode {
        /// Its topic.
        topic: String,
        /// Why, with the position.
        reason: String,
    },
    /// A protobuf message cannot be understood.
    #[error("cannot decode a message of type {message}: {reason}")]
    Malformed {
        /// Full name of its type, such as `handler.Device`.
        message: String,
        /// Why, with the field.
        reason: String,
    },
    /// A remote call failed.
    #[error("{}: {details}", code.name())]
    Rpc {
        /// The gRPC status code.
        code: RpcCode,
        /// The server's words, or what went wrong on the way to it.
        details: String,
        /// What a server of The Things Stack V3 reports beside that.
        reported: Option<Arc<Reported>>,
    },
    /// A downlink does not come as far as it should.
    #[error("downlink {mid}{} is {state}: {reason}", dev_id.as_deref().map(|id| format!(" to {id}")).unwrap_or_default())]
    Downlink {
        /// Its message ID.
        mid: u16,
        /// Its device, where that is known.
        dev_id: Option<String>,
        /// The state that it is in.
        state: &'static str,
        /// Why, in the network's words or in ours.
        reason: String,
    },
    /// A stream of `JetStream`, or a consumer of it, cannot be had.
    #[error("JetStream: {name}: {reason}")]
    Stream {
        /// Which.
        name: String,
        /// Why, in the server's words or in ours.
        reason: String,
    },
    /// Messages cannot be kept on the disk.
    #[error("the spool in {folder} cannot be used: {source}")]
    Spool {
        /// Where.
        folder: String,
        /// The operating system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// The sandbox cannot do what was asked, for example serve an address that is taken.
    #[error("sandbox: {reason}")]
    Sandbox {
        /// What and why.
        reason: String,
    },
}

/// A failure as a server of The Things Stack V3 reports it: what to branch on, as its words may change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reported {
    /// The part of the server that it comes from, such as `pkg/auth`.
    pub namespace: String,
    /// Which failure it is, such as `token`.
    pub name: String,
    /// Its facts, by their names.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// What is behind it.
    pub cause: Option<Box<Self>>,
}

/// Status codes of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the codes are gRPC's own")]
#[repr(u8)]
pub enum RpcCode {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl RpcCode {
    /// All of them, at the place of their number.
    const ALL: [(Self, &'static str); 17] = [
        (Self::Ok, "OK"),
        (Self::Cancelled, "CANCELLED"),
        (Self::Unknown, "UNKNOWN"),
        (Self::InvalidArgument, "INVALID_ARGUMENT"),
        (Self::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (Self::NotFound, "NOT_FOUND"),
        (Self::AlreadyExists, "ALREADY_EXISTS"),
        (Self::PermissionDenied, "PERMISSION_DENIED"),
        (Self::ResourceExhausted, "RESOURCE_EXHAUSTED"),
        (Self::FailedPrecondition, "FAILED_PRECONDITION"),
        (Self::Aborted, "ABORTED"),
        (Self::OutOfRange, "OUT_OF_RANGE"),
        (Self::Unimplemented, "UNIMPLEMENTED"),
        (Self::Internal, "INTERNAL"),
        (Self::Unavailable, "UNAVAILABLE"),
        (Self::DataLoss, "DATA_LOSS"),
        (Self::Unauthenticated, "UNAUTHENTICATED"),
    ];

    /// The code of this number; unknown for a number that gRPC does not have.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).map_or(Self::Unknown, |(code, _)| *code)
    }

    /// Its name in gRPC's documentation, such as `NOT_FOUND`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

fn given(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" {value:?}") }
}

impl Error {
    /// An [`Error::Invalid`], its value shortened to something readable.
    pub fn invalid(what: &'static str, value: impl Into<String>, expected: &'static str) -> Self {
        let mut value: String = value.into();
        if value.chars().count() > 80 {
            value = value.chars().take(77).chain("...".chars()).collect();
        }
        Self::Invalid { what, value, expected }
    }

    /// The same of an argument that the program knows by another name.
    #[must_use]
    pub fn about(self, name: &'static str) -> Self {
        match self {
            Self::Invalid { value, expected, .. } => Self::Invalid { what: name, value, expected },
            other => other,
        }
    }

    /// An [`Error::Unreachable`].
    pub fn unreachable(address: impl Into<String>, source: io::Error) -> Self {
        Self::Unreachable { address: address.into(), source: source.into() }
    }

    /// An [`Error::Rpc`] of which nothing more is known.
    pub fn rpc(code: RpcCode, details: impl Into<String>) -> Self {
        Self::Rpc { code, details: details.into(), reported: None }
    }

    /// An [`Error::Refused`] in the words of MQTT, which `reason` are.
    #[must_use]
    pub fn refused(code: u8, reason: &str) -> Self {
        Self::Refused { code, text: format!("the server refused the login: {reason} (code {code})").into() }
    }

    /// Whether trying the same again later can succeed without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::NotConnected
            | Self::Lost { .. }
            | Self::Full { .. } => true,
            // Unavailable by MQTT 3.1.1; unavailable, busy, over a quota or a rate by MQTT 5.
            Self::Refused { code, .. } => matches!(code, 3 | 136 | 137 | 151 | 159),
            Self::Rpc { code, .. } => {
                matches!(code, RpcCode::Unavailable | RpcCode::DeadlineExceeded | RpcCode::ResourceExhausted)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shortened() {
        let error = Error::invalid("payload", "x".repeat(500), "less");
        assert!(error.to_string().len() < 140, "{error}");
    }

    #[test]
    fn codes_stand_at_their_numbers() {
        for number in 0..17 {
            assert_eq!(RpcCode::from_number(number) as i32, number);
        }
        assert_eq!(RpcCode::from_number(99), RpcCode::Unknown);
        assert_eq!(RpcCode::NotFound.name(), "NOT_FOUND");
    }

    #[test]
    fn only_a_busy_server_is_worth_another_login() {
        let retryable = |code| Error::refused(code, "").is_retryable();
        assert!([3, 136, 137, 151, 159].into_iter().all(retryable));
        assert!(![1, 4, 5, 134, 135, 138].into_iter().any(retryable));
    }

    #[test]
    fn a_clone_has_the_same_source() {
        use std::error::Error as _;
        let error = Error::unreachable("h:1", io::Error::from_raw_os_error(111));
        let number = |error: &Error| error.source()?.downcast_ref::<Arc<io::Error>>()?.raw_os_error();
        assert_eq!(number(&error), Some(111));
        assert_eq!(number(&error.clone()), Some(111));
        assert_eq!(error.clone().to_string(), error.to_string());
    }

    #[test]
    fn a_refusal_tells_reason_and_code() {
        let error = Error::refused(137, "Server busy");
        assert_eq!(error.to_string(), "the server refused the login: Server busy (code 137)");
    }
}
