//! Telemetry and attributes from Python, normalised and cut into messages (TB 5).

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::json::{self, named, write, write_key};
use super::logger;
use super::timestamp::write_ts;
use crate::dialect::thingsboard::{Chunk, Entry, Field, Part, PublishCode, Scale, Stamp, split};
use crate::py::arguments::wrong_type;
use crate::py::leaving;
use crate::py::number;

/// How large messages may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) points: usize,
    /// What messages are cut at, estimated.
    pub(super) bytes: usize,
    /// The largest payload that the server takes, once it has said so: then bytes are counted.
    pub(super) largest: Option<usize>,
}

impl Bounds {
    /// By what scale messages are cut, and where; `around` are the bytes around their entries.
    fn scale(&self, around: usize) -> (Scale, usize) {
        match self.largest {
            Some(largest) => (Scale::exact(around), self.bytes.min(largest)),
            None => (Scale::ESTIMATED, self.bytes),
        }
    }

    fn split<T, S: Clone>(&self, entries: Vec<Entry<T, S>>, around: usize) -> Vec<Part<T, S>> {
        let (scale, bytes) = self.scale(around);
        split(entries, self.points, bytes, scale)
    }
}

/// Messages ready to go, with the number of values in each.
pub(super) type Parts = Vec<(Bytes, usize)>;

/// What became of values that were to be cut into messages.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) parts: Parts,
    /// Why something is not in them.
    pub(super) refused: Option<PublishCode>,
}

impl From<Parts> for Cut {
    fn from(parts: Parts) -> Self {
        Self { parts, refused: None }
    }
}

impl Cut {
    /// Take a message in, unless the server would not: then it holds a single value, which is named.
    fn add(&mut self, py: Python<'_>, text: String, of: &[Chunk<String, Frame>], what: &str, bounds: Bounds) {
        match bounds.largest {
            Some(largest) if text.len() > largest => {
                let bytes = text.len();
                let name = of.first().and_then(|chunk| chunk.fields.first()).map_or("", |(name, _)| name);
                let text =
                    format!("{what} {name} is not sent: its message has {bytes} bytes, and the server takes {largest}");
                logger::log(py, "error", &text);
                self.refused = Some(PublishCode::PayloadSize);
            }
            _ => {
                let points = of.iter().map(|chunk| chunk.fields.len()).sum();
                self.parts.push((Bytes::from(text), points));
            }
        }
    }
}

/// The text around the values of a group: it holds their time and metadata.
#[derive(Clone)]
struct Frame {
    opening: String,
    closing: String,
}

fn fields(what: &str, dict: &Bound<'_, PyDict>, exact: bool) -> PyResult<Vec<Field<String>>> {
    let mut fields = Vec::with_capacity(dict.len());
    for (key, value) in dict.iter() {
        fields.push(field(&key, &value, exact).map_err(|error| {
            let key = key.str().map_or_else(|_| "?".to_owned(), |key| key.to_string());
            named(dict.py(), &format!("{what} {key:?}"), error)
        })?);
    }
    Ok(fields)
}

