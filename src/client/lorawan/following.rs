//! Downlinks on their way: what is known of them comes from what the session and the network tell, on the session's own
//! task. So a state is there before the callbacks of the message that brought it, and of the uplink after it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::downlinks::{Change, Downlinked, Downlinks, Mark, State};
use super::management::why;
use super::race::Races;
use super::{Application, Client, Config, chirpstack};
use crate::client::line::Inner;
use crate::client::{Delivery, Platform};
use crate::dialect::json::Value;
use crate::dialect::lorawan::{Filter, Network, Step};
use crate::dialect::mqtt::covers;
use crate::error::Error;
use crate::ids::DevId;
use crate::session::Message;
use crate::sync::Mutex;

type Tell<'a> = &'a mut dyn FnMut(Delivery<<Application as Platform>::Own>);

/// What may be behind it when the network does not say a word of a downlink (V3 2.6).
const SILENCE: &str = "is there such a device, has the access key the rights to write downlinks \
                       (RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE) and to read traffic (RIGHT_APPLICATION_TRAFFIC_READ), and did \
                       the connection last?";

/// How long closing waits for the network's word on downlinks at most.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What is known of downlinks, and what has to be heard for it.
#[derive(Debug, Default)]
pub(super) struct Following {
    pub(super) downlinks: Downlinks,
    /// Queues that are written anew.
    pub(super) races: Races,
    /// What the program wants.
    wanted: Mutex<Wanted>,
    /// What is told of downlinks is listened to.
    follows: AtomicBool,
    silent: Mutex<Silent>,
    /// To tell what nobody has said.
    pub(super) line: OnceLock<Weak<Inner<Application>>>,
}

/// What the program wants, and the MQTT filters of it.
#[derive(Debug, Default)]
struct Wanted {
    subjects: Vec<Filter>,
    filters: Vec<String>,
}

/// Downlinks of which the network has not said a word.
#[derive(Debug, Default)]
struct Silent {
    unwritten: HashMap<u16, (Downlinked, DevId)>,
    /// In the order in which they were written.
    written: VecDeque<Written>,
    /// There is a task that waits for the first of them.
    watched: bool,
}

#[derive(Debug)]
struct Written {
    at: Downlinked,
    dev_id: DevId,
    /// When it counts as unconfirmed.
    until: Instant,
}

impl Following {
    /// The program wants these and no others.
    pub(super) fn want(&self, subjects: Vec<Filter>, client: &Client) {
        let mut wanted = self.wanted.lock();
        wanted.subjects = subjects;
        self.subscribe(&mut wanted, client);
    }

    /// The filters of what the program wants.
    pub(super) fn filters(&self) -> Vec<String> {
        self.wanted.lock().filters.clone()
    }

    /// The application is known by what topics call it.
    pub(super) fn anew(&self, client: &Client) {
        self.subscribe(&mut self.wanted.lock(), client);
    }

    /// Listen to what is told of downlinks, from now on. What is sent after this is heard of from its beginning.
    pub(super) fn follow(&self, client: &Client) {
        // Of a group another client may get what is told of ours: nobody would know whose it is.
        if client.config().group.is_some() || self.follows.load(Ordering::Acquire) {
            return;
        }
        let mut wanted = self.wanted.lock();
        self.follows.store(true, Ordering::Release);
        self.subscribe(&mut wanted, client);
    }

    fn subscribe(&self, wanted: &mut Wanted, client: &Client) {
        let Config { network, group, topics, .. } = client.config();
        let app_id = client.app_in_topics();
        let of_server = |filter: String| topics.of_server(&filter).into_owned();
        let filters = wanted.subjects.iter().flat_map(|subject| network.filters(&app_id, subject));
        wanted.filters = filters.map(of_server).collect();
        let own = self.follows.load(Ordering::Acquire).then(|| network.steps(&app_id));
        let all = wanted.filters.iter().cloned().chain(own.into_iter().flatten().map(of_server));
        match group {
            Some(group) => client.subscriptions().set(all.map(|filter| group.shared(&filter))),
            None => client.subscriptions().set(all),
        }
    }

    pub(super) fn attach(&self, line: Weak<Inner<Application>>) {
        // Once, when the client is made.
        let _first = self.line.set(line);
    }

