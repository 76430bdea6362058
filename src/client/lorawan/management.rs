//! What MQTT cannot do or does not say, asked of a stack's gRPC servers: a place in front of the queue, and why there is
//! silence (V3 3.4.10, 4.4).

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::time::timeout;

use super::downlinks::{Change, Downlinked, Mark, State};
use super::{Application, Client};
use crate::client::Delivery;
use crate::client::stack::{Defaults, Stack, grants};
use crate::dialect::lorawan::{Antenna, ClassBC, Downlink, Network, Payload, base64, correlation_id};
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result, RpcCode};
use crate::ids::DevId;
use crate::rpc::proto::v3;
use crate::rpc::{Server, to_struct};

/// Bound on each call.
const PATIENCE: Duration = Duration::from_secs(5);

/// The rights that a client needs that sends downlinks and hears what becomes of them.
pub(super) const READ: &str = "RIGHT_APPLICATION_TRAFFIC_READ";
const WRITE: &str = "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE";

/// Where a stack's gRPC servers are.
#[derive(Clone, Debug)]
pub struct Management {
    /// The cluster's.
    pub cluster: Endpoint,
    /// The Identity Server.
    pub identity: Endpoint,
    /// Whom to trust there.
    pub trust: Trust,
}

impl Application {
    /// The ways to the servers, where they are known. A way of its own each time: it is seldom gone.
    pub(super) fn stack(&self) -> Result<Option<Stack>> {
        let Some(Management { cluster, identity, trust }) = &self.config.management else { return Ok(None) };
        let channel = |endpoint: &Endpoint| {
            Ok(Server::new(vec![endpoint.clone()], trust)?.trusting_by("ca_certs").probed_rarely().channel())
        };
        let defaults = Defaults {
            frequency_plan_id: None,
            lorawan_version: 0,
            lorawan_phy_version: 0,
            host: cluster.host.clone(),
        };
        Ok(Some(Stack {
            identity: channel(identity)?,
            cluster: channel(cluster)?,
            app_id: Network::V3.plain(&self.config.app_id).to_owned(),
            key: Some(self.config.access_key.clone()),
            timeout: Some(PATIENCE),
            defaults: Arc::new(defaults),
        }))
    }
}

/// Why the network does not say a word of downlinks to this device, if the servers know.
pub(super) async fn why(stack: &Stack, dev_id: &str) -> Option<String> {
    let looked = stack.look_for_device(dev_id).await;
    if let Err(Error::Rpc { code: RpcCode::NotFound, details, .. }) = &looked {
        return Some(format!("there is no device {dev_id:?} ({details})"));
    }
    if let Ok(rights) = stack.rights().await {
        let missing: Vec<_> = [WRITE, READ].into_iter().filter(|right| !grants(&rights, right)).collect();
        if !missing.is_empty() {
            return Some(format!("the access key lacks {}", missing.join(" and ")));
        }
    }
    match looked {
        Err(error @ Error::Rpc { code: RpcCode::Unauthenticated, .. }) => Some(error.to_string()),
        _ => None,
    }
}

impl Client {
    /// Put a downlink in front of a device's queue, of a network whose MQTT cannot: the queue is read and written anew with
    /// this downlink before all others. An uplink between the two may send one that is then queued again, and what another
    /// program queues between them is lost; the queue is looked at once more, and what is not as it should be is logged.
    ///
    /// # Errors
    /// [`Error::Invalid`] where no management address is known, else as [`Client::send`], and what the servers say.
    pub async fn send_first(&self, dev_id: &DevId, downlink: &Downlink) -> Result<u16> {
        self.check(downlink)?;
        let stack = self.inner.platform.stack()?.ok_or_else(|| {
            let expected = "\"replace\" or \"last\" where no management address is known: The Things Stack V3 takes nothing \
                            in front of its queue over MQTT; give management_address=\"host:port\"";
            Error::invalid("schedule", "first", expected)
        })?;
        let token = fastrand::u64(..);
        let own = message(downlink, token)?;
        self.follow();
        let race = self.inner.platform.following.races.begin(dev_id.as_str(), token);
        let read = waiting(&stack, dev_id).await?;
        let mut queue = vec![own];
        queue.extend(read.iter().cloned().map(anew));
        let following = &self.inner.platform.following;
        // Before the request: the network may tell of it before the answer is there.
        let at = self.outbox().number(|mid| following.note(mid, Mark::token(token), None));
        if let Err(error) = stack.queue(dev_id.as_str(), queue.clone(), true).await {
            following.downlinks.fail(at, State::Failed, Some(dev_id.as_str()), &error.to_string());
            return Err(error);
        }
        following.downlinks.advance(at, State::Written);
        let ids = queue.first().map_or(&[][..], |own| &own.correlation_ids);
        if following.downlinks.tell(at, State::Queued, Some(dev_id.as_str()), None, ids) == Change::Queued {
            self.inner.tell(Delivery::Sent(at.mid));
        }
        self.look_again(&stack, dev_id, at, &queue).await;
        let dev_id = dev_id.clone();
        // Nobody waits for what the network tells of others.
        tokio::spawn(async move {
            drop(timeout(PATIENCE, race.over()).await);
            let (twice, lost) = race.judge(&read);
            if twice > 0 || lost > 0 {
                tracing::warn!(
                    mid = at.mid,
                    dev_id = dev_id.as_str(),
                    twice,
                    lost,
                    "the queue changed while a downlink was put in front of it: downlinks that were sent meanwhile are sent \
                     again, and those that were queued meanwhile are lost"
                );
            }
        });
        Ok(at.mid)
    }

