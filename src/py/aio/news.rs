//! What comes beside messages: for whoever awaits a send, for the streams, and for the program.

use std::convert::Infallible;
use std::sync::Arc;

use pyo3::prelude::*;

use super::flow::Flow;
use super::stream::Stream;
use crate::client::Delivery;
use crate::error::Error;
use crate::py::error::to_py;
use crate::py::event_loop::complete;
use crate::py::leaving;

/// The code of an end that nobody asked for, as paho has it.
const LOST: u8 = 7;

impl Flow {
    /// Something else than a message. On the loop's thread.
    pub(super) fn hear(&self, py: Python<'_>, delivery: Delivery<Infallible>, streams: &[Arc<Stream>]) -> PyResult<()> {
        match delivery {
            Delivery::Sent(mid) => self.answer(py, mid, None),
            Delivery::Rejected { mid, topic, reason } => self.answer(py, mid, Some(Error::Rejected { topic, reason })),
            // The Things Stack V3 has not taken it, or has not said so.
            Delivery::Problem(error @ Error::Downlink { mid, .. }) => self.answer(py, mid, Some(error)),
            Delivery::Problem(error) => self.tell(py, "error", to_py(py, &error)),
            Delivery::Connected { .. } => {
                for stream in streams {
                    stream.fail(None);
                }
                self.tell(py, "connection", (true, 0_u8, "Connection accepted"))
            }
            Delivery::Refused { code } => {
                let config = self.client.config();
                let error = || config.network.refused(code, &config.app_id, &self.host.lock());
                // Wrong ID or key: no reconnect cures that.
                if matches!(code, 4 | 5) && !self.is_closed() {
                    for stream in streams {
                        stream.fail(Some(to_py(py, &error())));
                    }
                }
                self.tell(py, "connection", (false, code, error().to_string()))
            }
            Delivery::Lost(error) => {
                let reason = error.to_string();
                *self.lost.lock() = Some(error);
                self.tell(py, "connection", (false, LOST, reason))
            }
            Delivery::Closed { online: true } => self.tell(py, "connection", (false, 0_u8, "Closed")),
            _ => Ok(()),
        }
    }

    /// What became of a message that was sent: for whoever awaits it; an error else for the program.
    fn answer(&self, py: Python<'_>, mid: u16, error: Option<Error>) -> PyResult<()> {
        let waits = |future: &Py<PyAny>| {
            let done = leaving::within(py, || future.bind(py).call_method0("done")?.extract::<bool>());
            done.is_ok_and(|done| !done)
        };
        match (self.sent(mid).filter(waits), error) {
            (Some(future), None) => complete(future.bind(py), Ok(mid.into_pyobject(py)?.into_any())),
            (Some(future), Some(error)) => complete(future.bind(py), Err(to_py(py, &error))),
            (None, None) => Ok(()),
            (None, Some(error)) => self.tell(py, "error", to_py(py, &error)),
        }
    }

    /// Tell the program.
    fn tell<'py>(&self, py: Python<'py>, what: &str, content: impl IntoPyObject<'py>) -> PyResult<()> {
        let told = self.told.lock().as_ref().map(|told| told.clone_ref(py));
        told.map_or(Ok(()), |told| leaving::within(py, || told.bind(py).call1((what, content))).map(drop))
    }
}
