//! Downlinks on their way into the stream that bridges empty.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use crate::nats::{Server, trouble};

/// First and longest delay before a downlink is published again.
const DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Publish until the server has it; the message ID lets it recognise what came twice.
pub(super) async fn send(server: Server, subject: String, payload: Bytes, id: String) {
    let mut delay = DELAYS.0;
    loop {
        let message = PublishMessage::build().payload(payload.clone()).message_id(&id);
        let published = match server.context().send_publish(subject.clone(), message).await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        let Err(error) = published else { return };
        let reason = trouble(&error);
        tracing::warn!(
            subject,
            reason,
            "the stream of downlinks does not take one, and is asked again; `thingslink bridge` makes and empties it"
        );
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(DELAYS.1);
    }
}
