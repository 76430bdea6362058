//! How a connection ended that nobody asked to end.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::packet::Malformed;
use crate::dialect::mqtt::{self, code};
use crate::error::Error;

/// What ended a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error("closed by the server")]
    Closed,
    /// The server said so, and why (MQTT 5).
    #[error("the server parted: {why} (reason code {0})", why = mqtt::reason(*.0))]
    Parted(u8),
    #[error(transparent)]
    Failed(#[from] io::Error),
    #[error("no answer to the keep-alive probe")]
    Silent,
    /// A subscription was not answered in this time.
    #[error("no answer to a subscription in {} s", .0.as_secs_f64())]
    Unanswered(Duration),
    #[error(transparent)]
    Broken(#[from] Malformed),
}

impl Loss {
    /// Whether the server ended it, not the network in between.
    pub(super) fn is_by_server(&self) -> bool {
        match self {
            Self::Closed | Self::Parted(_) => true,
            Self::Failed(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::WriteZero
            ),
            Self::Silent | Self::Unanswered(_) | Self::Broken(_) => false,
        }
    }

    /// Whether the message that the server had read last may be why.
    pub(super) fn may_be_about_a_message(&self) -> bool {
        match self {
            Self::Parted(reason) => !code::ABOUT_THE_CONNECTION.contains(reason),
            loss => loss.is_by_server(),
        }
    }

    /// Whether a rate limit may be why; `after_messages` tells whether messages of ours went before.
    pub(super) fn may_be_about_the_rate(&self, after_messages: bool) -> bool {
        match self {
            Self::Parted(reason) => code::ABOUT_THE_RATE.contains(reason),
            loss => loss.is_by_server() && after_messages,
        }
    }

    /// The reason code that a message gets which is ended for this.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Parted(reason) if mqtt::is_refusal(*reason) => *reason,
            _ => code::UNSPECIFIED,
        }
    }

    pub(super) fn into_error(self, address: String) -> Error {
        match self {
            Self::Broken(malformed) => Error::Protocol { address, reason: malformed.to_string() },
            loss => Error::Lost { address, reason: loss.to_string() },
        }
    }
}
