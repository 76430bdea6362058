//! An offline Things Stack V3: its broker, its applications and keys, and simulated devices.

mod downlink;
mod event;
mod failure;
mod formatter;
#[cfg(test)]
mod fuzz;
mod grpc;
mod http;
mod json;
mod key;
mod limit;
mod mac;
mod mqtt;
mod plan;
mod queue;
mod record;
mod registry;
mod right;
mod sandbox;
mod simulated;
mod stack;
mod storage;
mod traffic;
mod watch;

pub use self::right::Rights;
pub use self::sandbox::{Options, Sandbox};
