//! What a user holds, in Rust.

mod backlog;
mod beginning;
pub mod chirpstack;
mod delivery;
mod inlet;
mod lending;
mod line;
pub mod lorawan;
pub mod managed;
mod online;
mod platform;
mod receiver;
#[cfg(feature = "nats")]
pub mod shared;
pub mod stack;
mod stats;
pub mod thingsboard;
mod wanted;
mod wish;

pub use delivery::{Body, Delivery, Incoming};
pub use line::Line;
pub use online::Online;
pub use platform::Platform;
pub use stats::{SharedStats, Stats};
pub use wanted::Wanted;
