//! Calls that give many messages, one after the other.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tonic::Streaming;

use super::channel::{CallOptions, Channel};
use super::codec::AsIs;
use super::method::Method;
use super::status::{deadline, to_failure};
use crate::error::Result;

/// How long nothing may come where no time is given.
const SILENCE: Duration = Duration::from_secs(60);

/// The messages of one call, encoded. Whoever lets go of them ends the call.
#[derive(Debug)]
pub struct Messages {
    channel: Channel,
    method: Method,
    options: CallOptions,
    coming: Streaming<Bytes>,
}

impl Messages {
    /// How long the call waits for each one.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.options.timeout.unwrap_or(SILENCE)
    }

    /// The next one; `None` at the end. One that does not come within `patience` may be waited for again.
    ///
    /// # Errors
    /// As [`Channel::call`], and [`Error::Rpc`] for a time that is over.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>> {
        let next = timeout(patience, self.coming.message()).await.map_err(|_| deadline())?;
        next.map_err(|status| self.channel.explain(&self.method, &self.options, to_failure(&status).error))
    }
}

impl Channel {
    /// Call a method that gives many messages, whose first answer must come in the time of the options.
    ///
    /// # Errors
    /// As [`Channel::call`].
    pub async fn open(&self, method: &Method, message: Bytes, options: &CallOptions) -> Result<Messages> {
        let (request, path) = Self::request(method, message, options)?;
        let begin = async {
            let mut client = self.ready().await?;
            client.server_streaming(request, path, AsIs).await.map_err(|status| to_failure(&status))
        };
        let answered = timeout(options.timeout.unwrap_or(SILENCE), begin).await.map_err(|_| deadline())?;
        let coming = answered.map_err(|failure| self.explain(method, options, failure.error))?.into_inner();
        Ok(Messages { channel: self.clone(), method: method.clone(), options: options.clone(), coming })
    }

    /// Call a method that gives many messages: `each` gets them, encoded, in their order. The time of the options bounds the
    /// wait for each one. What came before a failure has been given: nothing is called twice.
    ///
    /// # Errors
    /// As [`Channel::call`].
    pub async fn stream(
        &self,
        method: &Method,
        message: Bytes,
        options: &CallOptions,
        mut each: impl FnMut(Bytes) + Send,
    ) -> Result<()> {
        let mut messages = self.open(method, message, options).await?;
        while let Some(message) = messages.next(messages.patience()).await? {
            each(message);
        }
        Ok(())
    }
}
