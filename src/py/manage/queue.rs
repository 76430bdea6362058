//! The methods of `ApplicationClient` for the queue of a device's downlinks.

use std::time::Duration;

use pyo3::prelude::*;

use super::application::PyApplicationClient;
use super::calls::Calls;
use super::downlink::{Downlink, Manner, downlink, downlinks};
use super::way::Way;
use crate::dialect::lorawan::Network;
use crate::py::arguments::text;
use crate::py::leaving;
use crate::py::number::downlink_port;
use crate::py::prepared::Prepared;

/// The networks that have queues.
const OTHERS: &str = "The Things Stack V3 and ChirpStack";

impl PyApplicationClient {
    /// The network whose queue it is.
    fn queueing(&self, what: &str) -> PyResult<Network> {
        match self.way.network() {
            Network::V2 => Err(self.way.has_nothing_like(what, OTHERS)),
            network => Ok(network),
        }
    }

    /// Append downlinks to a queue, or replace it by them.
    fn queue(
        &self,
        py: Python<'_>,
        dev_id: &str,
        items: Vec<Downlink>,
        replace: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        match &self.way {
            Way::V2(_) => Err(self.way.has_nothing_like("the queue", OTHERS)),
            Way::V3(calls) => calls.queue(py, dev_id, items, replace, timeout),
            Way::ChirpStack(calls) => calls.queue(py, dev_id, items, replace, timeout),
        }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyApplicationClient {
    #[doc = stub!("ApplicationClient.downlinks")]
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn downlinks<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.queueing("downlinks()")?;
        let dev_id = text("dev_id", dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let found = match &self.way {
            Way::ChirpStack(calls) => calls.downlinks(py, &dev_id, timeout)?,
            way => way.stack("downlinks()")?.downlinks(py, &dev_id, timeout)?,
        };
        self.face.give(py, found)
    }

    #[doc = stub!("ApplicationClient.push_downlink")]
    #[pyo3(
        signature = (dev_id, payload, port=None, *, confirmed=false, priority=None, correlation_ids=None, timeout=None),
        text_signature = "($self, dev_id, payload, port=1, *, confirmed=False, priority=None, correlation_ids=None, timeout=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn push_downlink<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        payload: &Bound<'py, PyAny>,
        port: Option<Bound<'py, PyAny>>,
        confirmed: bool,
        priority: Option<String>,
        correlation_ids: Option<Vec<String>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let network = self.queueing("push_downlink()")?;
        let dev_id = text("dev_id", dev_id)?;
        let port = port.map_or(Ok(1), |port| downlink_port(network, &port))?;
        let manner = Manner { confirmed, priority, correlation_ids: correlation_ids.unwrap_or_default() };
        let item = leaving::within(py, || downlink(network, payload, port, manner))?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let queued = self.queue(py, &dev_id, vec![item], false, timeout)?;
        // Of one there is one ID, where there are any.
        let queued = queued
            .map(py, |py, ids| if ids.is_none(py) { Ok(ids) } else { ids.bind(py).get_item(0).map(Bound::unbind) })?;
        self.face.give(py, queued)
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
        let network = self.queueing("replace_downlinks()")?;
        let dev_id = text("dev_id", dev_id)?;
        let items = leaving::within(py, || self::downlinks(network, downlinks))?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.queue(py, &dev_id, items, true, timeout)?)
    }

    #[doc = stub!("ApplicationClient.clear_downlinks")]
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn clear_downlinks<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.queueing("clear_downlinks()")?;
        let dev_id = text("dev_id", dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let cleared = self.queue(py, &dev_id, Vec::new(), true, timeout)?;
        self.face.give(py, cleared.map(py, |py, _| Ok(py.None()))?)
    }
}