    /// A downlink is about to go out. `dev_id` is given where the network is to confirm it.
    pub(super) fn note(&self, mid: u16, mark: Mark, dev_id: Option<&DevId>) -> Downlinked {
        let at = self.downlinks.remember(mid, mark);
        if let Some(dev_id) = dev_id {
            self.silent.lock().unwritten.insert(mid, (at, dev_id.clone()));
        }
        at
    }
}

impl Application {
    /// A message went out. Tells whether that is all that is to be known of it.
    pub(super) fn written(&self, mid: u16) -> bool {
        let following = &self.following;
        let Some(at) = following.downlinks.find(mid) else { return true };
        following.downlinks.advance(at, State::Written);
        if self.config.network == Network::ChirpStack {
            following.downlinks.fail(at, State::Unconfirmed, None, chirpstack::UNCONFIRMED);
            return true;
        }
        if self.config.network == Network::V2 || self.config.group.is_some() {
            return true;
        }
        let mut silent = following.silent.lock();
        let Some((_, dev_id)) = silent.unwritten.remove(&mid).filter(|(known, _)| *known == at) else { return false };
        // The acknowledgement may come after the word itself.
        if following.downlinks.state(at) == Some(State::Written) {
            silent.written.push_back(Written { at, dev_id, until: Instant::now() + self.config.queue_timeout });
            if !std::mem::replace(&mut silent.watched, true)
                && let Some(line) = following.line.get()
            {
                tokio::spawn(watch(line.clone()));
            }
        }
        false
    }

    /// Wait until the network has said of all downlinks that are on their way whether it has them. Those of which it has not
    /// said a word by then are unconfirmed.
    pub(super) async fn hear_of_downlinks(&self, within: Duration) {
        let Following { downlinks, silent, .. } = &self.following;
        let all = || silent.lock().on_their_way(downlinks);
        let heard = downlinks.wait_for(|| all().is_empty().then_some(()));
        if tokio::time::timeout(within.min(LAST_WORD), heard).await.is_ok() {
            return;
        }
        let inner = self.following.line.get().and_then(Weak::upgrade);
        for (at, dev_id) in all() {
            let reason = format!("the client was closed before the network had said that it is queued: {SILENCE}");
            if downlinks.fail(at, State::Unconfirmed, Some(dev_id.as_str()), &reason) != Change::None {
                tracing::warn!(mid = at.mid, dev_id = dev_id.as_str(), "downlink unconfirmed: {reason}");
                if let Some(inner) = &inner {
                    inner.tell(Delivery::Problem(failure(at, dev_id.as_str(), State::Unconfirmed, reason)));
                }
            }
        }
    }

    /// The server refused a message, or hung up over it.
    pub(super) fn rejected(&self, mid: u16, reason: u8) {
        let unwritten = self.following.silent.lock().unwritten.remove(&mid);
        if let Some(at) = self.following.downlinks.find(mid) {
            let text =
                format!("the server refused the message (reason code {reason}), or hung up over it again and again");
            let dev_id = unwritten.as_ref().map(|(_, dev_id)| dev_id.as_str());
            self.following.downlinks.fail(at, State::Failed, dev_id, &text);
        }
    }

