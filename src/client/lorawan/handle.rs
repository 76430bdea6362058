//! What a program asks of a downlink that it has sent.

use std::time::Duration;

use super::Client;
use super::downlinks::{Downlinked, Outcome, REMEMBERED, State};
use crate::error::{Error, Result};

impl Client {
    /// The downlink with this message ID, one of the latest. The first call makes the client listen to what the network tells
    /// of downlinks, where it does not yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an ID of no downlink that is remembered.
    pub fn downlink(&self, mid: u16) -> Result<Downlinked> {
        self.follow();
        self.inner.platform.following.downlinks.find(mid).ok_or_else(|| forgotten(mid))
    }

    /// The state of a downlink.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is not remembered any more.
    pub fn state(&self, at: Downlinked) -> Result<State> {
        self.inner.platform.following.downlinks.state(at).ok_or_else(|| forgotten(at.mid))
    }

    /// What has become of a downlink, as far as is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is not remembered any more.
    pub fn outcome(&self, at: Downlinked) -> Result<Outcome> {
        self.inner.platform.following.downlinks.outcome(at).ok_or_else(|| forgotten(at.mid))
    }

    /// Wait until a downlink is, or has been, in a state. Gives what has become of it then.
    ///
    /// # Errors
    /// [`Error::Downlink`] when it ends otherwise, or the client is closed; [`Error::Timeout`]; [`Error::Invalid`] when it is
    /// not remembered any more.
    pub async fn reached(&self, at: Downlinked, state: State, within: Duration) -> Result<Outcome> {
        let downlinks = &self.inner.platform.following.downlinks;
        let ended = |now: State, reason: String| {
            let (mid, dev_id) = (at.mid, downlinks.outcome(at).and_then(|outcome| outcome.dev_id));
            Err(Error::Downlink { mid, dev_id, state: now.name(), reason })
        };
        let look = || match downlinks.state(at) {
            None => Some(Err(forgotten(at.mid))),
            Some(_) if downlinks.has_passed(at, state) => Some(self.outcome(at)),
            Some(now) if now.is_end_on(self.config().network) => {
                let reason = downlinks.outcome(at).and_then(|outcome| outcome.error);
                Some(ended(now, reason.unwrap_or_else(|| format!("it was not {}", state.name()))))
            }
            Some(_) => None,
        };
        tokio::select! {
            biased;
            outcome = downlinks.wait_for(look) => outcome,
            () = self.over() => look().unwrap_or_else(|| {
                let reason = format!("the client was closed before it was {}", state.name());
                downlinks.state(at).map_or_else(|| Err(forgotten(at.mid)), |now| ended(now, reason))
            }),
            () = tokio::time::sleep(within) => {
                let what = format!("waiting for downlink {} to be {}", at.mid, state.name());
                Err(Error::Timeout { what, after: within })
            }
        }
    }
}

fn forgotten(mid: u16) -> Error {
    const _: () = assert!(REMEMBERED == 10_000);
    Error::invalid("mid", mid.to_string(), "the message ID of one of the latest 10,000 downlinks of this client")
}
