//! What was missed while the client was away, out of the network's storage (V3 3.4.14): fetched after each login, and
//! delivered before what comes from then on.

use std::convert::Infallible;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, timeout};

use super::memory::{Memory, Novelty};
use super::{Application, Config};
use crate::backoff::{Backoff, Bounds};
use crate::client::line::Inner;
use crate::client::online::Online;
use crate::client::stack::Stack;
use crate::client::stats::{add, read};
use crate::client::{Body, Delivery, Incoming, Line};
use crate::dialect::json::Document;
use crate::dialect::lorawan::{Network, UPLINK, take_uplinks_alone};
use crate::dialect::mqtt::covers;
use crate::error::{Error, Result, RpcCode};
use crate::session::{Message, QoS};
use crate::sync::Mutex;

/// Messages that are asked for at a time.
const PAGE: usize = 500;
/// Bound on the wait for each message.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tries in a row that fail while the client is connected, and the delays between them.
const TRIES: u32 = 5;
const DELAYS: Bounds = Bounds { min: Duration::from_millis(200), max: Duration::from_secs(5) };
/// Messages that are let go of at a time.
const BATCH: usize = 256;
/// Who waits looks after himself so often: the client may be gone.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of messages that were missed.
#[derive(Debug, Default)]
pub(super) struct Backfill {
    state: Mutex<State>,
    /// It was told that there is no storage.
    is_absence_told: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    memory: Memory,
    /// There is a task that fetches.
    runs: bool,
    /// Another login came meanwhile.
    again: bool,
}

/// How fetching ended.
enum End {
    /// All is here.
    Done,
    /// The client is closing, or gone.
    Left,
    Failed(Error),
}

impl Config {
    /// Check that what was missed can be fetched, if it is to be.
    pub(super) fn check_backfill(&self) -> Result<()> {
        let expected = match (self.backfill, self.network, &self.management, &self.group) {
            (false, ..) => return Ok(()),
            (_, Network::ChirpStack, ..) => "False on ChirpStack",
            (_, Network::V2, ..) => "False on The Things Network V2, which keeps no messages to be asked for",
            (_, _, _, Some(_)) => "False with a group, whose stream keeps what its members miss",
            (_, _, None, _) => {
                "False where no management address is known, where the storage integration is: give \
                 management_address=\"host:port\""
            }
            _ => return Ok(()),
        };
        Err(Error::invalid("backfill", "True", expected))
    }
}

impl Application {
    /// A message came over MQTT. Tells whether it did not come out of the storage before.
    pub(super) fn is_new(&self, message: &Message) -> bool {
        let Some(backfill) = &self.backfill else { return true };
        let Ok(document) = Document::parse(&message.payload) else { return true };
        let told = self.config.network.told(document.root());
        told.is_none_or(|told| backfill.state.lock().memory.note_live(&told, Instant::now()))
    }

    /// Logged in: from now on nothing is missed, and what was is fetched.
    pub(super) fn catch_up(&self) {
        let (Some(backfill), Some(line)) = (&self.backfill, self.following.line.get()) else { return };
        let Some(inner) = line.upgrade() else { return };
        let mut state = backfill.state.lock();
        // Nothing can be missed by who has heard nothing yet.
        if !state.memory.begin() {
            return;
        }
        inner.backlog.hold();
        state.again = true;
        if !std::mem::replace(&mut state.runs, true) {
            tokio::spawn(run(line.clone()));
        }
    }
}

