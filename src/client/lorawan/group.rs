//! Clients that share an application's messages, so that each message goes to one of them.

use crate::client::lorawan::Config;
use crate::dialect::lorawan::Network;
use crate::error::{Error, Result};
use crate::session::QoS;

/// Why a server may refuse the subscriptions of a group, as the end of a sentence.
pub(super) const HINT: &str =
    "; a group needs a broker with shared subscriptions ($share), such as Mosquitto, EMQX, HiveMQ or VerneMQ";
/// Longest name of a group.
const LONGEST: usize = 64;

/// What a client is told of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: String,
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
        Ok(Self { name: name.to_owned() })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Check that a broker can share messages in this way, and warn where it loses some.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
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

    /// The filter as a broker shares it.
    pub(super) fn shared(&self, filter: &str) -> String {
        format!("$share/{}/{filter}", self.name)
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
