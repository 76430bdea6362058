//! Where a downlink is, and what may come after what.

use crate::dialect::lorawan::{Network, Step};

/// Where a downlink is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// With the client.
    Waiting,
    /// Written to the connection; at QoS 1, acknowledged by the server.
    Written,
    /// In the device's queue.
    Queued,
    /// Sent by a gateway.
    Sent,
    /// Not acknowledged by the device; the network sends it again, but for `ChirpStack`, which drops it.
    Nacked,
    /// Acknowledged by the device.
    Acked,
    /// Not to be sent any more.
    Failed,
    /// Written, and the network has not said a word.
    Unconfirmed,
}

impl State {
    pub(super) const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Written,
        Self::Queued,
        Self::Sent,
        Self::Nacked,
        Self::Acked,
        Self::Failed,
        Self::Unconfirmed,
    ];

    /// The state of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Written => "written",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Nacked => "nacked",
            Self::Acked => "acked",
            Self::Failed => "failed",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// Whether nothing comes after it, or nothing that can be counted on.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Acked | Self::Failed | Self::Unconfirmed)
    }

    /// As [`State::is_end`], on this network: over MQTT `ChirpStack` says nothing before a gateway has sent a downlink, and it
    /// sends none twice.
    #[must_use]
    pub fn is_end_on(self, network: Network) -> bool {
        match self {
            Self::Unconfirmed => network != Network::ChirpStack,
            Self::Nacked => network == Network::ChirpStack,
            state => state.is_end(),
        }
    }

    /// Whether a reason belongs to it.
    pub(super) fn has_error(self) -> bool {
        matches!(self, Self::Failed | Self::Unconfirmed)
    }

    /// Itself, and what a downlink has been through that is in it.
    pub(super) fn passed(self) -> u8 {
        let before: &[Self] = match self {
            Self::Waiting | Self::Written | Self::Failed | Self::Unconfirmed => &[Self::Waiting],
            Self::Queued => &[Self::Waiting, Self::Written],
            Self::Sent => &[Self::Waiting, Self::Written, Self::Queued],
            Self::Nacked | Self::Acked => &[Self::Waiting, Self::Written, Self::Queued, Self::Sent],
        };
        before.iter().chain([&self]).fold(0, |bits, state| bits | 1 << *state as u8)
    }

    /// Whether a downlink in this state may come into that one.
    pub(super) fn may_become(self, next: Self) -> bool {
        match (self, next) {
            // Final, though the stack tells of one more missing acknowledgement after it (V3 2.5).
            (Self::Failed | Self::Acked, _) | (_, Self::Waiting) => false,
            (_, Self::Written) => self == Self::Waiting,
            (_, Self::Unconfirmed) => self == Self::Written,
            (_, Self::Queued) => matches!(self, Self::Waiting | Self::Written | Self::Unconfirmed),
            _ => self != next,
        }
    }
}

impl From<Step> for State {
    fn from(step: Step) -> Self {
        match step {
            Step::Queued => Self::Queued,
            Step::Sent => Self::Sent,
            Step::Acked => Self::Acked,
            Step::Nacked => Self::Nacked,
            Step::Failed => Self::Failed,
        }
    }
}
