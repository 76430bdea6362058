//! What becomes of a message, and the reasons that can be told.

/// What a message leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Acknowledge it.
    Taken,
    /// Acknowledge it with this reason, or end the connection where none can be told.
    Refused(u8),
    /// Say nothing.
    Ignored,
    /// End the connection for this reason.
    Fatal(u8),
}

/// Reason codes of MQTT 5.
pub(super) const NOT_AUTHORISED: u8 = 135;
pub(super) const TOPIC_NAME_INVALID: u8 = 144;
pub(super) const PACKET_TOO_LARGE: u8 = 149;
pub(super) const QUOTA_EXCEEDED: u8 = 151;
pub(super) const PAYLOAD_FORMAT_INVALID: u8 = 153;
pub(super) const TOPIC_FILTER_INVALID: u8 = 143;
pub(super) const IMPLEMENTATION_SPECIFIC: u8 = 131;
