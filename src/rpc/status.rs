//! What tonic says went wrong, as an error of this crate.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::error::{Error, RpcCode};

/// What begins the details of calls whose connection failed.
pub(super) const CONNECTION_LOST: &str = "connection lost";

/// Whether these details of UNIMPLEMENTED are those of a server that does not have the method, in the words of gRPC for
/// Rust, Go and Python.
pub(super) fn is_unknown_method(details: &str) -> bool {
    details.is_empty()
        || ["unknown service", "unknown method", "Method not found"].iter().any(|words| details.contains(words))
}

/// A failed attempt.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) fate: Fate,
}

/// What became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server answered it, or there was no connection to send it on.
    Settled,
    /// The connection ended before it was sent: it can be sent again.
    Unsent,
    /// The connection ended afterwards: nobody knows.
    Unknown,
}

/// The failure behind a status.
pub(super) fn to_failure(status: &Status) -> Failure {
    let settled = |error| Failure { error, fate: Fate::Settled };
    // tonic's own timer says "cancelled".
    if status.code() == Code::Cancelled && status.message() == "Timeout expired" {
        return settled(deadline());
    }
    let code = RpcCode::from_number(i32::from(status.code()));
    let mut details = status.message().to_owned();
    let mut fate = Fate::Unknown;
    // Where the transport failed, the reason is at the end of the chain of causes.
    let mut cause = status.source();
    let transport = cause.is_some();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return settled(Error::Rpc { code: RpcCode::Unavailable, details: ours.to_string() });
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            fate = Fate::Unsent;
        }
        details = error.to_string();
        cause = error.source();
    }
    if transport && matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled | Code::Unavailable) {
        let details = format!("{CONNECTION_LOST}: {details}");
        return Failure { error: Error::Rpc { code: RpcCode::Unavailable, details }, fate };
    }
    settled(Error::Rpc { code, details })
}

/// The error for a call that took too long.
pub(super) fn deadline() -> Error {
    Error::Rpc { code: RpcCode::DeadlineExceeded, details: "Deadline Exceeded".to_owned() }
}
