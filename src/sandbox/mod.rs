//! Offline servers in one process: a LoRaWAN network with a broker, applications and keys, discovery and a handler over
//! gRPC, and simulated devices; a ThingsBoard; and faults on request.
//!
//! They stand on the packet codec alone and never on our own session or client: a shared mistake would hide itself.

mod air;
mod broker;
mod cayenne;
mod certificate;
pub mod chirpstack;
mod either;
mod exchange;
mod fault;
mod frame;
#[cfg(test)]
mod fuzz;
mod http2;
mod journal;
mod listener;
mod refusals;
mod room;
mod script;
mod stream;
mod structure;
pub mod thingsboard;
pub mod v2;
pub mod v3;

pub use self::either::{NetworkOptions, NetworkSandbox};
pub use self::fault::Faults;
pub use self::frame::{Received, UplinkFrame};
pub use self::journal::Entry;
pub use self::room::MAX_CONNECTIONS;
pub use self::script::{run_scripts_by, serve_scripts};
pub use self::stream::{StreamOptions, device_id};
