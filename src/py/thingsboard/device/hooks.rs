//! What the native client tells its Python half, which overrides these. Called one at a time and in order, from the thread
//! that serves the client; what they raise is logged. What comes often (attributes, calls, answers) does not pass here.

use pyo3::prelude::*;

use super::PyDeviceClient;

#[pymethods]
impl PyDeviceClient {
    /// To be called before the Python half calls a callback of the program: from then on all of them come on this thread.
    fn _native_claim_thread(&self) -> PyResult<()> {
        self.shared()?.owner.home().claim();
        Ok(())
    }

    /// A login was answered: with the CONNACK code and its name.
    fn _hear_connected(&self, _code: u8, _reason: &str, _session_present: bool) {}

    /// A connection ended: 0 when that was asked for, 7 when it was lost.
    fn _hear_disconnected(&self, _code: u8) {}

    /// The question for the session's limits, which is the client's own, was answered.
    fn _hear_limits(&self, _number: u64, _answer: &Bound<'_, PyAny>) {}

    /// Shared attributes name a firmware package.
    fn _hear_firmware(&self, _attributes: &Bound<'_, PyAny>) {}

    /// A piece of a firmware package came.
    fn _hear_firmware_piece(&self, _request: &str, _data: &Bound<'_, PyAny>) {}

    /// A piece of a firmware package was refused.
    fn _hear_firmware_refusal(&self, _reason: &Bound<'_, PyAny>) {}

    /// The server dropped a device behind the gateway.
    fn _hear_device_dropped(&self, _content: &Bound<'_, PyAny>) {}

    /// A message came on a topic that the client does not know: its value, and the message itself.
    fn _on_decoded_message(&self, _content: &Bound<'_, PyAny>, _message: &Bound<'_, PyAny>) {}
}
