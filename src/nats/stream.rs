//! The streams of an application: what its devices send, in lanes, and what they are sent.

use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, Info, RetentionPolicy, StorageType, Stream, SubjectTransform,
};
use async_nats::jetstream::{Context, ErrorCode, context::GetStreamErrorKind};

use super::subject;
use super::trouble::refused;
use crate::dialect::lorawan::Network;
use crate::error::{Error, Result};

/// How long the server knows a message ID, to recognise what comes twice.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long messages are kept unless the program says otherwise.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many bytes are kept unless the program says otherwise.
pub const MAX_BYTES: u64 = 10 << 30;
/// How long a downlink waits for a bridge.
const DOWNLINKS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How many bytes of downlinks are kept.
const DOWNLINK_BYTES: i64 = 64 << 20;
/// The network of a stream's messages, in its metadata.
const NETWORK: &str = "thingslink-network";

/// What a stream that is to be made is like; one that exists keeps its own limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long messages are kept.
    pub age: Duration,
    /// How many bytes are kept; when they are full new messages are refused, and the bridge waits.
    pub bytes: u64,
    /// On how many servers, 1 to 5.
    pub replicas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { age: KEPT, bytes: MAX_BYTES, replicas: 1 }
    }
}

impl Limits {
    /// Check them.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn validate(&self) -> Result<()> {
        if !(1..=5).contains(&self.replicas) {
            return Err(Error::invalid("replicas", self.replicas.to_string(), "1 to 5, an odd number in a cluster"));
        }
        if self.age < DUPLICATE_WINDOW {
            return Err(Error::invalid("max_age", format!("{:?}", self.age), "at least 2 minutes"));
        }
        if self.bytes == 0 || i64::try_from(self.bytes).is_err() {
            return Err(Error::invalid("max_bytes", self.bytes.to_string(), "a number of bytes, at least 1"));
        }
        Ok(())
    }
}

/// The stream of what the devices of an application send.
#[must_use]
pub fn name(app: &str) -> String {
    format!("THINGS_{}", subject::token(app).replace(['/', '\\'], "%2F"))
}

/// The stream of what they are sent.
#[must_use]
pub fn downlinks_name(app: &str) -> String {
    format!("{}_DOWN", name(app))
}

fn uplinks_config(app: &str, network: Network, limits: &Limits) -> Config {
    let (source, destination) = subject::lanes();
    Config {
        name: name(app),
        description: Some(format!("what the devices of {app} send, by thingslink")),
        subjects: subject::filters(app),
        subject_transform: Some(SubjectTransform { source, destination }),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        compression: Some(Compression::S2),
        duplicate_window: DUPLICATE_WINDOW,
        max_age: limits.age,
        max_bytes: i64::try_from(limits.bytes).unwrap_or(i64::MAX),
        num_replicas: limits.replicas,
        allow_direct: true,
        metadata: [(NETWORK.to_owned(), network.to_string())].into(),
        ..Config::default()
    }
}

fn downlinks_config(app: &str, limits: &Limits) -> Config {
    Config {
        name: downlinks_name(app),
        description: Some(format!("what the devices of {app} are sent, by thingslink")),
        subjects: vec![subject::downlinks(app)],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        max_age: DOWNLINKS_KEPT,
        max_bytes: DOWNLINK_BYTES,
        num_replicas: limits.replicas,
        ..Config::default()
    }
}

/// The stream of what the devices send, made if there is none.
///
/// # Errors
/// [`Error::Stream`] when there is another one of that name, or the server does not let us.
pub async fn make(context: &Context, app: &str, network: Network, limits: &Limits) -> Result<Stream> {
    let made = make_one(context, uplinks_config(app, network, limits)).await?;
    check(made.cached_info(), Some(network))?;
    Ok(made)
}

