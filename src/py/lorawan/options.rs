//! What only The Things Stack V3 can be told of a downlink, as programs give it to `send`.

use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::dialect::lorawan::{Antenna, ClassBC, MAX_ATTEMPTS, Network, Options, check_correlation_id, priority};
use crate::ids::is_stack_id;
use crate::py::arguments::{text, wrong_type};
use crate::py::error::OrRaise as _;
use crate::py::leaving;
use crate::py::number::{whole, within};

/// The arguments.
pub(in crate::py) struct Asked<'py> {
    pub(in crate::py) priority: Option<Bound<'py, PyAny>>,
    pub(in crate::py) class_b_c: Option<Bound<'py, PyAny>>,
    pub(in crate::py) confirmed_retry: Option<Bound<'py, PyAny>>,
    pub(in crate::py) correlation_ids: Option<Bound<'py, PyAny>>,
}

impl Asked<'_> {
    /// Check them; `None` where none was given.
    pub(in crate::py) fn read(self, py: Python<'_>, network: Network) -> PyResult<Option<Box<Options>>> {
        let Self { priority: urgency, class_b_c, confirmed_retry, correlation_ids } = self;
        let given = [
            ("priority", urgency.is_some()),
            ("class_b_c", class_b_c.is_some()),
            ("confirmed_retry", confirmed_retry.is_some()),
            ("correlation_ids", correlation_ids.is_some()),
        ];
        let Some((name, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(None) };
        if network != Network::V3 {
            let text = format!("{name} is not valid on {}: only The Things Stack V3 has it", network.title());
            return Err(PyValueError::new_err(text));
        }
        Ok(Some(Box::new(Options {
            priority: urgency.map(|name| priority(&text("priority", &name)?).or_raise(py)).transpose()?,
            class_b_c: class_b_c.map(|way| read_way(&way)).transpose()?,
            max_attempts: confirmed_retry.map(|most| attempts(&most)).transpose()?,
            correlation_ids: correlation_ids.map_or(Ok(Vec::new()), |ids| texts(py, &ids))?,
        })))
    }
}

fn texts(py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let wrong = || wrong_type("correlation_ids", "a list of str", ids);
    // A text is a list of its letters, too.
    if ids.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    let ids: Vec<String> = ids.extract().map_err(|_| wrong())?;
    ids.iter().try_for_each(|id| check_correlation_id(id)).or_raise(py)?;
    Ok(ids)
}

/// Most attempts: a number, or a dictionary as the stack has it.
fn attempts(most: &Bound<'_, PyAny>) -> PyResult<u32> {
    let expected = format!("an int from 1 to {MAX_ATTEMPTS}, or {{\"max_attempts\": ...}} with one");
    let inner = match most.cast::<PyDict>() {
        Ok(dict) => {
            let inner = dict.get_item("max_attempts")?.filter(|_| dict.len() == 1);
            inner.ok_or_else(|| PyValueError::new_err(format!("confirmed_retry is not valid: expected {expected}")))?
        }
        Err(_) => most.clone(),
    };
    whole("confirmed_retry", &inner, |number| {
        u32::try_from(number).ok().filter(|number| (1..=MAX_ATTEMPTS).contains(number)).ok_or(expected)
    })
}

fn unknown(what: &str, key: &str, expected: &str) -> PyErr {
    PyValueError::new_err(format!("{what} has an unknown key {key:?}: expected some of {expected}"))
}

fn read_way(way: &Bound<'_, PyAny>) -> PyResult<ClassBC> {
    let dict = way.cast::<PyDict>().map_err(|_| wrong_type("class_b_c", "a dict", way))?;
    let mut read = ClassBC::default();
    for (key, value) in dict {
        match text("a key of class_b_c", &key)?.as_str() {
            "gateways" => {
                if value.is_instance_of::<PyString>() || value.is_instance_of::<PyDict>() {
                    return Err(wrong_type("class_b_c[\"gateways\"]", "a list", &value));
                }
                let gateways = value.try_iter().map_err(|_| wrong_type("class_b_c[\"gateways\"]", "a list", &value))?;
                read.gateways = gateways.map(|gateway| antenna(&gateway?)).collect::<PyResult<_>>()?;
            }
            "absolute_time" => read.absolute_time = Some(instant(&value)?),
            other => return Err(unknown("class_b_c", other, "gateways, absolute_time")),
        }
    }
    Ok(read)
}

/// A gateway: its ID, or a dictionary as the stack has it.
fn antenna(gateway: &Bound<'_, PyAny>) -> PyResult<Antenna> {
    let mut read = Antenna::default();
    if let Ok(id) = gateway.cast::<PyString>() {
        id.to_str()?.clone_into(&mut read.gateway_id);
    } else {
        let dict = gateway.cast::<PyDict>().map_err(|_| wrong_type("a gateway", "a str or a dict", gateway))?;
        for (key, value) in dict {
            let index = |name: &str| within(name, &value, 0..=u32::MAX.into());
            match text("a key of a gateway", &key)?.as_str() {
                "gateway_ids" => read.gateway_id = gateway_id(&value)?,
                "gateway_id" => read.gateway_id = text("gateway_id", &value)?,
                "antenna_index" => read.antenna_index = index("antenna_index")?,
                "group_index" => read.group_index = index("group_index")?,
                other => return Err(unknown("a gateway", other, "gateway_ids, antenna_index, group_index")),
            }
        }
    }
    if !is_stack_id(&read.gateway_id) {
        let id = read.gateway_id;
        let expected = "3 to 36 lower-case letters and digits with single '-' between them";
        return Err(PyValueError::new_err(format!("gateway_id {id:?} is not valid: expected {expected}")));
    }
    Ok(read)
}

fn gateway_id(ids: &Bound<'_, PyAny>) -> PyResult<String> {
    let dict = ids.cast::<PyDict>().map_err(|_| wrong_type("gateway_ids", "a dict", ids))?;
    let mut id = String::new();
    for (key, value) in dict {
        match text("a key of gateway_ids", &key)?.as_str() {
            "gateway_id" => id = text("gateway_id", &value)?,
            "eui" => {
                let text =
                    "gateway_ids has an eui, which The Things Stack V3 drops whole downlinks over: give gateway_id";
                return Err(PyValueError::new_err(text));
            }
            other => return Err(unknown("gateway_ids", other, "gateway_id")),
        }
    }
    Ok(id)
}

/// A time with its zone: RFC 3339, or an aware `datetime`.
fn instant(value: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let written = match value.cast::<PyString>() {
        Ok(text) => text.to_str()?.to_owned(),
        Err(_) => leaving::within(value.py(), || value.call_method0("isoformat"))
            .and_then(|text| text.extract())
            .map_err(|_| wrong_type("absolute_time", "a datetime or RFC 3339 text", value))?,
    };
    written.parse().map_err(|_| {
        let expected = "an aware datetime, or RFC 3339 text such as \"2025-03-14T10:00:00Z\"";
        PyValueError::new_err(format!("absolute_time {written:?} is not valid: expected {expected}"))
    })
}
