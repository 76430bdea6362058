//! The methods of `ApplicationClient` for the queue of a device's downlinks.

use pyo3::prelude::*;

use super::application::PyApplicationClient;
use super::calls::Calls;
use super::v3::{Manner, downlink, downlinks};
use crate::py::arguments::text;
use crate::py::leaving;
use crate::py::number;

#[pymethods]
impl PyApplicationClient {
    #[doc = stub!("ApplicationClient.downlinks")]
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn downlinks<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = text("dev_id", dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.stack("downlinks()")?.downlinks(py, &dev_id, timeout)?)
    }

    #[doc = stub!("ApplicationClient.push_downlink")]
    #[pyo3(signature = (dev_id, payload, port=1, *, confirmed=false, priority=None, correlation_ids=None, timeout=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn push_downlink<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        payload: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number::stack_port)] port: u8,
        confirmed: bool,
        priority: Option<String>,
        correlation_ids: Option<Vec<String>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = text("dev_id", dev_id)?;
        let manner = Manner { confirmed, priority, correlation_ids: correlation_ids.unwrap_or_default() };
        let item = leaving::within(py, || downlink(payload, port, manner))?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let calls = self.way.stack("push_downlink()")?;
        self.face.give(py, calls.queue(py, &dev_id, vec![item], false, timeout)?)
    }

    #[doc = stub!("ApplicationClient.replace_downlinks")]
    #[pyo3(signature = (dev_id, downlinks, *, timeout=None))]
    fn replace_downlinks<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        downlinks: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = text("dev_id", dev_id)?;
        let items = leaving::within(py, || self::downlinks(downlinks))?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.stack("replace_downlinks()")?.queue(py, &dev_id, items, true, timeout)?)
    }

    /// Drop the downlinks that wait for a device, on The Things Stack V3.
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn clear_downlinks<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = text("dev_id", dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.stack("clear_downlinks()")?.queue(py, &dev_id, Vec::new(), true, timeout)?)
    }
}
