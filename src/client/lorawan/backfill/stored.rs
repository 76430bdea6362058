//! What The Things Stack V3 keeps: the storage integration, asked page by page (V3 3.4.14).

use std::sync::Weak;

use jiff::{SignedDuration, Timestamp};

use super::{Application, End, PATIENCE, Tries, deliver};
use crate::client::Line;
use crate::client::line::Inner;
use crate::client::stack::Stack;
use crate::dialect::lorawan::{UPLINK, take_uplinks_alone};

/// Messages that are asked for at a time.
const PAGE: usize = 500;

impl Application {
    /// What to say of a storage that does not have what was here last.
    pub(super) fn beyond_storage(&self, lost: Timestamp) -> String {
        format!(
            "the storage integration does not have the uplink of {lost}, which was the last one here: is it enabled for the \
             application {:?}, and was the client away for longer than it keeps messages (24 hours in the community's \
             network)? What came after that may be lost",
            self.config.app_id.as_str()
        )
    }
}

/// Fetch page after page, and deliver.
pub(super) async fn fetch(line: &Weak<Inner<Application>>) -> End {
    let stack = line.upgrade().and_then(|inner| inner.platform.stack().ok().flatten());
    let Some(stack) = stack else { return End::Left };
    let stack = Stack { timeout: Some(PATIENCE), ..stack };
    let mut tries = Tries::new();
    let mut last = None;
    loop {
        let Some((kind, mut after)) = next(line) else { return End::Left };
        let Some(kind) = kind else { return End::Done(None) };
        if last == Some(after) {
            // More than a page in one instant: all of it has come.
            after = after.checked_add(SignedDuration::from_micros(1)).unwrap_or(after);
        }
        last = Some(after);
        let mut page = Vec::new();
        let outcome = stack.stored(kind, after, PAGE, |message| page.push(message)).await;
        let count = page.len();
        for message in page {
            if !deliver(line, None, message).await {
                return End::Left;
            }
        }
        match outcome {
            Ok(()) if count < PAGE => return End::Done(None),
            Ok(()) => tries.failed = 0,
            Err(error) => {
                last = None;
                if let Err(error) = tries.wait(line, error).await {
                    return End::Failed(error);
                }
            }
        }
    }
}

/// What to ask for next: of which kind, if anything is listened to, and after when.
fn next(line: &Weak<Inner<Application>>) -> Option<(Option<&'static str>, Timestamp)> {
    let inner = line.upgrade().filter(|inner| inner.goes_on())?;
    let after = inner.platform.backfill.as_ref()?.state.lock().memory.after()?;
    let client = Line { inner };
    let wanted = client.subscriptions().wanted();
    let filters = || wanted.iter().map(|(filter, _)| filter.as_str());
    let uplinks = take_uplinks_alone(client.config().app_id.as_str(), filters());
    Some(((!wanted.is_empty()).then_some(if uplinks { UPLINK } else { "" }), after))
}
