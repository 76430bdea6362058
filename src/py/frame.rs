//! `_Columns` and `_Rows`: uplinks as a table, for `thingslink.frame`, which says what they are.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyList};

use super::arguments::wrong_type;
use super::lorawan::PyUplinkMessage;
use super::number;
use crate::sync::Mutex;
use crate::table::{Kind, Limits, Per, Rows, Table};

/// Uplinks that are being gathered.
#[pyclass(frozen, name = "_Columns", module = "thingslink._native")]
pub(super) struct PyColumns(Mutex<Table>);

/// What was gathered at one moment.
#[pyclass(frozen, name = "_Rows", module = "thingslink._native")]
pub(super) struct PyRows(Rows);

fn read_per(text: &str) -> PyResult<Per> {
    match text {
        "uplink" => Ok(Per::Uplink),
        "gateway" => Ok(Per::Gateway),
        other => Err(PyValueError::new_err(format!("per '{other}' is not valid: expected \"uplink\" or \"gateway\""))),
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyColumns {
    #[new]
    fn new(
        per: &str,
        #[pyo3(from_py_with = number::max_rows)] max_rows: usize,
        #[pyo3(from_py_with = number::table_bytes)] max_bytes: usize,
    ) -> PyResult<Self> {
        let limits = Limits { rows: max_rows, bytes: max_bytes };
        Ok(Self(Mutex::new(Table::new(read_per(per)?, limits))))
    }

    /// Add an uplink; a callback, too.
    #[pyo3(signature = (msg, client=None, /))]
    fn add(&self, msg: &Bound<'_, PyAny>, client: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let _ = client;
        let Ok(message) = msg.cast::<PyUplinkMessage>() else { return Err(wrong_type("msg", "UplinkMessage", msg)) };
        let uplink = message.get().uplink()?;
        self.0.lock().add(uplink);
        Ok(())
    }

    /// Give what is there.
    fn rows(&self) -> PyRows {
        PyRows(self.0.lock().rows())
    }

    /// Give what is there, and begin anew.
    fn take(&self) -> PyRows {
        PyRows(self.0.lock().take())
    }

    /// About how many bytes it takes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.lock().bytes()
    }

    /// Rows that made room for others.
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.lock().dropped()
    }

    /// Values that were not what their column is of.
    #[getter]
    fn unreadable(&self) -> u64 {
        self.0.lock().unreadable()
    }

    fn __len__(&self) -> usize {
        self.0.lock().len()
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyRows {
    /// Names of the columns, and what their values are.
    #[getter]
    fn columns(&self) -> Vec<(&str, &'static str)> {
        self.0.columns().map(|(name, kind)| (name, kind.name())).collect()
    }

    /// Give the values of a column: times in microseconds since 1970.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some((index, (_, kind))) = self.0.columns().enumerate().find(|(_, (known, _))| *known == name) else {
            return Ok(None);
        };
        let list = PyList::empty(py);
        for piece in self.0.column(index) {
            match kind {
                Kind::Null => (0..piece.len()).try_for_each(|_| list.append(py.None()))?,
                Kind::Bool => piece.as_boolean().iter().try_for_each(|value| list.append(value))?,
                Kind::Int => piece.as_primitive::<Int64Type>().iter().try_for_each(|value| list.append(value))?,
                Kind::Float => piece.as_primitive::<Float64Type>().iter().try_for_each(|value| list.append(value))?,
                Kind::Text | Kind::Json => piece.as_string::<i32>().iter().try_for_each(|value| list.append(value))?,
                Kind::Bytes => {
                    let bytes = piece.as_binary::<i32>().iter();
                    bytes
                        .map(|value| value.map(|value| PyBytes::new(py, value)))
                        .try_for_each(|one| list.append(one))?;
                }
                Kind::Time => {
                    let times = piece.as_primitive::<TimestampMicrosecondType>().iter();
                    times.into_iter().try_for_each(|value| list.append(value))?;
                }
            }
        }
        Ok(Some(list))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Arrow's schema of the columns.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.0.to_schema().map_err(|error| PyValueError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// Arrow's stream of the rows. Their types are what they are: no other schema can be had.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        PyCapsule::new_with_value(py, self.0.to_stream(), c"arrow_array_stream")
    }
}
