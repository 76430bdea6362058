//! Downlinks that are written, until the MQTT server has acknowledged them.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::sync::Mutex;

/// What became of one: nothing wrong, or why it is refused.
pub(super) type Fate = Result<(), String>;

/// By message ID.
#[derive(Debug, Default)]
pub(super) struct Sent(Mutex<HashMap<u16, oneshot::Sender<Fate>>>);

impl Sent {
    /// One is about to go out under this ID.
    pub(super) fn expect(&self, mid: u16) -> oneshot::Receiver<Fate> {
        let (tell, fate) = oneshot::channel();
        self.0.lock().insert(mid, tell);
        fate
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&self, mid: u16) {
        self.0.lock().remove(&mid);
    }

    /// The server has said what becomes of it.
    pub(super) fn settle(&self, mid: u16, fate: Fate) {
        if let Some(tell) = self.0.lock().remove(&mid) {
            // Nobody may wait for it any more.
            let _gone = tell.send(fate);
        }
    }
}
