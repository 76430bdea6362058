//! What the native client tells its Python half, which overrides these. Called one at a time and in order, from the thread
//! that serves the client; what they raise is logged. What comes often (attributes, calls, answers) does not pass here.

use pyo3::prelude::*;

use super::PyDeviceClient;
use crate::py::convert::seconds;

#[pymethods(crate = "crate::py::named")]
impl PyDeviceClient {
    /// To be called before the Python half calls a callback of the program: from then on all of them come on this thread.
    fn _native_claim_thread(&self) -> PyResult<()> {
        self.shared()?.owner.home().claim();
        Ok(())
    }

    /// To be called before and after a connect callback of the program: what it subscribes to it may have subscribed to
    /// before.
    fn _native_connect_callback(&self, running: bool) -> PyResult<()> {
        let shared = self.shared()?;
        let mut registry = shared.registry.lock();
        registry.connect_callbacks.running = running;
        registry.connect_callbacks.count += u64::from(running);
        drop(registry);
        Ok(())
    }

    /// A login was answered: with the CONNACK code and its name.
    fn _hear_connected(&self, _code: u8, _reason: &str, _session_present: bool) {}

    /// A connection ended: 0 when that was asked for, 7 when it was lost.
    fn _hear_disconnected(&self, _code: u8) {}

    /// The question for the session's limits, which is the client's own, was answered.
    fn _hear_limits(&self, _number: u64, _answer: &Bound<'_, PyAny>) {}

    /// Shared attributes name a package of this kind, `fw` or `sw`: pushed by the server, or the answer to a request.
    fn _hear_package(&self, _kind: &str, _attributes: &Bound<'_, PyAny>, _pushed: bool) {}

    /// A piece of a package came.
    fn _hear_piece(&self, _kind: &str, _request: u64, _piece: u64, _data: &Bound<'_, PyAny>) {}

    /// A piece of a package was refused by the server, or, of this request, given up on its way.
    fn _hear_piece_refused(&self, _reason: &Bound<'_, PyAny>, _request: Option<u64>) {}

    /// The time that was given to `_native_await_piece` is over.
    fn _hear_piece_missing(&self) {}

    /// Have `_hear_piece_missing` called after so many seconds; what was asked before holds no longer.
    fn _native_await_piece(&self, patience: &Bound<'_, PyAny>) -> PyResult<()> {
        self.shared()?.await_piece(seconds("patience", patience)?)
    }

    /// The server dropped a device behind the gateway.
    fn _hear_device_dropped(&self, _content: &Bound<'_, PyAny>) {}

    /// A message came on a topic that the client does not know: its value, and the message itself.
    fn _on_decoded_message(&self, _content: &Bound<'_, PyAny>, _message: &Bound<'_, PyAny>) {}
}
