//! What NATS answers, in plain words.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use async_nats::{ConnectError, ConnectErrorKind};

use super::{Address, Login};
use crate::error::Error;
use crate::net;

/// What users call the certificates to trust.
const CERTIFICATES: &str = "ca_certs, which Bridge calls nats_ca_certs";

/// What the server or async-nats says of a stream or a consumer, with what to do where that is known.
pub fn refused(name: impl Into<String>, error: &(dyn StdError + 'static)) -> Error {
    let text = whole(error);
    let has = |part: &str| text.contains(part);
    let hint = if has("no responders") || has("not enabled") || has("resource does not exist") {
        ": JetStream is not enabled on the server, or not for this account: start it with -js or with jetstream {} in its \
         configuration, and enable it for the account"
    } else if has("timed out") {
        ": the server does not answer; it may be without a leader, or this user may not publish to $JS.API.>"
    } else if has("insufficient storage") || has("insufficient resources") {
        ": the server has less room than the stream is to have; give a smaller max_bytes, or JetStream more room (max_file \
         in the server's configuration)"
    } else if has("no suitable peers") || has("replicas > 1 not supported") {
        ": the cluster has fewer servers than the stream is to have replicas"
    } else {
        ""
    };
    Error::Stream { name: name.into(), reason: format!("{text}{hint}") }
}

/// An error with all that is behind it, each once.
#[must_use]
pub fn trouble(error: &(dyn StdError + 'static)) -> String {
    whole(error)
}

fn whole(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        let more = behind.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = behind.source();
    }
    text
}

/// Why there is no connection.
pub(super) fn unconnected(error: &ConnectError, address: &Address, login: &Login, timeout: Duration) -> Error {
    let first = &address.servers()[0];
    let address = address.to_string();
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            let with = match login {
                Login::Nobody => {
                    "without a login: give nats_user with nats_password, nats_token, nats_nkey or nats_credentials"
                }
                Login::User { .. } => "with this user and password",
                Login::Token(_) => "with this token",
                Login::Nkey(_) => "with this nkey",
                Login::Credentials(_) => "with these credentials",
            };
            Error::Refused { code: 5, text: format!("NATS at {address} refuses the login {with}").into() }
        }
        ConnectErrorKind::Dns => Error::Unresolved { host: first.host.clone(), reason: reason(error) },
        ConnectErrorKind::TimedOut => {
            Error::Timeout { what: format!("connecting to NATS at {address}"), after: timeout }
        }
        ConnectErrorKind::Tls => Error::Tls { address, reason: reason(error) },
        ConnectErrorKind::Io if handshake(error).is_some() => {
            let reason = handshake(error)
                .map(|error| net::handshake_reason(error, &first.host, CERTIFICATES))
                .unwrap_or_default();
            Error::Tls { address, reason }
        }
        ConnectErrorKind::Io => match cause(error) {
            Some(source) => Error::unreachable(address, source),
            None => Error::Lost { address, reason: reason(error) },
        },
        _ => Error::Lost { address, reason: reason(error) },
    }
}

fn reason(error: &ConnectError) -> String {
    error.source().map_or_else(|| error.to_string(), whole)
}

/// The errors of input and output behind it.
fn behind(error: &ConnectError) -> impl Iterator<Item = &io::Error> {
    fn further<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
        (*error).source()
    }
    std::iter::successors(error.source(), further).filter_map(|error| error.downcast_ref())
}

/// The operating system's error behind it.
fn cause(error: &ConnectError) -> Option<io::Error> {
    behind(error).find_map(io::Error::raw_os_error).map(io::Error::from_raw_os_error)
}

/// What was wrong with the handshake of TLS.
fn handshake(error: &ConnectError) -> Option<&io::Error> {
    behind(error).find(|error| matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_gets_what_to_do() {
        for (said, expected) in [
            ("no responders", "start it with -js"),
            ("insufficient storage resources available", "smaller max_bytes"),
            ("replicas > 1 not supported in non-clustered mode", "fewer servers"),
            ("request timed out", "without a leader"),
        ] {
            let error = refused("THINGS_a", &io::Error::other(said)).to_string();
            assert!(error.contains("THINGS_a") && error.contains(said) && error.contains(expected), "{error}");
        }
    }
}
