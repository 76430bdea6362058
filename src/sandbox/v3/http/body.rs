//! Bodies of requests, which are read whole, and of answers that go on as they come.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::answer::refused;
use crate::rpc::json;

/// Longest request (V3 2.2).
const LONGEST: usize = 16 << 20;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of a request; `None` for one that is too long or takes too long.
pub(super) async fn read(mut body: Incoming) -> Option<Bytes> {
    let all = async {
        let mut read = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            if let Ok(data) = frame.ok()?.into_data() {
                if read.len() + data.len() > LONGEST {
                    return None;
                }
                read.extend_from_slice(&data);
            }
        }
        Some(read.freeze())
    };
    timeout(PATIENCE, all).await.ok().flatten()
}

/// Messages as they come, each on a line of its own, and at last what ended them if it was no success.
pub(super) struct Lines {
    messages: Box<Streaming<Bytes>>,
    descriptor: MessageDescriptor,
    is_over: bool,
}

impl Lines {
    pub(super) fn new(messages: Box<Streaming<Bytes>>, descriptor: MessageDescriptor) -> Self {
        Self { messages, descriptor, is_over: false }
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let message = ready!(std::pin::pin!(this.messages.message()).poll(cx));
        let message = message.and_then(|message| {
            let read = |bytes| DynamicMessage::decode(this.descriptor.clone(), bytes);
            message.map(read).transpose().map_err(|error| Status::internal(error.to_string()))
        });
        let line = match message {
            Ok(Some(message)) => format!("{{\"result\":{}}}\n\n", json::write(&message)),
            Ok(None) => {
                self.is_over = true;
                return Poll::Ready(None);
            }
            Err(status) => {
                self.is_over = true;
                format!("{{\"error\":{}}}\n\n", refused(&status))
            }
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(line)))))
    }
}
