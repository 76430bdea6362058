//! What the networks say: topics and bytes in, values out. Pure: no sockets, no clock, no runtime.

pub mod json;
pub mod thingsboard;
pub mod ttn_v2;
