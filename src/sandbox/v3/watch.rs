//! What the servers tell of their work, to those who follow it (V3 3.4.13). Nothing is kept of it.

use prost_types::Any;
use tokio::sync::mpsc;
use tonic::Status;

use super::failure::Failure;
use super::record::now;
use super::right::TRAFFIC_READ;
use super::stack::Stack;
use crate::rpc::proto::v3::application_up::Up;
use crate::rpc::proto::v3::entity_identifiers::Ids;
use crate::rpc::proto::v3::{
    ApplicationIdentifiers, ApplicationUp, EndDeviceIdentifiers, EntityIdentifiers, Event, Rights,
};
use crate::sync::Mutex;

/// The first event of every stream.
pub(super) const START: &str = "events.stream.start";
const UPLINK: &str = "as.up.data.forward";
const JOIN: &str = "as.up.join.forward";
pub(super) const DECODE_FAILED: &str = "as.up.data.decode.fail";
const RECEIVED: &str = "as.down.data.receive";
const QUEUED: &str = "as.down.data.forward";
const DROPPED: &str = "as.down.data.drop";
/// All of them.
pub(super) const NAMES: [&str; 7] = [START, UPLINK, JOIN, DECODE_FAILED, RECEIVED, QUEUED, DROPPED];

/// Events that wait for who follows; what is more is dropped without a word.
const BUFFER: usize = 64 + 128;

/// An application, or one of its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) uid: String,
    pub(super) dev_id: Option<String>,
}

/// What somebody follows.
#[derive(Debug)]
pub(super) struct Wish {
    /// With whether its traffic may be seen.
    pub(super) about: Vec<(About, bool)>,
    /// All if there are none.
    pub(super) names: Vec<String>,
}

impl Wish {
    fn takes(&self, uid: &str, dev_id: &str, name: &str) -> bool {
        let is_named = self.names.is_empty() || self.names.iter().any(|wanted| wanted == name);
        let is_meant = |about: &About| about.uid == uid && about.dev_id.as_ref().is_none_or(|wanted| wanted == dev_id);
        is_named && self.about.iter().any(|(about, may_see)| *may_see && is_meant(about))
    }
}

#[derive(Debug)]
struct Watcher {
    wish: Wish,
    tell: mpsc::Sender<Result<Event, Status>>,
}

/// Those who follow.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<Vec<Watcher>>);

/// An event as it is told; all that there are here are of an application's traffic.
fn event(name: &str, ids: EndDeviceIdentifiers, data: Option<Any>, unique_id: String) -> Event {
    Event {
        name: name.to_owned(),
        time: Some(now()),
        identifiers: vec![EntityIdentifiers { ids: Some(Ids::DeviceIds(ids)) }],
        data,
        origin: "localhost".to_owned(),
        visibility: Some(Rights { rights: vec![TRAFFIC_READ] }),
        unique_id,
        ..Event::default()
    }
}

/// A message of any type, with its name.
fn any(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("type.googleapis.com/ttn.lorawan.v3.{name}"), value: message.encode_to_vec() }
}

impl Watchers {
    /// Follow from now on; the first event says that it has begun.
    pub(super) fn watch(&self, wish: Wish, start: Event) -> mpsc::Receiver<Result<Event, Status>> {
        let (tell, told) = mpsc::channel(BUFFER);
        // There is room.
        let _told = tell.try_send(Ok(start));
        self.0.lock().push(Watcher { wish, tell });
        told
    }

    /// Tell those who follow it of something; it is looked up only for them.
    pub(super) fn tell(&self, uid: &str, dev_id: &str, name: &str, event: impl FnOnce() -> Option<Event>) {
        let mut watchers = self.0.lock();
        watchers.retain(|watcher| !watcher.tell.is_closed());
        let mut meant = watchers.iter().filter(|watcher| watcher.wish.takes(uid, dev_id, name)).peekable();
        let Some(event) = meant.peek().and_then(|_| event()) else { return };
        for watcher in meant {
            if watcher.tell.try_send(Ok(event.clone())).is_err() {
                tracing::debug!(%uid, name, "who follows events is too slow: dropped one");
            }
        }
    }

    /// End all streams.
    pub(super) fn end(&self, why: &Status) {
        for watcher in self.0.lock().drain(..) {
            // For one that is too slow the stream ends without a word.
            let _told = watcher.tell.try_send(Err(why.clone()));
        }
    }
}

impl Stack {
    /// Tell of a message to applications.
    pub(super) fn tell_of_message(&self, uid: &str, dev_id: &str, end: &str, up: impl Fn() -> Option<ApplicationUp>) {
        let names: &[&str] = match end {
            "up" => &[UPLINK],
            "join" => &[JOIN],
            "down/queued" => &[RECEIVED, QUEUED],
            _ => &[],
        };
        for name in names {
            self.tell(uid, dev_id, name, &up);
        }
    }

    /// Tell of a downlink that is not taken.
    pub(super) fn tell_of_refusal(&self, uid: &str, dev_id: &str, up: impl Fn() -> Option<ApplicationUp>) {
        for name in [RECEIVED, DROPPED] {
            self.tell(uid, dev_id, name, &up);
        }
    }

    fn tell(&self, uid: &str, dev_id: &str, name: &str, up: impl Fn() -> Option<ApplicationUp>) {
        self.watchers.tell(uid, dev_id, name, || {
            let up = up()?;
            let data = match &up.up {
                Some(Up::DownlinkQueued(downlink)) => any("ApplicationDownlink", downlink),
                Some(Up::DownlinkFailed(failed)) if name == DROPPED => any("ErrorDetails", failed.error.as_ref()?),
                Some(Up::DownlinkFailed(failed)) => any("ApplicationDownlink", failed.downlink.as_ref()?),
                _ => any("ApplicationUp", &up),
            };
            let ids = up.end_device_ids.unwrap_or_default();
            let told = event(name, ids, Some(data), self.new_id("").split_off(1));
            Some(Event { correlation_ids: up.correlation_ids, ..told })
        });
    }

    /// Tell of something that failed.
    pub(super) fn tell_of_failure(&self, app_id: &str, uid: &str, dev_id: &str, name: &str, failure: &Failure) {
        self.watchers.tell(uid, dev_id, name, || {
            let ids = EndDeviceIdentifiers {
                device_id: dev_id.to_owned(),
                application_ids: Some(ApplicationIdentifiers { application_id: app_id.to_owned() }),
                ..EndDeviceIdentifiers::default()
            };
            let data = any("ErrorDetails", &failure.details(&mut self.random()));
            Some(event(name, ids, Some(data), self.new_id("").split_off(1)))
        });
    }
}
