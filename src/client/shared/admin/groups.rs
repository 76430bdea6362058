//! How far the groups of a stream are.

use std::collections::BTreeMap;

use async_nats::jetstream::consumer::{AckPolicy, Info};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream;
use async_nats::jetstream::{ErrorCode, context};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::Admin;
use crate::client::shared::lanes::Table;
use crate::client::shared::{bucket, consumer, dead};
use crate::error::Result;
use crate::nats::stream::{downlinks_name, name};
use crate::nats::{refused, subject};

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// A lane of a group; all messages where the group does not keep their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The group.
    pub group: String,
    /// Its number; none where there are no lanes.
    pub lane: Option<u16>,
    /// The worker that has it now, by the name that it has in its group.
    pub worker: Option<String>,
    /// Messages that no worker has been given yet.
    pub waiting: u64,
    /// Messages in the hands of workers.
    pub in_hand: u64,
    /// Of these, what had been given out before.
    pub redelivered: u64,
}

/// What waits for a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The group.
    pub group: String,
    /// Whether its workers keep the order of each device.
    pub ordered: bool,
    /// Workers that live, where that is known: of a group that keeps the order.
    pub workers: Option<usize>,
    /// Messages that no worker has been given yet.
    pub waiting: u64,
    /// Messages in the hands of workers.
    pub in_hand: u64,
    /// When the oldest of both was stored, in nanoseconds since 1970.
    pub oldest_ns: Option<i64>,
    /// Its dead letters.
    pub dead: u64,
}

/// What there is of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Messages in the stream, handled ones included.
    pub stored: u64,
    /// Their bytes on the disk.
    pub bytes: u64,
    /// Downlinks that no bridge has handed to the network.
    pub downlinks: u64,
    /// Its groups, by name.
    pub groups: Vec<Waiting>,
}

impl Admin {
    /// The lanes of one group or of all, by group and number.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] and a lost connection.
    pub async fn lanes(&self, group: Option<&str>) -> Result<Vec<Lane>> {
        let mut lanes = Vec::new();
        for (name, consumers) in
            self.groups().await?.into_iter().filter(|(name, _)| group.is_none_or(|one| one == name))
        {
            let table = self.table(&name, &consumers).await?;
            for (lane, info) in consumers {
                let lease = lane.and_then(|lane| table.lanes.get(&lane));
                lanes.push(Lane {
                    group: name.clone(),
                    lane,
                    worker: lease.map(|lease| lease.owner.clone()).filter(|owner| !owner.is_empty()),
                    waiting: info.num_pending,
                    in_hand: info.num_ack_pending as u64,
                    redelivered: info.num_redelivered as u64,
                });
            }
        }
        Ok(lanes)
    }

    /// What is stored, and what waits for whom.
    ///
    /// # Errors
    /// [`crate::Error::Stream`] and a lost connection.
    pub async fn backlog(&self) -> Result<Backlog> {
        let state = self.stream.get_info().await.map_err(|error| refused(name(&self.app), &error))?.state;
        let downlinks = self.find(downlinks_name(&self.app)).await?;
        let mut dead = self.dead_by_group().await?;
        let mut groups = Vec::new();
        for (name, consumers) in self.groups().await? {
            let table = self.table(&name, &consumers).await?;
            let ordered = consumers.keys().any(Option::is_some);
            groups.push(Waiting {
                ordered,
                workers: ordered.then_some(table.members.len()),
                waiting: consumers.values().map(|info| info.num_pending).sum(),
                in_hand: consumers.values().map(|info| info.num_ack_pending as u64).sum(),
                oldest_ns: self.oldest(&consumers).await?,
                dead: dead.remove(&name).unwrap_or_default(),
                group: name,
            });
        }
        // A group whose consumers were deleted leaves its dead letters.
        groups.extend(dead.into_iter().map(|(group, dead)| Waiting {
            group,
            ordered: false,
            workers: None,
            waiting: 0,
            in_hand: 0,
            oldest_ns: None,
            dead,
        }));
        Ok(Backlog {
            stored: state.messages,
            bytes: state.bytes,
            downlinks: downlinks.map_or(0, |stream| stream.cached_info().state.messages),
            groups,
        })
    }

    /// A stream, if there is one of this name.
    pub(super) async fn find(&self, name: String) -> Result<Option<stream::Stream>> {
        match self.server.context().get_stream(&name).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(refused(name, &error)),
        }
    }

    /// The consumers of each group, by lane.
    async fn groups(&self) -> Result<BTreeMap<String, BTreeMap<Option<u16>, Info>>> {
        let all: Vec<Info> =
            self.stream.consumers().try_collect().await.map_err(|error| refused(name(&self.app), &error))?;
        let mut groups = BTreeMap::<String, BTreeMap<_, _>>::new();
        for info in all {
            // What only looks at the stream is no group.
            if info.config.durable_name.is_none() || info.config.ack_policy != AckPolicy::Explicit {
                continue;
            }
            let (group, lane) = consumer::group_of(&info.name);
            groups.entry(group.to_owned()).or_default().insert(lane, info);
        }
        Ok(groups)
    }

    async fn table(&self, group: &str, consumers: &BTreeMap<Option<u16>, Info>) -> Result<Table> {
        let bucket = bucket::name(&self.app, group);
        if consumers.contains_key(&None) || bucket::find(&self.server, &bucket).await?.is_none() {
            return Ok(Table::default());
        }
        bucket::table(&self.server, &bucket, self.timeout).await
    }

    /// When the oldest message was stored that these consumers have not done with.
    async fn oldest(&self, consumers: &BTreeMap<Option<u16>, Info>) -> Result<Option<i64>> {
        let busy = consumers.iter().filter(|(_, info)| info.num_pending > 0 || info.num_ack_pending > 0);
        let asked = busy.map(|(lane, info)| {
            let filter = lane.map_or_else(|| ">".to_owned(), subject::lane);
            self.stored_after(info.ack_floor.stream_sequence, filter)
        });
        let asked: Vec<_> = asked.collect();
        let found: Vec<Option<i64>> = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().min())
    }

    /// When the first message after this one was stored.
    async fn stored_after(&self, sequence: u64, filter: String) -> Result<Option<i64>> {
        let next = self.stream.raw_message_builder().sequence(sequence + 1).next_by_subject(filter).send().await;
        match next {
            Ok(message) => Ok(i64::try_from(message.time.unix_timestamp_nanos()).ok()),
            Err(error) if error.kind() == stream::LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(refused(name(&self.app), &error)),
        }
    }

    /// How many dead letters each group has.
    async fn dead_by_group(&self) -> Result<BTreeMap<String, u64>> {
        let mut groups = BTreeMap::new();
        let Some(stream) = self.find(dead::name(&self.app)).await? else { return Ok(groups) };
        let told = stream.info_with_subjects(">").await;
        let mut subjects = told.map_err(|error| refused(dead::name(&self.app), &error))?;
        while let Some(entry) = subjects.next().await {
            let (subject, count) = entry.map_err(|error| refused(dead::name(&self.app), &error))?;
            if let Some(group) = dead::group_of(&subject) {
                *groups.entry(group.to_owned()).or_default() += count as u64;
            }
        }
        Ok(groups)
    }
}

fn is_missing(error: &context::GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}
