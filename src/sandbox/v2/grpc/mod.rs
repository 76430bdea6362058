//! The gRPC side: discovery, the handler's application manager and device addresses, on the store that MQTT uses, too.

mod access;
mod addresses;
mod discovery;
#[cfg(test)]
mod fuzz;
mod manager;
mod record;
mod server;

pub(super) use self::access::Throttle;
pub(super) use self::discovery::Announced;
pub(super) use self::record::from_wire;
pub(super) use self::server::GrpcService;
