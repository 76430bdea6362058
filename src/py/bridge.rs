//! `thingslink.bridge.Bridge`: MQTT on one end, NATS JetStream on the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::Handle;

use super::convert::{seconds, trust};
use super::error::OrRaise as _;
use super::lorawan::management;
use super::nats::{NatsArguments, NatsLogin};
use super::number;
use super::runtime::{self, Closable, Process};
use super::{face, leaving, log};
use crate::bridge::{Bridge, Options};
use crate::client::lorawan::Config;
use crate::dialect::lorawan::{Network, hosted};
use crate::endpoint::Endpoint;
use crate::ids::{AccessKey, AppId};
use crate::nats::stream::{KEPT, Limits};
use crate::sync::Mutex;

/// How long an attempt to connect, and an answer of JetStream, may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long to connect both ends, and to part with them.
const CONNECT: Duration = Duration::from_secs(30);
const CLOSE: Duration = Duration::from_secs(10);

#[doc = stub!("Bridge")]
#[pyclass(frozen, name = "Bridge", module = "thingslink.bridge")]
pub(super) struct PyBridge {
    options: Options,
    running: Mutex<Option<Running>>,
}

#[derive(Clone)]
struct Running {
    shared: Arc<Shared>,
    process: Arc<Process>,
}

struct Shared(Bridge);

impl Closable for Shared {
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> tokio::task::JoinHandle<()> {
        handle.spawn(async move { self.0.close(Duration::from_secs(1)).await })
    }
}

