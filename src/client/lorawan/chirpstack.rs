//! What clients of `ChirpStack` do by themselves, since its broker knows nothing of applications and its server answers nothing
//! over MQTT (CS 3.5, 3.6, 5.4).

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::directory::News;
use super::downlinks::Mark;
use super::{Application, Client, Config};
use crate::client::Incoming;
use crate::dialect::lorawan::{Command, Downlink, Form, Network, Payload, Schedule, queue_item_id};
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result};
use crate::ids::{AppId, DevId};
use crate::session::{Message, QoS};

/// What may be behind it when nothing comes (CS 2.2).
pub(super) const SILENCE: &str = "if its devices send, is this the UUID or the name of the application, and is this the broker \
                                  that ChirpStack publishes to ([integration.mqtt] of its configuration; event_topic there, \
                                  where it is another than usual, is event_topic= here)? A broker with ChirpStack's access \
                                  control list takes every subscription and delivers nothing of another application";

/// Why a written downlink is unconfirmed (CS 3.6).
pub(super) const UNCONFIRMED: &str = "ChirpStack says nothing over MQTT until a gateway has sent a downlink, and drops what is \
                                      wrong without a word; with grpc_address its answer is the proof that it is queued";

/// Where `ChirpStack`'s own API is.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its address.
    pub endpoint: Endpoint,
    /// Whom to trust there.
    pub trust: Trust,
    /// The tenant, without which an application cannot be found by its name.
    pub tenant_id: Option<String>,
}

/// What was said once.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The server writes protobuf, and reads nothing else.
    is_protobuf: AtomicBool,
    of_replacing: AtomicBool,
}

impl Config {
    /// Check what `ChirpStack` cannot do, and say what its server does unless it is told otherwise.
    pub(super) fn check_chirpstack(&self) -> Result<()> {
        if self.network != Network::ChirpStack {
            return Ok(());
        }
        if self.shares_stream() {
            let expected = "an MQTT broker with ChirpStack, whose messages no bridge carries to NATS yet";
            return Err(Error::invalid("mqtt_address", "nats://…", expected));
        }
        if (self.qos == QoS::AtLeastOnce || !self.clean_session) && !self.backfill {
            tracing::warn!(
                "ChirpStack publishes at QoS 0 unless its configuration says qos=1 ([integration.mqtt]): until then qos=1 and \
                 clean_session=False change nothing for uplinks, and what comes while the client is not connected is lost; \
                 backfill=True fetches the last events of each device over grpc_address"
            );
        }
        Ok(())
    }
}

impl Application {
    /// Whether a topic is one of another application: where the client knows its own by the name alone it gets those as well.
    pub(super) fn is_foreign(&self, topic: &str) -> bool {
        let network = self.config.network;
        network == Network::ChirpStack
            && self.directory.application().is_some_and(|own| network.topic(topic).is_some_and(|it| it.app_id() != own))
    }

    /// Read a message and learn who is who; nothing of one of another application, which a client that knows its own by the
    /// name alone gets as well.
    pub(super) fn read(&self, message: Message) -> Option<Incoming> {
        let network = self.config.network;
        let (read, is_protobuf) = network.read(&message.topic, &message.payload);
        if let (Some(topic), Ok(document)) = (network.topic(&message.topic), &read)
            && let Some(info) = document.root().get("deviceInfo")
        {
            self.said.is_protobuf.store(is_protobuf, Ordering::Relaxed);
            let about = network.about(topic, Some(document.root()));
            match self.directory.note(&about, info) {
                News::Nothing => {}
                News::Foreign => return None,
                News::Found(uuid) => tracing::info!("the application {:?} is {uuid}", self.config.app_id.as_str()),
                News::Twin(one, other) => tracing::warn!(
                    "two applications are called {:?}, {one} and {other}, and messages of both come: give the UUID as app_id",
                    self.config.app_id.as_str()
                ),
            }
        }
        Some(Incoming::new(message, read, is_protobuf))
    }
}

impl Client {
    /// The application as topics have it, as far as it is known.
    pub(super) fn app_in_topics(&self) -> Cow<'_, AppId> {
        let config = self.config();
        match self.application().map(AppId::new) {
            Some(Ok(app_id)) if config.api.is_some() => Cow::Owned(app_id),
            _ => Cow::Borrowed(&config.app_id),
        }
    }

    /// The application's UUID, if it is known; on `ChirpStack` alone there is one.
    #[must_use]
    pub fn application(&self) -> Option<String> {
        (self.config().network == Network::ChirpStack).then(|| self.inner.platform.directory.application()).flatten()
    }

    /// Send a downlink over MQTT. Its ID is ours, so that what is told of it is known again.
    pub(super) fn command(&self, dev_id: &DevId, downlink: &Downlink) -> Result<u16> {
        let application = &self.inner.platform;
        if downlink.schedule == Schedule::First {
            let expected = "\"replace\" or \"last\": ChirpStack takes nothing in front of its queue";
            return Err(Error::invalid("schedule", "first", expected));
        }
        let place = application.directory.find(dev_id)?;
        let form = if application.said.is_protobuf.load(Ordering::Relaxed) { Form::Protobuf } else { Form::Json };
        let token = fastrand::u64(..);
        let id = queue_item_id(token);
        let command = Command { application: &place.application, dev_eui: &place.dev_eui, id: &id, downlink };
        let (topic, body) = command.write(form)?;
        // Before the downlink, so that the broker hears of it first.
        self.follow();
        let following = &application.following;
        let note = |mid| {
            following.note(mid, Mark::token(token), None);
        };
        let topic = self.config().topics.of_server(&topic).into_owned();
        let mid = self.outbox().publish_noting(topic, Bytes::from(body), self.config().qos, note)?;
        self.warn_of_command(dev_id, downlink);
        Ok(mid)
    }

    /// Say once what such a command may not do.
    fn warn_of_command(&self, dev_id: &DevId, downlink: &Downlink) {
        let application = &self.inner.platform;
        if downlink.schedule == Schedule::Replace && !application.said.of_replacing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "ChirpStack replaces no queue over MQTT: downlinks are put at its end; with grpc_address, its API, \
                 schedule=\"replace\" empties the queue first"
            );
        }
        match &downlink.payload {
            Payload::Either(text) => self.warn_of_either(dev_id.as_str(), text),
            Payload::Fields(_) if application.warned_of.lock().insert(dev_id.to_string()) => tracing::warn!(
                "{dev_id}: fields were sent for the codec of the device's profile; if that has none ChirpStack queues an empty \
                 payload, and says so nowhere"
            ),
            _ => {}
        }
    }
}
