//! What tells one message of a network from all others: the same message comes over MQTT and out of what the network keeps.

use std::borrow::Cow;

use jiff::Timestamp;

/// A message of a network that keeps some: two with the same identity are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// Whose it is, as topics have it.
    pub dev_id: Cow<'a, str>,
    /// What it tells of.
    pub kind: Cow<'a, str>,
    /// Whether that is an uplink.
    pub is_uplink: bool,
    /// What the network has for telling messages apart, be it with the counter; empty where there is nothing.
    pub mark: Cow<'a, str>,
    /// The frame counter, where it tells messages apart.
    pub counter: i64,
    /// When the network received it.
    pub at: Timestamp,
    /// The same, where that is needed to tell it from others: in units as small as are kept.
    pub instant: Option<i128>,
}
