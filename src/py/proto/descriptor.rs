//! What programs ask about the types of messages and fields.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::rpc::message::descriptor;

/// The attribute `DESCRIPTOR` of a class: it looks for the description when somebody asks for it.
#[pyclass(frozen, module = "thingslink._native")]
pub(super) struct PyDescription {
    full_name: &'static str,
    found: PyOnceLock<Py<PyDescriptor>>,
}

impl PyDescription {
    pub(super) const fn of(full_name: &'static str) -> Self {
        Self { full_name, found: PyOnceLock::new() }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDescription {
    /// The same object each time, from the class and from its messages.
    fn __get__(
        &self,
        py: Python<'_>,
        _message: Option<Bound<'_, PyAny>>,
        _class: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyDescriptor>> {
        let found = self.found.get_or_try_init(py, || Py::new(py, PyDescriptor(descriptor(self.full_name))))?;
        Ok(found.clone_ref(py))
    }
}

/// The description of a message type.
#[pyclass(frozen, name = "Descriptor", module = "thingslink._native", eq, hash)]
#[derive(PartialEq)]
pub(in crate::py) struct PyDescriptor(pub(super) MessageDescriptor);

impl std::hash::Hash for PyDescriptor {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.full_name().hash(state);
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDescriptor {
    /// Its name, such as ``Device``.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Its name with the package, such as ``handler.Device``.
    #[getter]
    fn full_name(&self) -> &str {
        self.0.full_name()
    }

    /// Its fields, in the order of their numbers.
    #[getter]
    fn fields(&self) -> Vec<PyFieldDescriptor> {
        let mut fields: Vec<_> = self.0.fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        fields.into_iter().map(PyFieldDescriptor).collect()
    }

    /// Its fields by their names.
    #[getter]
    fn fields_by_name(&self) -> BTreeMap<String, PyFieldDescriptor> {
        self.0.fields().map(|field| (field.name().to_owned(), PyFieldDescriptor(field))).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Descriptor {}>", self.0.full_name())
    }
}

/// The description of a field.
#[pyclass(frozen, name = "FieldDescriptor", module = "thingslink._native", eq, hash)]
#[derive(PartialEq)]
pub(in crate::py) struct PyFieldDescriptor(pub(super) FieldDescriptor);

impl std::hash::Hash for PyFieldDescriptor {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.full_name().hash(state);
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyFieldDescriptor {
    /// Its name, such as ``dev_id``.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Its name with the message's, such as ``handler.Device.dev_id``.
    #[getter]
    fn full_name(&self) -> &str {
        self.0.full_name()
    }

    /// Its name in JSON, such as ``devId``.
    #[getter]
    fn json_name(&self) -> &str {
        self.0.json_name()
    }

    /// Its number on the wire.
    #[getter]
    fn number(&self) -> u32 {
        self.0.number()
    }

    fn __repr__(&self) -> String {
        format!("<FieldDescriptor {}>", self.0.full_name())
    }
}
