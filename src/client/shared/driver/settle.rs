//! What goes: what became of messages, and downlinks.

use std::time::Duration;

use bytes::Bytes;

use super::Driver;
use crate::client::shared::consumer::pull;
use crate::client::shared::hands::Held;
use crate::client::shared::lanes::Next;
use crate::client::shared::supply::Supply;
use crate::client::shared::{dead, send};
use crate::client::stats::add;
use crate::dialect::mqtt;
use crate::error::Result;
use crate::nats::subject;
use crate::session::{Dealt, Event};

/// How often a callback may fail with a message before that is put among the dead letters.
const FAILURES: u64 = 5;
/// How long a message waits after its first failure, its second one and so on.
const DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

impl Driver {
    /// Tell the server what the consumer has said.
    pub(super) async fn settle(&mut self) {
        for (receipt, dealt) in self.ends.outbox.take_receipts() {
            let Some(held) = self.hands.take(receipt.serial()) else { continue };
            self.window.settled(held.arrived.elapsed());
            match dealt {
                Dealt::With => self.acknowledge(held).await,
                Dealt::Not { why } if held.told.deliveries >= FAILURES => {
                    self.bury(held, why.unwrap_or_else(|| "a callback raised an exception".to_owned()));
                }
                Dealt::Not { .. } => {
                    let failures = usize::try_from(held.told.deliveries.max(1)).unwrap_or(usize::MAX);
                    let delay = DELAYS[(failures - 1).min(DELAYS.len() - 1)];
                    self.put_off(held, delay).await;
                }
            }
        }
    }

    pub(super) async fn acknowledge(&mut self, held: Held) {
        self.done.acknowledged(&held.told);
        let asks = self.is_online() && self.ends.sink.has_room();
        let next = self.done(held.lane, asks);
        let word = match next {
            // The next one comes with the answer, which spares half of the way.
            Next::Ask => {
                let ask = pull(1);
                let payload = [b"+NXT ".as_slice(), &ask].concat();
                (held.reply, Some(self.inbox.reply(held.lane)), Bytes::from(payload))
            }
            _ => (held.reply, None, Bytes::from_static(b"+ACK")),
        };
        self.say(word).await;
    }

    async fn put_off(&mut self, held: Held, delay: Duration) {
        self.done(held.lane, false);
        let payload = format!("-NAK {{\"delay\":{}}}", delay.as_nanos());
        self.say((held.reply, None, payload.into())).await;
    }

    /// A lane's message is settled; releases the lane if another member waits for it.
    fn done(&mut self, lane: Option<u16>, asks: bool) -> Next {
        let (Supply::Lanes(lanes), Some(lane)) = (&mut self.supply, lane) else { return Next::Nothing };
        let next = lanes.settled(lane, asks);
        if let Next::Release(lease) = next {
            self.release(vec![(lane, lease)]);
        }
        next
    }

    pub(super) fn release(&self, lanes: Vec<(u16, u64)>) {
        if let Some(leases) = self.leases.clone().filter(|_| !lanes.is_empty()) {
            drop(tokio::spawn(async move { leases.release(&lanes).await }));
        }
    }

    pub(super) fn bury(&mut self, held: Held, why: String) {
        let (server, options) = (self.server.clone(), self.options.clone());
        tracing::error!(
            subject = %held.subject, sequence = held.told.sequence, deliveries = held.told.deliveries,
            "a message fails again and again, and is put among the dead letters"
        );
        self.burials.spawn(async move {
            let outcome = dead::bury(&server, &options, &held, &why).await;
            (held, outcome)
        });
    }

    pub(super) async fn buried(&mut self, held: Held, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                add(&self.ends.tally.dead, 1);
                self.done(held.lane, false);
                self.say((held.reply, None, Bytes::from_static(b"+TERM"))).await;
            }
            Err(error) => {
                tracing::error!(%error, "cannot put a message among the dead letters: it comes again");
                self.put_off(held, DELAYS[DELAYS.len() - 1]).await;
            }
        }
    }

    /// Send what was accepted.
    pub(super) fn send(&mut self) {
        while let Some((mid, topic, payload)) = self.ends.outbox.take_next() {
            let Some(subject) = subject::of_downlink(self.options.network, &topic) else {
                let reason = mqtt::code::TOPIC_NAME_INVALID;
                self.ends.outbox.end(mid, reason);
                self.ends.sink.deliver(&mut vec![Event::Rejected { mid, topic, reason }]);
                continue;
            };
            self.numbered += 1;
            let (server, id) = (self.server.clone(), format!("{}/{}", self.name, self.numbered));
            self.sends.spawn(async move {
                send::send(server, subject, payload, id).await;
                mid
            });
        }
    }

    pub(super) fn sent(&mut self, mid: u16) {
        if self.ends.outbox.end(mid, mqtt::code::SUCCESS) {
            self.ends.sink.deliver(&mut vec![Event::Sent { mid }]);
        }
    }
}
