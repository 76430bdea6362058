//! The Things Network V2, offline: applications, devices, what they send and what is sent to them.

mod air;
mod body;
#[cfg(test)]
mod broker_fuzz;
mod downlinks;
#[cfg(test)]
mod fuzz;
mod grpc;
mod login;
mod network;
mod payload;
mod registry;
mod sandbox;
mod state;
mod traffic;
mod wire;

use self::air::gateway_ids;
use self::network::Network;
pub use self::registry::Right;
use self::registry::{Device, Settings};
pub use self::sandbox::{Options, Sandbox};
