//! An offline ChirpStack 4: a broker with the server as its client, its applications and keys, and simulated devices.

mod api;
mod authority;
mod codec;
mod command;
mod device;
mod downlink;
mod event;
#[cfg(test)]
mod fuzz;
mod ids;
mod json;
mod key;
mod login;
mod lpp;
mod owner;
mod registry;
mod sandbox;
mod server;
mod told;
mod traffic;

pub use self::owner::KeyKind;
pub use self::sandbox::{Options, Sandbox};
