//! Lists of messages or values as Python sees them: a message's field, or what a server has listed.

use crate::sync::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicUsize, Ordering};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice};

use super::classes::wrap;
use super::message::PyMessage;
use super::place::{Place, message_type};
use super::value::{fill, scalar_from_py, scalar_to_py};
use crate::py::leaving;

/// A sequence of messages or values.
#[pyclass(frozen, sequence, name = "RepeatedContainer", module = "thingslink._native")]
pub(in crate::py) struct PyRepeated {
    source: Source,
}

enum Source {
    /// A field, which changes with its message.
    Field { place: Place, field: FieldDescriptor },
    /// Messages of their own.
    Whole { descriptor: MessageDescriptor, elements: Mutex<Vec<Place>>, total: Option<u64> },
}

fn lock(elements: &Mutex<Vec<Place>>) -> MutexGuard<'_, Vec<Place>> {
    elements.lock()
}

impl PyRepeated {
    pub(super) fn field(place: Place, field: FieldDescriptor) -> Self {
        Self { source: Source::Field { place, field } }
    }

    /// What a server has listed.
    pub(in crate::py) fn whole(descriptor: MessageDescriptor, elements: Vec<Place>, total: Option<u64>) -> Self {
        Self { source: Source::Whole { descriptor, elements: Mutex::new(elements), total } }
    }

    fn change<R>(place: &Place, field: &FieldDescriptor, action: impl FnOnce(&mut Vec<Value>) -> R) -> Option<R> {
        place.write(|message| message.get_field_mut(field).as_list_mut().map(action))
    }