fn field(key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>, exact: bool) -> PyResult<Field<String>> {
    let (mut name, mut item) = (String::with_capacity(24), String::with_capacity(24));
    let estimated = write_key(key, &mut name)? + write(value, &mut item)?;
    let size = if exact { name.len() + ":".len() + item.len() } else { estimated };
    Ok(Field { name, size, item })
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Time and metadata of an entry.
fn stamp(dict: &Bound<'_, PyDict>, exact: bool) -> PyResult<Option<Stamp<Frame>>> {
    let Some(ts) = dict.get_item("ts")?.filter(|ts| !ts.is_none()) else { return Ok(None) };
    let mut opening = String::from("{\"ts\":");
    let mut size = write_ts(&ts, &mut opening)?;
    let mut identity = opening.clone();
    opening.push_str(",\"values\":{");
    let mut closing = String::from("}");
    if let Some(metadata) = dict.get_item("metadata")?
        && let Ok(metadata) = metadata.cast::<PyDict>()
    {
        let all = fields("telemetry metadata", metadata, false)?;
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
    if exact {
        size = opening.len() + closing.len();
    }
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

fn entry(item: &Bound<'_, PyAny>, exact: bool) -> PyResult<Entry<String, Frame>> {
    let dict = item.cast::<PyDict>().map_err(|_| wrong_type("telemetry", "a dict or a list of dicts", item))?;
    mark_published(dict)?;
    let stamp = stamp(dict, exact)?;
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
    Ok(Entry { stamp, fields: fields("telemetry", &values, exact)? })
}

fn entries(telemetry: &Bound<'_, PyAny>, exact: bool) -> PyResult<Vec<Entry<String, Frame>>> {
    match telemetry.cast::<PyList>() {
        Ok(list) => list.iter().map(|item| entry(&item, exact)).collect(),
        Err(_) => Ok(vec![entry(telemetry, exact)?]),
    }
}

fn write_fields(fields: &[(String, String)], out: &mut String) {
    for (at, (name, item)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push(':');
        out.push_str(item);
    }
}

fn write_chunk(chunk: &Chunk<String, Frame>, out: &mut String) {
    let (opening, closing) = chunk.stamp.as_ref().map_or(("{", "}"), |frame| (&frame.opening, &frame.closing));
    out.push_str(opening);
    write_fields(&chunk.fields, out);
    out.push_str(closing);
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
pub(super) fn telemetry(value: &Bound<'_, PyAny>, device: Option<&str>, bounds: Bounds) -> PyResult<Cut> {
    let (opening, closing) = wrapping(device);
    let around = opening.len() + "[]".len() + closing.len();
    let mut cut = Cut::default();
    // What a program puts into values may be of its own classes.
    let entries = leaving::within(value.py(), || entries(value, bounds.largest.is_some()))?;
    for part in bounds.split(entries, around) {
        let mut text = opening.clone();
        text.push('[');
        for (at, chunk) in part.chunks.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            write_chunk(chunk, &mut text);
        }
        text.push(']');
        text.push_str(closing);
        cut.add(value.py(), text, &part.chunks, "telemetry", bounds);
    }
    Ok(cut)
}

/// Attributes as messages, each one object. Names such as `ts` or `device` mean nothing special.
pub(super) fn attributes(value: &Bound<'_, PyAny>, device: Option<&str>, bounds: Bounds) -> PyResult<Cut> {
    let parsed = if value.is_instance_of::<PyString>() { json::parse(value.py(), value)? } else { value.clone() };
    let exact = bounds.largest.is_some();
    let one = |item: &Bound<'_, PyAny>| {
        let dict = item.cast::<PyDict>().map_err(|_| wrong_type("attributes", "a dict or a list of dicts", item))?;
        Ok::<_, PyErr>(Entry::<String, Frame> { stamp: None, fields: fields("attribute", dict, exact)? })
    };
    let entries = leaving::within(value.py(), || match parsed.cast::<PyList>() {
        Ok(list) => list.iter().map(|item| one(&item)).collect::<PyResult<Vec<_>>>(),
        Err(_) => Ok(vec![one(&parsed)?]),
    })?;
    let (opening, closing) = wrapping(device);
    let mut cut = Cut::default();
    for chunk in bounds.split(entries, opening.len() + closing.len()).into_iter().flat_map(|part| part.chunks) {
        let mut text = opening.clone();
        write_chunk(&chunk, &mut text);
        text.push_str(closing);
        cut.add(value.py(), text, &[chunk], "attribute", bounds);
    }
    Ok(cut)
}

/// Cut telemetry entries by the rules that sending follows: Python values in, Python values out.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_split_entries")]
pub(in crate::py) fn split_entries<'py>(
    items: &Bound<'py, PyList>,
    #[pyo3(from_py_with = number::max_points)] max_points: usize,
    #[pyo3(from_py_with = number::most_bytes)] max_bytes: usize,
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
        let stamp =
            stamp(dict, false)?.map(|stamp| Stamp { identity: stamp.identity, size: stamp.size, item: dict.clone() });
        entries.push(Entry { stamp, fields });
    }
    for part in split(entries, max_points, max_bytes, Scale::ESTIMATED) {
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
