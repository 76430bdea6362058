//! Arguments that are numbers: ints within a range, and floats. `True` is neither.
//!
//! Every int and float of a signature is read by a function of this module (`#[pyo3(from_py_with = number::…)]`), so that all
//! errors name the argument, what was given and what may be.

use std::fmt::Display;
use std::ops::RangeInclusive;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::arguments::wrong_type;
use super::lorawan::fport;
use super::shown::cut;
use crate::dialect::lorawan::Network;

/// An int, of which `read` makes what it stands for, or tells what was expected.
pub(super) fn whole<T, E: Display>(
    name: &str,
    value: &Bound<'_, PyAny>,
    read: impl FnOnce(i128) -> Result<T, E>,
) -> PyResult<T> {
    let py = value.py();
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "int", value));
    }
    let number = match value.extract::<i128>() {
        Ok(number) => number,
        // No range goes so far: the last number stands for all that are beyond it.
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => {
            if value.lt(0)? {
                i128::MIN
            } else {
                i128::MAX
            }
        }
        Err(error) if error.is_instance_of::<PyTypeError>(py) => return Err(wrong_type(name, "int", value)),
        Err(error) => return Err(error),
    };
    read(number)
        .map_err(|expected| PyValueError::new_err(format!("{name} {} is not valid: expected {expected}", shown(value))))
}

/// What was given, cut to what fits a line.
pub(super) fn shown(value: &Bound<'_, PyAny>) -> String {
    // Python refuses to write ints of more than 4300 digits.
    let Ok(text) = value.repr() else { return "of thousands of digits".to_owned() };
    cut(&text.to_string(), 40)
}

/// An int within a range.
pub(super) fn within<T: TryFrom<i128>>(
    name: &str,
    value: &Bound<'_, PyAny>,
    range: RangeInclusive<i128>,
) -> PyResult<T> {
    whole(name, value, |number| {
        let found = Some(number).filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
        found.ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            let between = if last - first == 1 { "or" } else { "to" };
            format!("{first} {between} {last}")
        })
    })
}

/// A float; ints are taken, too.
fn real(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    real_of(name, value, "a number")
}

/// A float that stands for something, which is told of what is none.
pub(super) fn real_of(name: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyResult<f64> {
    let py = value.py();
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, expected, value));
    }
    value.extract::<f64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(py) {
            PyValueError::new_err(format!("{name} {} is not valid: expected at most 1.8e308", shown(value)))
        } else if error.is_instance_of::<PyTypeError>(py) {
            wrong_type(name, expected, value)
        } else {
            error
        }
    })
}

