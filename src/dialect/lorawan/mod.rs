//! The Things Network V2 over MQTT (V2 1 of the wire contract).

mod downlink;
mod event;
mod fields;
mod topic;

pub use downlink::{Downlink, Payload, Schedule, payload_from_text};
pub use event::EventKind;
pub use fields::{payload_bytes, timestamp};
pub use topic::{Filter, Topic, downlink_topic};
