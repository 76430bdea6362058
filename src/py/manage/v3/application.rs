//! What an `Application` of this network has beside V2's attributes.

use pyo3::prelude::*;

use super::super::tasks::shape;
use crate::client::stack::Application;
use crate::py::proto::{Place, rows, wrap};
use crate::py::shown::pairs;
use crate::rpc::message::descriptor;

/// The messages that the servers of The Things Stack V3 have of an application, from its ``v3``.
#[pyclass(frozen, name = "StackApplication", module = "thingslink.ttn")]
pub(in crate::py) struct PyStackApplication {
    pub(super) app_id: String,
    pub(super) application: Application,
}

#[pymethods(crate = "crate::py::named")]
impl PyStackApplication {
    /// The Identity Server's.
    #[getter]
    fn identity(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let message = self.application.message.clone();
        wrap(py, Place::encoded(descriptor("ttn.lorawan.v3.Application"), message)).map(Bound::unbind)
    }

    /// The Application Server's; ``None`` where none was ever set.
    #[getter]
    fn link(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let link = self.application.link.clone();
        let place = link.map(|link| Place::encoded(descriptor("ttn.lorawan.v3.ApplicationLink"), link));
        place.map(|place| wrap(py, place).map(Bound::unbind)).transpose()
    }

    fn __repr__(&self) -> String {
        format!("<StackApplication {}>", self.app_id)
    }

    fn _repr_html_(&self) -> String {
        let functions = self.application.functions.to_v2(&self.app_id);
        pairs("StackApplication", &rows(&shape(&descriptor("handler.Application"), &functions)))
    }
}
