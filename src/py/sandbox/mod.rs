//! The sandbox and what belongs to it.

mod chirpstack;
mod faults;
mod follower;
mod scripts;
mod stream;
mod thingsboard;
mod v3;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

pub(super) use self::follower::PyFollower;
pub(super) use self::scripts::{run_by as run_scripts_by, serve as serve_scripts};
pub(super) use self::stream::PyStream;
pub(super) use self::thingsboard::PyThingsBoard;
use crate::dialect::lorawan::Topics;
use crate::error::Error;
use crate::ids::AccessKey;
use crate::py::arguments::texts;
use crate::py::convert::{Octets, frame_bytes};
use crate::py::error::OrRaise as _;
use crate::py::json::object;
use crate::py::leaving;
use crate::py::log;
use crate::py::number;
use crate::py::runtime::{self, Closable, Process};
use crate::sandbox::chirpstack::KeyKind;
use crate::sandbox::v2::{Options, Right, Sandbox};
use crate::sandbox::{NetworkOptions, NetworkSandbox, Received, StreamOptions, UplinkFrame};
use crate::sync::Mutex;

/// See `_native/sandbox.pyi`.
#[pyclass(frozen, subclass, name = "_Sandbox", module = "thingslink._native", dict)]
pub(super) struct PySandbox {
    options: NetworkOptions,
    running: OnceLock<Running>,
}

struct Running {
    shared: Arc<Shared>,
    process: Arc<Process>,
}

struct Shared {
    sandbox: NetworkSandbox,
    /// They end with the sandbox.
    streams: Mutex<Vec<AbortHandle>>,
}

impl Shared {
    fn end_streams(&self) {
        for stream in self.streams.lock().drain(..) {
            stream.abort();
        }
    }
}

impl Closable for Shared {
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> tokio::task::JoinHandle<()> {
        self.end_streams();
        handle.spawn(async move { self.sandbox.stop().await })
    }
}

