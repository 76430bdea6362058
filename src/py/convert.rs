//! Arguments from Python as values of the core: durations, certificates, keys, policies.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::CastError;
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyList, PyMemoryView, PyString, PyTuple};

use super::arguments::wrong_type;
use super::leaving;
use super::number::{real_of, shown};
use crate::endpoint::Trust;
use crate::ids::AccessKey;
use crate::net::Identity;
use crate::session::{Overflow, QoS};

/// Seconds as `float`, `int` or `timedelta`, not negative.
pub(super) fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let number = match leaving::within(value.py(), || value.call_method0("total_seconds")) {
        Ok(total) => total.extract()?,
        Err(_) => real_of(name, value, "seconds as a number or a timedelta")?,
    };
    Duration::try_from_secs_f64(number)
        .map_err(|_| PyValueError::new_err(format!("{name} {number} is not valid: expected seconds, 0 or more")))
}

/// Trusted certificates: a path, PEM text or PEM bytes.
pub(super) fn trust(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Trust> {
    value.map_or(Ok(Trust::System), |value| pem(name, value).map(Trust::Pem))
}

/// A path, PEM text or PEM bytes.
fn pem(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(text) = value.cast::<PyString>()
        && text.to_str()?.contains("-----BEGIN")
    {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    let path: PathBuf = value.extract().map_err(|_| wrong_type(name, "a path, PEM text or PEM bytes", value))?;
    std::fs::read(&path).map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" (os error").next().unwrap_or(&text).to_owned();
        PyOSError::new_err((error.raw_os_error(), reason, path))
    })
}

/// A client's own certificate and key, each a path, PEM text or PEM bytes; the key may stand beside the certificate.
pub(super) fn identity(
    names: (&str, &str),
    given: (Option<&Bound<'_, PyAny>>, Option<&Bound<'_, PyAny>>),
    password: Option<String>,
) -> PyResult<Option<Identity>> {
    let (certificate, key) = match given {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return Err(PyValueError::new_err(format!("{} is given without {}", names.1, names.0)));
        }
        (Some(certificate), key) => (pem(names.0, certificate)?, key),
    };
    let key = key.map_or_else(|| Ok(certificate.clone()), |key| pem(names.1, key))?;
    let key = String::from_utf8(key).map_err(|_| PyValueError::new_err(format!("{} is not PEM text", names.1)))?;
    Ok(Some(Identity { certificate, key: AccessKey::new(key), password: password.map(AccessKey::new) }))
}

/// Text in hex of any case, with or without `:`, `-`, `.`, blanks, line ends and a leading `0x`. The text is not shown in errors, since
/// it may be a key.
pub(super) fn hex_bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let text = value.cast::<PyString>().map_err(|_| wrong_type(name, "hex text", value))?;
    let text = text.to_str()?.trim();
    let digits: String = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text)
        .chars()
        .filter(|letter| !matches!(letter, ':' | '-' | '.') && !letter.is_whitespace())
        .collect();
    hex::decode(&digits).map_err(|error| match error {
        hex::FromHexError::OddLength => PyValueError::new_err(format!(
            "{name} is not valid: expected hex text with two digits for each byte, got {} digits",
            digits.len()
        )),
        _ => PyValueError::new_err(format!("{name} is not valid: expected hex text, 0-9 and a-f")),
    })
}

/// Bytes of a fixed length: hex as text or bytes, or the bytes themselves. Never shown in errors.
pub(super) fn exact_bytes(name: &str, value: &Bound<'_, PyAny>, length: usize) -> PyResult<Vec<u8>> {
    let bytes = if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        let raw: Vec<u8> = value.extract()?;
        if raw.len() == length {
            return Ok(raw);
        }
        let text = std::str::from_utf8(&raw).map_err(|_| {
            PyValueError::new_err(format!("{name} is not valid: expected {length} bytes, got {}", raw.len()))
        })?;
        hex_bytes(name, PyString::new(value.py(), text).as_any())?
    } else if value.is_instance_of::<PyString>() {
        hex_bytes(name, value)?
    } else {
        return Err(wrong_type(name, "hex text or bytes", value));
    };
    if bytes.len() == length {
        return Ok(bytes);
    }
    let text = format!("{name} is not valid: expected {length} bytes ({} hex digits), got {}", 2 * length, bytes.len());
    Err(PyValueError::new_err(text))
}

/// Bytes in any of their forms: `bytes`, an object with a buffer of bytes, or a list or tuple of integers from 0 to 255.
/// `None` for anything else.
pub(super) fn octets(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        return value.extract().map(Some);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let elements = value.try_iter()?.enumerate();
        return elements.map(|(place, element)| octet(name, place, &element?)).collect::<PyResult<_>>().map(Some);
    }
    let Ok(view) = PyMemoryView::from(value) else { return Ok(None) };
    let (format, size): (String, usize) = (view.getattr("format")?.extract()?, view.getattr("itemsize")?.extract()?);
    if size != 1 || format == "?" {
        return Ok(None);
    }
    view.call_method0("tobytes")?.extract().map(Some)
}

/// Bytes of a signature: `bytes`, an object with a buffer of bytes, or a sequence of integers from 0 to 255.
pub(super) struct Octets(pub(super) Vec<u8>);

impl FromPyObject<'_, '_> for Octets {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let is_text = given.is_instance_of::<PyString>();
        let bytes = if is_text { None } else { given.extract().ok() };
        bytes.map(Self).ok_or_else(|| CastError::new(given, given.py().get_type::<PyBytes>().into_any()).into())
    }
}

/// One of them, by its place in the list.
fn octet(name: &str, place: usize, element: &Bound<'_, PyAny>) -> PyResult<u8> {
    if !element.is_instance_of::<PyBool>()
        && let Ok(octet) = element.extract()
    {
        return Ok(octet);
    }
    let given = shown(element);
    let class = element.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "{name} must have integers from 0 to 255 in its list, not {given} ({class}) at index {place}"
    )))
}

/// A frame's payload: bytes in any form, or text in hex.
pub(super) fn frame_bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str()?;
        return hex::decode(text.split_whitespace().collect::<String>())
            .map_err(|_| PyValueError::new_err(format!("{name} {text:?} is not valid: expected bytes or hex text")));
    }
    octets(name, value)?.ok_or_else(|| wrong_type(name, "bytes, a list of integers from 0 to 255 or hex text", value))
}

/// What a full queue does.
pub(super) fn overflow(text: &str) -> PyResult<Overflow> {
    match text {
        "drop_oldest" => Ok(Overflow::DropOldest),
        "stop_reading" => Ok(Overflow::StopReading),
        other => {
            let text = format!("overflow {other:?} is not valid: expected \"drop_oldest\" or \"stop_reading\"");
            Err(PyValueError::new_err(text))
        }
    }
}

/// The level of delivery.
pub(super) fn qos(number: i64) -> PyResult<QoS> {
    match number {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        other => Err(PyValueError::new_err(format!("qos {other} is not valid: expected 0 or 1"))),
    }
}
