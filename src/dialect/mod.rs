//! What the networks say: topics and bytes in, values out. Pure: no sockets, no clock, no runtime.

pub mod json;
pub mod lorawan;
pub mod mqtt;
pub mod thingsboard;
