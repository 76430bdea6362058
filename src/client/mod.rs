//! What a user holds, in Rust.

mod delivery;
mod inlet;
pub mod lorawan;
mod stats;
pub mod thingsboard;

pub use delivery::{Body, Delivery, Incoming};
pub use stats::Stats;
