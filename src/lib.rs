//! Clients for "Things" platforms and an offline network to run them on.
//!
//! The crate root is the core and knows no Python; the extension module is `py`, behind the feature `python`.
//!
//! - [`error`], [`ids`], [`endpoint`], [`backoff`], [`file`], [`net`], [`sync`]: leaves, used by everything
//! - [`session`]: one MQTT connection that stays alive; moves topics and bytes
//! - [`rpc`]: gRPC channels and messages
//! - [`dialect`]: bytes and topics in, values out; pure
//! - [`client`]: what a user holds
//! - `bridge`: MQTT on one end, NATS `JetStream` on the other
//! - [`pool`]: the threads that drive the network and call callbacks
//! - `nats`: streams of an application over NATS `JetStream`, behind the feature `nats`
//! - `table`: uplinks as a table in Arrow's format, behind the feature `table`
//! - [`sandbox`]: an offline network in one process
//!
//! `tests/rust/architecture.rs` holds which module may use which.

pub mod backoff;
#[cfg(feature = "nats")]
pub mod bridge;
pub mod client;
pub mod dialect;
pub mod endpoint;
pub mod error;
pub mod file;
pub mod ids;
#[cfg(feature = "nats")]
pub mod nats;
pub mod net;
pub mod pool;
pub mod rpc;
pub mod sandbox;
pub mod session;
pub mod sync;
#[cfg(feature = "table")]
pub mod table;

#[cfg(test)]
mod fuzz;
#[cfg(feature = "python")]
mod py;

pub use error::{Error, Result};
