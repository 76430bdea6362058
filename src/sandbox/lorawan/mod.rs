//! The offline LoRaWAN network: applications, devices, what they send and what is sent to them.

mod air;
mod body;
mod downlinks;
#[cfg(test)]
mod fuzz;
mod network;
mod registry;
mod sandbox;
mod state;
mod traffic;
mod wire_v2;

pub(super) use self::air::gateway_ids;
pub(super) use self::network::{Network, Publisher};
pub use self::registry::Right;
pub(super) use self::registry::{Device, Settings};
pub use self::sandbox::{Options, Sandbox};
