//! What a test has go wrong in a sandbox.

use pyo3::prelude::*;

use super::PySandbox;
use crate::py::convert::seconds;
use crate::py::number;

#[pymethods(crate = "crate::py::named")]
impl PySandbox {
    /// Cut the connections of one client, or of all; gives how many there were.
    #[pyo3(signature = (client_id=None))]
    fn cut(&self, client_id: Option<&str>) -> PyResult<usize> {
        Ok(self.sandbox()?.cut(client_id))
    }

    /// Refuse every login with this CONNACK code, 1 to 255; 0 ends it.
    fn refuse_logins(&self, #[pyo3(from_py_with = number::code)] code: u8) -> PyResult<()> {
        self.sandbox()?.faults().refuse_logins(code);
        Ok(())
    }

    /// Close every new connection at once, or no longer.
    #[pyo3(signature = (on=true))]
    fn refuse_connections(&self, on: bool) -> PyResult<()> {
        self.sandbox()?.faults().refuse_connections(on);
        Ok(())
    }

    /// Neither read nor write on any connection, or go on.
    #[pyo3(signature = (on=true))]
    fn go_silent(&self, on: bool) -> PyResult<()> {
        self.sandbox()?.faults().go_silent(on);
        Ok(())
    }

    /// Hold every message to clients back for so many seconds.
    fn delay(&self, delay: &Bound<'_, PyAny>) -> PyResult<()> {
        self.sandbox()?.faults().delay(seconds("delay", delay)?);
        Ok(())
    }

    /// Send the next messages to clients twice.
    #[pyo3(signature = (count=1))]
    fn duplicate(&self, #[pyo3(from_py_with = number::count)] count: u32) -> PyResult<()> {
        self.sandbox()?.faults().duplicate(count);
        Ok(())
    }

    /// Garble the payload of the next messages to clients.
    #[pyo3(signature = (count=1))]
    fn garble(&self, #[pyo3(from_py_with = number::count)] count: u32) -> PyResult<()> {
        self.sandbox()?.faults().garble(count);
        Ok(())
    }

    /// Do not acknowledge the next QoS 1 messages of clients.
    #[pyo3(signature = (count=1))]
    fn withhold_acks(&self, #[pyo3(from_py_with = number::count)] count: u32) -> PyResult<()> {
        self.sandbox()?.faults().withhold_acks(count);
        Ok(())
    }

    /// Switch all faults off.
    fn clear_faults(&self) -> PyResult<()> {
        self.sandbox()?.faults().clear();
        Ok(())
    }
}
