//! Who is asking, and whom.

use prost_reflect::DynamicMessage;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::reply_bound::ReplyBound;
use crate::ids::AccessKey;
use crate::py::arguments::text;
use crate::rpc::Authority;

/// Who is asking; read at each call.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) app_id: String,
    pub(super) key: Option<String>,
    pub(super) token: Option<String>,
}

impl Identity {
    pub(super) fn authority(&self) -> Authority {
        match (&self.token, &self.key) {
            (Some(token), _) => Authority::Token(AccessKey::new(token.as_str())),
            (None, Some(key)) => Authority::Key(AccessKey::new(key.as_str())),
            (None, None) => Authority::Anonymous,
        }
    }
}

/// A key or token as it is given: nothing that cannot travel as metadata.
pub(super) fn secret(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_none() {
        return Ok(None);
    }
    let secret = text(name, value)?;
    if secret.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(Some(secret));
    }
    Err(PyValueError::new_err(format!("{name} is not valid: expected printable ASCII text without line breaks")))
}

/// The connection of a client, made from what its constructor got.
pub(super) struct Server {
    pub(super) address: String,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) insecure: bool,
    pub(super) largest: ReplyBound,
}

/// Where an announcement says the handler is.
pub(super) fn announced_server(announcement: &DynamicMessage, insecure: bool, largest: ReplyBound) -> PyResult<Server> {
    let text = |name: &str| {
        let value = announcement.get_field_by_name(name);
        value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let (address, certificate) = (text("net_address"), text("certificate"));
    if address.is_empty() {
        return Err(PyRuntimeError::new_err("the announcement has no net_address: the handler cannot be reached"));
    }
    let certificate = Some(certificate.into_bytes()).filter(|certificate| !certificate.is_empty());
    // A handler with a certificate is spoken to by TLS, however it was discovered.
    let insecure = insecure && certificate.is_none();
    Ok(Server { address, certificate, insecure, largest })
}
