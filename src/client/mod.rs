//! What a user holds, in Rust.

mod delivery;
mod inlet;
mod stats;
pub mod thingsboard;
pub mod ttn;

pub use delivery::{Body, Delivery, Incoming};
pub use stats::Stats;