/// Fetch until nothing is missed, or nothing can be had.
async fn run(line: Weak<Inner<Application>>) {
    loop {
        let Some(inner) = line.upgrade() else { return };
        let Some(backfill) = &inner.platform.backfill else { return };
        let begun = {
            let mut state = backfill.state.lock();
            state.again = false;
            state.memory.after()
        };
        let stack = inner.platform.stack().ok().flatten();
        let before = read(&inner.counters.backfilled);
        drop(inner);
        let end = match stack {
            Some(stack) => fetch(&line, &Stack { timeout: Some(PATIENCE), ..stack }).await,
            None => End::Left,
        };
        let Some(inner) = line.upgrade() else { return };
        let Some(backfill) = &inner.platform.backfill else { return };
        match end {
            End::Done => {
                let fetched = read(&inner.counters.backfilled) - before;
                let lost = {
                    let mut state = backfill.state.lock();
                    // A login that came meanwhile asks for the rest itself.
                    if state.again { None } else { state.memory.settle(begun, Instant::now()) }
                };
                if fetched > 0 {
                    tracing::info!(messages = fetched, "fetched what was missed");
                }
                if let Some(lost) = lost {
                    inner.tell_of_gap(&format!(
                        "the storage integration does not have the uplink of {lost}, which was the last one here: is it \
                         enabled for the application {:?}, and was the client away for longer than it keeps messages (24 \
                         hours in the community's network)? What came after that may be lost",
                        inner.platform.config.app_id.as_str()
                    ));
                }
            }
            End::Left => {}
            End::Failed(error) => backfill.tell_of_failure(&inner, &error),
        }
        // What came meanwhile stays behind what another login asks for.
        if !backfill.state.lock().again {
            drop(inner);
            release(&line).await;
        }
        let Some(inner) = line.upgrade() else { return };
        let Some(backfill) = &inner.platform.backfill else { return };
        let mut state = backfill.state.lock();
        if !state.again {
            state.runs = false;
            return;
        }
    }
}

impl Inner<Application> {
    fn tell_of_gap(&self, text: &str) {
        tracing::warn!("{text}");
        self.tell(Delivery::Problem(Error::rpc(RpcCode::DataLoss, text)));
    }

    /// Whether somebody wants what is fetched.
    fn goes_on(&self) -> bool {
        self.is_open() && !self.muted.load(Ordering::Acquire)
    }
}

impl Backfill {
    fn tell_of_failure(&self, inner: &Inner<Application>, error: &Error) {
        let code = match error {
            Error::Rpc { code, .. } => *code,
            _ => RpcCode::Unknown,
        };
        let is_absent = matches!(code, RpcCode::Unimplemented | RpcCode::NotFound);
        let mut state = self.state.lock();
        let since = state.memory.owed().map(|at| at.to_string()).unwrap_or_default();
        if is_absent {
            state.memory.give_up();
        }
        drop(state);
        if is_absent && self.is_absence_told.swap(true, Ordering::AcqRel) {
            return;
        }
        let text = if is_absent {
            format!(
                "backfill=True has nothing to ask: this stack has no storage integration, which hosted ones have alone \
                 ({error}); what came after {since}, while the client was away, is lost, and so it will be the next time"
            )
        } else {
            format!(
                "what came after {since}, while the client was away, could not be fetched: {error}; it is asked for again \
                 after the next login"
            )
        };
        tracing::warn!("{text}");
        inner.tell(Delivery::Problem(Error::rpc(code, text)));
    }
}

/// Fetch page after page, and deliver.
async fn fetch(line: &Weak<Inner<Application>>, stack: &Stack) -> End {
    let mut backoff = Backoff::new(DELAYS, fastrand::Rng::new());
    let mut failed = 0;
    let mut last = None;
    loop {
        let Some((kind, mut after, online)) = next(line) else { return End::Left };
        let Some(kind) = kind else { return End::Done };
        if last == Some(after) {
            // More than a page in one instant: all of it has come.
            after = after.checked_add(SignedDuration::from_micros(1)).unwrap_or(after);
        }
        last = Some(after);
        let mut page = Vec::new();
        let outcome = stack.stored(kind, after, PAGE, |message| page.push(message)).await;
        let count = page.len();
        for message in page {
            if !deliver(line, message).await {
                return End::Left;
            }
        }
        match outcome {
            Ok(()) if count < PAGE => return End::Done,
            Ok(()) => failed = 0,
            Err(error) if !error.is_retryable() => return End::Failed(error),
            Err(error) => {
                last = None;
                if let Some(online) = online {
                    // The same that keeps the client away keeps from asking.
                    drop(timeout(LOOK, online.wait()).await);
                    continue;
                }
                failed += 1;
                if failed == TRIES {
                    return End::Failed(error);
                }
                tracing::debug!(%error, "asking the storage again");
                sleep(backoff.next().unwrap_or(DELAYS.max)).await;
            }
        }
    }
}

