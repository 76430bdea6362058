//! Reason codes of MQTT in the words and numbers of the original.

use crate::dialect::mqtt::{self, code};

/// The codes of `TBPublishInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the original's")]
#[repr(i8)]
pub enum PublishCode {
    Again = -1,
    Success = 0,
    Protocol = 2,
    Inval = 3,
    NoConn = 4,
    PayloadSize = 9,
    Auth = 11,
    AclDenied = 12,
    Unknown = 13,
    QueueSize = 15,
}

impl PublishCode {
    /// Why a message with this code was not sent.
    #[must_use]
    pub fn why_unsent(self) -> &'static str {
        match self {
            Self::Auth => "the server refuses the login",
            Self::NoConn => "there is no connection",
            Self::PayloadSize => "it is larger than the server takes",
            _ => "rate limits or a full queue held it back for too long",
        }
    }

    /// For the reason code of an acknowledgement (MQTT 5, section 3.4.2.1).
    #[must_use]
    pub fn of_reason(reason: u8) -> Self {
        match reason {
            reason if !mqtt::is_refusal(reason) => Self::Success,
            code::NOT_AUTHORISED => Self::AclDenied,
            code::TOPIC_NAME_INVALID | code::PAYLOAD_FORMAT_INVALID => Self::Inval,
            code::PACKET_ID_IN_USE => Self::Protocol,
            // So the server calls packets that are too large for it.
            code::PACKET_TOO_LARGE | code::MALFORMED_PACKET => Self::PayloadSize,
            code::QUOTA_EXCEEDED => Self::QueueSize,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_codes_of_their_own() {
        for (reason, code) in
            [(0, 0), (16, 0), (128, 13), (129, 9), (131, 13), (135, 12), (144, 3), (149, 9), (151, 15), (153, 3)]
        {
            assert_eq!(PublishCode::of_reason(reason) as i8, code, "{reason}");
        }
    }
}
