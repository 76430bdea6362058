//! The extension module: pyclasses that convert, detach, call the core and convert back.
//!
//! Nothing here may hold a lock while Python code runs, block while attached, or attach on a tokio worker.

#![allow(clippy::needless_pass_by_value, reason = "arguments come as the boundary hands them over")]
#![allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "the form that pyo3 asks for")]
#![allow(clippy::doc_markdown, reason = "these comments are the docstrings that Python shows")]
#![allow(clippy::similar_names, reason = "the names of the Python API: mqtt_port and mqtts_port")]

/// The docstring that the stubs have for a class, a function or a member of a class: it is written there once, for editors
/// and for `help()`. Docstrings of one line stand in both places, where they say what an item is; a test compares them.
macro_rules! stub {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/docstrings/", $name))
    };
}

mod acknowledging;
mod aio;
mod allocator;
mod arguments;
mod awaited;
#[cfg(feature = "nats")]
mod bridge;
mod callable;
mod convert;
mod error;
mod event_loop;
mod face;
mod file;
mod forked;
mod frame;
mod interpreter;
mod json;
mod lead;
mod leaving;
mod log;
mod lorawan;
mod manage;
mod named;
#[cfg(feature = "nats")]
mod nats;
mod number;
mod owner;
mod prepared;
mod proto;
mod raw;
mod runtime;
mod sandbox;
mod serve;
mod serving;
mod shown;
mod signature;
#[cfg(feature = "nats")]
mod stream_admin;
mod thingsboard;
mod value;
mod written;

// No class has been tried without the interpreter lock: an interpreter of the free-threaded kind takes it back.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::aio::{PyAioClient, PyInlet, PyShare};
    #[cfg(feature = "nats")]
    #[pymodule_export]
    use super::bridge::PyBridge;
    #[pymodule_export]
    use super::callable::PyCallback;
    #[pymodule_export]
    use super::event_loop::same_loop;
    #[pymodule_export]
    use super::face::{
        at_the_end, call_errors_from, connecting_to, failures_to, makers_from, private_client_from, record_by,
        run_awaitables_by, stats_as, tell_failure, time_out_from,
    };
    #[pymodule_export]
    use super::file::replace_file;
    #[pymodule_export]
    use super::frame::{PyColumns, PyRows};
    #[pymodule_export]
    use super::lead::{is_led, lead, masked_address};
    #[pymodule_export]
    use super::log::logged;
    #[pymodule_export]
    use super::lorawan::{
        PyActivationEvent, PyDeviceEvent, PyDeviceHandle, PyDownlinkEvent, PyDownlinkHandle, PyDownlinkOutcome,
        PyFieldValue, PyMqttClient, PyRegistrationEvent, PyUplinkMessage, parse_message,
    };
    #[pymodule_export]
    use super::manage::{PyApplicationClient, PyDevicePages, PyDiscoveryClient, PyHandlerClient, PyMethod, PyPages};
    #[pymodule_export]
    use super::manage::{PyChirpStackApplication, PyChirpStackDevice, PyDeviceEvents};
    #[pymodule_export]
    use super::manage::{PyStackApplication, PyStackDevice, PyStub};
    #[pymodule_export]
    use super::number::{checked_real, checked_whole};
    #[pymodule_export]
    use super::proto::{
        PyAnnouncement, PyApplication, PyDescriptor, PyDevice, PyDryDownlinkResult, PyDryUplinkResult, PyEmpty,
        PyFieldDescriptor, PyLogEntry, PyLorawanDevice, PyMap, PyMessage, PyPrefixMapping, PyRepeated,
        PyServiceMetadata, parse_proto,
    };
    #[pymodule_export]
    use super::raw::PyRawMessage;
    #[pymodule_export]
    use super::runtime::{after_fork, callback_threads, open_clients, shut_down};
    #[pymodule_export]
    use super::sandbox::{PyFollower, PySandbox, PyStream, PyThingsBoard, run_scripts_by, serve_scripts};
    #[pymodule_export]
    use super::serving::PyLoan;
    #[pymodule_export]
    use super::shown::html_table;
    #[cfg(feature = "nats")]
    #[pymodule_export]
    use super::stream_admin::{PyStoredMessages, PyStreamAdmin};
    #[pymodule_export]
    use super::thingsboard::{
        PyDeviceClient, PyGatewayClient, PyMessageInfo, PyMqttHandle, PyPrepared, PyProxy, PyPublishInfo, PyRateLimit,
        PyResultCode, PyTlsSettings, PyTokenBucket, PyWill, TBQoSException, TBTimeoutException, await_credentials,
        has_parameter, murmur3_32, murmur3_128, request_credentials, set_percentage, split_entries, to_json_bytes,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::allocator::leave_at_exit();
        super::error::add_to(module)?;
        super::proto::complete(module)?;
        super::runtime::install(module)?;
        super::log::install();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
