//! Calls for one device, one after the other; those for other devices do not wait.

use std::collections::HashMap;

use tokio::sync::oneshot::{self, Receiver, Sender, error::TryRecvError};

use crate::sync::Mutex;

/// How many devices are remembered before those are forgotten of which nothing is under way.
const MANY: usize = 1024;

/// The last turn of each device; it is over when its sender is gone.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Receiver<()>>>);

/// One's turn; dropping it lets the next one begin.
#[derive(Debug)]
pub(super) struct Turn {
    before: Option<Receiver<()>>,
    _mine: Sender<()>,
}

impl Turns {
    /// Queue for a device.
    pub(super) fn take(&self, device: &str) -> Turn {
        let mut last = self.0.lock();
        if last.len() >= MANY {
            last.retain(|_, turn| turn.try_recv() == Err(TryRecvError::Empty));
        }
        let (mine, over) = oneshot::channel();
        Turn { before: last.insert(device.to_owned(), over), _mine: mine }
    }
}

impl Turn {
    /// Wait for those before.
    pub(super) async fn come(&mut self) {
        if let Some(before) = &mut self.before {
            // An error: it was dropped, which is its end.
            let _over = before.await;
        }
        self.before = None;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_device_s_calls_wait_for_each_other_and_others_do_not() {
        let turns = Turns::default();
        let (first, mut second, mut other) = (turns.take("a"), turns.take("a"), turns.take("b"));
        assert!(second.come().now_or_never().is_none() && other.come().now_or_never().is_some());
        let mut third = turns.take("a");
        drop(first);
        assert!(third.come().now_or_never().is_none() && second.come().now_or_never().is_some());
        drop(second);
        assert!(third.come().now_or_never().is_some());
    }

    #[test]
    fn devices_of_which_nothing_is_under_way_are_forgotten() {
        let turns = Turns::default();
        let held = turns.take("held");
        for number in 0..3 * MANY {
            drop(turns.take(&number.to_string()));
        }
        assert!(turns.0.lock().len() <= MANY);
        assert!(turns.take("held").come().now_or_never().is_none());
        drop(held);
    }
}
