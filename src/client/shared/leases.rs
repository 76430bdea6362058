//! Who reads which lane of an ordered group, in a bucket of the server: an entry for each member and for each lane, which
//! the server forgets when it is not renewed. A lease only keeps members from competing; it is the lane itself, with one
//! message at a time, that keeps the order.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::kv;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::lanes::{Plan, plan};
use super::{Options, bucket, consumer};
use crate::error::{Error, Result};
use crate::nats::subject::LANES;
use crate::nats::{Server, refused};
use crate::sync::Mutex;

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// Bound on one of them, where leases are short.
const SHORTEST: Duration = Duration::from_secs(2);

/// A request under way.
type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A member's view of the bucket.
#[derive(Debug)]
pub(super) struct Leases {
    server: Server,
    stream: Stream,
    options: Options,
    bucket: String,
    /// This member's name.
    pub(super) me: String,
    start: u16,
    /// Lanes whose consumers this member has made.
    made: Mutex<BTreeSet<u16>>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The lanes that are leased now.
    pub(super) leases: BTreeMap<u16, u64>,
    /// How many of them are beyond the share.
    pub(super) excess: usize,
    /// Whether there should be more.
    pub(super) short: bool,
}

impl Leases {
    /// Whether the group keeps the order.
    pub(super) async fn exist(server: &Server, options: &Options) -> Result<bool> {
        bucket::find(server, &bucket::name(&options.app, &options.group)).await.map(|found| found.is_some())
    }

    /// Open the bucket, or make it.
    pub(super) async fn open(server: &Server, stream: &Stream, options: &Options) -> Result<Self> {
        let bucket = bucket::name(&options.app, &options.group);
        if bucket::find(server, &bucket).await?.is_none() {
            let config = kv::Config {
                bucket: bucket.clone(),
                description: format!("lanes of the group {} of {}, by thingslink", options.group, options.app),
                history: 1,
                max_age: options.ack_wait,
                num_replicas: stream.cached_info().config.num_replicas,
                ..kv::Config::default()
            };
            if let Err(error) = server.context().create_key_value(config).await
                // Another member was first.
                && bucket::find(server, &bucket).await?.is_none()
            {
                return Err(refused(format!("bucket {bucket}"), &error));
            }
        }
        Ok(Self {
            server: server.clone(),
            stream: stream.clone(),
            options: options.clone(),
            bucket,
            me: format!("{:08x}", fastrand::u32(..)),
            start: fastrand::u16(..LANES),
            made: Mutex::default(),
        })
    }

    fn key(&self, name: &str) -> String {
        format!("$KV.{}.{name}", self.bucket)
    }

    /// Hears when members come and go.
    pub(super) async fn members(&self) -> Option<Subscriber> {
        self.server.client().subscribe(self.key("member.*")).await.ok()
    }

    /// Put an entry in the place of another one; gives its number, or nothing if the other one is not there any more.
    async fn put(&self, key: String, value: &str, replaces: Option<u64>) -> Result<Option<u64>> {
        let mut message = PublishMessage::build().payload(Bytes::copy_from_slice(value.as_bytes()));
        if let Some(sequence) = replaces {
            message = message.expected_last_subject_sequence(sequence);
        }
        let publish = async {
            match self.server.context().send_publish(self.key(&key), message).await {
                Ok(acknowledged) => acknowledged.await,
                Err(error) => Err(error),
            }
        };
        match self.bounded(publish).await? {
            Ok(acknowledged) => Ok(Some(acknowledged.sequence)),
            Err(error) if is_late(&error) => Ok(None),
            Err(error) => Err(refused(format!("bucket {}", self.bucket), &error)),
        }
    }

    /// A request and its answer. One that is lost with the leader of a stream or a consumer holds the others up no longer.
    async fn bounded<T>(&self, request: impl Future<Output = T>) -> Result<T> {
        let within = (self.options.ack_wait / 3).max(SHORTEST);
        tokio::time::timeout(within, request)
            .await
            .map_err(|_| Error::Timeout { what: format!("asking for lanes in bucket {}", self.bucket), after: within })
    }

    /// Say that this member lives, renew its leases, and claim what is free of its share.
    pub(super) async fn round(&self, mine: BTreeMap<u16, u64>) -> Result<Round> {
        self.put(format!("member.{}", self.me), &self.me, None).await?;
        // A lost answer must not cost the leases.
        let within = (self.options.ack_wait / 3).min(self.options.nats.timeout);
        let table = bucket::table(&self.server, &self.bucket, within).await?;
        let Plan { renew, claim, excess, short } = plan(&self.me, &mine, &table, self.start);
        let mut entries: Vec<Asked<'_, (u16, Option<u64>)>> = Vec::new();
        for (lane, sequence) in renew.into_iter().chain(claim) {
            entries.push(Box::pin(self.lease(lane, sequence)));
        }
        let put: Vec<_> = futures_util::stream::iter(entries).buffer_unordered(AT_ONCE).collect().await;
        let mut round = Round { excess, short, ..Round::default() };
        let mut trouble = None;
        for outcome in put {
            match outcome {
                Ok((lane, Some(sequence))) => drop(round.leases.insert(lane, sequence)),
                // Another member was faster.
                Ok((_, None)) => round.short = true,
                // The others are leased all the same.
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(error) if round.leases.is_empty() => Err(error),
            Some(error) => {
                tracing::debug!(%error, "some lanes are not leased, and are asked for again");
                Ok(Round { short: true, ..round })
            }
            None => Ok(round),
        }
    }

    async fn lease(&self, lane: u16, replaces: u64) -> Result<(u16, Option<u64>)> {
        let leased = self.put(format!("lane.{lane}"), &self.me, Some(replaces)).await?;
        if leased.is_some() && !self.made.lock().contains(&lane) {
            self.bounded(consumer::make(&self.stream, &self.options, Some(lane))).await??;
            self.made.lock().insert(lane);
        }
        Ok((lane, leased))
    }

    /// The consumer of a lane may be gone: it is made again.
    pub(super) fn make_again(&self, lane: u16) {
        self.made.lock().remove(&lane);
    }

    /// Lanes are free for others.
    pub(super) async fn release(&self, lanes: &[(u16, u64)]) {
        let mut entries: Vec<Asked<'_, Option<u64>>> = Vec::new();
        for (lane, lease) in lanes {
            entries.push(Box::pin(self.put(format!("lane.{lane}"), "", Some(*lease))));
        }
        let put: Vec<_> = futures_util::stream::iter(entries).buffer_unordered(AT_ONCE).collect().await;
        if let Some(Err(error)) = put.into_iter().find(Result::is_err) {
            tracing::warn!(%error, "cannot release lanes: others get them when their leases end");
        }
    }

    /// This member goes.
    pub(super) async fn leave(&self, lanes: &[(u16, u64)], within: Duration) {
        let leaving = async {
            self.release(lanes).await;
            self.put(format!("member.{}", self.me), "", None).await
        };
        if !matches!(tokio::time::timeout(within, leaving).await, Ok(Ok(_))) {
            tracing::warn!("cannot tell the group that this worker goes: it hears of it when the leases end");
        }
    }
}

/// Whether the entry that was to be replaced is not there any more; a cluster says so in another way while it decides.
fn is_late(error: &PublishError) -> bool {
    let code = std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    error.kind() == PublishErrorKind::WrongLastSequence
        || code.is_some_and(|error| error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}
