//! What ChirpStack keeps: the last events of each device, one stream a device (CS 4.6).

use std::sync::Weak;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{Application, End, PATIENCE, Tries, deliver};
use crate::client::Line;
use crate::client::chirpstack::{ChirpStack, KEPT};
use crate::client::line::Inner;
use crate::dialect::json::Document;
use crate::dialect::lorawan::{Network, Topics, event_topic, may_be_told};
use crate::dialect::mqtt::covers;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api::LogItem;

/// Devices that are asked for at a time: the server looks after each open stream every second.
const PARALLEL: usize = 16;
/// Bytes of events that wait until all devices have been asked for. Of more the order is kept part by part.
const MOST_BYTES: usize = 64 << 20;
/// Devices that are named where some have lost events.
const NAMED: usize = 3;

/// Whom to ask, and for what.
struct Question {
    server: ChirpStack,
    application: String,
    topics: Topics,
    /// What came before this was not missed.
    after: Timestamp,
    /// What is subscribed to.
    subscribed: Vec<String>,
    /// What the program wants of that.
    wanted: Vec<String>,
}

/// An event that was missed.
struct Event {
    at: Timestamp,
    topic: String,
    body: String,
}

#[derive(Default)]
struct Found {
    events: Vec<Event>,
    bytes: usize,
    /// Devices whose oldest event may not be the first one that was missed.
    gaps: Vec<String>,
}

/// Fetch from device after device, and deliver in the order of time.
pub(super) async fn fetch(line: &Weak<Inner<Application>>) -> End {
    let question = match question(line) {
        Ok(Some(question)) => question,
        Ok(None) => return End::Left,
        Err(error) => return End::Failed(error),
    };
    let mut tries = Tries::new();
    let devices = loop {
        match question.devices().await {
            Ok(devices) => break devices,
            Err(error) => {
                if let Err(error) = tries.wait(line, error).await {
                    return End::Failed(error);
                }
            }
        }
    };
    let (asked, mut refused, mut failed) = (devices.len(), Vec::new(), None);
    let mut waiting = devices.into_iter();
    let mut asking = JoinSet::new();
    let mut found = Found::default();
    loop {
        for dev_eui in waiting.by_ref().take(PARALLEL.saturating_sub(asking.len())) {
            asking.spawn(ask(line.clone(), question.server.clone(), dev_eui));
        }
        // One that panicked was told of elsewhere.
        let Some(answer) = asking.join_next().await else { break };
        match answer {
            Ok((dev_eui, Ok(items))) => found.add(line, &question, &dev_eui, items),
            // It may have been deleted since.
            Ok((_, Err(error))) if is_of_one_device(&error) => refused.push(error),
            Ok((_, Err(error))) => {
                failed = Some(error);
                break;
            }
            Err(error) => tracing::debug!(%error, "asking for a device's events"),
        }
        if found.bytes > MOST_BYTES && !found.deliver(line).await {
            return End::Left;
        }
    }
    drop(asking);
    if !found.deliver(line).await {
        return End::Left;
    }
    // A key that gets nothing of any device is refused as one is that does not exist.
    if refused.len() == asked {
        failed = failed.or(refused.pop());
    }
    match failed {
        Some(error) => End::Failed(error),
        None => End::Done(found.gap()),
    }
}

fn question(line: &Weak<Inner<Application>>) -> Result<Option<Question>> {
    let Some(inner) = line.upgrade().filter(|inner| inner.goes_on()) else { return Ok(None) };
    let application = &inner.platform;
    let after = application.backfill.as_ref().and_then(|backfill| backfill.state.lock().memory.after());
    let (Some(after), Some(server)) = (after, application.api()?.map(|server| server.within(PATIENCE))) else {
        return Ok(None);
    };
    let uuid = application.directory.application().ok_or_else(|| {
        let expected = "an application whose UUID is known: give tenant_id";
        Error::invalid("app_id", application.config.app_id.as_str(), expected)
    })?;
    let wanted = application.following.filters();
    let client = Line { inner };
    let subscribed = client.subscriptions().wanted().iter().map(|(filter, _)| filter.clone()).collect();
    let topics = client.config().topics.clone();
    Ok(Some(Question { server, application: uuid, topics, after, subscribed, wanted }))
}

