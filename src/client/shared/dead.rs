//! Messages that failed again and again: into a stream of their own, with what went wrong, before the group forgets them.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};

use super::Options;
use super::hands::Held;
use crate::error::Result;
use crate::nats::{Server, refused, stream, subject};

/// Header: the group that could not handle it; of a message in the stream, the group that alone is to handle it.
pub(super) const GROUP: &str = "Things-Group";
/// Header: its number in the stream.
pub(super) const SEQUENCE: &str = "Things-Sequence";
/// Header: how often it was delivered.
pub(super) const DELIVERIES: &str = "Things-Deliveries";
/// Header: when it was stored, in nanoseconds since 1970.
pub(super) const STORED_AT: &str = "Things-Stored-At";
/// Header: what went wrong, as JSON text.
pub(super) const ERROR: &str = "Things-Error";

/// How long dead letters are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most bytes of them.
const BYTES: i64 = 1 << 30;
/// Most characters of what went wrong.
const LONGEST: usize = 8192;

/// The stream of an application's dead letters.
pub(super) fn name(app: &str) -> String {
    format!("{}-dead", stream::name(app))
}

/// What the subjects of dead letters match: of a group and a device, or of all of them.
pub(super) fn filter(app: &str, group: Option<&str>, dev_id: Option<&str>) -> String {
    let (group, app) = (group.unwrap_or("*"), subject::token(app));
    let rest = dev_id.map_or_else(|| ">".to_owned(), |dev_id| format!("{}.>", subject::token(dev_id)));
    format!("dead.{group}.things.{app}.{rest}")
}

/// The group that a dead letter is of, by its subject.
pub(super) fn group_of(subject: &str) -> Option<&str> {
    Some(subject.strip_prefix("dead.")?.split_once('.')?.0)
}

/// The subject on which it was published first.
pub(super) fn original(subject: &str) -> Option<&str> {
    Some(subject.strip_prefix("dead.")?.split_once('.')?.1)
}

/// Put a message among the dead letters. Only when the server has it is it to be forgotten elsewhere.
pub(super) async fn bury(server: &Server, options: &Options, held: &Held, why: &str) -> Result<()> {
    let (name, context) = (name(&options.app), server.context());
    let mut headers = HeaderMap::new();
    for (header, value) in [
        (GROUP, options.group.clone()),
        ("Things-Subject", held.subject.to_string()),
        (SEQUENCE, held.told.sequence.to_string()),
        (DELIVERIES, held.told.deliveries.to_string()),
        (STORED_AT, held.told.stored_at.to_string()),
        (ERROR, one_line(why)),
    ] {
        headers.insert(header, value);
    }
    let id = format!("{}/{}", options.group, held.told.sequence);
    let subject = format!("dead.{}.{}", options.group, subject::without_lane(&held.subject));
    let mut made = false;
    loop {
        let message = PublishMessage::build().payload(held.payload.clone()).headers(headers.clone()).message_id(&id);
        let published = match context.send_publish(subject.clone(), message).await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match published {
            Ok(_) => return Ok(()),
            Err(error) if made => return Err(refused(name, &error)),
            Err(_) => {}
        }
        // The first one of this application.
        let config = Config {
            name: name.clone(),
            description: Some(format!("messages of {} whose callbacks failed, by thingslink", options.app)),
            subjects: vec![filter(&options.app, None, None)],
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            max_age: KEPT,
            max_bytes: BYTES,
            num_replicas: options.replicas,
            ..Config::default()
        };
        context.get_or_create_stream(config).await.map_err(|error| refused(name.clone(), &error))?;
        made = true;
    }
}

/// As JSON text, since a header has no line ends; the end of it, which says most.
fn one_line(text: &str) -> String {
    let start = text.char_indices().rev().nth(LONGEST - 1).map_or(0, |(at, _)| at);
    serde_json::Value::from(&text[start..]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_s_subject_tells_whose_it_is() {
        let subject = "dead.workers.things.app.dev-1.events.down.sent";
        assert_eq!(group_of(subject), Some("workers"));
        assert_eq!(original(subject), Some("things.app.dev-1.events.down.sent"));
        assert_eq!((group_of("things.app.dev-1.up"), original("dead.x")), (None, None));
        assert_eq!(filter("my.app", Some("w"), Some("d-1")), "dead.w.things.my%2Eapp.d-1.>");
        assert_eq!(filter("app", None, None), "dead.*.things.app.>");
    }

    #[test]
    fn a_traceback_fits_into_a_header() {
        let text = one_line("Traceback\n  File \"x\", é\r\nValueError: 1");
        assert!(!text.contains(['\n', '\r']));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "Traceback\n  File \"x\", é\r\nValueError: 1");
        let long = format!("{}end", "é".repeat(10_000));
        let kept = serde_json::from_str::<String>(&one_line(&long)).unwrap();
        assert!(kept.chars().count() == LONGEST && kept.ends_with("end"));
    }
}
