//! The consumers of a group: one that all members share, or one for each lane.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;

use super::Options;
use super::leases::Leases;
use crate::error::{Error, Result};
use crate::nats::{Server, refused, stream, subject};

/// How long a pull waits for messages. Short, since nobody tells of those that were lost with the leader of a consumer in a
/// cluster: its messages wait as long.
pub(super) const PULL: Duration = Duration::from_secs(5);
/// Most messages that may be in the hands of all members together.
const OUT: i64 = 100_000;

/// The consumer of a group, or of one of its lanes.
pub(super) fn name(group: &str, lane: Option<u16>) -> String {
    // No group has a '~' in its name.
    lane.map_or_else(|| group.to_owned(), |lane| format!("{group}~{lane}"))
}

/// The group of a consumer, and its lane.
pub(super) fn group_of(name: &str) -> (&str, Option<u16>) {
    let lane = name.split_once('~').and_then(|(group, lane)| Some((group, lane.parse().ok()?)));
    lane.map_or((name, None), |(group, lane)| (group, Some(lane)))
}

/// What asks for messages.
pub(super) fn pull(batch: usize) -> Bytes {
    Bytes::from(format!("{{\"batch\":{batch},\"expires\":{}}}", PULL.as_nanos()))
}

/// Make what a member needs before it begins; of an ordered group the rest is made lane by lane.
pub(super) async fn prepare(server: &Server, stream: &Stream, options: &Options) -> Result<Option<Arc<Leases>>> {
    let other = |reason: &str| {
        let name = format!("group {:?} of {}", options.group, stream::name(&options.app));
        Err(Error::Stream { name, reason: reason.to_owned() })
    };
    if options.ordered {
        match stream.consumer_info(name(&options.group, None)).await {
            Ok(_) => {
                return other("its workers do not keep the order (ordered=False): they and these would each do all");
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(refused(stream::name(&options.app), &error)),
        }
        return Leases::open(server, stream, options).await.map(|leases| Some(Arc::new(leases)));
    }
    if Leases::exist(server, options).await? {
        return other("its workers keep the order (ordered=True): they and these would each do all");
    }
    make(stream, options, None).await.map(|()| None)
}

fn is_missing(error: &async_nats::jetstream::context::ConsumerInfoError) -> bool {
    matches!(error.kind(), ConsumerInfoErrorKind::NotFound)
        || matches!(error.kind(), ConsumerInfoErrorKind::JetStream(error) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

/// Make a consumer, or have the one that exists follow this member's settings.
pub(super) async fn make(stream: &Stream, options: &Options, lane: Option<u16>) -> Result<()> {
    let config = pull::Config {
        durable_name: Some(name(&options.group, lane)),
        // From the oldest message on: what came before the group's first worker is its work, too.
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        // Counted by the workers: a message that the server gives up would be lost without a word.
        max_deliver: -1,
        // One at a time in a lane keeps its order, whoever believes to own it.
        max_ack_pending: if lane.is_some() { 1 } else { OUT },
        max_waiting: 10_000,
        filter_subject: lane.map(subject::lane).unwrap_or_default(),
        ..pull::Config::default()
    };
    let made = stream.create_consumer(config).await;
    made.map(|_| ()).map_err(|error| refused(stream::name(&options.app), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_consumer_tells_its_group_and_lane() {
        for (group, lane) in [("workers", None), ("workers", Some(0)), ("w-1", Some(255))] {
            assert_eq!(group_of(&name(group, lane)), (group, lane));
        }
        assert_eq!(group_of("other~x"), ("other~x", None));
    }
}
