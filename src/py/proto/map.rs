//! A map field as Python sees it.

use prost_reflect::{FieldDescriptor, MapKey, Value};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::place::Place;
use super::value::{entry_value, key_from_py, scalar_from_py, scalar_to_py};

/// The map of a message's field, which changes with the message. Sorted by key.
#[pyclass(frozen, mapping, name = "ScalarMap", module = "thingslink._native")]
pub(in crate::py) struct PyMap {
    place: Place,
    field: FieldDescriptor,
}

impl PyMap {
    pub(super) fn new(place: Place, field: FieldDescriptor) -> Self {
        Self { place, field }
    }

    fn entries(&self) -> Vec<(String, Value)> {
        let Value::Map(map) = self.place.value(&self.field) else { return Vec::new() };
        let mut entries: Vec<_> =
            map.into_iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), value)).collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries
    }

    fn find(&self, key: &MapKey) -> Option<Value> {
        self.place.read(|message| message.get_field(&self.field).as_map().and_then(|map| map.get(key).cloned()))
    }

    fn insert(&self, key: MapKey, value: Value) {
        self.place.write(|message| {
            if let Some(map) = message.get_field_mut(&self.field).as_map_mut() {
                map.insert(key, value);
            }
        });
    }

    fn remove(&self, key: &MapKey) -> Option<Value> {
        self.place.write(|message| message.get_field_mut(&self.field).as_map_mut().and_then(|map| map.remove(key)))
    }

    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (key, value) in self.entries() {
            dict.set_item(key, scalar_to_py(py, &value)?)?;
        }
        Ok(dict)
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyMap {
    fn __len__(&self) -> usize {
        self.entries().len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(&key_from_py(&self.field, key)?).is_some())
    }

    /// The value; a key that is missing is inserted with an empty one, as protobuf does.
    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let key_value = key_from_py(&self.field, key)?;
        let value = self.find(&key_value).unwrap_or_else(|| {
            let empty = Value::default_value(&entry_value(&self.field).kind());
            self.insert(key_value, empty.clone());
            empty
        });
        scalar_to_py(key.py(), &value)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (key, value) = (key_from_py(&self.field, key)?, scalar_from_py(&entry_value(&self.field), value)?);
        self.insert(key, value);
        Ok(())
    }

    fn __delitem__(&self, key: Bound<'_, PyAny>) -> PyResult<()> {
        let found = self.remove(&key_from_py(&self.field, &key)?);
        found.map(drop).ok_or_else(|| PyKeyError::new_err(key.unbind()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.keys(py)?.try_iter()?.into_any())
    }

    /// The keys, sorted.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.entries().into_iter().map(|(key, _)| key))
    }

    /// The values, in the order of the keys.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.dict(py)?.values())
    }

    /// Pairs of key and value.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.dict(py)?.items())
    }

    /// The value, or ``default``; inserts nothing.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.find(&key_from_py(&self.field, key)?) {
            Some(value) => scalar_to_py(key.py(), &value).map(Some),
            None => Ok(default),
        }
    }

    /// Remove an entry and give its value.
    #[pyo3(signature = (key, *default))]
    fn pop<'py>(&self, key: Bound<'py, PyAny>, default: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        match self.remove(&key_from_py(&self.field, &key)?) {
            Some(value) => scalar_to_py(key.py(), &value),
            None if default.len() == 1 => default.get_item(0),
            None => Err(PyKeyError::new_err(key.unbind())),
        }
    }

    /// Give the value of a key, inserted now if need be.
    fn setdefault<'py>(&self, key: &Bound<'py, PyAny>, default: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !self.__contains__(key)? {
            self.__setitem__(key, default)?;
        }
        self.__getitem__(key)
    }

    /// Insert the entries of a mapping, or of pairs, or keyword arguments.
    #[pyo3(signature = (entries=None, **more))]
    fn update(
        &self,
        py: Python<'_>,
        entries: Option<&Bound<'_, PyAny>>,
        more: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let merged = PyDict::new(py);
        if let Some(entries) = entries {
            merged.call_method1("update", (entries,))?;
        }
        if let Some(more) = more {
            merged.update(more.as_mapping())?;
        }
        // All or nothing.
        let entry = entry_value(&self.field);
        let checked = merged
            .iter()
            .map(|(key, value)| Ok((key_from_py(&self.field, &key)?, scalar_from_py(&entry, &value)?)))
            .collect::<PyResult<Vec<_>>>()?;
        for (key, value) in checked {
            self.insert(key, value);
        }
        Ok(())
    }

    /// Remove all entries.
    fn clear(&self) {
        self.place.write(|message| message.clear_field(&self.field));
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mine = self.dict(other.py())?;
        match other.cast::<Self>() {
            Ok(other) => mine.eq(other.get().dict(other.py())?),
            Err(_) => mine.eq(other),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.dict(py)?.repr()?.to_string())
    }
}
