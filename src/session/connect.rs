//! From an address to a logged-in connection.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Options;
use super::packet::{Answer, Login, Malformed, Packet, Unreadable, Version};
use crate::dialect::mqtt;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::net::{self, Stream, Tongue};

/// Longest answer to a login. Real ones have a few bytes, with MQTT 5 a few texts.
const LONGEST_ANSWER: usize = 64 << 10;

/// A login that the server has accepted.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) stream: Stream,
    pub(super) version: Version,
    pub(super) answer: Answer,
    /// What came after the answer.
    pub(super) rest: BytesMut,
}

/// What one attempt is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) version: Version,
    /// Whether the server is to begin afresh.
    pub(super) clean: bool,
}

/// Connect and log in, within the time that the options give. `opened` is called between the two.
pub(super) async fn connect(options: &Options, attempt: Attempt, opened: impl AsyncFnOnce()) -> Result<LoggedIn> {
    let is_open = AtomicBool::new(false);
    let steps = async {
        let stream = net::open_through(options.proxy.as_ref(), &options.endpoint, options.tls.as_ref()).await?;
        is_open.store(true, Ordering::Relaxed);
        opened().await;
        log_in(options, attempt, stream).await
    };
    if let Ok(result) = tokio::time::timeout(options.connect_timeout, steps).await {
        return result;
    }
    let endpoint = &options.endpoint;
    let what = if is_open.load(Ordering::Relaxed) {
        format!("connecting to {endpoint}, which answers no login ({}),", is_it(endpoint))
    } else {
        format!("connecting to {endpoint}")
    };
    Err(Error::Timeout { what, after: options.connect_timeout })
}

async fn log_in(options: &Options, attempt: Attempt, mut stream: Stream) -> Result<LoggedIn> {
    let Attempt { version, clean } = attempt;
    let endpoint = &options.endpoint;
    let lost = |error: io::Error| Error::Lost {
        address: endpoint.to_string(),
        reason: format!("{error}, before the login was answered: {}", is_it(endpoint)),
    };
    let broken = |reason: Malformed| Error::Protocol { address: endpoint.to_string(), reason: reason.to_string() };
    let mut out = BytesMut::new();
    let login = Login {
        client_id: &options.client_id,
        username: &options.username,
        password: options.password.reveal(),
        clean,
        keep_alive: u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX),
        will: options.will.as_ref(),
    };
    version.login(&login, &mut out).map_err(broken)?;
    stream.write_all(&out).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;

    // The answer is short; after it a kept session's messages may follow at once.
    let mut rest = BytesMut::with_capacity(1024);
    loop {
        if let Some(reason) = Tongue::of(&rest).and_then(stranger) {
            return Err(Error::Protocol { address: endpoint.to_string(), reason });
        }
        let begins_as_an_answer = rest.first().is_none_or(|first| *first == 0x20);
        let strange = |reason: Malformed| match broken(reason) {
            Error::Protocol { address, reason } if !begins_as_an_answer => {
                Error::Protocol { address, reason: format!("{reason}: {}", is_it(endpoint)) }
            }
            error => error,
        };
        match version.read(&mut rest, options.max_incoming_bytes.min(LONGEST_ANSWER)) {
            Ok(Packet::Login(answer)) => {
                return match answer.code {
                    0 => Ok(LoggedIn { stream, version, answer, rest }),
                    code => Err(Error::refused(code, mqtt::connect_reason(code))),
                };
            }
            Err(Unreadable::Incomplete(_)) => {
                if stream.read_buf(&mut rest).await.map_err(lost)? == 0 {
                    if let Some(reason) = Tongue::of_all(&rest).and_then(stranger) {
                        return Err(Error::Protocol { address: endpoint.to_string(), reason });
                    }
                    let reason = format!("{UNANSWERED}: {}", is_it(endpoint));
                    return Err(Error::Lost { address: endpoint.to_string(), reason });
                }
            }
            Ok(_) => return Err(broken(Malformed::NoLogin)),
            Err(Unreadable::Broken(reason)) => return Err(strange(reason)),
            Err(Unreadable::TooLarge(size)) => return Err(strange(Malformed::Oversize { kind: 2, size })),
        }
    }
}

/// Whether the server closed the connection in place of an answer to the login.
#[must_use]
pub fn is_unanswered(error: &Error) -> bool {
    matches!(error, Error::Lost { reason, .. } if reason.starts_with(UNANSWERED))
}

const UNANSWERED: &str = "the server closed it without answering the login";

/// What to look at where a server says nothing.
fn is_it(endpoint: &Endpoint) -> &'static str {
    if endpoint.tls {
        "is this an MQTT server's port for TLS?"
    } else {
        "is this an MQTT server's port, and one without TLS?"
    }
}

/// Who is there in an MQTT server's place, and what to do.
fn stranger(tongue: Tongue) -> Option<String> {
    match tongue {
        // What is nearly MQTT is told by its faults.
        Tongue::Mqtt | Tongue::Other => None,
        Tongue::Tls => {
            Some("it speaks TLS at this port: connect with TLS, as mqtts:// or tls=True asks for".to_owned())
        }
        tongue => {
            Some(format!("it speaks {tongue} at this port: MQTT servers are at port 1883 as a rule, or 8883 with TLS"))
        }
    }
}

/// Whether a server of MQTT 3.1.1 may have refused version 5 in this way: by its code, or by closing without a word.
pub(super) fn speaks_no_version_5(error: &Error) -> bool {
    match error {
        Error::Refused { code, .. } => mqtt::refuses_version(*code),
        Error::Lost { .. } => is_unanswered(error),
        _ => false,
    }
}
