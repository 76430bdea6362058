//! The native half of the ThingsBoard clients: `DeviceClient` and `GatewayClient`, which the classes in
//! `python/thingslink/thingsboard` are over.

mod callback;
mod checksum;
mod connection;
mod deliver;
mod device;
mod exceptions;
mod gateway;
mod gateway_deliver;
mod json;
mod logger;
mod mqtt_handle;
mod provision;
mod publish_info;
mod rate_limit;
mod reach;
mod registry;
mod requests;
mod substitute;
mod telemetry;
mod timestamp;

pub(super) use callback::has_parameter;
pub(super) use checksum::{murmur3_32, murmur3_128};
pub(super) use connection::{PyPrepared, PyProxy, PyTlsSettings, PyWill};
pub(super) use device::PyDeviceClient;
pub(super) use exceptions::{TBQoSException, TBTimeoutException};
pub(super) use gateway::PyGatewayClient;
pub(super) use json::to_json_bytes;
pub(super) use mqtt_handle::PyMqttHandle;
pub(super) use provision::{await_credentials, request_credentials};
pub(super) use publish_info::{PyMessageInfo, PyPublishInfo, PyResultCode};
pub(super) use rate_limit::{PyRateLimit, PyTokenBucket, set_percentage};
pub(super) use telemetry::split_entries;