/// Payload, port, whether it is confirmed, counter.
type ReceivedParts = (Cow<'static, [u8]>, u8, bool, u32);

fn parts(received: Received) -> ReceivedParts {
    (Cow::Owned(received.payload), received.port, received.confirmed, received.counter)
}

impl PySandbox {
    fn running(&self) -> PyResult<(&Arc<Shared>, &Arc<Process>)> {
        let running = self.running.get().ok_or_else(|| PyRuntimeError::new_err("the sandbox is not started"))?;
        running.process.check()?;
        Ok((&running.shared, &running.process))
    }

    fn sandbox(&self) -> PyResult<&NetworkSandbox> {
        Ok(&self.running()?.0.sandbox)
    }

    fn v2(&self, what: &str) -> PyResult<&Sandbox> {
        match self.sandbox()? {
            NetworkSandbox::V2(sandbox) => Ok(sandbox),
            other => Err(not_there(what, other)),
        }
    }
}

/// What only another network has.
fn not_there(what: &str, sandbox: &NetworkSandbox) -> PyErr {
    let network = match sandbox {
        NetworkSandbox::V2(_) => "v2",
        NetworkSandbox::V3(_) => "v3",
        NetworkSandbox::ChirpStack(_) => "chirpstack",
    };
    PyAttributeError::new_err(format!("a sandbox with network={network:?} has no {what}"))
}

#[pymethods(crate = "crate::py::named")]
impl PySandbox {
    #[new]
    #[pyo3(signature = (host="127.0.0.1", mqtt_port=0, mqtts_port=None, discovery_port=0, handler_port=0, insecure=false, state=None, seed=None, any_key=false, network="v2", tenant=None, management_port=0, http_port=0, storage=None, max_connections=10_000, protobuf=false, event_qos=0, client_certificates=false, event_topic=None, command_topic=None))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "the Python signature")]
    fn new(
        py: Python<'_>,
        host: &str,
        #[pyo3(from_py_with = number::mqtt_port)] mqtt_port: u16,
        #[pyo3(from_py_with = number::mqtts_port)] mqtts_port: Option<u16>,
        #[pyo3(from_py_with = number::discovery_port)] discovery_port: u16,
        #[pyo3(from_py_with = number::handler_port)] handler_port: u16,
        insecure: bool,
        state: Option<PathBuf>,
        #[pyo3(from_py_with = number::seed)] seed: Option<u64>,
        any_key: bool,
        network: &str,
        tenant: Option<String>,
        #[pyo3(from_py_with = number::management_port)] management_port: u16,
        #[pyo3(from_py_with = number::http_port)] http_port: u16,
        storage: Option<bool>,
        #[pyo3(from_py_with = number::max_connections)] max_connections: usize,
        protobuf: bool,
        #[pyo3(from_py_with = number::event_qos)] event_qos: u8,
        client_certificates: bool,
        event_topic: Option<&str>,
        command_topic: Option<&str>,
    ) -> PyResult<Self> {
        let host = host.to_owned();
        let options = match network {
            "chirpstack" => NetworkOptions::ChirpStack(crate::sandbox::chirpstack::Options {
                host,
                mqtt_port,
                mqtts_port,
                management_port,
                seed,
                any_key,
                protobuf,
                event_qos,
                client_certificates,
                topics: Topics::new(event_topic, command_topic).or_raise(py)?,
                max_connections,
            }),
            "v3" => NetworkOptions::V3(crate::sandbox::v3::Options {
                host,
                mqtt_port,
                mqtts_port,
                management_port,
                http_port,
                insecure,
                tenant,
                storage,
                seed,
                any_key,
                max_connections,
            }),
            _ => NetworkOptions::V2(Options {
                host,
                mqtt_port,
                mqtts_port,
                discovery_port,
                handler_port,
                insecure,
                state,
                seed,
                any_key,
                max_connections,
            }),
        };
        Ok(Self { options, running: OnceLock::new() })
    }

    /// Start, or serve again on the same ports.
    fn _start(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(running) = self.running.get() {
            let shared = running.shared.clone();
            return running.process.wait(py, async move { shared.sandbox.resume().await })?.or_raise(py);
        }
        log::prepare(py)?;
        let process = runtime::process()?;
        let options = self.options.clone();
        let sandbox = process.wait(py, async move { NetworkSandbox::start(options).await })?.or_raise(py)?;
        let shared = Arc::new(Shared { sandbox, streams: Mutex::default() });
        process.close_at_exit(&shared);
        // Two threads that start the same sandbox: the second one's is dropped again.
        let _first = self.running.set(Running { shared, process });
        Ok(())
    }

    /// Serve no longer; with `streams`, the devices of streams are silent from then on, too.
    fn _stop(&self, py: Python<'_>, streams: bool) -> PyResult<()> {
        // A forked child has nothing of its own to stop.
        let Some(Running { shared, process }) = self.running.get().filter(|running| running.process.check().is_ok())
        else {
            return Ok(());
        };
        if streams {
            shared.end_streams();
        }
        let shared = shared.clone();
        runtime::parted(py, process.wait(py, async move { shared.sandbox.stop().await }), ())
    }

    fn _forget(&self, devices: bool) -> PyResult<()> {
        self.sandbox()?.forget_state();
        if devices {
            self.sandbox()?.forget_devices();
        }
        Ok(())
    }

    /// ``host:port`` of plain MQTT.
    #[getter]
    fn mqtt_address(&self) -> PyResult<String> {
        Ok(self.sandbox()?.mqtt_address())
    }

    /// ``mqtts://host:port``, if TLS is served.
    #[getter]
    fn mqtts_address(&self) -> PyResult<Option<String>> {
        Ok(self.sandbox()?.mqtts_address())
    }

    /// ``host:port`` of the discovery service; ``AttributeError`` but on V2.
    #[getter]
    fn discovery_address(&self) -> PyResult<String> {
        Ok(self.v2("discovery_address")?.discovery_address())
    }

    /// ``host:port`` of the handler, over gRPC; ``AttributeError`` but on V2.
    #[getter]
    fn handler_address(&self) -> PyResult<String> {
        Ok(self.v2("handler_address")?.handler_address())
    }

    /// The PEM certificate that TLS clients must trust.
    #[getter]
    fn ca_certs(&self) -> PyResult<String> {
        Ok(self.sandbox()?.certificate().to_owned())
    }

    #[doc = stub!("_Sandbox.limit_calls")]
    fn limit_calls(&self, #[pyo3(from_py_with = number::per_second)] per_second: Option<f64>) -> PyResult<()> {
        if let Some(rate) = per_second.filter(|rate| !(*rate > 0.0 && rate.is_finite())) {
            return Err(PyValueError::new_err(format!("per_second {rate} is not valid: expected a rate above 0")));
        }
        self.v2("limit_calls")?.limit_calls(per_second);
        Ok(())
    }

    /// Identifiers of the clients that are connected, sorted.
    #[getter]
    fn clients(&self) -> PyResult<Vec<String>> {
        Ok(self.sandbox()?.clients())
    }

    /// Count the messages that wait for a client or are unacknowledged by it.
    fn backlog(&self, client_id: &str) -> PyResult<usize> {
        Ok(self.sandbox()?.backlog(client_id))
    }

    fn _add_application(
        &self,
        py: Python<'_>,
        app_id: &str,
        access_key: String,
        rights: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let rights = texts("rights", rights)?;
        let key = AccessKey::new(access_key);
        match self.sandbox()? {
            NetworkSandbox::V2(sandbox) => {
                let rights = rights.iter().map(|right| Right::parse(right));
                let rights = rights.collect::<Result<BTreeSet<_>, Error>>().or_raise(py)?;
                sandbox.add_application(app_id, key, rights)
            }
            NetworkSandbox::V3(sandbox) => {
                let rights = crate::sandbox::v3::Rights::parse(rights.iter().map(String::as_str)).or_raise(py)?;
                sandbox.add_application(app_id, key, rights)
            }
            NetworkSandbox::ChirpStack(sandbox) => {
                let kind = KeyKind::parse(rights.first().map_or("tenant", String::as_str)).or_raise(py)?;
                sandbox.add_application(app_id, &key, kind)
            }
        }
        .or_raise(py)
    }

    fn _register(&self, py: Python<'_>, app_id: &str, dev_id: &str) -> PyResult<()> {
        self.sandbox()?.register_device(app_id, dev_id).or_raise(py)
    }

    fn _delete(&self, py: Python<'_>, app_id: &str, dev_id: &str) -> PyResult<()> {
        self.sandbox()?.delete_device(app_id, dev_id).or_raise(py)
    }

    fn _devices(&self, app_id: &str) -> PyResult<Vec<String>> {
        Ok(self.sandbox()?.devices(app_id))
    }

    fn _locate(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        #[pyo3(from_py_with = number::latitude)] latitude: f64,
        #[pyo3(from_py_with = number::longitude)] longitude: f64,
        #[pyo3(from_py_with = number::altitude)] altitude: i32,
    ) -> PyResult<()> {
        self.sandbox()?.locate(app_id, dev_id, latitude, longitude, altitude).or_raise(py)
    }

    #[pyo3(signature = (app_id, dev_id, attributes=None, acknowledges=None))]
    fn _configure(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        attributes: Option<BTreeMap<String, String>>,
        acknowledges: Option<bool>,
    ) -> PyResult<()> {
        self.sandbox()?.configure_device(app_id, dev_id, attributes, acknowledges).or_raise(py)
    }

    fn _join(&self, py: Python<'_>, app_id: &str, dev_id: &str) -> PyResult<()> {
        self.sandbox()?.join(app_id, dev_id).or_raise(py)
    }

    #[pyo3(signature = (app_id, dev_id, payload, fields, port, confirmed, is_retry))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn _uplink(
        &self,
        py: Python<'_>,
        app_id: &str,
        dev_id: &str,
        payload: Option<Bound<'_, PyAny>>,
        fields: Option<Bound<'_, PyAny>>,
        #[pyo3(from_py_with = number::uplink_port)] port: u8,
        confirmed: bool,
        is_retry: bool,
    ) -> PyResult<u32> {
        let fields = fields.map(|fields| object("fields", &fields, "a dict")).transpose()?;
        let frame = UplinkFrame {
            payload: payload.map(|payload| frame_bytes("payload", &payload)).transpose()?,
            fields,
            port,
            confirmed,
            is_retry,
        };
        let (shared, process) = self.running()?;
        let (shared, app_id, dev_id) = (shared.clone(), app_id.to_owned(), dev_id.to_owned());
        process.wait(py, async move { shared.sandbox.uplink(&app_id, &dev_id, &frame).await })?.or_raise(py)
    }

    fn _downlinks(&self, app_id: &str, dev_id: &str) -> PyResult<Vec<String>> {
        Ok(self.sandbox()?.downlinks(app_id, dev_id))
    }

    /// Publish bytes as they are, as if the network did: for tests of what a network should not send.
    #[pyo3(signature = (topic, payload, *, retain=false))]
    fn publish_raw(&self, topic: &str, payload: Octets, retain: bool) -> PyResult<()> {
        self.sandbox()?.publish_raw(topic, payload.0.into(), retain);
        Ok(())
    }

    #[pyo3(signature = (app_id, devices, rate, count, seed))]
    fn _stream(
        &self,
        py: Python<'_>,
        app_id: &str,
        #[pyo3(from_py_with = number::devices)] devices: u32,
        #[pyo3(from_py_with = number::rate)] rate: f64,
        #[pyo3(from_py_with = number::stream_count)] count: Option<u64>,
        #[pyo3(from_py_with = number::stream_seed)] seed: u64,
    ) -> PyResult<PyStream> {
        let (shared, process) = self.running()?;
        let options = StreamOptions { devices, rate, count, seed };
        // Registering 100,000 devices takes a while.
        let stream = leaving::detach(py, || shared.sandbox.stream(app_id, options)).or_raise(py)?;
        let task = process.handle.spawn(stream);
        let mut streams = shared.streams.lock();
        streams.retain(|stream| !stream.is_finished());
        streams.push(task.abort_handle());
        drop(streams);
        Ok(PyStream { task: Mutex::new(Some(task)), process: process.clone() })
    }

    fn _received(&self, app_id: &str, dev_id: &str) -> PyResult<Vec<ReceivedParts>> {
        Ok(self.sandbox()?.received(app_id, dev_id).into_iter().map(parts).collect())
    }

    fn _next_received(&self, app_id: &str, dev_id: &str) -> PyResult<Option<ReceivedParts>> {
        Ok(self.sandbox()?.next_received(app_id, dev_id).map(parts))
    }

    /// What passed through lately, first to last: up to 1,000 entries, as `Follower` gives them.
    #[getter]
    fn journal<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        follower::to_dicts(py, self.sandbox()?.journal())
    }

    /// Follow what passes through, from now on.
    fn follow(&self) -> PyResult<PyFollower> {
        let (shared, process) = self.running()?;
        Ok(PyFollower::new(shared.sandbox.follow(), process.clone()))
    }
}
