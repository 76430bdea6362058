//! What `connect` is told, as values of the core.

use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::backoff::Bounds;
use crate::client::thingsboard::Connection;
use crate::dialect::mqtt;
use crate::endpoint::{Endpoint, Trust, check_host};
use crate::ids::AccessKey;
use crate::net::{self, Proxy, ProxyKind, Tls};
use crate::py::arguments::text;
use crate::py::convert::{self, Octets, identity, seconds, trust};
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::session::Will;

/// Delays between attempts, unless a program says others.
pub(super) const DELAYS: Bounds = Bounds { min: Duration::from_secs(1), max: Duration::from_secs(120) };
/// Bound on the opening of each connection.
const OPENING: Duration = Duration::from_secs(30);

#[doc = stub!("TlsSettings")]
#[pyclass(frozen, name = "TlsSettings", module = "thingslink._native")]
pub(in crate::py) struct PyTlsSettings {
    pub(super) tls: Tls,
}

#[pymethods(crate = "crate::py::named")]
impl PyTlsSettings {
    #[new]
    #[pyo3(signature = (ca_certs, cert_file, key_file, key_password, insecure, names=None))]
    fn new(
        py: Python<'_>,
        ca_certs: Option<Bound<'_, PyAny>>,
        cert_file: Option<Bound<'_, PyAny>>,
        key_file: Option<Bound<'_, PyAny>>,
        key_password: Option<Bound<'_, PyAny>>,
        insecure: bool,
        names: Option<(String, String, String)>,
    ) -> PyResult<Self> {
        let whom = if insecure { Trust::Anyone } else { trust("ca_certs", ca_certs.as_ref())? };
        // As the program knows them.
        let names =
            names.as_ref().map_or(("cert_file", "key_file", "key_password"), |(cert_file, key_file, password)| {
                (cert_file.as_str(), key_file.as_str(), password.as_str())
            });
        let password = key_password.map(|password| text(names.2, &password)).transpose()?;
        let identity = identity((names.0, names.1), (cert_file.as_ref(), key_file.as_ref()), password)?;
        let config = net::client_config_for(&whom, identity.as_ref(), &[]).or_raise(py)?;
        Ok(Self { tls: Tls { config, argument: "ca_certs" } })
    }
}

/// What the server publishes when the client is lost.
#[pyclass(frozen, name = "Will", module = "thingslink._native")]
pub(in crate::py) struct PyWill {
    will: Will,
}

#[pymethods(crate = "crate::py::named")]
impl PyWill {
    #[new]
    fn new(
        topic: String,
        payload: Octets,
        #[pyo3(from_py_with = number::qos)] qos: i64,
        retain: bool,
    ) -> PyResult<Self> {
        topic_of(&topic)?;
        Ok(Self { will: Will { topic, payload: Bytes::from(payload.0), qos: convert::qos(qos)?, retain } })
    }
}

/// The proxy on the way to the server; its kinds are PySocks' numbers, 1 (SOCKS 4a) and 2 (SOCKS 5).
#[pyclass(frozen, name = "Proxy", module = "thingslink._native")]
pub(in crate::py) struct PyProxy {
    proxy: Proxy,
}

#[pymethods(crate = "crate::py::named")]
impl PyProxy {
    #[new]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = number::proxy_type)] proxy_type: i64,
        proxy_addr: String,
        #[pyo3(from_py_with = number::proxy_port)] proxy_port: u16,
        proxy_username: Option<String>,
        proxy_password: Option<String>,
    ) -> PyResult<Self> {
        // PySocks' numbers.
        let kind = match proxy_type {
            1 => ProxyKind::Socks4,
            2 => ProxyKind::Socks5,
            3 => ProxyKind::Http,
            other => {
                let text = format!("proxy_type {other} is not valid: expected 1 (SOCKS 4), 2 (SOCKS 5) or 3 (HTTP)");
                return Err(PyValueError::new_err(text));
            }
        };
        check_host(&proxy_addr).map_err(|error| error.about("proxy_addr")).or_raise(py)?;
        let login = proxy_username.map(|user| (user, AccessKey::new(proxy_password.unwrap_or_default())));
        Ok(Self { proxy: Proxy { kind, host: proxy_addr, port: proxy_port, login } })
    }
}

/// Everything that a connection needs, found to be of use.
#[pyclass(frozen, name = "Prepared", module = "thingslink._native")]
pub(in crate::py) struct PyPrepared {
    pub(super) how: Connection,
}

impl PyPrepared {
    /// Put it together.
    pub(super) fn new(
        host: &str,
        port: u16,
        keep_alive: Option<&Bound<'_, PyAny>>,
        tls: Option<&PyTlsSettings>,
        will: Option<&PyWill>,
        proxy: Option<&PyProxy>,
    ) -> PyResult<Self> {
        // The first words are the original's.
        let endpoint = Endpoint::new(host, port, tls.is_some())
            .map_err(|error| PyValueError::new_err(format!("Invalid host. {error}")))?;
        let keep_alive = seconds_or("keepalive", keep_alive, Duration::from_secs(120))?;
        if keep_alive.subsec_nanos() != 0 || keep_alive.as_secs() > 65_535 {
            let text = format!("keepalive {keep_alive:?} is not valid: expected whole seconds from 0 (off) to 65535");
            return Err(PyValueError::new_err(text));
        }
        let how = Connection {
            endpoint,
            tls: tls.map(|tls| tls.tls.clone()),
            keep_alive,
            will: will.map(|will| will.will.clone()),
            proxy: proxy.map(|proxy| proxy.proxy.clone()),
            timeout: OPENING,
        };
        Ok(Self { how })
    }
}

/// A topic to publish to.
pub(super) fn topic_of(topic: &str) -> PyResult<()> {
    mqtt::check_topic(topic).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A time in seconds that may be left out.
fn seconds_or(name: &str, given: Option<&Bound<'_, PyAny>>, default: Duration) -> PyResult<Duration> {
    given.map_or(Ok(default), |given| seconds(name, given))
}

/// Delays between attempts, each with the name of its argument. The original took any numbers: what does not fit together
/// is made to.
pub(super) fn backoff(
    min: (&str, Option<&Bound<'_, PyAny>>),
    max: (&str, Option<&Bound<'_, PyAny>>),
) -> PyResult<Bounds> {
    let min = seconds_or(min.0, min.1, DELAYS.min)?.max(Duration::from_millis(1));
    Ok(Bounds { min, max: seconds_or(max.0, max.1, DELAYS.max)?.max(min) })
}
