//! Firmware and provisioning, whose better part is written in Python.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyDeviceClient;
use crate::py::arguments::wrong_type;

#[pymethods]
impl PyDeviceClient {
    /// Download the firmware package that the shared attributes announce, now and whenever they change.
    fn get_firmware_update(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.py().import("thingslink.thingsboard.firmware")?.call_method1("start", (slf,))?;
        Ok(())
    }

    /// Change what is told about the firmware, and send it as telemetry.
    #[pyo3(signature = (title=None, version=None, state=None, error=None))]
    fn update_firmware_info(
        slf: &Bound<'_, Self>,
        title: Option<Bound<'_, PyAny>>,
        version: Option<Bound<'_, PyAny>>,
        state: Option<Bound<'_, PyAny>>,
        error: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let firmware = slf.py().import("thingslink.thingsboard.firmware")?;
        firmware.call_method1("update", (slf, title, version, state, error))?;
        Ok(())
    }

    /// Set what gets a downloaded package: ``cb(client, data, version)``.
    fn set_on_firmware_received_callback(slf: &Bound<'_, Self>, cb: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(cb) = &cb
            && !cb.is_callable()
        {
            return Err(wrong_type("cb", "callable", cb));
        }
        slf.setattr("_on_firmware_received", cb)
    }

    /// Ask a server for credentials of a new device; gives its answer, or ``None`` when it refuses.
    #[staticmethod]
    #[pyo3(signature = (host, provision_device_key, provision_device_secret, port=1883, device_name=None, access_token=None, client_id=None, username=None, password=None, hash=None, gateway=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn provision(
        py: Python<'_>,
        host: &Bound<'_, PyAny>,
        provision_device_key: &Bound<'_, PyAny>,
        provision_device_secret: &Bound<'_, PyAny>,
        port: u16,
        device_name: Option<Bound<'_, PyAny>>,
        access_token: Option<Bound<'_, PyAny>>,
        client_id: Option<Bound<'_, PyAny>>,
        username: Option<Bound<'_, PyAny>>,
        password: Option<Bound<'_, PyAny>>,
        hash: Option<Bound<'_, PyAny>>,
        gateway: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let options = PyDict::new(py);
        for (name, value) in [
            ("device_name", device_name),
            ("access_token", access_token),
            ("client_id", client_id),
            ("username", username),
            ("password", password),
            ("hash", hash),
            ("gateway", gateway),
        ] {
            options.set_item(name, value)?;
        }
        let module = py.import("thingslink.thingsboard.provisioning")?;
        let arguments = (host, provision_device_key, provision_device_secret, port);
        Ok(module.call_method("provision", arguments, Some(&options))?.unbind())
    }
}
