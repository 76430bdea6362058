//! The bucket of an ordered group: whose each lane is, and which members there are.

use std::time::Duration;

use async_nats::StatusCode;
use async_nats::jetstream::context::KeyValueErrorKind;
use async_nats::jetstream::kv::Store;
use futures_util::StreamExt as _;

use super::lanes::{Lease, Table};
use crate::error::{Error, Result};
use crate::nats::{Server, refused};

/// The bucket of a group; unique, since the application's length tells where its name ends.
pub(super) fn name(app: &str, group: &str) -> String {
    let plain: String =
        app.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '-' }).collect();
    format!("things_{}_{plain}_{group}", plain.len())
}

pub(super) async fn find(server: &Server, name: &str) -> Result<Option<Store>> {
    match server.context().get_key_value(name).await {
        Ok(store) => Ok(Some(store)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refused(format!("bucket {name}"), &error)),
    }
}

fn is_missing(error: &async_nats::jetstream::context::KeyValueError) -> bool {
    matches!(error.kind(), KeyValueErrorKind::GetBucket) && crate::nats::trouble(error).contains("not found")
}

/// All entries.
pub(super) async fn table(server: &Server, bucket: &str, within: Duration) -> Result<Table> {
    let failed = |error: &(dyn std::error::Error + 'static)| refused(format!("bucket {bucket}"), error);
    let start = format!("$KV.{bucket}.");
    let client = server.client();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
    let request = format!("{{\"multi_last\":[\"{start}>\"]}}");
    let subject = format!("$JS.API.DIRECT.GET.KV_{bucket}");
    client.publish_with_reply(subject, inbox, request.into()).await.map_err(|error| failed(&error))?;
    let mut table = Table::default();
    let read = async {
        while let Some(answer) = answers.next().await {
            match answer.status {
                Some(StatusCode::NO_RESPONDERS) => return false,
                // The end, or nothing there.
                Some(_) => return true,
                None => {}
            }
            let header = |name: &str| answer.headers.as_ref().and_then(|headers| headers.get(name));
            let (Some(subject), Some(sequence)) = (header("Nats-Subject"), header("Nats-Sequence")) else {
                return true;
            };
            let Ok(sequence) = sequence.as_str().parse() else { continue };
            let owner = String::from_utf8_lossy(&answer.payload).into_owned();
            let name = subject.as_str().strip_prefix(&start).unwrap_or_default();
            if let Some(lane) = name.strip_prefix("lane.").and_then(|lane| lane.parse().ok()) {
                table.lanes.insert(lane, Lease { owner, sequence });
            } else if let Some(member) = name.strip_prefix("member.").filter(|_| !owner.is_empty()) {
                table.members.insert(member.to_owned());
            }
        }
        false
    };
    match tokio::time::timeout(within, read).await {
        Ok(true) => Ok(table),
        _ => Err(Error::Timeout { what: format!("reading bucket {bucket}"), after: within }),
    }
}
