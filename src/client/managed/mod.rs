//! Managing applications and devices where V2's one call is several: what is asked for on each such network, and what all of
//! them do alike.

mod functions;
mod registration;
mod undo;

use bytes::Bytes;

pub use self::functions::Functions;
pub(in crate::client) use self::functions::NOT_VALID;
pub use self::registration::Registration;
pub(in crate::client) use self::registration::is_set;
pub(in crate::client) use self::undo::Undo;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::handler;

/// An application, who asks for it, and the way to where it is managed.
pub trait Managed: Clone + Send + Sync + 'static {
    /// What devices have that V2 does not know.
    type Extra: Default + Send + Sync + 'static;
    /// A device; of one that was listed, what lists have.
    type Device: Clone + Send + Sync + 'static;
    /// An application, with its payload functions.
    type Application: Send + Sync + 'static;
    /// What a change tells.
    type Changed: Send + 'static;
    /// A downlink as queues take it.
    type Downlink: Send + 'static;
    /// What is told of downlinks that were queued.
    type Queued: Send + 'static;

    /// What there is to be known of the application.
    fn application(&self) -> impl Future<Output = Result<Self::Application>> + Send;

    /// Whether there is such an application: the error says that there is none.
    fn look_for_application(&self) -> impl Future<Output = Result<()>> + Send;

    /// Delete the application with all its devices.
    fn unregister(&self) -> impl Future<Output = Result<()>> + Send;

    /// Read a device.
    fn device(&self, dev_id: &str) -> impl Future<Output = Result<Self::Device>> + Send;

    /// Read the rest of a device that was listed.
    fn complete(&self, listed: Self::Device) -> impl Future<Output = Result<Self::Device>> + Send;

    /// List the devices, all or a part of them; and how many there are, if that is told.
    fn devices(
        &self,
        limit: Option<u64>,
        offset: u64,
    ) -> impl Future<Output = Result<(Vec<Self::Device>, Option<u64>)>> + Send;

    /// Register a device. What was done by then is undone where a step fails.
    fn register_device(&self, registration: &Registration<Self::Extra>) -> impl Future<Output = Result<()>> + Send;

    /// Change what is named of a device; `forgotten` attributes are removed.
    fn update_device(
        &self,
        updates: &Registration<Self::Extra>,
        forgotten: &[String],
    ) -> impl Future<Output = Result<Self::Changed>> + Send;

    /// Delete a device.
    fn delete_device(&self, dev_id: &str) -> impl Future<Output = Result<()>> + Send;

    /// Give a device a session without a join.
    fn personalize(
        &self,
        dev_id: &str,
        nwk_s_key: &[u8],
        app_s_key: &[u8],
    ) -> impl Future<Output = Result<Self::Device>> + Send;

    /// Move a device to another application.
    fn move_device(&self, dev_id: &str, to: &Self) -> impl Future<Output = Result<()>> + Send;

    /// The downlinks that wait for a device, encoded, in their order.
    fn downlinks(&self, dev_id: &str) -> impl Future<Output = Result<Vec<Bytes>>> + Send;

    /// Append downlinks to a device's queue, or have them replace it.
    fn queue(
        &self,
        dev_id: &str,
        downlinks: Vec<Self::Downlink>,
        replace: bool,
    ) -> impl Future<Output = Result<Self::Queued>> + Send;

    /// A device address of the network's: 4 bytes.
    fn dev_addr(&self) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// A device as a handler of V2 would give it.
    fn to_v2(device: &Self::Device) -> handler::Device;
}

/// Do something to each of many things, a few at a time; gives what came of it, in their order.
///
/// # Errors
/// That of the first that fails.
pub async fn of_all<T, U, F>(things: Vec<T>, each: impl Fn(T) -> F) -> Result<Vec<U>>
where
    F: Future<Output = Result<U>> + Send + 'static,
    U: Send + 'static,
{
    /// So many at the same time.
    const AT_ONCE: usize = 8;
    let (mut left, mut running) = (things.into_iter().enumerate(), tokio::task::JoinSet::new());
    let mut done = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((place, thing)) = left.next()
        {
            let work = each(thing);
            running.spawn(async move { (place, work.await) });
        }
        match running.join_next().await {
            None => break,
            Some(Ok((place, outcome))) => done.push((place, outcome?)),
            Some(Err(error)) => return Err(Error::rpc(RpcCode::Internal, error.to_string())),
        }
    }
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

/// The code of a call that failed.
pub(in crate::client) fn code_of(error: &Error) -> Option<RpcCode> {
    match error {
        Error::Rpc { code, .. } => Some(*code),
        _ => None,
    }
}

/// What is not there need not be deleted.
pub(in crate::client) fn tolerate_absence(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if code_of(&error) == Some(RpcCode::NotFound) => Ok(()),
        outcome => outcome,
    }
}

/// The error with more words.
pub(in crate::client) fn extended(error: Error, words: &str) -> Error {
    match error {
        Error::Rpc { code, details, reported } => Error::Rpc { code, details: format!("{details}; {words}"), reported },
        error => error,
    }
}

/// The error of a change that was told to several, with those that keep what they were told.
pub(in crate::client) fn after(told: &[&str], error: Error) -> Error {
    match told {
        [] => error,
        [one] => extended(error, &format!("{one} had taken the change by then, and keeps it")),
        several => extended(error, &format!("{} had taken the change by then, and keep it", several.join(", "))),
    }
}

/// V2's times are in nanoseconds.
pub(in crate::client) fn nanoseconds(time: &prost_types::Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos))
}
