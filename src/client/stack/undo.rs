//! A registration that is not finished leaves nothing behind, not even when nobody waits for it any more.

use super::{Stack, tolerate_absence};
use crate::error::{Error, Result};
use crate::rpc::proto::v3;

/// What is to be deleted again unless it is kept.
pub(super) struct Undo {
    /// Gone when there is nothing to do any more.
    made: Option<(Stack, v3::EndDeviceIdentifiers)>,
    runtime: tokio::runtime::Handle,
}

impl Undo {
    pub(super) fn new(stack: &Stack, ids: v3::EndDeviceIdentifiers) -> Self {
        Self { made: Some((stack.clone(), ids)), runtime: tokio::runtime::Handle::current() }
    }

    pub(super) fn keep(mut self) {
        self.made = None;
    }

    /// Delete what was made; gives the error that is the reason, with what could not be deleted.
    pub(super) async fn because_of(mut self, reason: Error) -> Error {
        let Some((stack, ids)) = &self.made else { return reason };
        let outcome = tolerate_absence(stack.delete(ids).await);
        self.made = None;
        let Err(left) = outcome else { return reason };
        match reason {
            Error::Rpc { code, details, reported } => {
                let details = format!("{details}; what was registered by then could not be deleted again ({left})");
                Error::Rpc { code, details, reported }
            }
            reason => reason,
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some((stack, ids)) = self.made.take() else { return };
        self.runtime.spawn(async move {
            let outcome: Result<()> = tolerate_absence(stack.delete(&ids).await);
            if let Err(error) = outcome {
                tracing::warn!(device = ids.device_id, %error, "half a registration could not be deleted again");
            }
        });
    }
}
