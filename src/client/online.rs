//! Waiting for the connection.

use tokio::sync::watch;

/// To wait for the connection with.
#[derive(Clone, Debug)]
pub struct Online(pub(super) watch::Receiver<bool>);

impl Online {
    /// Resolves when the client is connected.
    pub async fn wait(mut self) {
        // An error tells that the client is gone: then nobody waits either.
        let _gone = self.0.wait_for(|online| *online).await;
    }

    /// Resolves when the client is connected, or a login refused.
    pub async fn word(mut self) {
        // Not marked as seen: what was said since this was taken counts, too.
        let online = *self.0.borrow();
        if !online {
            let _gone = self.0.changed().await;
        }
    }
}