impl PyBridge {
    fn running(&self) -> PyResult<Running> {
        let running = self.running.lock().clone();
        let running = running.ok_or_else(|| PyRuntimeError::new_err("the bridge is not connected"))?;
        running.process.check()?;
        Ok(running)
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyBridge {
    #[new]
    #[pyo3(signature = (
        app_id, access_key, mqtt_address="", nats_address="nats://localhost:4222", *, name="", network=None,
        cluster=None, tls=None, ca_certs=None, keep_alive=None, pubsub=None, nats_user=None, nats_password=None,
        nats_token=None, nats_nkey=None, nats_credentials=None, nats_ca_certs=None, nats_monitor=None, window=1000,
        spool=None, spool_bytes=1_073_741_824, max_age=None, max_bytes=10_737_418_240, replicas=1,
        management_address=None, insecure_channel=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: String,
        access_key: String,
        mqtt_address: &str,
        nats_address: &str,
        name: &str,
        network: Option<&str>,
        cluster: Option<&str>,
        tls: Option<bool>,
        ca_certs: Option<Bound<'py, PyAny>>,
        keep_alive: Option<Bound<'py, PyAny>>,
        pubsub: Option<String>,
        nats_user: Option<String>,
        nats_password: Option<String>,
        nats_token: Option<String>,
        nats_nkey: Option<String>,
        nats_credentials: Option<PathBuf>,
        nats_ca_certs: Option<Bound<'py, PyAny>>,
        nats_monitor: Option<&'py str>,
        #[pyo3(from_py_with = number::window)] window: usize,
        spool: Option<PathBuf>,
        #[pyo3(from_py_with = number::spool_bytes)] spool_bytes: u64,
        max_age: Option<Bound<'py, PyAny>>,
        #[pyo3(from_py_with = number::max_bytes)] max_bytes: u64,
        #[pyo3(from_py_with = number::replicas)] replicas: usize,
        management_address: Option<&str>,
        insecure_channel: bool,
    ) -> PyResult<Self> {
        let (app_id, access_key) = (AppId::new(app_id).or_raise(py)?, AccessKey::new(access_key));
        let mqtt_address = match cluster {
            Some(cluster) => hosted::host(cluster, app_id.as_str()).or_raise(py)?,
            None => mqtt_address.to_owned(),
        };
        let host = Endpoint::parse(&mqtt_address, tls).ok().map(|endpoint| endpoint.host);
        let network = match network {
            Some(network) => network.parse().or_raise(py)?,
            None if cluster.is_some() || pubsub.is_some() => Network::V3,
            None => Network::of(&access_key, host.as_deref(), app_id.as_str()),
        };
        let endpoint = match mqtt_address.as_str() {
            "" => None,
            address => Some(network.endpoint(address, tls).or_raise(py)?),
        };
        let mut mqtt = Config::new(network.app_id(app_id, host.as_deref()).or_raise(py)?, access_key);
        mqtt.network = network;
        mqtt.trust = trust("ca_certs", ca_certs.as_ref())?;
        let place = (host.as_deref(), cluster.is_some());
        let given = (management_address, None);
        mqtt.management = management(py, network, given, place, insecure_channel, mqtt.trust.clone())?;
        if network == Network::V2 && !name.is_empty() {
            mqtt.client_id = format!("thingslink-bridge-{name}");
        }
        if let Some(keep_alive) = keep_alive {
            mqtt.keep_alive = seconds("keep_alive", &keep_alive)?;
        }
        let nats = NatsArguments {
            address: nats_address.to_owned(),
            login: NatsLogin {
                user: nats_user,
                password: nats_password,
                token: nats_token,
                nkey: nats_nkey,
                credentials: nats_credentials,
            },
            ca_certs: nats_ca_certs,
            monitor: nats_monitor,
        };
        let shown = format!("thingslink bridge {} {name}", mqtt.app_id);
        let mut options = Options {
            mqtt,
            endpoint,
            pubsub,
            nats: nats.read(py, shown.trim_end().to_owned(), TIMEOUT, window)?,
            limits: Limits {
                age: max_age.map_or(Ok(KEPT), |age| seconds("max_age", &age))?,
                bytes: max_bytes,
                replicas,
            },
            spool: spool.map(|folder| (folder, spool_bytes)),
            timeout: CONNECT,
        };
        options.settle().or_raise(py)?;
        Ok(Self { options, running: Mutex::default() })
    }

    #[doc = stub!("Bridge.connect")]
    #[pyo3(signature = (timeout=None))]
    fn connect(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let mut options = self.options.clone();
        options.timeout = timeout.map_or(Ok(CONNECT), |timeout| seconds("timeout", &timeout))?;
        if self.running.lock().is_some() {
            return Err(PyRuntimeError::new_err("the bridge is connected already"));
        }
        log::prepare(py)?;
        let process = runtime::process()?;
        let bridge = process.wait(py, Box::pin(Bridge::start(options)))?.or_raise(py)?;
        let shared = Arc::new(Shared(bridge));
        process.close_at_exit(&shared);
        // Two threads that connect the same bridge: the first one's is dropped.
        *self.running.lock() = Some(Running { shared, process });
        Ok(())
    }

    #[doc = stub!("Bridge.close")]
    #[pyo3(signature = (timeout=None))]
    fn close(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let within = timeout.map_or(Ok(CLOSE), |timeout| seconds("timeout", &timeout))?;
        let running = self.running.lock().take();
        // A forked child has nothing of its own to close.
        let Some(Running { shared, process }) = running.filter(|running| running.process.check().is_ok()) else {
            return Ok(());
        };
        runtime::parted(py, process.wait(py, async move { shared.0.close(within).await }), ())
    }

    #[doc = stub!("Bridge.stats")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.running()?.shared.0.stats();
        face::stats(py, &stats)
    }

    /// What should be known of the NATS server: where acknowledged messages could be lost, in plain words.
    #[getter]
    fn advice(&self) -> PyResult<Vec<String>> {
        Ok(self.running()?.shared.0.advice().to_vec())
    }

    /// The application.
    #[getter]
    fn app_id(&self) -> &str {
        self.options.mqtt.app_id.as_str()
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        leaving::keep();
        slf.get().connect(slf.py(), None)?;
        Ok(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close(py, None)
    }
}
