//! The ThingsBoard clients as pyclasses.

mod callback;
mod checksum;
mod connection;
mod constructor;
mod deliver;
mod device;
mod gateway;
mod json;
mod mqtt;
mod provision;
mod publish_info;
mod rate_limit;
mod registry;
mod telemetry;
mod words;

pub(super) use checksum::{murmur3_32, murmur3_128};
pub(super) use device::PyDeviceClient;
pub(super) use gateway::PyGatewayClient;
pub(super) use mqtt::PyMqtt;
pub(super) use provision::request_credentials;
pub(super) use publish_info::{PyMessageInfo, PyPublishInfo};
pub(super) use rate_limit::{PyRateLimit, PyTokenBucket};
