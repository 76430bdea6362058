//! Downlinks of `ChirpStack` over its API, whose answer is the proof that they are queued (CS 3.6, 4.4), and who is who by its
//! word.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;

use super::chirpstack::Api;
use super::directory::Place;
use super::downlinks::{Mark, State};
use super::{Application, Client};
use crate::client::Delivery;
use crate::client::chirpstack::{ChirpStack, no_codec};
use crate::dialect::lorawan::{Downlink, Network, Payload, Schedule, Step, base64, item_token, uuid};
use crate::error::{Error, Result};
use crate::ids::DevId;
use crate::rpc::proto::chirpstack::api;
use crate::rpc::to_struct;
use crate::sync::Mutex;

/// Bound on each call.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events that are kept while an answer is awaited: the server's word may come before it.
const EARLY: usize = 1000;

/// What is known of downlinks on their way to the API.
#[derive(Debug, Default)]
pub(super) struct Enqueuing {
    way: Mutex<Option<ChirpStack>>,
    /// Done when the one before is.
    last: Mutex<Option<oneshot::Receiver<()>>>,
    early: Mutex<Early>,
}

#[derive(Debug, Default)]
struct Early {
    /// Calls that are under way.
    calls: usize,
    events: VecDeque<(u64, Step, String)>,
}

/// A place in the order in which downlinks were given. Its end lets the next one go.
#[derive(Debug)]
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _done: oneshot::Sender<()>,
}

/// While it lives, events of unknown downlinks are kept.
struct Listening<'a>(&'a Enqueuing);

impl Enqueuing {
    fn take_turn(&self) -> Turn {
        let (done, next) = oneshot::channel();
        Turn { before: self.last.lock().replace(next), _done: done }
    }

    fn listen(&self) -> Listening<'_> {
        self.early.lock().calls += 1;
        Listening(self)
    }

    /// An event of a downlink that nobody knows.
    pub(super) fn note(&self, token: u64, step: Step, reason: &str) {
        let mut early = self.early.lock();
        if early.calls > 0 {
            if early.events.len() == EARLY {
                early.events.pop_front();
            }
            early.events.push_back((token, step, reason.to_owned()));
        }
    }

    fn events_of(&self, token: u64) -> Vec<(Step, String)> {
        let early = self.early.lock();
        early.events.iter().filter(|(of, ..)| *of == token).map(|(_, step, why)| (*step, why.clone())).collect()
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut early = self.0.early.lock();
        early.calls -= 1;
        if early.calls == 0 {
            early.events.clear();
        }
    }
}

impl Application {
    /// The way to the server's API, where it is known: one for all calls, until the client is closed.
    pub(super) fn api(&self) -> Result<Option<ChirpStack>> {
        let Some(Api { endpoint, trust, .. }) = &self.config.api else { return Ok(None) };
        let mut way = self.enqueuing.way.lock();
        if way.is_none() {
            *way = Some(ChirpStack::new(endpoint, trust, self.config.access_key.clone(), PATIENCE)?);
        }
        Ok(way.clone())
    }

    /// Let go of the way to the API.
    pub(super) fn leave_api(&self) {
        self.enqueuing.way.lock().take();
    }

    /// Where a device is: by what has been heard, else by the API.
    async fn look_for(&self, server: &ChirpStack, dev_id: &DevId) -> Result<Place> {
        match self.directory.find(dev_id) {
            Err(Error::Invalid { what: "dev_id", .. }) => {}
            outcome => return outcome,
        }
        let application = self.directory.application().ok_or_else(|| {
            Error::invalid("app_id", self.config.app_id.as_str(), "an application whose UUID is known: give tenant_id")
        })?;
        let dev_eui = server.device_called(&application, dev_id.as_str()).await?.ok_or_else(|| {
            let expected =
                "a device of the application, by its tag dev_id, its name or its DevEUI: it has none of these";
            Error::invalid("dev_id", dev_id.as_str(), expected)
        })?;
        let place = Place { application, dev_eui };
        self.directory.learn(dev_id, &place);
        Ok(place)
    }
}

impl Client {
    /// Whether a downlink goes over the network's API, which answers: see [`Client::send_answered`].
    #[must_use]
    pub fn is_answered(&self, downlink: &Downlink) -> bool {
        match self.config().network {
            Network::V2 => false,
            Network::V3 => downlink.schedule == Schedule::First,
            Network::ChirpStack => self.config().api.is_some(),
        }
    }

