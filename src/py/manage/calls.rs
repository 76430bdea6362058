//! The calls behind the methods of `ApplicationClient`.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::{DynamicMessage, Value};
use pyo3::prelude::*;

use super::dictionary;
use super::discovery::paging;
use super::identity::Identity;
use super::refused::{GET_DEVICE, GET_DEVICES, SET_APPLICATION, Words};
use super::stub::{Answer, Call, Connection, deadline, invoke, message, method};
use crate::ids::DevId;
use crate::py::error::{application_error, unreadable_answer};
use crate::py::face;
use crate::py::leaving;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place, PyRepeated};
use crate::rpc::message::{descriptor, elements};
use crate::sync::Mutex;

/// The service of applications and devices.
pub(super) const MANAGER: &str = "handler.ApplicationManager";
/// The service of device addresses.
pub(super) const ADDRESSES: &str = "lorawan.DevAddrManager";

fn service_of(method: &str) -> &'static str {
    if matches!(method, "GetPrefixes" | "GetDevAddr") { ADDRESSES } else { MANAGER }
}

/// An application, who asks for it, and the way to its handler.
pub(super) struct Calls {
    pub(super) identity: Mutex<Identity>,
    /// What the calls go through: our stub, or what a program has put in its place.
    pub(super) client: Mutex<Py<PyAny>>,
    pub(super) addresses: Py<PyAny>,
    pub(super) connection: Arc<Connection>,
    pub(super) address: String,
}

impl Calls {
    pub(super) fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    /// The deadline of a call: what is given, or the original's module variable.
    pub(super) fn timeout(py: Python<'_>, given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
        if given.is_some() {
            return deadline(given);
        }
        deadline(Some(&face::time_out(py)?))
    }

    pub(super) fn call_with(
        &self,
        py: Python<'_>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<Duration>,
        metadata: Vec<(&'static str, String)>,
    ) -> PyResult<Prepared<Answer>> {
        let service = service_of(name);
        let client = if service == ADDRESSES { self.addresses.clone_ref(py) } else { self.client.lock().clone_ref(py) };
        let client = client.into_bound(py);
        let call = Call { timeout, authority: self.identity().authority(), metadata };
        let answer = invoke(py, &client, &method(service, name)?, request, call);
        Prepared::settle(py, answer, move |py, answer| {
            answer.map(Prepared::Ready).map_err(|error| application_error(py, error, words))
        })
    }

    pub(super) fn call(
        &self,
        py: Python<'_>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Answer>> {
        self.call_with(py, words, name, request, timeout, Vec::new())
    }

    /// Call, and give the answer as it is.
    pub(super) fn ask(
        &self,
        py: Python<'_>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let asked = method(service_of(name), name)?;
        let answer = self.call(py, words, name, request, timeout)?;
        answer.map(py, move |py, answer| {
            answer.into_object(py, &asked).map_err(|error| application_error(py, error, words))
        })
    }

    /// Call, and give the answer as a message to go on with.
    pub(super) fn read(
        &self,
        py: Python<'_>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<DynamicMessage>> {
        let asked = method(service_of(name), name)?;
        let answer = self.call(py, words, name, request, timeout)?;
        answer.map(py, move |py, answer| {
            answer.into_message(py, &asked).map_err(|error| application_error(py, error, words))
        })
    }

    /// Call for what the call does; its answer is no news.
    pub(super) fn tell(
        &self,
        py: Python<'_>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        self.call(py, words, name, request, timeout)?.map(py, |py, _| Ok(py.None()))
    }

    pub(super) fn application_request(&self) -> DynamicMessage {
        message("handler.ApplicationIdentifier", &[("app_id", &self.identity().app_id)])
    }

    pub(super) fn device_request(&self, dev_id: &DevId) -> DynamicMessage {
        let app_id = self.identity().app_id;
        message("handler.DeviceIdentifier", &[("app_id", &app_id), ("dev_id", dev_id.as_str())])
    }

    /// Read the application, change it, write it: what is not mentioned stays.
    pub(super) fn change_application(
        self: &Arc<Self>,
        py: Python<'_>,
        changes: Vec<(&'static str, String)>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let this = self.clone();
        let read = self.read(py, SET_APPLICATION, "GetApplication", self.application_request(), timeout)?;
        read.then(py, move |py, mut application| {
            application.set_field_by_name("app_id", Value::String(this.identity().app_id));
            for (name, value) in changes {
                application.set_field_by_name(name, Value::String(value));
            }
            this.tell(py, SET_APPLICATION, "SetApplication", application, timeout)
        })
    }

    pub(super) fn read_device(
        &self,
        py: Python<'_>,
        dev_id: &DevId,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<DynamicMessage>> {
        self.read(py, GET_DEVICE, "GetDevice", self.device_request(dev_id), timeout)
    }

    /// The IDs stand at both levels of a device.
    pub(super) fn identify(&self, device: &mut DynamicMessage, dev_id: &DevId) {
        let app_id = self.identity().app_id;
        for part in [("app_id", app_id.as_str()), ("dev_id", dev_id.as_str())] {
            device.set_field_by_name(part.0, Value::String(part.1.to_owned()));
            dictionary::lorawan_part(device).set_field_by_name(part.0, Value::String(part.1.to_owned()));
        }
    }

    /// A page of the devices.
    pub(super) fn page(
        &self,
        py: Python<'_>,
        limit: Option<u64>,
        offset: Option<u64>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let (request, metadata) = (self.application_request(), paging(limit, offset));
        let answer = self.call_with(py, GET_DEVICES, "GetDevicesForApplication", request, timeout, metadata)?;
        answer.map(py, |py, answer| match answer {
            Answer::Reply(reply) => {
                let total = reply.metadata.get("total").and_then(|total| total.parse().ok());
                let found = leaving::detach(py, || elements("handler.DeviceList", reply.message))
                    .map_err(|error| application_error(py, unreadable_answer(py, &error), GET_DEVICES))?;
                let of = descriptor("handler.Device");
                let places = found.into_iter().map(|bytes| Place::encoded(of.clone(), bytes)).collect();
                Ok(Py::new(py, PyRepeated::whole(of, places, total))?.into_any())
            }
            Answer::Other(object) => object.getattr(py, "devices"),
        })
    }
}
