//! What stands in JSON for objects that JSON does not know: what databases and scientific code put into values. Nothing of
//! theirs is imported: they are told by what they can do, or by the module that they come from.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyString, PyType};

/// What is written instead.
pub(super) enum Substitute<'py> {
    /// Another object.
    Object(Bound<'py, PyAny>),
    /// A number, digit by digit.
    Number(String),
    /// A float, of which no more digits are written than it has.
    Float(f64),
    /// Nothing, for what is missing or no number.
    Null,
}

/// Types whose `str()` is what people call the value.
const WRITTEN_AS_TEXT: [(&str, &str); 9] = [
    ("uuid", "UUID"),
    ("ipaddress", "IPv4Address"),
    ("ipaddress", "IPv6Address"),
    ("ipaddress", "IPv4Network"),
    ("ipaddress", "IPv6Network"),
    ("ipaddress", "IPv4Interface"),
    ("ipaddress", "IPv6Interface"),
    ("bson.objectid", "ObjectId"),
    ("collections", "UserString"),
];

/// Find it.
pub(super) fn substitute<'py>(value: &Bound<'py, PyAny>) -> PyResult<Substitute<'py>> {
    // A datetime is a date.
    const KNOWN: [(&str, &str); 4] =
        [("enum", "Enum"), ("decimal", "Decimal"), ("datetime", "date"), ("datetime", "time")];
    static CLASSES: [PyOnceLock<Py<PyType>>; KNOWN.len()] = [const { PyOnceLock::new() }; KNOWN.len()];
    let py = value.py();
    if value.is_instance_of::<PyType>() {
        return Err(unknown(value));
    }
    for ((module, name), class) in KNOWN.iter().zip(&CLASSES) {
        if !value.is_instance(class.import(py, module, name)?)? {
            continue;
        }
        return match *name {
            "Enum" => value.getattr(intern!(py, "value")).map(Substitute::Object),
            "Decimal" => decimal(value),
            // What stands for no time is unlike itself.
            _ if value.ne(value)? => Ok(Substitute::Null),
            _ => value.call_method0(intern!(py, "isoformat")).map(Substitute::Object),
        };
    }
    let class = value.get_type();
    for base in class.mro().iter() {
        let base = base.cast_into::<PyType>()?;
        let (module, name) = (base.module()?.to_string(), base.name()?.to_string());
        if WRITTEN_AS_TEXT.contains(&(&module, &name)) {
            return Ok(Substitute::Object(value.str()?.into_any()));
        }
    }
    if class.name()? == "NAType" && class.module()?.to_string().starts_with("pandas.") {
        return Ok(Substitute::Null);
    }
    if value.hasattr(intern!(py, "__dataclass_fields__"))? {
        return fields(value).map(Substitute::Object);
    }
    if let Some(path) = value.getattr_opt(intern!(py, "__fspath__"))? {
        return path.call0().map(Substitute::Object);
    }
    if let Some(kind) = numpy_kind(value)? {
        return numpy(value, kind);
    }
    // Rows of databases and other mappings, not all of which say that they are one.
    if value.hasattr(intern!(py, "keys"))? && value.hasattr(intern!(py, "__getitem__"))? {
        return py.get_type::<PyDict>().call1((value,)).map(Substitute::Object);
    }
    if value.hasattr(intern!(py, "__index__"))? {
        return value.call_method0(intern!(py, "__index__")).map(Substitute::Object);
    }
    // Tensors and the like, which may have one element or many.
    if let Some(list) = value.getattr_opt(intern!(py, "tolist"))? {
        return list.call0().map(Substitute::Object);
    }
    if is_sequence(value)? {
        return py.get_type::<PyList>().call1((value,)).map(Substitute::Object);
    }
    if value.hasattr(intern!(py, "__float__"))? {
        return value.extract().map(Substitute::Float);
    }
    Err(unknown(value))
}

/// Whether it is a list by another name, such as a deque. Bytes are none: what they stand for is not known.
fn is_sequence(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let are_bytes = value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>();
    Ok(!are_bytes && value.is_instance(CLASS.import(value.py(), "collections.abc", "Sequence")?)?)
}

fn unknown(value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!("Type is not JSON serializable: {name}")),
        Err(error) => error,
    }
}

fn decimal<'py>(value: &Bound<'py, PyAny>) -> PyResult<Substitute<'py>> {
    if !value.call_method0(intern!(value.py(), "is_finite"))?.is_truthy()? {
        return Ok(Substitute::Null);
    }
    Ok(Substitute::Number(value.str()?.to_str()?.to_owned()))
}

fn fields<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let dict = PyDict::new(py);
    for field in py.import("dataclasses")?.call_method1("fields", (value,))?.try_iter()? {
        let name = field?.getattr("name")?.cast_into::<PyString>()?;
        dict.set_item(&name, value.getattr(&name)?)?;
    }
    Ok(dict.into_any())
}

/// The letter by which numpy tells the kind of a scalar or an array; pandas has it, too.
fn numpy_kind(value: &Bound<'_, PyAny>) -> PyResult<Option<char>> {
    let py = value.py();
    let Some(dtype) = value.getattr_opt(intern!(py, "dtype"))? else { return Ok(None) };
    let Some(kind) = dtype.getattr_opt(intern!(py, "kind"))? else { return Ok(None) };
    Ok(kind.extract::<char>().ok())
}

fn numpy<'py>(value: &Bound<'py, PyAny>, kind: char) -> PyResult<Substitute<'py>> {
    let py = value.py();
    let is_list = value
        .getattr_opt(intern!(py, "ndim"))?
        .is_some_and(|count| count.extract().is_ok_and(|count: usize| count > 0));
    if is_list {
        // Element by element, so that each is treated as it would be alone.
        return py.get_type::<PyList>().call1((value,)).map(Substitute::Object);
    }
    match kind {
        'f' => {
            let number: f64 = value.extract()?;
            let bytes: usize = value.getattr(intern!(py, "itemsize"))?.extract()?;
            Ok(Substitute::Float(if bytes < size_of::<f64>() { as_short_as_it_is(number) } else { number }))
        }
        // A time; a span of time has no unit that the server knows.
        'M' => match value.str()?.to_str()? {
            "NaT" => Ok(Substitute::Null),
            text => Ok(Substitute::Object(PyString::new(py, text).into_any())),
        },
        'b' | 'i' | 'u' | 'U' => value.call_method0(intern!(py, "item")).map(Substitute::Object),
        _ => Err(unknown(value)),
    }
}

/// The number with as few digits as tell a 32-bit float from all others: the 17 that its 64-bit form has would be stored
/// as text by the server.
fn as_short_as_it_is(number: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "it was a narrower float")]
    let narrow = number as f32;
    narrow.to_string().parse().unwrap_or(number)
}
