//! What only clients of `ChirpStack` are told: as whom to come to the operator's broker, and where the server's own API is.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::client::lorawan::Api;
use crate::dialect::lorawan::{Network, Topics, uuid};
use crate::endpoint::{Endpoint, Trust, masked};
use crate::ids::AccessKey;
use crate::net::Identity;
use crate::py::convert::identity;
use crate::py::error::OrRaise as _;

const EXPECTED: &str = "host:port of ChirpStack's API, such as \"chirpstack.example:8080\"";
/// The port of the API, and of the web interface.
const PORT: u16 = 8080;

/// As whom to come to the broker.
pub(in crate::py) struct Broker<'py> {
    pub(in crate::py) username: Option<String>,
    pub(in crate::py) password: Option<String>,
    pub(in crate::py) certificate: Option<Bound<'py, PyAny>>,
    pub(in crate::py) key: Option<Bound<'py, PyAny>>,
}

/// A login, and a certificate.
type Credentials = (Option<(String, AccessKey)>, Option<Identity>);

impl Broker<'_> {
    /// Nobody, a user, or who a certificate says.
    pub(super) fn read(self, network: Network) -> PyResult<Credentials> {
        let Self { username, password, certificate, key } = self;
        let given = [
            ("mqtt_username", username.is_some()),
            ("mqtt_password", password.is_some()),
            ("client_cert", certificate.is_some()),
            ("client_key", key.is_some()),
        ];
        refuse_elsewhere(network, &given)?;
        let login = match (username, password) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(PyValueError::new_err("mqtt_password is given without mqtt_username"));
            }
            (Some(username), password) => Some((username, AccessKey::new(password.unwrap_or_default()))),
        };
        let identity = identity(("client_cert", "client_key"), (certificate.as_ref(), key.as_ref()), None)?;
        Ok((login, identity))
    }
}

fn refuse_elsewhere(network: Network, given: &[(&str, bool)]) -> PyResult<()> {
    match given.iter().find(|(_, given)| *given && network != Network::ChirpStack) {
        Some((name, _)) => {
            let text = format!("{name} is not valid on {}: only ChirpStack has it", network.title());
            Err(PyValueError::new_err(text))
        }
        None => Ok(()),
    }
}

/// How the server writes its topics.
pub(super) fn topics(
    py: Python<'_>,
    network: Network,
    event_topic: Option<&str>,
    command_topic: Option<&str>,
) -> PyResult<Topics> {
    let given = [("event_topic", event_topic.is_some()), ("command_topic", command_topic.is_some())];
    refuse_elsewhere(network, &given)?;
    Topics::new(event_topic, command_topic).or_raise(py)
}

/// Where the API is.
pub(super) struct At<'a> {
    pub(super) grpc_address: Option<&'a str>,
    pub(super) tenant_id: Option<&'a str>,
}

impl At<'_> {
    /// With TLS, but on this machine, or where it is said outright that the key may go without: the server itself has none.
    pub(super) fn read(
        self,
        py: Python<'_>,
        network: Network,
        (tls, insecure): (Option<bool>, bool),
        trust: Trust,
    ) -> PyResult<Option<Api>> {
        let given = [("grpc_address", self.grpc_address.is_some()), ("tenant_id", self.tenant_id.is_some())];
        refuse_elsewhere(network, &given)?;
        let tenant_id = self.tenant_id.map(tenant).transpose()?;
        let Some(address) = self.grpc_address else { return Ok(None) };
        let endpoint = api_endpoint(py, "grpc_address", address, insecure || tls == Some(false))?;
        Ok(Some(Api { endpoint, trust, tenant_id }))
    }
}

/// A tenant, by its UUID.
pub(in crate::py) fn tenant(given: &str) -> PyResult<String> {
    uuid(given)
        .ok_or_else(|| PyValueError::new_err(format!("tenant_id {:?} is not valid: expected a UUID", masked(given))))
}

/// Where the API is: with TLS, but on this machine, or where it is said outright that it is spoken to in plain text.
pub(in crate::py) fn api_endpoint(
    py: Python<'_>,
    argument: &'static str,
    address: &str,
    is_plain: bool,
) -> PyResult<Endpoint> {
    let (scheme, plain) = match address.split_once("://") {
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        _ => (None, address),
    };
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let endpoint = Endpoint::parse_plain(argument, plain, EXPECTED, PORT, true).or_raise(py)?;
    let tls = scheme.unwrap_or(!is_plain && !endpoint.is_loopback());
    if !tls && !is_plain && !endpoint.is_loopback() {
        let way = if argument == "grpc_address" { "tls=False" } else { "insecure_channel=True" };
        let text = format!(
            "{argument} {:?} is not valid: expected an address with TLS, since an API key goes without it to this machine \
             alone, or with {way}",
            masked(address)
        );
        return Err(PyValueError::new_err(text));
    }
    let port = if address == plain || plain.contains(':') {
        endpoint.port
    } else if tls {
        443
    } else {
        80
    };
    Ok(Endpoint { port, tls, ..endpoint })
}
