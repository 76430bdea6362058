//! The calls behind the methods of `ApplicationClient`.

use std::time::Duration;

use prost_reflect::{DynamicMessage, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::application::{FUNCTIONS, PyApplicationClient};
use super::dictionary;
use super::discovery::paging;
use super::identity::Identity;
use super::refused::{GET_APPLICATION, GET_DEVICE, GET_DEVICES, SET_APPLICATION, Words};
use super::stub::{Answer, Call, deadline, invoke, message, method};
use crate::ids::DevId;
use crate::py::arguments::{text, wrong_type};
use crate::py::error::{OrRaise as _, application_error};
use crate::py::proto::{Place, PyMessage, PyRepeated};
use crate::rpc::message::{descriptor, elements};

/// The service of applications and devices.
pub(super) const MANAGER: &str = "handler.ApplicationManager";
/// The service of device addresses.
pub(super) const ADDRESSES: &str = "lorawan.DevAddrManager";

impl PyApplicationClient {
    pub(super) fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    /// The deadline of a call: what is given, or the original's module variable.
    pub(super) fn timeout(py: Python<'_>, given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
        if given.is_some() {
            return deadline(given);
        }
        deadline(Some(&py.import("thingslink.ttn.application")?.getattr("TIME_OUT")?))
    }

    pub(super) fn call_with<'py>(
        &self,
        py: Python<'py>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<Duration>,
        metadata: Vec<(&'static str, String)>,
    ) -> PyResult<Answer<'py>> {
        let (service, client) = match name {
            "GetPrefixes" | "GetDevAddr" => (ADDRESSES, self.addresses.clone_ref(py).into_bound(py)),
            _ => (MANAGER, self.client.lock().clone_ref(py).into_bound(py)),
        };
        let call = Call { timeout, authority: self.identity().authority(), metadata };
        invoke(py, &client, &method(service, name)?, request, call).map_err(|error| application_error(py, error, words))
    }

    pub(super) fn call<'py>(
        &self,
        py: Python<'py>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Answer<'py>> {
        self.call_with(py, words, name, request, Self::timeout(py, timeout)?, Vec::new())
    }

    /// Call, and give the answer as it is.
    pub(super) fn ask<'py>(
        &self,
        py: Python<'py>,
        words: Words,
        name: &str,
        request: DynamicMessage,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.call(py, words, name, request, timeout)?.into_py(py, &method(MANAGER, name)?)
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
        &self,
        py: Python<'_>,
        changes: &[(&str, String)],
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let answer = self.call(py, SET_APPLICATION, "GetApplication", self.application_request(), timeout)?;
        let mut application = answer.into_message(py, &method(MANAGER, "GetApplication")?)?;
        application.set_field_by_name("app_id", Value::String(self.identity().app_id));
        for (name, value) in changes {
            application.set_field_by_name(name, Value::String(value.clone()));
        }
        self.call(py, SET_APPLICATION, "SetApplication", application, timeout)?;
        Ok(())
    }

    pub(super) fn read_device(
        &self,
        py: Python<'_>,
        dev_id: &DevId,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<DynamicMessage> {
        self.call(py, GET_DEVICE, "GetDevice", self.device_request(dev_id), timeout)?
            .into_message(py, &method(MANAGER, "GetDevice")?)
    }

    /// The IDs stand at both levels of a device.
    pub(super) fn identify(&self, device: &mut DynamicMessage, dev_id: &DevId) {
        let app_id = self.identity().app_id;
        for part in [("app_id", app_id.as_str()), ("dev_id", dev_id.as_str())] {
            device.set_field_by_name(part.0, Value::String(part.1.to_owned()));
            dictionary::lorawan_part(device).set_field_by_name(part.0, Value::String(part.1.to_owned()));
        }
    }

    pub(super) fn page<'py>(
        &self,
        py: Python<'py>,
        limit: Option<u64>,
        offset: Option<u64>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Self::timeout(py, timeout)?;
        let request = self.application_request();
        let metadata = paging(limit, offset);
        match self.call_with(py, GET_DEVICES, "GetDevicesForApplication", request, timeout, metadata)? {
            Answer::Reply(reply) => {
                let total = reply.metadata.get("total").and_then(|total| total.parse().ok());
                let found = py.detach(|| elements("handler.DeviceList", reply.message)).or_raise(py)?;
                let of = descriptor("handler.Device");
                let places = found.into_iter().map(|bytes| Place::encoded(of.clone(), bytes)).collect();
                Ok(Bound::new(py, PyRepeated::whole(of, places, total))?.into_any())
            }
            Answer::Other(object) => object.getattr("devices"),
        }
    }

    pub(super) fn dry_application(&self, functions: Option<&Bound<'_, PyAny>>) -> PyResult<DynamicMessage> {
        let mut application = message("handler.Application", &[("app_id", &self.identity().app_id)]);
        let Some(functions) = functions.filter(|functions| !functions.is_none()) else { return Ok(application) };
        if let Ok(message) = functions.cast::<PyMessage>() {
            let given = message.get().place();
            if given.descriptor() == descriptor("handler.Application") {
                return Ok(given.copy());
            }
        }
        let functions =
            functions.cast::<PyDict>().map_err(|_| wrong_type("functions", "a dict or an Application", functions))?;
        for (name, value) in functions {
            let name: String = name.extract()?;
            if !FUNCTIONS.contains(&name.as_str()) && name != "payload_format" {
                let known = FUNCTIONS.join(", ");
                return Err(PyValueError::new_err(format!(
                    "unknown payload function {name:?}: expected some of {known}, payload_format"
                )));
            }
            application.set_field_by_name(&name, Value::String(text(&name, &value)?));
        }
        Ok(application)
    }

    /// The functions of a dry run: the given ones, or those that the application has.
    pub(super) fn functions(
        &self,
        py: Python<'_>,
        given: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<DynamicMessage> {
        if given.is_some() {
            return self.dry_application(given);
        }
        self.call(py, GET_APPLICATION, "GetApplication", self.application_request(), timeout)?
            .into_message(py, &method(MANAGER, "GetApplication")?)
    }
}
