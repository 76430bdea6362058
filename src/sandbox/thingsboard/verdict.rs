//! What becomes of a message.

/// What a message leads to. Only MQTT 5 can tell a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Acknowledge it.
    Taken,
    /// Say nothing.
    Unanswered,
    /// Acknowledge it with this reason; end the connection where none can be told, or where nothing is acknowledged.
    Refused(u8),
    /// Acknowledge it with this reason where one can be told; otherwise as if it were taken.
    Passed(u8),
    /// As before, and end the connection for it.
    Rejected(u8),
    /// As before, and end the connection without a word.
    Overrun(u8),
    /// End the connection for this reason, without an acknowledgement.
    Fatal(u8),
}
