//! gRPC: channels, messages and the services' methods.
//!
//! A [`Channel`] moves encoded messages; a [`Method`] says which. Messages that users hold are dynamic
//! ([`prost_reflect::DynamicMessage`]), because they keep the fields that our definitions do not have (`unknown.rs`): what
//! a newer server stores survives a read-modify-write. Fixed requests use the generated types in [`proto`].

mod address;
mod channel;
mod codec;
mod door;
#[cfg(test)]
mod fuzz;
pub mod json;
pub mod message;
mod method;
mod pace;
mod plain;
pub mod proto;
mod stack;
mod status;
mod stream;
mod text;
mod unknown;
mod way;
mod web;
mod witness;

pub use self::address::{DISCOVERY_PORT, HANDLER_PORT, addresses};
pub use self::channel::{Authority, CallOptions, Channel, LARGEST_REPLY, Reply, Server};
pub(crate) use self::codec::AsIs;
pub use self::method::Method;
pub use self::plain::{from_struct, to_struct};
pub use self::stream::Messages;
pub use self::text::to_text;
