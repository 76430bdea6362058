//! Work shared by several machines: what clients and the bridge have in common over NATS `JetStream`.
//!
//! - [`Address`], [`Login`]: where the servers are, and as whom to come
//! - [`Server`]: one connection, which async-nats keeps alive
//! - [`stream`]: the streams of an application, and what makes them
//! - [`subject`]: MQTT topics as subjects, and back; lanes
//! - [`message_id`]: what is the same message
//!
//! The design with its measurements: `docs/dev/nats.md`.

mod address;
mod advice;
mod connect;
mod login;
pub mod message_id;
pub mod stream;
pub mod subject;
mod trouble;

pub use self::address::{Address, PORT};
pub use self::advice::{Monitor, advice, look};
pub use self::connect::{Options, Server};
pub use self::login::Login;
pub use self::trouble::{refused, trouble};
