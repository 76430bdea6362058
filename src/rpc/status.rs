//! What tonic says went wrong, as an error of this crate.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};

use super::pace::Told;
use super::plain::from_struct;
use super::proto::{status, v3};
use crate::error::{Error, Reported, RpcCode};

/// What begins the details of calls whose connection failed.
pub(super) const CONNECTION_LOST: &str = "connection lost";

/// The details of calls that were given up.
pub(super) const GIVEN_UP: &str = "Deadline Exceeded";

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
    /// When the server may be asked again, as it says itself.
    pub(super) wait: Option<Duration>,
    /// What it tells of its limit.
    pub(super) told: Option<Told>,
}

impl Failure {
    /// One that nothing more can become of.
    pub(super) fn settled(error: Error) -> Self {
        Self { error, fate: Fate::Settled, wait: None, told: None }
    }
}

/// What became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// There was no connection to send it on, or nobody waits for it any more.
    Settled,
    /// The server answered it.
    Answered,
    /// The connection ended before it was sent: it can be sent again.
    Unsent,
    /// The connection ended afterwards: nobody knows.
    Unknown,
}

/// The failure behind a status.
pub(super) fn to_failure(status: &Status) -> Failure {
    // tonic's own timer says "cancelled".
    if status.code() == Code::Cancelled && status.message() == "Timeout expired" {
        return Failure::settled(deadline());
    }
    let code = RpcCode::from_number(i32::from(status.code()));
    let mut details = status.message().to_owned();
    let mut fate = Fate::Unknown;
    // Where the transport failed, the reason is at the end of the chain of causes.
    let mut cause = status.source();
    let transport = cause.is_some();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return Failure::settled(Error::rpc(RpcCode::Unavailable, ours.to_string()));
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            fate = Fate::Unsent;
        }
        details = error.to_string();
        cause = error.source();
    }
    if transport && matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled | Code::Unavailable) {
        let details = format!("{CONNECTION_LOST}: {details}");
        return Failure { error: Error::rpc(RpcCode::Unavailable, details), fate, wait: None, told: None };
    }
    let reported = reported(status.details()).map(Arc::new);
    let told = Told::read(|name| status.metadata().get(name)?.to_str().ok());
    Failure { error: Error::Rpc { code, details, reported }, fate: Fate::Answered, wait: rate_limit(status), told }
}

/// The wait that a server at its rate limit asks for (V3 3.2): whole seconds rounded down, hence one more.
fn rate_limit(status: &Status) -> Option<Duration> {
    let seconds = |name| status.metadata().get(name)?.to_str().ok()?.parse::<u32>().ok().filter(|seconds| *seconds > 0);
    let wait = seconds("x-rate-limit-retry").or_else(|| seconds("x-rate-limit-reset"))?;
    Some(Duration::from_secs(u64::from(wait) + 1))
}

/// What the details of a status report (V3 3.2); `None` for details of another kind.
fn reported(details: &[u8]) -> Option<Reported> {
    let status = status::Status::decode(details).ok()?;
    let is_ours = |url: &str| url.rsplit('/').next() == Some("ttn.lorawan.v3.ErrorDetails");
    let ours = status.details.iter().find(|detail| is_ours(&detail.type_url))?;
    v3::ErrorDetails::decode(ours.value.as_slice()).ok().map(report)
}

fn report(details: v3::ErrorDetails) -> Reported {
    Reported {
        namespace: details.namespace,
        name: details.name,
        attributes: details.attributes.map(from_struct).unwrap_or_default(),
        cause: details.cause.map(|cause| Box::new(report(*cause))),
    }
}

/// The error for a call that took too long.
pub(super) fn deadline() -> Error {
    Error::rpc(RpcCode::DeadlineExceeded, GIVEN_UP)
}
