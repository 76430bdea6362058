//! The whole core against its own sandbox: one binary, one module per subject.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod arrivals;
mod client;
mod consumer;
mod rpc;
mod session;