/// The stream of what they are sent, made if there is none.
///
/// # Errors
/// [`Error::Stream`].
pub async fn make_downlinks(context: &Context, app: &str, limits: &Limits) -> Result<Stream> {
    let made = make_one(context, downlinks_config(app, limits)).await?;
    let config = &made.cached_info().config;
    if config.retention != RetentionPolicy::WorkQueue {
        return Err(foreign(&config.name, "it is no work queue"));
    }
    Ok(made)
}

/// The stream of what the devices of an application send, as a bridge has made it, and what network they are of.
///
/// # Errors
/// [`Error::Stream`] when no bridge has made it yet, or another program has.
pub async fn open(context: &Context, app: &str) -> Result<(Stream, Network)> {
    let name = name(app);
    let stream = match context.get_stream(&name).await {
        Ok(stream) => stream,
        Err(error) if is_missing(&error) => {
            let reason = "there is none yet: `thingslink bridge` makes it when it first runs".to_owned();
            return Err(Error::Stream { name, reason });
        }
        Err(error) => return Err(refused(name, &error)),
    };
    let network = check(stream.cached_info(), None)?;
    Ok((stream, network))
}

async fn make_one(context: &Context, config: Config) -> Result<Stream> {
    let name = config.name.clone();
    match context.get_stream(&name).await {
        Ok(stream) => return Ok(stream),
        Err(error) if is_missing(&error) => {}
        Err(error) => return Err(refused(name, &error)),
    }
    match context.create_stream(config).await {
        Ok(stream) => Ok(stream),
        // Another bridge was first, with limits of its own.
        Err(_) if context.get_stream(&name).await.is_ok() => {
            context.get_stream(&name).await.map_err(|error| refused(name, &error))
        }
        Err(error) => Err(refused(name, &error)),
    }
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Whether it is one of ours. Gives the network of its messages.
fn check(info: &Info, network: Option<Network>) -> Result<Network> {
    let config = &info.config;
    let (source, destination) = subject::lanes();
    if config.subject_transform.as_ref() != Some(&SubjectTransform { source, destination }) {
        return Err(foreign(&config.name, "its subjects have not thingslink's lanes"));
    }
    let of = config.metadata.get(NETWORK).and_then(|network| network.parse().ok());
    match (of, network) {
        (Some(of), Some(network)) if of != network => {
            Err(foreign(&config.name, &format!("it holds messages of a {of} network, and this is {network}")))
        }
        (Some(of), _) => Ok(of),
        (None, _) => Err(foreign(&config.name, "it does not say which network its messages are of")),
    }
}

fn foreign(name: &str, why: &str) -> Error {
    Error::Stream { name: name.to_owned(), reason: format!("{why}: another program, or another version, has made it") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_stream_refuses_and_compresses_and_knows_duplicates() {
        let config = uplinks_config("my-app", Network::V3, &Limits { bytes: 5, ..Limits::default() });
        assert_eq!((config.name.as_str(), config.max_bytes), ("THINGS_my-app", 5));
        assert_eq!((config.discard, config.retention), (DiscardPolicy::New, RetentionPolicy::Limits));
        assert_eq!(config.compression, Some(Compression::S2));
        assert_eq!(config.duplicate_window.as_secs(), 120);
        assert_eq!(config.max_age.as_secs(), 7 * 24 * 3600);
        assert_eq!(downlinks_config("my-app", &Limits::default()).retention, RetentionPolicy::WorkQueue);
    }

    #[test]
    fn the_name_has_nothing_that_names_may_not_have() {
        assert_eq!(name("my.app v2/x"), "THINGS_my%2Eapp%20v2%2Fx");
        assert_eq!(downlinks_name("a"), "THINGS_a_DOWN");
    }

    #[test]
    fn limits_that_no_stream_can_have_are_refused() {
        for limits in [
            Limits { replicas: 0, ..Limits::default() },
            Limits { replicas: 6, ..Limits::default() },
            Limits { bytes: 0, ..Limits::default() },
            Limits { age: Duration::from_secs(1), ..Limits::default() },
        ] {
            assert!(limits.validate().is_err(), "{limits:?}");
        }
        Limits::default().validate().unwrap();
    }
}