/// What an int of a signature may be read as.
trait Int: Sized {
    fn read(name: &str, value: &Bound<'_, PyAny>, range: RangeInclusive<i128>) -> PyResult<Self>;
}

macro_rules! int {
    ($($kind:ty),*) => {$(
        impl Int for $kind {
            fn read(name: &str, value: &Bound<'_, PyAny>, range: RangeInclusive<i128>) -> PyResult<Self> {
                within(name, value, range)
            }
        }

        impl Int for Option<$kind> {
            fn read(name: &str, value: &Bound<'_, PyAny>, range: RangeInclusive<i128>) -> PyResult<Self> {
                if value.is_none() { Ok(None) } else { within(name, value, range).map(Some) }
            }
        }
    )*};
}

int!(u8, u16, u32, u64, usize, i32, i64);

/// Functions that read the ints of signatures: each with the argument's name, its type and its range.
macro_rules! ints {
    ($($function:ident: $name:literal, $kind:ty, $range:expr;)*) => {$(
        pub(in crate::py) fn $function(value: &Bound<'_, PyAny>) -> PyResult<$kind> {
            <$kind as Int>::read($name, value, $range)
        }
    )*};
}

const U16: RangeInclusive<i128> = 0..=u16::MAX as i128;
const U32: RangeInclusive<i128> = 0..=u32::MAX as i128;
const U64: RangeInclusive<i128> = 0..=u64::MAX as i128;
const SIZE: RangeInclusive<i128> = 0..=usize::MAX as i128;
const AT_LEAST_1: RangeInclusive<i128> = 1..=usize::MAX as i128;

ints! {
    altitude: "altitude", i32, i32::MIN.into()..=i32::MAX.into();
    attr_request_number: "attr_request_number", u64, U64;
    battery: "battery", u8, 0..=255;
    burst: "burst", u32, U32;
    code: "code", u8, 0..=255;
    count: "count", u32, U32;
    counter: "counter", u32, U32;
    devices: "devices", u32, U32;
    discovery_port: "discovery_port", u16, U16;
    event_qos: "event_qos", u8, 0..=1;
    handler_port: "handler_port", u16, U16;
    http_port: "http_port", u16, U16;
    in_flight: "in_flight", u64, U64;
    inflight: "inflight", usize, SIZE;
    limit: "limit", Option<u64>, U64;
    management_port: "management_port", u16, U16;
    margin: "margin", i32, -32..=31;
    max_bytes: "max_bytes", u64, 1..=u64::MAX.into();
    max_connections: "max_connections", usize, AT_LEAST_1;
    max_inflight: "max_inflight", usize, 1..=60_000;
    max_rows: "max_rows", usize, AT_LEAST_1;
    max_message_bytes: "max_message_bytes", usize, AT_LEAST_1;
    max_payload_size: "max_payload_size", usize, SIZE;
    mid: "mid", u16, U16;
    max_points: "max_points", usize, SIZE;
    most: "most", usize, SIZE;
    table_bytes: "max_bytes", usize, AT_LEAST_1;
    most_bytes: "max_bytes", usize, SIZE;
    most_used: "percentage", u64, U64;
    mqtt_port: "mqtt_port", u16, U16;
    mqtts_port: "mqtts_port", Option<u16>, U16;
    offset: "offset", Option<u64>, U64;
    other_port: "port", Option<u16>, U16;
    page_size: "page_size", u64, 1..=u64::MAX.into();
    payload_bytes: "payload_bytes", u64, U64;
    percentage: "percentage", Option<u64>, U64;
    port: "port", u16, U16;
    proxy_port: "proxy_port", u16, U16;
    proxy_type: "proxy_type", i64, 1..=3;
    qos: "qos", i64, 0..=1;
    queue_bytes: "queue_bytes", Option<usize>, AT_LEAST_1;
    queue_messages: "queue_messages", Option<usize>, AT_LEAST_1;
    queue_size: "queue_size", usize, SIZE;
    reason: "reason", u32, U32;
    refusal: "reason", u8, 128..=255;
    replicas: "replicas", usize, 1..=5;
    seed: "seed", Option<u64>, U64;
    send_queue_bytes: "send_queue_bytes", usize, AT_LEAST_1;
    send_queue_messages: "send_queue_messages", usize, AT_LEAST_1;
    spool_bytes: "spool_bytes", u64, U64;
    spreading_factor: "spreading_factor", u8, 0..=255;
    stream_count: "count", Option<u64>, U64;
    stream_seed: "seed", u64, U64;
    tls_port: "tls_port", Option<u16>, U16;
    uplink_port: "port", u8, 0..=255;
    wanted: "wanted", usize, SIZE;
    window: "window", usize, 1..=65_536;
}

/// An identifier that was given out as a number; none for anything else.
pub(in crate::py) fn identifier(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "int or str", value));
    }
    Ok(value.extract().ok())
}

/// A LoRaWAN FPort as dry runs and simulations take it.
pub(in crate::py) fn frame_port(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    whole("port", value, |number| {
        u32::try_from(number).ok().filter(|port| *port <= 255).ok_or("a LoRaWAN FPort, 0 to 255")
    })
}

/// The FPort of a downlink on a network.
pub(in crate::py) fn downlink_port(network: Network, value: &Bound<'_, PyAny>) -> PyResult<u8> {
    fport(network, value)
}

/// Functions that read the floats of signatures.
macro_rules! floats {
    ($($function:ident: $name:literal;)*) => {$(
        pub(in crate::py) fn $function(value: &Bound<'_, PyAny>) -> PyResult<f64> {
            real($name, value)
        }
    )*};
}

floats! {
    amount: "amount";
    capacity: "capacity";
    duration_sec: "duration_sec";
    latitude: "latitude";
    longitude: "longitude";
    rate: "rate";
    timeout: "timeout";
    tokens: "tokens";
}

/// How many a second; none for any number.
pub(in crate::py) fn per_second(value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if value.is_none() { Ok(None) } else { real("per_second", value).map(Some) }
}

/// How many a minute; none for any number.
pub(in crate::py) fn per_minute(value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if value.is_none() { Ok(None) } else { real("per_minute", value).map(Some) }
}

/// An int within a range, for the library's Python part.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_whole", signature = (name, value, first, last, /))]
pub(super) fn checked_whole(name: &str, value: &Bound<'_, PyAny>, first: i64, last: i64) -> PyResult<i64> {
    within(name, value, first.into()..=last.into())
}

/// A float, for the library's Python part.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_real", signature = (name, value, /))]
pub(super) fn checked_real(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    real(name, value)
}