    async fn look_again(&self, stack: &Stack, dev_id: &DevId, at: Downlinked, queue: &[v3::ApplicationDownlink]) {
        let Ok(now) = waiting(stack, dev_id).await else { return };
        let (strange, gone) = differences(queue, &now);
        if strange > 0 || gone > 0 {
            tracing::warn!(
                mid = at.mid,
                dev_id = dev_id.as_str(),
                strange,
                gone,
                "the queue has changed since a downlink was put in front of it: another program may have replaced it"
            );
        }
    }
}

/// How many downlinks stand among those that were written, and how many of these are missing. The first ones may have been
/// sent since, and others may have been put behind them.
fn differences(written: &[v3::ApplicationDownlink], now: &[v3::ApplicationDownlink]) -> (usize, usize) {
    // The server adds IDs to those that were given.
    let is = |one: &v3::ApplicationDownlink, other: &v3::ApplicationDownlink| {
        one.correlation_ids.iter().all(|id| other.correlation_ids.contains(id))
    };
    let is_there = |known: &v3::ApplicationDownlink| now.iter().any(|item| is(known, item));
    let is_ours = |item: &v3::ApplicationDownlink| written.iter().any(|known| is(known, item));
    let Some(last) = now.iter().rposition(is_ours) else { return (0, written.len()) };
    let strange = now[..last].iter().filter(|item| !is_ours(item)).count();
    let left = written.iter().skip_while(|known| !is_there(known));
    (strange, left.filter(|known| !is_there(known)).count())
}

async fn waiting(stack: &Stack, dev_id: &DevId) -> Result<Vec<v3::ApplicationDownlink>> {
    let malformed = |error: prost::DecodeError| Error::Malformed {
        message: "ttn.lorawan.v3.ApplicationDownlink".to_owned(),
        reason: error.to_string(),
    };
    let listed = stack.downlinks(dev_id.as_str()).await?;
    listed.into_iter().map(|item| v3::ApplicationDownlink::decode(item).map_err(malformed)).collect()
}

/// A downlink that waited, to be queued again: without what the server had added.
fn anew(waiting: v3::ApplicationDownlink) -> v3::ApplicationDownlink {
    let decoded_payload = waiting.decoded_payload.filter(|_| waiting.frm_payload.is_empty());
    v3::ApplicationDownlink {
        f_cnt: 0,
        session_key_id: Vec::new(),
        decoded_payload,
        decoded_payload_warnings: Vec::new(),
        ..waiting
    }
}

/// A downlink as gRPC has it.
fn message(downlink: &Downlink, token: u64) -> Result<v3::ApplicationDownlink> {
    let mut message = v3::ApplicationDownlink {
        f_port: downlink.port.into(),
        confirmed: downlink.confirmed,
        correlation_ids: vec![correlation_id(token)],
        ..v3::ApplicationDownlink::default()
    };
    match &downlink.payload {
        Payload::Raw(text) | Payload::Either(text) => {
            message.frm_payload = base64::decode(text).map_err(|_| Error::invalid("payload", text, "base64"))?;
            if message.frm_payload.is_empty() {
                return Err(Error::invalid("payload", "", "at least 1 byte"));
            }
        }
        Payload::Fields(json) => {
            let object = serde_json::from_str(json).map_err(|_| Error::invalid("payload", json, "a JSON object"))?;
            message.decoded_payload = Some(to_struct(object));
        }
    }
    if let Some(options) = &downlink.options {
        let priority = options.priority.and_then(v3::TxSchedulePriority::from_str_name);
        message.priority = priority.unwrap_or_default().into();
        message.class_b_c = options.class_b_c.as_ref().map(way);
        message.correlation_ids.extend(options.correlation_ids.iter().cloned());
        message.confirmed_retry = options
            .max_attempts
            .map(|most| v3::application_downlink::ConfirmedRetry { attempt: 0, max_attempts: Some(most) });
    }
    Ok(message)
}

fn way(way: &ClassBC) -> v3::application_downlink::ClassBc {
    let antenna = |antenna: &Antenna| v3::ClassBcGatewayIdentifiers {
        gateway_ids: Some(v3::GatewayIdentifiers {
            gateway_id: antenna.gateway_id.clone(),
            ..v3::GatewayIdentifiers::default()
        }),
        antenna_index: antenna.antenna_index,
        group_index: antenna.group_index,
    };
    v3::application_downlink::ClassBc {
        gateways: way.gateways.iter().map(antenna).collect(),
        absolute_time: way
            .absolute_time
            .map(|time| prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_as_it_was_written_but_for_its_ends() {
        let queue = |ids: &[&str]| -> Vec<_> {
            let item = |id: &&str| v3::ApplicationDownlink {
                correlation_ids: vec![(*id).to_owned(), "added".to_owned()],
                ..v3::ApplicationDownlink::default()
            };
            ids.iter().map(item).collect()
        };
        let written = queue(&["a", "b", "c"]);
        for (now, expected) in [
            (&["a", "b", "c"][..], (0, 0)),
            // Sent, and put behind.
            (&["b", "c", "x"], (0, 0)),
            (&["a", "c"], (0, 1)),
            (&["a", "x", "b", "c"], (1, 0)),
            (&["x"], (0, 3)),
            (&[], (0, 3)),
        ] {
            assert_eq!(differences(&written, &queue(now)), expected, "{now:?}");
        }
    }
}
