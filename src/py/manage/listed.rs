//! What belongs to a `Device` and an `Application` beside V2's attributes; the rest of a device that was listed is asked for
//! when it is looked at.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::{DynamicMessage, Value};
use pyo3::prelude::*;

use super::tasks::{ApplicationOf, DeviceOf, Site, Tasks, shape};
use crate::client::managed::Managed as _;
use crate::py::proto::{Beside, Place};
use crate::rpc::message::descriptor;
use crate::sync::Mutex;

/// A device, of which what lists have may be all that is known yet.
pub(super) struct Listed<S: Site> {
    tasks: Arc<Tasks<S>>,
    timeout: Option<Duration>,
    state: Mutex<(Arc<DeviceOf<S>>, bool)>,
}

impl<S: Site> Listed<S> {
    pub(super) fn new(tasks: Arc<Tasks<S>>, timeout: Option<Duration>, device: DeviceOf<S>, is_complete: bool) -> Self {
        Self { tasks, timeout, state: Mutex::new((Arc::new(device), is_complete)) }
    }

    pub(super) fn to_v2(&self) -> DynamicMessage {
        in_v2_shape::<S>(&self.state.lock().0)
    }
}

/// A device in the shape that V2 programs know.
pub(super) fn in_v2_shape<S: Site>(device: &DeviceOf<S>) -> DynamicMessage {
    shape(&descriptor("handler.Device"), &S::Managed::to_v2(device))
}

impl<S: Site> Beside for Listed<S> {
    fn complete(&self, py: Python<'_>, place: &Place) -> PyResult<()> {
        let (device, is_complete) = self.state.lock().clone();
        if is_complete {
            return Ok(());
        }
        let whole = self.tasks.rest(py, DeviceOf::<S>::clone(&device), self.timeout)?.wait(py)?;
        let v2 = in_v2_shape::<S>(&whole);
        let mut state = self.state.lock();
        // Another thread may have been quicker, and the program have changed what it got.
        if !state.1 {
            *state = (Arc::new(whole), true);
            if let Some(Value::Message(part)) = v2.get_field_by_name("lorawan_device").map(std::borrow::Cow::into_owned)
            {
                place.write(|message| message.set_field_by_name("lorawan_device", Value::Message(part)));
            }
        }
        Ok(())
    }

    fn attribute(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        if name != S::OWN {
            return Ok(None);
        }
        let device = self.state.lock().0.clone();
        S::own_device(py, device).map(Some)
    }
}

/// An application as a program gets it.
pub(super) struct Got<S: Site> {
    pub(super) app_id: String,
    pub(super) application: ApplicationOf<S>,
}

impl<S: Site> Beside for Got<S> {
    fn complete(&self, _py: Python<'_>, _place: &Place) -> PyResult<()> {
        Ok(())
    }

    fn attribute(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        if name != S::OWN {
            return Ok(None);
        }
        S::own_application(py, &self.app_id, &self.application).map(Some)
    }
}
