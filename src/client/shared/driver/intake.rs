//! What comes: messages are asked for and handed over.

use async_nats::{Message, StatusCode, Subject};

use super::Driver;
use crate::client::shared::consumer::{self, pull};
use crate::client::shared::dead::GROUP;
use crate::client::shared::hands::Held;
use crate::client::shared::supply::{Supply, lane_of};
use crate::client::stats::add;
use crate::dialect::mqtt::covers;
use crate::nats::{stream, subject};
use crate::session::{Event, QoS, Receipt};

/// Messages handed over at once.
const BATCH: usize = 256;
/// How often a message may come at all: workers that die of it do not say that they failed.
const DELIVERIES: u64 = 10;

impl Driver {
    /// Ask for messages, as many as there is room for.
    pub(super) async fn ask(&mut self) {
        if !self.is_online() || !self.listens() || !self.ends.sink.has_room() {
            return;
        }
        let (in_hand, window) = (self.hands.len(), self.window.size());
        let asked: Vec<(Option<u16>, usize)> = match &mut self.supply {
            Supply::Common(pulls) => pulls.ask(in_hand, window).map(|count| (None, count)).into_iter().collect(),
            Supply::Lanes(lanes) => {
                let room = self.options.window.saturating_sub(in_hand);
                lanes.ask(room).into_iter().map(|lane| (Some(lane), 1)).collect()
            }
        };
        for (lane, count) in asked {
            self.say((self.next_subject(lane), Some(self.inbox.reply(lane)), pull(count))).await;
        }
    }

    fn next_subject(&self, lane: Option<u16>) -> Subject {
        let (stream, consumer) = (stream::name(&self.options.app), consumer::name(&self.options.group, lane));
        format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}").into()
    }

    /// A message came, and others may have come with it.
    pub(super) async fn take_in(&mut self, first: Message) {
        let mut batch = Vec::new();
        let mut next = Some(first);
        self.listens();
        while let Some(message) = next {
            self.came(message, &mut batch).await;
            next = if batch.len() < BATCH { self.inbox.next_now() } else { None };
        }
        if !batch.is_empty() {
            self.ends.sink.deliver(&mut batch);
        }
    }

    async fn came(&mut self, message: Message, batch: &mut Vec<Event>) {
        if let Some(status) = message.status {
            self.told(status, &message);
            return;
        }
        let read = subject::Subject::parse(&message.subject);
        let lane = read.as_ref().and_then(|read| read.lane).filter(|_| self.leases.is_some());
        let topic = read.and_then(|read| read.topic(self.options.network, &self.options.app_in_topics));
        // What is handed to one group again is nothing to the others.
        let group = message.headers.as_ref().and_then(|headers| headers.get(GROUP));
        let is_ours = group.is_none_or(|group| group.as_str() == self.options.group);
        let Some(held) = Held::new(message, lane) else { return };
        add(&self.ends.tally.redelivered, u64::from(held.told.deliveries > 1));
        match (&mut self.supply, lane) {
            (Supply::Lanes(lanes), Some(lane)) => {
                lanes.came(lane, held.told.pending);
                self.set_lag(None);
            }
            (Supply::Common(pulls), _) => {
                pulls.came();
                self.set_lag(Some(held.told.pending));
            }
            (Supply::Lanes(_), None) => {}
        }
        if self.done.has(&held.told) {
            return self.acknowledge(held).await;
        }
        if held.told.deliveries > DELIVERIES {
            let why = format!("it was delivered {DELIVERIES} times, and no worker has said what became of it");
            return self.bury(held, why);
        }
        let topic = topic.filter(|topic| is_ours && self.wanted.iter().any(|filter| covers(filter, topic)));
        let Some(topic) = topic else {
            // Nobody in this program listens to it, as with a subscription that does not take it.
            return self.acknowledge(held).await;
        };
        let size = held.payload.len();
        if size > self.options.max_incoming_bytes {
            batch.push(Event::Skipped { topic, size });
            return self.acknowledge(held).await;
        }
        let payload = held.payload.clone();
        let receipt = Some(Receipt::numbered(self.hands.hold(held)));
        let message = crate::session::Message { topic, payload, qos: QoS::AtLeastOnce, retain: false, receipt };
        batch.push(Event::Message(message));
    }

    fn set_lag(&self, lag: Option<u64>) {
        let lag = match (&self.supply, lag) {
            (Supply::Lanes(lanes), _) => lanes.lag(),
            (_, Some(lag)) => lag,
            _ => return,
        };
        self.ends.tally.lag.store(lag, std::sync::atomic::Ordering::Relaxed);
    }

    /// The server says something of what was asked for.
    fn told(&mut self, status: StatusCode, message: &Message) {
        let refused = status != StatusCode::TIMEOUT && status != StatusCode::NOT_FOUND;
        let left = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
        let left = left.and_then(|left| left.as_str().parse().ok());
        if refused {
            let reason = message.description.clone().unwrap_or_default();
            tracing::debug!(%status, reason, "NATS ends a request for messages");
            if let (Some(leases), Some(lane)) = (&self.leases, lane_of(&message.subject)) {
                leases.make_again(lane);
            }
        }
        match &mut self.supply {
            Supply::Common(pulls) => pulls.ended(left, refused),
            Supply::Lanes(lanes) => {
                if let Some(lane) = lane_of(&message.subject) {
                    lanes.ended(lane, refused);
                }
            }
        }
        if refused && self.leases.is_none() {
            // It may have been deleted.
            let (stream, options) = (self.stream.clone(), self.options.clone());
            drop(tokio::spawn(async move { consumer::make(&stream, &options, None).await }));
        }
    }
}
