//! What was missed while the client was away, out of what the network keeps: fetched after each login, and delivered before
//! what comes from then on.

mod kept;
mod stored;

use std::convert::Infallible;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::memory::{Memory, Novelty, overlap};
use super::{Application, Config};
use crate::backoff::{Backoff, Bounds};
use crate::client::line::Inner;
use crate::client::stats::{add, read};
use crate::client::{Body, Delivery, Incoming, Line};
use crate::dialect::json::Document;
use crate::dialect::lorawan::{Network, published_to};
use crate::dialect::mqtt::covers;
use crate::error::{Error, Result, RpcCode};
use crate::session::{Message, QoS};
use crate::sync::Mutex;

/// Bound on each wait for the network.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tries in a row that fail while the client is connected, and the delays between them.
const TRIES: u32 = 5;
const DELAYS: Bounds = Bounds { min: Duration::from_millis(200), max: Duration::from_secs(5) };
/// Messages that are let go of at a time.
const BATCH: usize = 256;
/// Who waits looks after himself so often: the client may be gone.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of messages that were missed.
#[derive(Debug)]
pub(super) struct Backfill {
    state: Mutex<State>,
    /// It was told that nothing is kept.
    is_absence_told: AtomicBool,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    /// There is a task that fetches.
    runs: bool,
    /// Another login came meanwhile.
    again: bool,
}

/// How fetching ended.
enum End {
    /// All is here; but for what is not kept any more, which is told.
    Done(Option<String>),
    /// The client is closing, or gone.
    Left,
    Failed(Error),
}

impl Config {
    /// Check that what was missed can be fetched, if it is to be.
    pub(super) fn check_backfill(&self) -> Result<()> {
        if !self.backfill {
            return Ok(());
        }
        let has_key = !self.access_key.reveal().is_empty();
        let expected = match (self.network, &self.group) {
            (Network::V2, _) => "False on The Things Network V2, which keeps no messages to be asked for",
            (Network::V3, Some(_)) => "False with a group, whose stream keeps what its members miss",
            (Network::V3, None) if self.management.is_none() => {
                "False where no management address is known, where the storage integration is: give \
                 management_address=\"host:port\""
            }
            (Network::ChirpStack, Some(_)) => "False with a group, of which others take what one misses",
            (Network::ChirpStack, None) if self.api.is_none() => {
                "False without ChirpStack's API, which keeps the last events of each device: give \
                 grpc_address=\"host:port\", and an API key as access_key"
            }
            (Network::ChirpStack, None) if !has_key => "False without an API key of ChirpStack as access_key",
            _ => return Ok(()),
        };
        Err(Error::invalid("backfill", "True", expected))
    }
}

