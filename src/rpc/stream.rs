//! Calls that give many messages, one after the other.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::channel::{CallOptions, Channel};
use super::codec::AsIs;
use super::method::Method;
use super::status::{deadline, to_failure};
use crate::error::{Error, Result};

/// How long nothing may come where no time is given.
const SILENCE: Duration = Duration::from_secs(60);

impl Channel {
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
        let patience = options.timeout.unwrap_or(SILENCE);
        let (request, path) = Self::request(method, message, options)?;
        let failed = |error: Error| self.explain(method, options, error);
        let begin = async {
            let mut client = self.ready().await?;
            client.server_streaming(request, path, AsIs).await.map_err(|status| to_failure(&status))
        };
        let answered = timeout(patience, begin).await.map_err(|_| deadline())?;
        let mut messages = answered.map_err(|failure| failed(failure.error))?.into_inner();
        loop {
            let next = timeout(patience, messages.message()).await.map_err(|_| deadline())?;
            match next.map_err(|status| failed(to_failure(&status).error))? {
                Some(message) => each(message),
                None => return Ok(()),
            }
        }
    }
}
