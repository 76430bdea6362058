//! `ack`: programs that acknowledge by themselves, for example after their own commit.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::callbacks::Served;
use super::event::{PyDeviceEvent, PyFieldValue};
use super::message::PyUplinkMessage;
use crate::py::arguments::wrong_type;
use crate::py::raw::PyRawMessage;
use crate::session::Receipt;

/// What to acknowledge a message with, whatever form a callback got it in; nothing if it came at QoS 0.
fn receipt(message: &Bound<'_, PyAny>) -> PyResult<Option<Receipt>> {
    if let Ok(message) = message.cast::<PyUplinkMessage>() {
        return message.get().receipt();
    }
    if let Ok(message) = message.cast::<PyRawMessage>() {
        return Ok(message.get().acknowledgement.receipt());
    }
    if let Ok(event) = message.cast::<PyDeviceEvent>() {
        return Ok(event.get().acknowledgement.receipt());
    }
    match message.cast::<PyFieldValue>() {
        Ok(value) => Ok(value.get().acknowledgement.receipt()),
        Err(_) => Err(wrong_type("msg", "what a callback got", message)),
    }
}

impl Served {
    /// Let the server forget a message.
    pub(super) fn acknowledge(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let receipt = receipt(message)?;
        if !self.acknowledging.manual {
            let text = "ack() is for clients that were made with manual_ack=True: this one acknowledges by itself";
            return Err(PyValueError::new_err(text));
        }
        if let Some(receipt) = receipt {
            self.client.acknowledge(receipt);
        }
        Ok(())
    }
}