impl Question {
    /// Whether the client has subscribed to a topic.
    fn takes(&self, topic: &str) -> bool {
        let topic = self.topics.of_server(topic);
        self.subscribed.iter().any(|filter| covers(filter, &topic))
    }

    /// The devices of which something may have been missed. Who has sent nothing since has nothing but such events as come
    /// without an uplink, which are asked for where the program wants them.
    async fn devices(&self) -> Result<Vec<String>> {
        let (subscribed, wanted) = (texts(&self.subscribed), texts(&self.wanted));
        let is_meant = |dev_eui: &str, seen: Option<Timestamp>| {
            let (uplinks, others) = may_be_told(&subscribed, &self.topics, &self.application, dev_eui);
            let is_seen = seen.is_some_and(|seen| seen >= self.after);
            ((uplinks || others) && is_seen) || may_be_told(&wanted, &self.topics, &self.application, dev_eui).1
        };
        self.server.devices_of(&self.application, is_meant).await
    }
}

fn texts(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// Ask for the events of a device, again where that may help.
async fn ask(line: Weak<Inner<Application>>, server: ChirpStack, dev_eui: String) -> (String, Result<Vec<LogItem>>) {
    let mut tries = Tries::new();
    loop {
        let error = match server.kept_events(&dev_eui).await {
            Ok(items) => return (dev_eui, Ok(items)),
            Err(error) => error,
        };
        if let Err(error) = tries.wait(&line, error).await {
            return (dev_eui, Err(error));
        }
    }
}

/// Whether a device is refused, and not the client: the key was good for their list.
fn is_of_one_device(error: &Error) -> bool {
    matches!(error, Error::Rpc { code: RpcCode::Unauthenticated | RpcCode::NotFound, .. })
}

impl Found {
    /// Take in what is new of a device's events. Their order stays, whatever the clocks of gateways say.
    fn add(&mut self, line: &Weak<Inner<Application>>, question: &Question, dev_eui: &str, items: Vec<LogItem>) {
        let Some(inner) = line.upgrade() else { return };
        let Some(backfill) = &inner.platform.backfill else { return };
        let state = backfill.state.lock();
        let (kept, mut is_joined, mut latest) = (items.len(), false, Timestamp::MIN);
        for item in items {
            let topic = event_topic(&question.application, dev_eui, &item.description);
            let Ok(document) = Document::parse(item.body.as_bytes()) else { continue };
            let Some(told) = Network::ChirpStack.told(&topic, document.root()) else { continue };
            latest = latest.max(told.at);
            let is_known = state.memory.knows(&told);
            is_joined |= is_known || told.at <= question.after;
            if is_known || told.at <= question.after || !question.takes(&topic) {
                continue;
            }
            self.bytes += topic.len() + item.body.len();
            self.events.push(Event { at: latest, topic: topic.clone(), body: item.body });
        }
        if kept >= KEPT && !is_joined {
            self.gaps.push(dev_eui.to_owned());
        }
    }

    /// Deliver what there is, the oldest first. Tells whether to go on.
    async fn deliver(&mut self, line: &Weak<Inner<Application>>) -> bool {
        self.bytes = 0;
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.at);
        for Event { topic, body, .. } in events {
            if !deliver(line, Some(topic), Ok(body)).await {
                return false;
            }
        }
        true
    }

    /// What to say of events that are not kept any more.
    fn gap(&self) -> Option<String> {
        let (first, count) = (self.gaps.iter().take(NAMED), self.gaps.len());
        let mut named = first.map(String::as_str).collect::<Vec<_>>().join(", ");
        if count > NAMED {
            named = format!("{named} and {} more", count - NAMED);
        }
        (count > 0).then(|| {
            format!(
                "ChirpStack keeps the last {KEPT} events of each device, and more than these came while the client was away: \
                 older ones are lost (of {named})"
            )
        })
    }
}
