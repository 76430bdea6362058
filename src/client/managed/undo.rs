//! A registration that is not finished leaves nothing behind, not even when nobody waits for it any more.

use std::pin::Pin;

use super::extended;
use crate::error::{Error, Result};

/// What is to be deleted again unless it is kept.
pub(in crate::client) struct Undo {
    /// The device, for the log.
    device: String,
    /// Gone when there is nothing to do any more.
    deletion: Option<Pin<Box<dyn Future<Output = Result<()>> + Send>>>,
    runtime: tokio::runtime::Handle,
}

impl Undo {
    /// What has been made of a device, and what deletes it.
    pub(in crate::client) fn new(device: &str, deletion: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        let runtime = tokio::runtime::Handle::current();
        Self { device: device.to_owned(), deletion: Some(Box::pin(deletion)), runtime }
    }

    pub(in crate::client) fn keep(mut self) {
        self.deletion = None;
    }

    /// Delete what was made; gives the error that is the reason, with what could not be deleted.
    pub(in crate::client) async fn because_of(mut self, reason: Error) -> Error {
        // Kept here while it runs: who is dropped meanwhile has it run on.
        let Some(deletion) = &mut self.deletion else { return reason };
        let outcome = deletion.await;
        self.deletion = None;
        match outcome {
            Ok(()) => reason,
            Err(left) => extended(reason, &format!("what was registered by then could not be deleted again ({left})")),
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let (Some(deletion), device) = (self.deletion.take(), std::mem::take(&mut self.device)) else { return };
        self.runtime.spawn(async move {
            if let Err(error) = deletion.await {
                tracing::warn!(device, %error, "half a registration could not be deleted again");
            }
        });
    }
}
