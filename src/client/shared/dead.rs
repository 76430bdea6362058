//! Messages that failed again and again: into a stream of their own, with what went wrong, before the group forgets them.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};

use super::Options;
use super::hands::Held;
use crate::error::Result;
use crate::nats::{Server, refused, stream, subject};

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

/// Put a message among the dead letters. Only when the server has it is it to be forgotten elsewhere.
pub(super) async fn bury(server: &Server, options: &Options, held: &Held, why: &str) -> Result<()> {
    let (name, context) = (name(&options.app), server.context());
    let original = held.subject.split_once(".things.").map_or(held.subject.as_str(), |(_, rest)| rest);
    let mut headers = HeaderMap::new();
    for (header, value) in [
        ("Things-Group", options.group.clone()),
        ("Things-Subject", held.subject.to_string()),
        ("Things-Sequence", held.told.sequence.to_string()),
        ("Things-Deliveries", held.told.deliveries.to_string()),
        ("Things-Stored-At", held.told.stored_at.to_string()),
        ("Things-Error", one_line(why)),
    ] {
        headers.insert(header, value);
    }
    let id = format!("{}/{}", options.group, held.told.sequence);
    let subject = format!("dead.{}.things.{original}", options.group);
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
            subjects: vec![format!("dead.*.things.{}.>", subject::token(&options.app))],
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
    fn a_traceback_fits_into_a_header() {
        let text = one_line("Traceback\n  File \"x\", é\r\nValueError: 1");
        assert!(!text.contains(['\n', '\r']));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "Traceback\n  File \"x\", é\r\nValueError: 1");
        let long = format!("{}end", "é".repeat(10_000));
        let kept = serde_json::from_str::<String>(&one_line(&long)).unwrap();
        assert!(kept.chars().count() == LONGEST && kept.ends_with("end"));
    }
}