    /// A message came. Tells whether the program asked for it.
    pub(super) fn heard(&self, message: &Message, tell: Tell<'_>) -> bool {
        let network = self.config.network;
        if !self.following.follows.load(Ordering::Acquire) || !network.may_tell_of_downlinks(&message.topic) {
            return true;
        }
        if let (Ok(document), _) = network.read(&message.topic, &message.payload)
            && let Some((dev_id, step)) = network.step(&message.topic, document.root())
        {
            let (event, downlinks) = (document.root(), &self.following.downlinks);
            let reason = if step == Step::Failed { network.failure(event) } else { String::new() };
            match network {
                Network::V2 => {
                    if let Some(at) = downlinks.of_device(dev_id, network.port_of_event(event), step) {
                        self.stepped(at, dev_id, step, &reason, event);
                    }
                }
                Network::V3 | Network::ChirpStack => {
                    self.following.races.note(dev_id, step, event);
                    for token in network.tokens(event) {
                        let Some(at) = downlinks.with_token(token) else {
                            self.enqueuing.note(token, step, &reason);
                            continue;
                        };
                        match (self.stepped(at, dev_id, step, &reason, event), step) {
                            // Of ChirpStack it was told when it was written, or the API had answered.
                            (Change::Queued, _) if network == Network::V3 => tell(Delivery::Sent(at.mid)),
                            (Change::Moved, Step::Failed) => {
                                let error = failure(at, dev_id, State::Failed, reason.clone());
                                tell(Delivery::Problem(error));
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        let published = self.config.topics.of_server(&message.topic);
        self.following.wanted.lock().filters.iter().any(|filter| covers(filter, &published))
    }

    fn stepped(&self, at: Downlinked, dev_id: &str, step: Step, reason: &str, event: Value<'_>) -> Change {
        let error = (step == Step::Failed).then_some(reason);
        let ids = self.config.network.correlation_ids(event);
        self.following.downlinks.tell(at, step.into(), Some(dev_id), error, ids)
    }
}

fn failure(at: Downlinked, dev_id: &str, state: State, reason: String) -> Error {
    Error::Downlink { mid: at.mid, dev_id: Some(dev_id.to_owned()), state: state.name(), reason }
}

impl Silent {
    fn on_their_way(&self, downlinks: &Downlinks) -> Vec<(Downlinked, DevId)> {
        let written = self.written.iter().map(|written| (&written.at, &written.dev_id));
        let all = self.unwritten.values().map(|(at, dev_id)| (at, dev_id)).chain(written);
        let is_silent = |at: Downlinked| matches!(downlinks.state(at), Some(State::Waiting | State::Written));
        all.filter(|(at, _)| is_silent(**at)).map(|(at, dev_id)| (*at, dev_id.clone())).collect()
    }

    /// Those whose time is over, and when the next one's is.
    fn take_due(&mut self, downlinks: &Downlinks, now: Instant) -> (Vec<Written>, Option<Instant>) {
        let mut due = Vec::new();
        while let Some(first) = self.written.front() {
            let is_silent = downlinks.state(first.at) == Some(State::Written);
            if is_silent && first.until > now {
                break;
            }
            due.extend(self.written.pop_front().filter(|_| is_silent));
        }
        let next = self.written.front().map(|first| first.until);
        self.watched = next.is_some();
        (due, next)
    }
}

/// Wait for the time of written downlinks to be over, as long as there are some.
async fn watch(line: Weak<Inner<Application>>) {
    loop {
        let Some(inner) = line.upgrade() else { return };
        let application = &inner.platform;
        let (due, next) =
            application.following.silent.lock().take_due(&application.following.downlinks, Instant::now());
        // The client is not kept while others are asked.
        drop(inner);
        if !due.is_empty() {
            tokio::spawn(give_up(line.clone(), due));
        }
        match next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => return,
        }
    }
}

/// Call these downlinks unconfirmed, and tell why, as far as anybody knows.
async fn give_up(line: Weak<Inner<Application>>, due: Vec<Written>) {
    // Each device is asked for once.
    let mut reasons: HashMap<DevId, Option<String>> = HashMap::new();
    let stack = line.upgrade().and_then(|inner| inner.platform.stack().ok().flatten());
    for Written { at, dev_id, .. } in due {
        let known = match (&stack, reasons.get(&dev_id)) {
            (_, Some(known)) => known.clone(),
            (Some(stack), None) => {
                let known = why(stack, dev_id.as_str()).await;
                reasons.insert(dev_id.clone(), known.clone());
                known
            }
            (None, None) => None,
        };
        let Some(inner) = line.upgrade() else { return };
        let application = &inner.platform;
        let patience = application.config.queue_timeout.as_secs_f64();
        let known = known.as_deref().unwrap_or(SILENCE);
        let reason = format!("the network has not said within {patience} s that it is queued: {known}");
        let downlinks = &application.following.downlinks;
        if downlinks.fail(at, State::Unconfirmed, Some(dev_id.as_str()), &reason) != Change::None {
            tracing::warn!(mid = at.mid, dev_id = dev_id.as_str(), "downlink unconfirmed: {reason}");
            if inner.is_open() {
                inner.tell(Delivery::Problem(failure(at, dev_id.as_str(), State::Unconfirmed, reason)));
            }
        }
    }
}
