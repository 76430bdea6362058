//! The extension module: pyclasses that convert, detach, call the core and convert back.
//!
//! Nothing here may hold a lock while Python code runs, block while attached, or attach on a tokio worker.

#![allow(clippy::needless_pass_by_value, reason = "arguments come as the boundary hands them over")]
#![allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "the form that pyo3 asks for")]
#![allow(clippy::doc_markdown, reason = "these comments are the docstrings that Python shows")]
#![allow(clippy::similar_names, reason = "the names of the Python API: mqtt_port and mqtts_port")]

mod alarm;
mod arguments;
mod client;
mod consumer;
mod convert;
mod device;
mod dispatch;
mod error;
mod event;
mod handlers;
mod log;
mod message;
mod proto;
mod raw;
mod rpc;
mod runtime;
mod sandbox;
mod sandbox_thingsboard;
mod shared;
mod signature;
mod thingsboard;
mod value;

/// Messages are made on one thread and freed on another, which glibc's allocator answers with a lock for both: measured
/// in `docs/dev/dispatch.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::client::{PyMqttClient, PyPublisher};
    #[pymodule_export]
    use super::device::PyDeviceHandle;
    #[pymodule_export]
    use super::event::{PyActivationEvent, PyDeviceEvent, PyDownlinkEvent, PyFieldValue, PyRegistrationEvent};
    #[pymodule_export]
    use super::message::{PyUplinkMessage, parse_message};
    #[pymodule_export]
    use super::proto::{
        PyAnnouncement, PyApplication, PyDescriptor, PyDevice, PyDryDownlinkResult, PyDryUplinkResult, PyEmpty,
        PyFieldDescriptor, PyLogEntry, PyLorawanDevice, PyMap, PyMessage, PyPrefixMapping, PyRepeated,
        PyServiceMetadata, parse_proto,
    };
    #[pymodule_export]
    use super::raw::PyRawMessage;
    #[pymodule_export]
    use super::rpc::{PyApplicationClient, PyDevicePages, PyDiscoveryClient, PyHandlerClient, PyMethod, PyStub};
    #[pymodule_export]
    use super::runtime::{after_fork, shut_down};
    #[pymodule_export]
    use super::sandbox::{PyFollower, PySandbox, PyStream};
    #[pymodule_export]
    use super::sandbox_thingsboard::PyThingsBoard;
    #[pymodule_export]
    use super::thingsboard::{
        PyDeviceClient, PyGatewayClient, PyMessageInfo, PyMqtt, PyPublishInfo, PyRateLimit, PyTokenBucket, murmur3_32,
        murmur3_128, request_credentials,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::error::add_to(module)?;
        super::proto::complete(module)?;
        super::runtime::install(module)?;
        super::log::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
