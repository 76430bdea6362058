//! The Things Network V2 over MQTT (V2 1 of the wire contract).

mod downlink;
mod event;
mod topic;
mod uplink;

pub use downlink::{Downlink, Payload, Schedule, payload_from_text};
pub use event::EventKind;
pub use topic::{Filter, Topic, downlink_topic, is_filter};
pub use uplink::{payload_bytes, timestamp};
