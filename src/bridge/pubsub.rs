//! What a stack of one's own publishes over NATS itself (its Pub/Sub integration, V3 6.2).
//!
//! Its subjects have neither application nor device, so a stream over them could neither keep a device's order nor recognise
//! what comes twice. Bridges take turns (a queue group), and put the messages where those of MQTT are put. NATS keeps nothing
//! for them: what is published while no bridge is there, or while NATS is away, is lost.

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;

use super::parcel::{Parcel, Settle, id};
use crate::dialect::json::{Document, Value};
use crate::dialect::lorawan::Network;
use crate::error::{Error, Result};
use crate::nats::{Server, refused, subject};

/// What all bridges take turns as.
const GROUP: &str = "thingslink-bridge";
/// What a message holds, and what its topic over MQTT would end with.
const KINDS: [(&str, &str); 12] = [
    ("uplink_message", "up"),
    ("uplink_normalized", "up/normalized"),
    ("join_accept", "join"),
    ("downlink_ack", "down/ack"),
    ("downlink_nack", "down/nack"),
    ("downlink_sent", "down/sent"),
    ("downlink_failed", "down/failed"),
    ("downlink_queued", "down/queued"),
    ("downlink_queue_invalidated", "down/invalidated"),
    ("location_solved", "location/solved"),
    ("service_data", "service/data"),
    ("downlinks", ""),
];

/// The subscription.
#[derive(Clone)]
pub(super) struct Listening {
    subscriber: Arc<Mutex<Subscriber>>,
    app: String,
    give: mpsc::Sender<Parcel>,
}

/// Subscribe to all below a subject.
pub(super) async fn listen(server: &Server, base: &str, app: &str, give: mpsc::Sender<Parcel>) -> Result<Listening> {
    let base = base.trim_matches('.');
    let is_token =
        |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>".contains(&byte));
    if !base.split('.').all(is_token) {
        return Err(Error::invalid("pubsub", base, "the base topic of the Pub/Sub integration, such as plant.v1"));
    }
    let asked = server.client().queue_subscribe(format!("{base}.>"), GROUP.to_owned()).await;
    let subscriber = asked.map_err(|error| refused(base, &error))?;
    // Heard from now on, not from some moment on.
    server.client().flush().await.map_err(|error| refused(base, &error))?;
    Ok(Listening { subscriber: Arc::new(Mutex::new(subscriber)), app: app.to_owned(), give })
}

impl Listening {
    /// Take messages over until the end is asked for.
    pub(super) async fn run(self, mut end: watch::Receiver<Option<Instant>>) {
        let mut told = false;
        let mut subscriber = self.subscriber.lock().await;
        loop {
            let message = tokio::select! {
                message = subscriber.next() => message,
                _ended = end.wait_for(Option::is_some) => return,
            };
            let Some(message) = message else { return };
            match parcel(&self.app, &message) {
                Ok(Some(parcel)) => {
                    if self.give.send(parcel).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(reason) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(subject = %message.subject, "what Pub/Sub publishes is not carried: {reason}");
                    }
                }
            }
        }
    }
}

/// A message of the integration; nothing for a downlink on its way to it.
fn parcel(app: &str, message: &Message) -> Result<Option<Parcel>, String> {
    read(app, &message.payload)
}

fn read(app: &str, payload: &Bytes) -> Result<Option<Parcel>, String> {
    let document = Document::parse(payload).map_err(|error| format!("it is no JSON ({error}): is its format json?"))?;
    let root = document.root();
    let ids = root.get("end_device_ids").ok_or("it names no device")?;
    let text = |value: Option<Value<'_>>| value.and_then(Value::as_str).map(std::borrow::Cow::into_owned);
    let device = text(ids.get("device_id")).ok_or("it names no device")?;
    let of = ids.get("application_ids").and_then(|ids| text(ids.get("application_id")));
    if of.as_deref().is_some_and(|of| of != app) {
        return Err(format!("it is of the application {:?}, and not of {app:?}", of.unwrap_or_default()));
    }
    let (_, tail) = KINDS.iter().find(|(key, _)| root.get(key).is_some()).ok_or("it is of no known kind")?;
    if tail.is_empty() {
        return Ok(None);
    }
    let subject =
        subject::of_topic(Network::V3, &format!("v3/{app}/devices/{device}/{tail}")).ok_or("it has no place")?;
    let id = id(Network::V3, &subject, &document);
    Ok(Some(Parcel { subject: subject.into(), id, payload: payload.clone(), settle: Settle::Nobody }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_stack_publishes_gets_its_device_and_its_kind() {
        let text = include_str!("../../tests/vectors/tts_v3/60-pubsub-nats.jsonl");
        let mut subjects = std::collections::BTreeMap::<String, u32>::new();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(payload) = line.get("payload").and_then(serde_json::Value::as_str) else { continue };
            if let Ok(Some(parcel)) = read("app1", &Bytes::copy_from_slice(payload.as_bytes())) {
                assert!(parcel.id.is_some());
                *subjects.entry(parcel.subject.split('.').skip(3).collect::<Vec<_>>().join(".")).or_default() += 1;
            }
        }
        assert!(subjects.contains_key("up"), "{subjects:?}");
    }

    #[test]
    fn what_is_of_nobody_is_told_why() {
        for (body, why) in [
            ("nonsense", "format json"),
            ("{}", "names no device"),
            (
                r#"{"end_device_ids":{"device_id":"d-1","application_ids":{"application_id":"other"}},"uplink_message":{}}"#,
                "other",
            ),
            (r#"{"end_device_ids":{"device_id":"d-1"}}"#, "no known kind"),
        ] {
            let reason = read("app1", &Bytes::from_static(body.as_bytes())).unwrap_err();
            assert!(reason.contains(why), "{reason}");
        }
        let downlink = r#"{"end_device_ids":{"device_id":"d-1"},"downlinks":[]}"#;
        assert!(matches!(read("app1", &Bytes::from_static(downlink.as_bytes())), Ok(None)));
    }
}