/// What to ask for next: of which kind, if anything is listened to, and after when; and the connection, if there is none.
type Next = (Option<&'static str>, Timestamp, Option<Online>);

fn next(line: &Weak<Inner<Application>>) -> Option<Next> {
    let inner = line.upgrade().filter(|inner| inner.goes_on())?;
    let after = inner.platform.backfill.as_ref()?.state.lock().memory.after()?;
    let client = Line { inner };
    let wanted = client.subscriptions().wanted();
    let filters = || wanted.iter().map(|(filter, _)| filter.as_str());
    let uplinks = take_uplinks_alone(client.config().app_id.as_str(), filters());
    let kind = (!wanted.is_empty()).then_some(if uplinks { UPLINK } else { "" });
    Some((kind, after, (!client.is_connected()).then(|| client.online())))
}

/// Deliver a message out of the storage, unless it has come already or nobody listens to it. Tells whether to go on.
async fn deliver(line: &Weak<Inner<Application>>, message: Result<String>) -> bool {
    if !calm(line).await {
        return false;
    }
    let Some(inner) = line.upgrade().filter(|inner| inner.goes_on()) else { return false };
    let application = &inner.platform;
    let Some(backfill) = &application.backfill else { return false };
    let payload = match message {
        Ok(payload) => Bytes::from(payload),
        Err(error) => {
            tracing::warn!(%error, "cannot read a message out of the storage");
            inner.tell(Delivery::Problem(error));
            return true;
        }
    };
    let Ok(document) = Document::parse(&payload) else { return true };
    let Some(told) = application.config.network.told(document.root()) else { return true };
    let novelty = backfill.state.lock().memory.note_stored(&told);
    // What came live, and lost its connection after that.
    let is_older =
        |at: &Delivery<Infallible>| received_at(at, application.config.network).is_some_and(|at| at < told.at);
    inner.backlog.let_go_while(is_older, &inner.mailbox);
    let Some(topic) = told.topic(application.config.app_id.as_str()) else { return true };
    let client = Line { inner };
    let is_wanted = client.subscriptions().wanted().iter().any(|(filter, _)| covers(filter, &topic));
    if novelty == Novelty::Known || !is_wanted {
        return true;
    }
    let inner = client.inner;
    let message = Message { topic, payload: payload.clone(), qos: QoS::AtMostOnce, retain: false, receipt: None };
    if inner.platform.heard(&message, &mut |delivery| inner.tell(delivery)) {
        add(&inner.counters.backfilled, 1);
        inner.mailbox.push(inner.take_in(message).map(Delivery::Message));
    }
    true
}

/// When the network received a message.
fn received_at(delivery: &Delivery<Infallible>, network: Network) -> Option<Timestamp> {
    let Delivery::Message(Incoming { body: Body::Json(document), .. }) = delivery else { return None };
    network.told(document.root()).map(|told| told.at)
}

/// Wait until the consumer is not far behind, so that nothing that is fetched is dropped for want of room. Tells whether
/// there still is one.
async fn calm(line: &Weak<Inner<Application>>) -> bool {
    loop {
        let Some(inner) = line.upgrade().filter(|inner| inner.goes_on()) else { return false };
        let calm = inner.mailbox.calm().clone();
        // Before looking, so that nothing is missed between.
        let calm = calm.notified();
        if inner.is_far_behind() {
            drop(inner);
            drop(timeout(LOOK, calm).await);
            continue;
        }
        return true;
    }
}

/// Let go of what came meanwhile.
async fn release(line: &Weak<Inner<Application>>) {
    loop {
        let is_calm = calm(line).await;
        let Some(inner) = line.upgrade() else { return };
        // Whoever closes delivers, or drops, what is here.
        if !is_calm || inner.backlog.let_go(BATCH, &inner.mailbox) {
            return;
        }
    }
}

impl Inner<Application> {
    /// Whether the consumer has so much to handle that more would fill its queue.
    fn is_far_behind(&self) -> bool {
        let (limits, queue) = (self.mailbox.limits(), self.mailbox.stats());
        let counters = &self.counters;
        let done = read(&counters.delivered) + read(&counters.dropped) + queue.dropped;
        let held = self.backlog.len() as u64;
        let waiting = read(&counters.received).saturating_sub(done + held);
        // What was handled counts with the queue until the consumer asks for more.
        waiting.max(queue.messages as u64) > (limits.messages / 2) as u64 || queue.bytes > limits.bytes / 2
    }
}
