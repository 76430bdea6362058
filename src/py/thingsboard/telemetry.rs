//! Telemetry and attributes from Python, normalised and cut into messages (TB 5).

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::json::{self, named, write, write_key};
use super::timestamp::write_ts;
use crate::dialect::thingsboard::{Chunk, Entry, Field, Stamp, split};
use crate::py::arguments::wrong_type;

/// How large messages may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) points: usize,
    pub(super) bytes: usize,
}

/// Messages ready to go, with the number of values in each.
pub(super) type Parts = Vec<(Bytes, usize)>;

/// The text around the values of a group: it holds their time and metadata.
#[derive(Clone)]
struct Frame {
    opening: String,
    closing: String,
}

fn fields(what: &str, dict: &Bound<'_, PyDict>) -> PyResult<Vec<Field<String>>> {
    let mut fields = Vec::with_capacity(dict.len());
    for (key, value) in dict.iter() {
        fields.push(field(&key, &value).map_err(|error| {
            let key = key.str().map_or_else(|_| "?".to_owned(), |key| key.to_string());
            named(dict.py(), &format!("{what} {key:?}"), error)
        })?);
    }
    Ok(fields)
}

fn field(key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<Field<String>> {
    let (mut name, mut item) = (String::with_capacity(24), String::with_capacity(24));
    let size = write_key(key, &mut name)? + write(value, &mut item)?;
    Ok(Field { name, size, item })
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Time and metadata of an entry.
fn stamp(dict: &Bound<'_, PyDict>) -> PyResult<Option<Stamp<Frame>>> {
    let Some(ts) = dict.get_item("ts")?.filter(|ts| !ts.is_none()) else { return Ok(None) };
    let mut opening = String::from("{\"ts\":");
    let mut size = write_ts(&ts, &mut opening)?;
    let mut identity = opening.clone();
    opening.push_str(",\"values\":{");
    let mut closing = String::from("}");
    if let Some(metadata) = dict.get_item("metadata")?
        && let Ok(metadata) = metadata.cast::<PyDict>()
    {
        let all = fields("telemetry metadata", metadata)?;
        size += all.iter().map(|field| field.size).sum::<usize>();
        closing.push_str(",\"metadata\":");
        write(metadata.as_any(), &mut closing)?;
        // The order of the keys makes no difference.
        let sorted: BTreeMap<_, _> = all.iter().map(|field| (&field.name, &field.item)).collect();
        for (name, item) in sorted {
            identity.push_str(name);
            identity.push_str(item);
        }
    }
    closing.push('}');
    Ok(Some(Stamp { identity, size, item: Frame { opening, closing } }))
}

/// As in the original, the time of sending is written into the metadata that were given.
fn mark_published(dict: &Bound<'_, PyDict>) -> PyResult<()> {
    match dict.get_item("metadata")? {
        Some(metadata) if dict.contains("ts")? => match metadata.cast::<PyDict>() {
            Ok(metadata) => metadata.set_item("publishedTs", now_ms()),
            Err(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

fn entry(item: &Bound<'_, PyAny>) -> PyResult<Entry<String, Frame>> {
    let dict = item.cast::<PyDict>().map_err(|_| wrong_type("telemetry", "a dict or a list of dicts", item))?;
    mark_published(dict)?;
    let stamp = stamp(dict)?;
    let values = dict.get_item("values")?;
    let values = match values.as_ref().map(|values| values.cast::<PyDict>()) {
        Some(Ok(values)) => {
            for key in dict.keys() {
                let known = ["ts", "values", "metadata"];
                if !key.extract::<String>().is_ok_and(|key| known.contains(&key.as_str())) {
                    tracing::warn!(key = %key, "beside \"values\" it is not sent");
                }
            }
            values.clone()
        }
        _ => dict.clone(),
    };
    Ok(Entry { stamp, fields: fields("telemetry", &values)? })
}

fn entries(telemetry: &Bound<'_, PyAny>) -> PyResult<Vec<Entry<String, Frame>>> {
    match telemetry.cast::<PyList>() {
        Ok(list) => list.iter().map(|item| entry(&item)).collect(),
        Err(_) => Ok(vec![entry(telemetry)?]),
    }
}

fn write_fields(fields: Vec<(String, String)>, out: &mut String) {
    for (at, (name, item)) in fields.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&name);
        out.push(':');
        out.push_str(&item);
    }
}

fn write_chunk(chunk: Chunk<String, Frame>, out: &mut String) {
    if let Some(frame) = chunk.stamp {
        out.push_str(&frame.opening);
        write_fields(chunk.fields, out);
        out.push_str(&frame.closing);
    } else {
        out.push('{');
        write_fields(chunk.fields, out);
        out.push('}');
    }
}

/// Text around a message for a device behind the gateway.
fn wrapping(device: Option<&str>) -> (String, &'static str) {
    match device {
        Some(device) => {
            let mut opening = String::from("{");
            crate::dialect::thingsboard::write_text(device, &mut opening);
            opening.push(':');
            (opening, "}")
        }
        None => (String::new(), ""),
    }
}

/// Telemetry as messages, each an array of entries.
pub(super) fn telemetry(value: &Bound<'_, PyAny>, device: Option<&str>, bounds: Bounds) -> PyResult<Parts> {
    let (opening, closing) = wrapping(device);
    let parts = split(entries(value)?, bounds.points, bounds.bytes);
    Ok(parts
        .into_iter()
        .map(|part| {
            let mut text = opening.clone();
            text.push('[');
            for (at, chunk) in part.chunks.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_chunk(chunk, &mut text);
            }
            text.push(']');
            text.push_str(closing);
            (Bytes::from(text), part.points)
        })
        .collect())
}

/// Attributes as messages, each one object. Names such as `ts` or `device` mean nothing special.
pub(super) fn attributes(value: &Bound<'_, PyAny>, device: Option<&str>, bounds: Bounds) -> PyResult<Parts> {
    let parsed = if value.is_instance_of::<PyString>() { json::parse(value.py(), value)? } else { value.clone() };
    let one = |item: &Bound<'_, PyAny>| {
        let dict = item.cast::<PyDict>().map_err(|_| wrong_type("attributes", "a dict or a list of dicts", item))?;
        Ok::<_, PyErr>(Entry::<String, Frame> { stamp: None, fields: fields("attribute", dict)? })
    };
    let entries = match parsed.cast::<PyList>() {
        Ok(list) => list.iter().map(|item| one(&item)).collect::<PyResult<Vec<_>>>()?,
        Err(_) => vec![one(&parsed)?],
    };
    let (opening, closing) = wrapping(device);
    let parts = split(entries, bounds.points, bounds.bytes);
    let chunks = parts.into_iter().flat_map(|part| part.chunks);
    Ok(chunks
        .map(|chunk| {
            let points = chunk.fields.len();
            let mut text = opening.clone();
            write_chunk(chunk, &mut text);
            text.push_str(closing);
            (Bytes::from(text), points)
        })
        .collect())
}

/// Cut telemetry entries by the rules that sending follows: Python values in, Python values out.
#[pyfunction]
#[pyo3(name = "_split_entries")]
pub(in crate::py) fn split_entries<'py>(
    items: &Bound<'py, PyList>,
    max_points: usize,
    max_bytes: usize,
) -> PyResult<Bound<'py, PyList>> {
    let py = items.py();
    let result = PyList::empty(py);
    let mut entries = Vec::new();
    for item in items.iter() {
        let Ok(dict) = item.cast::<PyDict>() else { continue };
        let values = dict.get_item("values")?;
        let values = match values.as_ref().map(|values| values.cast::<PyDict>()) {
            Some(Ok(values)) => values.clone(),
            _ => dict.clone(),
        };
        let mut fields = Vec::new();
        for (key, value) in values.iter() {
            let name = format!("{}{}", key.get_type().name()?, key.str()?);
            let size = key.str()?.len()? + value.str()?.len()?;
            fields.push(Field { name, size, item: (key, value) });
        }
        let stamp = stamp(dict)?.map(|stamp| Stamp { identity: stamp.identity, size: stamp.size, item: dict.clone() });
        entries.push(Entry { stamp, fields });
    }
    for part in split(entries, max_points, max_bytes) {
        let data = PyList::empty(py);
        for chunk in part.chunks {
            let values = PyDict::new(py);
            for (_, (key, value)) in chunk.fields {
                values.set_item(key, value)?;
            }
            match chunk.stamp {
                Some(source) => {
                    let stamped = PyDict::new(py);
                    stamped.set_item("ts", source.get_item("ts")?)?;
                    stamped.set_item("values", values)?;
                    if let Some(metadata) = source.get_item("metadata")?
                        && metadata.is_instance_of::<PyDict>()
                    {
                        stamped.set_item("metadata", metadata)?;
                    }
                    data.append(stamped)?;
                }
                None => data.append(values)?,
            }
        }
        let message = PyDict::new(py);
        message.set_item("data", data)?;
        message.set_item("datapoints", part.points)?;
        result.append(message)?;
    }
    Ok(result)
}
