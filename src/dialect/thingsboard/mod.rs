//! What ThingsBoard's MQTT transport and its clients say to each other, as pure functions: topics, telemetry, limits.

#[cfg(test)]
mod fuzz;
mod json;
mod points;
mod rate_limit;
mod reason;
mod session_limits;
mod telemetry;
mod topic;

pub use super::mqtt::connect_reason;
pub use json::{write_float, write_text};
pub use points::count_points;
pub use rate_limit::{RateLimit, TokenBucket, Window};
pub use reason::PublishCode;
pub use session_limits::{LimitTexts, SessionLimits};
pub use telemetry::{Chunk, Entry, Field, Part, Scale, Stamp, split};
pub use topic::{Package, Topic, names};
