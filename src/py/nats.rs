//! What users say of a NATS server, whoever connects to it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;

use super::convert::trust;
use super::error::{self, OrRaise as _};
use crate::ids::AccessKey;
use crate::nats::{Address, Login, Monitor, Options};

/// As whom to come.
pub(in crate::py) struct NatsLogin {
    pub(in crate::py) user: Option<String>,
    pub(in crate::py) password: Option<String>,
    pub(in crate::py) token: Option<String>,
    pub(in crate::py) nkey: Option<String>,
    pub(in crate::py) credentials: Option<PathBuf>,
}

impl NatsLogin {
    pub(in crate::py) fn is_given(&self) -> bool {
        let Self { user, password, token, nkey, credentials } = self;
        credentials.is_some() || [user, password, token, nkey].into_iter().any(Option::is_some)
    }

    /// As a value of the core.
    pub(in crate::py) fn read(self, py: Python<'_>) -> PyResult<Login> {
        let credentials = match self.credentials {
            Some(path) => {
                let read = fs::read_to_string(&path);
                Some(read.map_err(|error| error::file_error(py, path.as_os_str(), &error))?)
            }
            None => None,
        };
        let key = |secret: Option<String>| secret.map(AccessKey::new);
        Login::of(self.user, key(self.password), key(self.token), key(self.nkey), key(credentials)).or_raise(py)
    }
}

/// The arguments of a constructor, as they were given.
pub(in crate::py) struct NatsArguments<'py> {
    pub(in crate::py) address: String,
    pub(in crate::py) login: NatsLogin,
    pub(in crate::py) ca_certs: Option<Bound<'py, PyAny>>,
    pub(in crate::py) monitor: Option<&'py str>,
}

impl NatsArguments<'_> {
    /// As values of the core. `name` is what the server shows of the connection.
    pub(in crate::py) fn read(
        self,
        py: Python<'_>,
        name: String,
        timeout: Duration,
        window: usize,
    ) -> PyResult<Options> {
        let address = Address::parse(&self.address).or_raise(py)?;
        let login = self.login.read(py)?;
        let monitor = self.monitor.map(Monitor::parse).transpose().or_raise(py)?;
        Ok(Options {
            address,
            login,
            trust: trust("nats_ca_certs", self.ca_certs.as_ref())?,
            name,
            timeout,
            window,
            monitor,
        })
    }
}
