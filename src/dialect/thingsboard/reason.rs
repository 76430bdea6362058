//! Reason codes of MQTT in the words and numbers of the original.

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
    AclDenied = 12,
    Unknown = 13,
    QueueSize = 15,
}

impl PublishCode {
    /// For the reason code of an acknowledgement (MQTT 5, section 3.4.2.1).
    #[must_use]
    pub fn of_reason(reason: u8) -> Self {
        match reason {
            0..128 => Self::Success,
            135 => Self::AclDenied,
            144 | 153 => Self::Inval,
            145 => Self::Protocol,
            149 => Self::PayloadSize,
            151 => Self::QueueSize,
            _ => Self::Unknown,
        }
    }
}

/// What a login's code means: of MQTT 3.1.1 up to 5, of MQTT 5 from 128 on.
#[must_use]
pub fn connect_reason(code: u8) -> &'static str {
    match code {
        0 => "Success",
        1 | 132 => "Unsupported protocol version",
        2 | 133 => "Client identifier not valid",
        3 | 136 => "Server unavailable",
        4 | 134 => "Bad user name or password",
        5 | 135 => "Not authorized",
        129 => "Malformed packet",
        130 => "Protocol error",
        131 => "Implementation specific error",
        137 => "Server busy",
        138 => "Banned",
        140 => "Bad authentication method",
        144 => "Topic name invalid",
        149 => "Packet too large",
        151 => "Quota exceeded",
        153 => "Payload format invalid",
        154 => "Retain not supported",
        155 => "QoS not supported",
        156 => "Use another server",
        157 => "Server moved",
        159 => "Connection rate exceeded",
        _ => "Unspecified error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_codes_of_their_own() {
        for (reason, code) in
            [(0, 0), (16, 0), (128, 13), (131, 13), (135, 12), (144, 3), (149, 9), (151, 15), (153, 3)]
        {
            assert_eq!(PublishCode::of_reason(reason) as i8, code, "{reason}");
        }
    }
}