    fn element<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let missing = || PyIndexError::new_err("list index out of range");
        match &self.source {
            Source::Field { place, field } if matches!(field.kind(), Kind::Message(_)) => {
                if index >= self.__len__() {
                    return Err(missing());
                }
                wrap(py, place.part(field.clone(), Some(index)))
            }
            Source::Field { place, field } => {
                let value =
                    place.read(|message| message.get_field(field).as_list().and_then(|list| list.get(index).cloned()));
                scalar_to_py(py, &value.ok_or_else(missing)?)
            }
            Source::Whole { elements, .. } => {
                let place = lock(elements).get(index).cloned();
                wrap(py, place.ok_or_else(missing)?)
            }
        }
    }

    pub(super) fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let elements = (0..self.__len__()).map(|index| self.element(py, index)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, elements)
    }

    /// An index as Python counts.
    fn index_of(&self, index: isize) -> PyResult<usize> {
        let length = self.__len__();
        let counted = if index < 0 { index.checked_add_unsigned(length) } else { Some(index) };
        counted
            .and_then(|index| usize::try_from(index).ok())
            .filter(|index| *index < length)
            .ok_or_else(|| PyIndexError::new_err("list index out of range"))
    }

    fn insert_at(&self, index: usize, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match &self.source {
            Source::Field { place, field } => {
                let value = scalar_from_py(field, value)?;
                Self::change(place, field, |list| list.insert(index.min(list.len()), value));
            }
            Source::Whole { descriptor, elements, .. } => {
                let message = value.cast::<PyMessage>().ok().map(|message| message.get().place().copy());
                let message = message.filter(|message| message.descriptor() == *descriptor);
                let message =
                    message.ok_or_else(|| PyTypeError::new_err(format!("expected a {}", descriptor.name())))?;
                let mut elements = lock(elements);
                let index = index.min(elements.len());
                elements.insert(index, Place::new(message));
            }
        }
        Ok(())
    }

    fn remove_at(&self, index: usize) {
        match &self.source {
            Source::Field { place, field } => drop(Self::change(place, field, |list| list.remove(index))),
            Source::Whole { elements, .. } => drop(lock(elements).remove(index)),
        }
    }

    /// Put the elements into another order, or only some of them.
    fn arrange(&self, order: &[usize]) {
        match &self.source {
            Source::Field { place, field } => {
                Self::change(place, field, |list| {
                    *list = order.iter().filter_map(|index| list.get(*index).cloned()).collect();
                });
            }
            Source::Whole { elements, .. } => {
                let mut elements = lock(elements);
                *elements = order.iter().filter_map(|index| elements.get(*index).cloned()).collect();
            }
        }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyRepeated {
    fn __len__(&self) -> usize {
        match &self.source {
            Source::Field { place, field } => {
                place.read(|message| message.get_field(field).as_list().map_or(0, <[Value]>::len))
            }
            Source::Whole { elements, .. } => lock(elements).len(),
        }
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        if key.is_instance_of::<PySlice>() {
            return self.list(py)?.as_any().get_item(key);
        }
        let index: isize = key.extract().map_err(|_| {
            let given = key.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string());
            PyTypeError::new_err(format!("list indices must be integers or slices, not {given}"))
        })?;
        self.element(py, self.index_of(index)?)
    }

    fn __setitem__(&self, index: isize, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match &self.source {
            Source::Field { place, field } if !matches!(field.kind(), Kind::Message(_)) => {
                let (index, value) = (self.index_of(index)?, scalar_from_py(field, value)?);
                Self::change(place, field, |list| list[index] = value);
                Ok(())
            }
            _ => Err(PyTypeError::new_err("a list of messages does not support item assignment")),
        }
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(slice) = key.cast::<PySlice>() {
            let py = key.py();
            let range = PyList::new(py, 0..self.__len__())?;
            range.as_any().del_item(slice)?;
            self.arrange(&range.extract::<Vec<usize>>()?);
            return Ok(());
        }
        self.remove_at(self.index_of(key.extract()?)?);
        Ok(())
    }

    fn __iter__(slf: Py<Self>) -> PyElementIterator {
        PyElementIterator { list: slf, next: 0.into() }
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.list(value.py())?.contains(value)
    }

    /// How many the server has in all, when this is a page of a list.
    #[getter]
    fn total(&self) -> Option<u64> {
        match &self.source {
            Source::Whole { total, .. } => *total,
            Source::Field { .. } => None,
        }
    }

    /// Append a new message with these fields, and give it.
    #[pyo3(signature = (**fields))]
    fn add<'py>(&self, py: Python<'py>, fields: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        let descriptor = match &self.source {
            Source::Field { field, .. } if matches!(field.kind(), Kind::Message(_)) => message_type(field),
            Source::Field { .. } => return Err(PyTypeError::new_err("add() is for lists of messages; use append()")),
            Source::Whole { descriptor, .. } => descriptor.clone(),
        };
        let mut message = DynamicMessage::new(descriptor);
        if let Some(fields) = fields {
            fill(&mut message, fields)?;
        }
        match &self.source {
            Source::Field { place, field } => {
                Self::change(place, field, |list| list.push(Value::Message(message)));
            }
            Source::Whole { elements, .. } => lock(elements).push(Place::new(message)),
        }
        self.element(py, self.__len__().saturating_sub(1))
    }

    /// Append a copy of an element.
    fn append(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.insert_at(usize::MAX, value)
    }

    /// Append copies of all elements.
    fn extend(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        values.try_iter()?.try_for_each(|value| self.append(&value?))
    }

    /// As ``extend``.
    #[pyo3(name = "MergeFrom")]
    fn merge_from(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        self.extend(values)
    }

    /// Insert a copy of an element before an index.
    fn insert(&self, index: isize, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let length = self.__len__();
        let counted = if index < 0 { index.saturating_add_unsigned(length) } else { index };
        self.insert_at(usize::try_from(counted).unwrap_or(0), value)
    }

    /// Remove an element and give it.
    #[pyo3(signature = (index=-1), text_signature = "($self, index=-1)")]
    fn pop<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let index = self.index_of(index)?;
        let element = self.element(py, index)?;
        // A view would lose its message with the element.
        let element = match element.cast::<PyMessage>() {
            Ok(message) => wrap(py, Place::new(message.get().place().copy()))?,
            Err(_) => element,
        };
        self.remove_at(index);
        Ok(element)
    }

    /// Remove the first element that equals.
    fn remove(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let index = self.index(value)?;
        self.remove_at(index);
        Ok(())
    }

    /// Give the index of the first element that equals.
    fn index(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.list(value.py())?.index(value).map_err(|_| PyValueError::new_err("list.index(x): x not in list"))
    }

    /// Count the elements that equal.
    fn count<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.list(value.py())?.call_method1("count", (value,))
    }

    /// Sort in place, with the arguments of ``list.sort``.
    #[pyo3(signature = (*, key=None, reverse=false))]
    fn sort(&self, py: Python<'_>, key: Option<Bound<'_, PyAny>>, reverse: bool) -> PyResult<()> {
        let elements = self.list(py)?;
        let order = leaving::within(py, || {
            let keys = match key {
                Some(key) => elements.iter().map(|element| key.call1((element,))).collect::<PyResult<Vec<_>>>()?,
                None => elements.iter().collect(),
            };
            let order = PyList::new(py, 0..keys.len())?;
            let options = PyDict::new(py);
            options.set_item("key", PyList::new(py, keys)?.getattr("__getitem__")?)?;
            options.set_item("reverse", reverse)?;
            order.call_method("sort", (), Some(&options))?;
            order.extract::<Vec<usize>>()
        })?;
        self.arrange(&order);
        Ok(())
    }

    /// Reverse in place.
    fn reverse(&self) {
        self.arrange(&(0..self.__len__()).rev().collect::<Vec<_>>());
    }

    /// Remove all elements.
    fn clear(&self) {
        self.arrange(&[]);
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mine = self.list(other.py())?;
        match other.cast::<Self>() {
            Ok(other) => mine.eq(other.get().list(other.py())?),
            Err(_) => mine.eq(other),
        }
    }
}

/// Gives the elements of a list one after the other.
#[pyclass(frozen, name = "_ElementIterator", module = "thingslink._native")]
pub(in crate::py) struct PyElementIterator {
    list: Py<PyRepeated>,
    next: AtomicUsize,
}

#[pymethods(crate = "crate::py::named")]
impl PyElementIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let list = self.list.get();
        if index < list.__len__() { list.element(py, index).map(Some) } else { Ok(None) }
    }
}