impl Application {
    /// A message came over MQTT. Tells whether it was not fetched before.
    pub(super) fn is_new(&self, message: &Message) -> bool {
        let Some(backfill) = &self.backfill else { return true };
        let network = self.config.network;
        let (Ok(document), _) = network.read(&message.topic, &message.payload) else { return true };
        let told = network.told(&message.topic, document.root()).filter(|_| !self.is_foreign(&message.topic));
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
        let network = inner.platform.config.network;
        let before = read(&inner.counters.backfilled);
        drop(inner);
        let end = match network {
            Network::ChirpStack => kept::fetch(&line).await,
            Network::V2 | Network::V3 => stored::fetch(&line).await,
        };
        let Some(inner) = line.upgrade() else { return };
        let Some(backfill) = &inner.platform.backfill else { return };
        match end {
            End::Done(gap) => {
                let fetched = read(&inner.counters.backfilled) - before;
                let lost = {
                    let mut state = backfill.state.lock();
                    // A login that came meanwhile asks for the rest itself.
                    match (state.again, network) {
                        (true, _) => None,
                        (false, Network::V3) => {
                            let lost = state.memory.settle(begun, Instant::now());
                            lost.map(|lost| inner.platform.beyond_storage(lost))
                        }
                        (false, _) => {
                            state.memory.clear();
                            gap
                        }
                    }
                };
                if fetched > 0 {
                    tracing::info!(messages = fetched, "fetched what was missed");
                }
                if let Some(lost) = lost {
                    inner.tell_of_gap(&lost);
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
    pub(super) fn new(network: Network) -> Self {
        let state = State { memory: Memory::new(overlap(network)), runs: false, again: false };
        Self { state: Mutex::new(state), is_absence_told: AtomicBool::new(false) }
    }

    fn tell_of_failure(&self, inner: &Inner<Application>, error: &Error) {
        let code = match error {
            Error::Rpc { code, .. } => *code,
            _ => RpcCode::Unknown,
        };
        let is_absent = matches!(code, RpcCode::Unimplemented | RpcCode::NotFound);
        let mut state = self.state.lock();
        let since = state.memory.owed().map(|at| at.to_string()).unwrap_or_default();
        if is_absent {
            state.memory.clear();
        }
        drop(state);
        if is_absent && self.is_absence_told.swap(true, Ordering::AcqRel) {
            return;
        }
        let text = if is_absent {
            let what = match inner.platform.config.network {
                Network::ChirpStack => "this server gives nobody the events that it keeps",
                Network::V2 | Network::V3 => "this stack has no storage integration, which hosted ones have alone",
            };
            format!(
                "backfill=True has nothing to ask: {what} ({error}); what came after {since}, while the client was away, is \
                 lost, and so it will be the next time"
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

/// How often a question is asked that was not answered.
struct Tries {
    backoff: Backoff,
    /// In a row, while the client was connected.
    failed: u32,
}

impl Tries {
    fn new() -> Self {
        Self { backoff: Backoff::new(DELAYS, fastrand::Rng::new()), failed: 0 }
    }

    /// Wait before it is asked again; gives the error back where that would be to no avail.
    async fn wait(&mut self, line: &Weak<Inner<Application>>, error: Error) -> Result<()> {
        let Some(inner) = line.upgrade().filter(|_| error.is_retryable()) else { return Err(error) };
        let client = Line { inner };
        if !client.is_connected() {
            // The same that keeps the client away keeps from asking.
            let online = client.online();
            drop(client);
            drop(timeout(LOOK, online.wait()).await);
            return Ok(());
        }
        drop(client);
        self.failed += 1;
        if self.failed == TRIES {
            return Err(error);
        }
        tracing::debug!(%error, "asking again for what was missed");
        sleep(self.backoff.next().unwrap_or(DELAYS.max)).await;
        Ok(())
    }
}

/// Deliver a message that was kept, unless it has come already or nobody listens to it. Its topic is given where it does not say
/// so itself. Tells whether to go on.
async fn deliver(line: &Weak<Inner<Application>>, to: Option<String>, message: Result<String>) -> bool {
    if !calm(line).await {
        return false;
    }
    let Some(inner) = line.upgrade().filter(|inner| inner.goes_on()) else { return false };
    let application = &inner.platform;
    let Some(backfill) = &application.backfill else { return false };
    let payload = match message {
        Ok(payload) => Bytes::from(payload),
        Err(error) => {
            tracing::warn!(%error, "cannot read a message that was missed");
            inner.tell(Delivery::Problem(error));
            return true;
        }
    };
    let network = application.config.network;
    let Ok(document) = Document::parse(&payload) else { return true };
    let Some(told) = network.told(to.as_deref().unwrap_or_default(), document.root()) else { return true };
    let novelty = {
        let mut state = backfill.state.lock();
        if network == Network::V3 {
            // The storage gives all that was received before it, too.
            state.memory.advance(told.at);
        }
        state.memory.note_stored(&told)
    };
    // What came live, and lost its connection after that.
    let is_older = |at: &Delivery<Infallible>| received_at(at, network).is_some_and(|at| at < told.at);
    inner.backlog.let_go_while(is_older, &inner.mailbox);
    let Some(topic) = to.clone().or_else(|| published_to(&told, application.config.app_id.as_str())) else {
        return true;
    };
    let client = Line { inner };
    let of_server = client.config().topics.of_server(&topic);
    let is_wanted = client.subscriptions().wanted().iter().any(|(filter, _)| covers(filter, &of_server));
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
    let Delivery::Message(Incoming { topic, body: Body::Json(document), .. }) = delivery else { return None };
    network.told(topic, document.root()).map(|told| told.at)
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
