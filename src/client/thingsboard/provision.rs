//! Asking a server for credentials of a new device (TB 1.6).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::backoff::Pace;
use crate::dialect::thingsboard::names;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::net::Tls;
use crate::session::{Event, Options, Outbox, OutboxLimits, QoS, Ready, Session, Sink, Subscriptions, Version};
use crate::sync::Mutex;

/// Takes the first answer.
struct Inlet {
    answer: Mutex<Option<oneshot::Sender<Result<Bytes>>>>,
    address: String,
    room: Notify,
}

impl Inlet {
    fn give(&self, answer: Result<Bytes>) {
        let waiting = self.answer.lock().take();
        if let Some(waiting) = waiting {
            let _nobody_waits = waiting.send(answer);
        }
    }
}

impl Sink for Inlet {
    fn deliver(&self, batch: &mut Vec<Event>) -> bool {
        for event in batch.drain(..) {
            match event {
                Event::Message(message) if message.topic == names::PROVISION_RESPONSE => {
                    self.give(Ok(message.payload));
                }
                Event::SubscriptionRefused { filter } => {
                    self.give(Err(Error::SubscriptionRefused { filter, hint: "" }));
                }
                Event::Lost { error, .. } => self.give(Err(over_the_request(error))),
                Event::Ended => {
                    let reason = "the server parted without an answer".to_owned();
                    self.give(Err(Error::Lost { address: self.address.clone(), reason }));
                }
                _ => {}
            }
        }
        false
    }

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> &Notify {
        &self.room
    }
}

/// A server that closes the connection instead of an answer does so over what it was asked.
fn over_the_request(error: Error) -> Error {
    let Error::Lost { address, reason } = error else { return error };
    let known = "provisionDeviceKey and provisionDeviceSecret must be there, and no value null";
    Error::Lost { address, reason: format!("{reason} instead of an answer to the provisioning request: {known}") }
}

/// Send a request and give the answer's text, all of it within `timeout`.
///
/// # Errors
/// What kept the answer from coming.
pub async fn provision(endpoint: Endpoint, tls: Option<Tls>, request: Bytes, timeout: Duration) -> Result<Bytes> {
    let address = endpoint.to_string();
    let deadline = Instant::now() + timeout;
    let (answer, answered) = oneshot::channel();
    let inlet = Inlet { answer: Mutex::new(Some(answer)), address: address.clone(), room: Notify::new() };
    let options = Options {
        endpoint,
        tls,
        client_id: String::new(),
        username: "provision".into(),
        password: AccessKey::new(""),
        will: None,
        proxy: None,
        version: Version::V311,
        fallback: false,
        ready: Ready::Subscribed,
        clean_session: true,
        keep_alive: Duration::from_secs(60),
        connect_timeout: timeout,
        reconnect: false,
        pace: Pace::default(),
        max_incoming_bytes: 1 << 20,
    };
    let outbox = Arc::new(Outbox::new(OutboxLimits::default()));
    let filters = vec![(names::PROVISION_RESPONSE.to_owned(), QoS::AtMostOnce)];
    let subscriptions = Arc::new(Subscriptions::one_by_one(filters));
    let late = || Error::Timeout { what: format!("provisioning at {address}"), after: timeout };
    let start = Session::start(options, outbox.clone(), subscriptions, Arc::new(inlet), None);
    let session = tokio::time::timeout_at(deadline, start).await.map_err(|_| late())??;
    outbox.publish(names::PROVISION_REQUEST.to_owned(), request, QoS::AtMostOnce)?;
    let outcome = tokio::time::timeout_at(deadline, answered).await;
    session.close(Duration::from_secs(1)).await;
    match outcome {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Error::Lost { address, reason: "the session ended".into() }),
        Err(_) => Err(late()),
    }
}