    /// Send a downlink over the network's API: what this gives it has taken. Those of one client are sent one after the
    /// other, in the order of these calls.
    ///
    /// # Errors
    /// As [`Client::send`], and what the network says.
    pub fn send_answered(&self, dev_id: DevId, downlink: Downlink) -> impl Future<Output = Result<u16>> + Send + use<> {
        let client = self.clone();
        let turn = self.inner.platform.enqueuing.take_turn();
        async move {
            if client.config().network == Network::V3 {
                drop(turn);
                return client.send_first(&dev_id, &downlink).await;
            }
            client.enqueue(turn, &dev_id, &downlink).await
        }
    }

    async fn enqueue(&self, mut turn: Turn, dev_id: &DevId, downlink: &Downlink) -> Result<u16> {
        let application = &self.inner.platform;
        if let Some(before) = turn.before.take() {
            // It ends with its sender, however that went.
            let _ended = before.await;
        }
        self.check(downlink)?;
        if downlink.schedule == Schedule::First {
            let expected = "\"replace\" or \"last\": ChirpStack takes nothing in front of its queue";
            return Err(Error::invalid("schedule", "first", expected));
        }
        let server = application.api()?.ok_or(Error::NotConnected)?;
        let place = application.look_for(&server, dev_id).await?;
        let item = item(&place.dev_eui, downlink)?;
        if item.object.is_some() && !server.has_codec(&place.dev_eui).await? {
            return Err(no_codec());
        }
        self.follow();
        let listening = application.enqueuing.listen();
        let id = server.enqueue(item, downlink.schedule == Schedule::Replace).await?;
        let token = item_token(&id).ok_or_else(|| Error::Malformed {
            message: "answer of DeviceService/Enqueue".to_owned(),
            reason: format!("{id:?} is no UUID"),
        })?;
        let following = &application.following;
        let at = self.outbox().number(|mid| following.note(mid, Mark::token(token), None));
        following.downlinks.advance(at, State::Written);
        following.downlinks.tell(at, State::Queued, Some(dev_id.as_str()), None, [""; 0]);
        for (step, reason) in application.enqueuing.events_of(token) {
            let error = (step == Step::Failed).then_some(reason.as_str());
            following.downlinks.tell(at, step.into(), Some(dev_id.as_str()), error, [""; 0]);
        }
        drop(listening);
        self.inner.tell(Delivery::Sent(at.mid));
        Ok(at.mid)
    }

    /// Ask the API whether there is such an application, and whether the key is good for it (CS 5.1). Without an answer the
    /// client goes on with what the broker gives.
    ///
    /// # Errors
    /// What the server says of the application and the key.
    pub(super) async fn ask_for_application(&self) -> Result<()> {
        let application = &self.inner.platform;
        let config = self.config();
        // One of another process, before a fork, leads nowhere.
        application.leave_api();
        let (Some(server), Some(Api { tenant_id, .. })) = (application.api()?, &config.api) else { return Ok(()) };
        let given = config.app_id.as_str();
        let asked = match (uuid(given), tenant_id) {
            (Some(uuid), _) => server.application(&uuid).await,
            (None, Some(tenant)) => server.application_called(tenant, given).await,
            (None, None) => {
                tracing::warn!(
                    "the API of ChirpStack finds no application by its name without tenant_id: {given:?} is known when a \
                     message of it has come"
                );
                return Ok(());
            }
        };
        match asked {
            Ok(found) => {
                tracing::info!("the application {:?} is {}", found.name, found.id);
                application.directory.settle(&found.id);
                application.following.anew(self);
                Ok(())
            }
            Err(error) if error.is_retryable() || matches!(error, Error::Timeout { .. }) => {
                tracing::warn!(%error, "the API of ChirpStack does not answer: application and key were not checked");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// A downlink as the API takes it.
fn item(dev_eui: &str, downlink: &Downlink) -> Result<api::DeviceQueueItem> {
    let mut item = api::DeviceQueueItem {
        dev_eui: dev_eui.to_owned(),
        confirmed: downlink.confirmed,
        f_port: downlink.port.into(),
        ..api::DeviceQueueItem::default()
    };
    match &downlink.payload {
        Payload::Raw(text) | Payload::Either(text) => {
            item.data = base64::decode(text).map_err(|_| Error::invalid("payload", text, "base64"))?;
        }
        Payload::Fields(json) => {
            let object = serde_json::from_str(json).map_err(|_| Error::invalid("payload", json, "a JSON object"))?;
            item.object = Some(to_struct(object));
        }
    }
    Ok(item)
}
