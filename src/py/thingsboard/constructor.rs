//! The arguments of the constructors, of every generation of the original (TB 0, 3.3, 4).

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};

use super::words;
use crate::py::arguments::wrong_type;
use crate::session::Version;

const DEVICE: [&str; 11] = [
    "port",
    "username",
    "password",
    "quality_of_service",
    "client_id",
    "chunk_size",
    "messages_rate_limit",
    "telemetry_rate_limit",
    "telemetry_dp_rate_limit",
    "max_payload_size",
    "protocol",
];
const GATEWAY: [&str; 12] = [
    "port",
    "username",
    "password",
    "gateway",
    "quality_of_service",
    "client_id",
    "messages_rate_limit",
    "telemetry_rate_limit",
    "telemetry_dp_rate_limit",
    "device_messages_rate_limit",
    "device_telemetry_rate_limit",
    "device_telemetry_dp_rate_limit",
];
/// Accepted by keyword in any generation.
const MORE: [&str; 6] = ["token", "chunk_size", "max_payload_size", "rate_limit", "dp_rate_limit", "protocol"];

/// What was given, by its name of today.
pub(super) struct Arguments<'py> {
    py: Python<'py>,
    given: Bound<'py, PyDict>,
}

impl<'py> Arguments<'py> {
    /// Sort the arguments out.
    pub(super) fn parse(
        py: Python<'py>,
        gateway: bool,
        positional: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let class = if gateway { "TBGatewayMqttClient" } else { "TBDeviceMqttClient" };
        let given = PyDict::new(py);
        let mut values = positional.iter();
        let put = |name: &str, value: Bound<'py, PyAny>| {
            if given.contains(name)? {
                return Err(PyTypeError::new_err(format!("{class}() got multiple values for argument '{name}'")));
            }
            given.set_item(name, value)
        };
        if let Some(host) = values.next() {
            put("host", host)?;
        }
        let rest: Vec<_> = values.collect();
        let names: &[&str] = match (token_first(&rest)?, gateway) {
            (true, false) => &["username", "port", "quality_of_service"],
            (true, true) => &["username", "port", "gateway", "quality_of_service"],
            (false, false) => &DEVICE,
            (false, true) => &GATEWAY,
        };
        if rest.len() > names.len() {
            return Err(PyTypeError::new_err(format!(
                "{class}() takes at most {} positional arguments, {} were given",
                names.len() + 1,
                rest.len() + 1
            )));
        }
        for (name, value) in names.iter().zip(rest) {
            put(name, value)?;
        }
        let today: &[&str] = if gateway { &GATEWAY } else { &DEVICE };
        for (name, value) in keywords.into_iter().flat_map(pyo3::types::PyDictMethods::iter) {
            let name: String = name.extract()?;
            if name == "token" {
                put("username", value)?;
            } else if name == "host" || today.contains(&name.as_str()) || MORE.contains(&name.as_str()) {
                put(&name, value)?;
            } else {
                // As the original, which took no notice of them.
                let known: Vec<_> = today.iter().chain(&MORE).copied().collect();
                words::log(
                    py,
                    "warning",
                    &format!("{class}() ignores the argument '{name}' (known are {})", known.join(", ")),
                );
            }
        }
        if !given.contains("host")? {
            return Err(PyTypeError::new_err(format!("{class}() missing 1 required positional argument: 'host'")));
        }
        Ok(Self { py, given })
    }

    /// A value; `None` if it is not given, or `None` itself.
    pub(super) fn get(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.given.get_item(name)?.filter(|value| !value.is_none()))
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> PyResult<Option<String>> {
        self.get(name)?
            .map(|value| {
                let text = value.cast::<PyString>().map_err(|_| wrong_type(name, "str", &value))?;
                Ok(text.to_str()?.to_owned())
            })
            .transpose()
    }

    /// A number that is not negative.
    pub(super) fn number(&self, name: &str) -> PyResult<Option<usize>> {
        self.get(name)?
            .map(|value| {
                if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
                    return Err(wrong_type(name, "int", &value));
                }
                value
                    .extract()
                    .map_err(|_| PyValueError::new_err(format!("{name} {value} is not valid: expected 0 or more")))
            })
            .transpose()
    }

    /// The server's port: a number, or a text of digits.
    pub(super) fn port(&self) -> PyResult<u16> {
        let Some(value) = self.get("port")? else { return Ok(1883) };
        let number: Option<i64> = match value.cast::<PyString>() {
            Ok(text) => text.to_str()?.trim().parse().ok(),
            Err(_) if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() => {
                return Err(wrong_type("port", "int", &value));
            }
            Err(_) => value.extract().ok(),
        };
        let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        port.ok_or_else(|| {
            PyValueError::new_err(format!("port {value} is not valid: expected a number from 1 to 65535"))
        })
    }

    /// A rate limit: the one for this kind, the old name for all, or the default's name.
    pub(super) fn limit(&self, name: &str, old: &str, default: &str) -> PyResult<String> {
        let old = self.text(old)?.filter(|limit| limit != "DEFAULT_RATE_LIMIT");
        Ok(self.text(name)?.or(old).unwrap_or_else(|| default.to_owned()))
    }

    /// The version of MQTT to try first: 5 and "5", or 4 and "3.1.1".
    pub(super) fn version(&self) -> PyResult<Version> {
        let Some(value) = self.get("protocol")? else { return Ok(Version::V5) };
        match value.str()?.to_str()? {
            "5" | "5.0" => Ok(Version::V5),
            "4" | "3.1.1" => Ok(Version::V311),
            _ => {
                let text = format!("protocol {} is not valid: expected 5 or \"3.1.1\"", value.repr()?);
                Err(PyValueError::new_err(text))
            }
        }
    }

    /// The user name; an empty one is none.
    pub(super) fn username(&self) -> PyResult<String> {
        let username = self.text("username")?;
        if username.as_deref() == Some("") {
            words::log(self.py, "warning", "token is not set, connection without tls wont be established");
        }
        Ok(username.unwrap_or_default())
    }
}

/// Whether the second argument is the access token: a text, unless it is a port in digits followed by a user name.
fn token_first(rest: &[Bound<'_, PyAny>]) -> PyResult<bool> {
    let Some(first) = rest.first() else { return Ok(false) };
    let second_is_port = rest.get(1).is_some_and(pyo3::types::PyAnyMethods::is_instance_of::<PyInt>);
    let Ok(text) = first.cast::<PyString>() else { return Ok(first.is_none() && second_is_port) };
    let text = text.to_str()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let user_follows = rest.get(1).is_some_and(pyo3::types::PyAnyMethods::is_instance_of::<PyString>);
    Ok(!(digits && user_follows))
}
