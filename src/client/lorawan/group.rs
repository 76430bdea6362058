//! Clients that share an application's messages, so that each message goes to one of them.

use std::time::Duration;

#[cfg(feature = "nats")]
use super::Client;

use crate::client::lorawan::Config;
#[cfg(feature = "nats")]
use crate::client::receiver::Source;
use crate::dialect::lorawan::Network;
use crate::error::{Error, Result};
use crate::session::QoS;

/// Why a server may refuse the subscriptions of a group, as the end of a sentence.
pub(super) const HINT: &str =
    "; a group needs a broker with shared subscriptions ($share), such as Mosquitto, EMQX, HiveMQ or VerneMQ";
/// Most messages that a client has in hand at once.
#[cfg(feature = "nats")]
const MOST_IN_HAND: usize = 1024;
/// Bounds of the time that a client may be silent about a message.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Longest name of a group.
const LONGEST: usize = 64;

/// What a client is told of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: String,
    stream: Option<InStream>,
}

/// How a group shares a stream of NATS `JetStream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InStream {
    /// Whether each device's messages keep their order.
    pub ordered: bool,
    /// How long a client may be silent about a message before another one gets it.
    pub ack_wait: Duration,
}

impl Default for InStream {
    fn default() -> Self {
        Self { ordered: false, ack_wait: Duration::from_secs(30) }
    }
}

impl Group {
    /// The group of this name.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn new(name: &str) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(is_plain) {
            return Err(Error::invalid("group", name, "1 to 64 letters, digits, '-' and '_'"));
        }
        Ok(Self { name: name.to_owned(), stream: None })
    }

    /// The same, over a stream.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn in_stream(self, stream: InStream) -> Result<Self> {
        if !(SHORTEST_WAIT..=LONGEST_WAIT).contains(&stream.ack_wait) {
            return Err(Error::invalid("ack_wait", format!("{:?}", stream.ack_wait), "1 second to 1 hour"));
        }
        Ok(Self { stream: Some(stream), ..self })
    }

    /// How it shares a stream, if it does.
    #[must_use]
    pub fn stream(&self) -> Option<InStream> {
        self.stream
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Check that a broker can share messages in this way, and warn where it loses some.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        if config.network == Network::V3 {
            let expected = "no group on an MQTT address: The Things Stack V3 refuses shared subscriptions ($share)";
            return Err(Error::invalid("group", &self.name, expected));
        }
        if !config.clean_session {
            // Measured on Mosquitto 2: a persistent session stays in the rotation while its client is away.
            let expected = "True with a group, since a broker goes on choosing clients that are away, and what it chose them \
                            for is stuck until they come back";
            return Err(Error::invalid("clean_session", "False", expected));
        }
        if config.qos == QoS::AtLeastOnce {
            tracing::warn!(
                group = self.name,
                "qos=1 in a group of an MQTT broker: what a client has in hand when it dies is not given to another one"
            );
        }
        Ok(())
    }

    /// The filter as a broker shares it; a stream is shared by its consumers.
    pub(super) fn shared(&self, filter: &str) -> String {
        if self.stream.is_some() {
            return filter.to_owned();
        }
        format!("$share/{}/{filter}", self.name)
    }
}

#[cfg(feature = "nats")]
impl Client {
    /// Join the group over NATS, all of it within `timeout`. A connection that exists goes on until the new one stands.
    ///
    /// # Errors
    /// What kept it from succeeding; the client stays usable. A refused login is told to the consumer as well.
    pub async fn join(&self, nats: crate::nats::Options, timeout: Duration) -> Result<()> {
        let config = self.config();
        let Some((group, stream)) = config.group.as_ref().and_then(|group| Some((group, group.stream()?))) else {
            let expected =
                "mqtt://…, or a client that was made with a nats:// address and group=\"workers\" or the like";
            return Err(Error::invalid("mqtt_address", nats.address.to_string(), expected));
        };
        let options = crate::client::shared::Options {
            nats,
            network: config.network,
            app: config.network.plain(&config.app_id).to_owned(),
            app_in_topics: config.app_id.to_string(),
            group: group.name.clone(),
            ordered: stream.ordered,
            ack_wait: stream.ack_wait,
            window: config.queue.messages.min(MOST_IN_HAND),
            max_incoming_bytes: config.max_incoming_bytes,
            reconnect: config.reconnect,
            replicas: 1,
        };
        self.open(Source::Stream(Box::new(options)), timeout).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_part_of_a_topic_or_a_subject() {
        for name in ["", "a/b", "a.b", "#", "+", "a b", "é", &"a".repeat(65)] {
            let error = Group::new(name).unwrap_err().to_string();
            assert!(error.starts_with("group"), "{error}");
        }
        assert_eq!(Group::new("workers-1_a").unwrap().shared("a/devices/+/up"), "$share/workers-1_a/a/devices/+/up");
    }
}
