//! The arguments of `connect` as the core's settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use rustls::ClientConfig;

use crate::backoff::Bounds;
use crate::endpoint::Trust;
use crate::ids::AccessKey;
use crate::net::{self, Identity};
use crate::py::arguments::wrong_type;
use crate::py::convert::{seconds, trust};
use crate::py::error::OrRaise as _;

/// What a program says of TLS.
#[derive(Debug, Default)]
pub(super) struct TlsArguments<'py> {
    pub(super) ca_certs: Option<Bound<'py, PyAny>>,
    pub(super) cert_file: Option<Bound<'py, PyAny>>,
    pub(super) key_file: Option<Bound<'py, PyAny>>,
    pub(super) key_password: Option<String>,
    pub(super) insecure: bool,
}

/// PEM text, or a file of it.
fn pem(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>()
        && text.to_str()?.contains("-----BEGIN")
    {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    let path: PathBuf = value.extract().map_err(|_| wrong_type(name, "a path or PEM text", value))?;
    std::fs::read(&path).map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" (os error").next().unwrap_or(&text).to_owned();
        PyOSError::new_err((error.raw_os_error(), reason, path))
    })
}

impl TlsArguments<'_> {
    /// Read the files, so that a wrong path is told at once.
    pub(super) fn load(&self, py: Python<'_>) -> PyResult<Arc<ClientConfig>> {
        let whom = if self.insecure { Trust::Anyone } else { trust(self.ca_certs.as_ref())? };
        let identity = match (&self.cert_file, &self.key_file) {
            (Some(certificate), key) => {
                let certificate = pem("cert_file", certificate)?;
                let key =
                    key.as_ref().map(|key| pem("key_file", key)).transpose()?.unwrap_or_else(|| certificate.clone());
                let key = String::from_utf8(key).map_err(|_| PyValueError::new_err("key_file is not PEM text"))?;
                let password = self.key_password.as_ref().map(AccessKey::new);
                Some(Identity { certificate, key: AccessKey::new(key), password })
            }
            (None, Some(_)) => return Err(PyValueError::new_err("key_file is given without cert_file")),
            (None, None) => None,
        };
        net::client_config_for(&whom, identity.as_ref(), &[]).or_raise(py)
    }
}

/// A time in seconds that may be left out.
pub(super) fn seconds_or(name: &str, given: Option<&Bound<'_, PyAny>>, default: u64) -> PyResult<Duration> {
    given.map_or(Ok(Duration::from_secs(default)), |given| seconds(name, given))
}

/// Delays between attempts. The original took any numbers: what does not fit together is made to.
pub(super) fn backoff(min: Option<&Bound<'_, PyAny>>, max: Option<&Bound<'_, PyAny>>) -> PyResult<Bounds> {
    let min = seconds_or("min_reconnect_delay", min, 1)?.max(Duration::from_millis(1));
    Ok(Bounds { min, max: seconds_or("timeout", max, 120)?.max(min) })
}
