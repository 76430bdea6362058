//! The methods of `ApplicationClient` for payload functions: the application's settings, and dry runs.

use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::application::PyApplicationClient;
use super::calls::Calls;
use super::refused::{DRY_RUN, GET_APPLICATION};
use super::stub::message;
use super::way::Way;
use crate::py::arguments::{Aliases, Given, text, wrong_type};
use crate::py::convert::{frame_bytes, octets};
use crate::py::json::object;
use crate::py::number;
use crate::py::prepared::Prepared;
use crate::py::proto::PyMessage;
use crate::rpc::message::descriptor;
use crate::rpc::proto::handler;

/// The payload functions, in the order of the documentation.
const FUNCTIONS: [&str; 4] = ["encoder", "decoder", "validator", "converter"];

impl PyApplicationClient {
    fn change<'py>(
        &self,
        py: Python<'py>,
        changes: Vec<(&'static str, String)>,
        profile: Option<String>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.way.refuse_profile(profile.as_ref())?;
        let joining = ("register_on_join_access_key", "devices are registered before they join");
        let gives_key = changes.iter().any(|(name, key)| *name == joining.0 && !key.is_empty());
        let timeout = Calls::timeout(py, timeout)?;
        let changed = match &self.way {
            Way::V2(calls) => calls.change_application(py, changes, timeout)?,
            Way::V3(calls) if gives_key => return Err(calls.missing(joining.0, joining.1)),
            Way::ChirpStack(calls) if gives_key => return Err(calls.missing(joining.0, joining.1)),
            Way::V3(calls) => calls.change_functions(py, changes, timeout)?,
            Way::ChirpStack(calls) => calls.change_functions(py, changes, profile, timeout)?,
        };
        self.face.give(py, changed)
    }

    /// Have functions run: the given ones, or those that the application has.
    fn dry_run<'py>(
        &self,
        py: Python<'py>,
        name: &'static str,
        mut request: DynamicMessage,
        functions: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout)?;
        let app_id = self.way.identity().lock().app_id.clone();
        let given = functions.map(|functions| application(&app_id, functions)).transpose()?;
        let calls = match &self.way {
            Way::V2(calls) => calls.clone(),
            Way::V3(calls) => {
                let given = given.as_ref().map(generated).transpose()?;
                let result = if name == "DryUplink" {
                    let request: handler::DryUplinkMessage = generated(&request)?;
                    calls.dry_uplink(py, request.payload, request.port, given, timeout)?
                } else {
                    calls.dry_downlink(py, generated(&request)?, given, timeout)?
                };
                return self.face.give(py, result);
            }
            Way::ChirpStack(calls) => {
                let instead = "its web interface has none either; Sandbox(network=\"chirpstack\") runs codecs";
                return Err(calls.missing("a dry run", instead));
            }
        };
        let application = match given {
            Some(application) => Prepared::Ready(application),
            None => calls.read(py, GET_APPLICATION, "GetApplication", calls.application_request(), timeout)?,
        };
        let result = application.then(py, move |py, application| {
            request.set_field_by_name("app", Value::Message(application));
            calls.ask(py, DRY_RUN, name, request, timeout)
        })?;
        self.face.give(py, result)
    }
}

/// The same message in the generated form.
fn generated<T: prost::Message + Default>(message: &DynamicMessage) -> PyResult<T> {
    T::decode(message.encode_to_vec().as_slice()).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// An application with the given functions.
fn application(app_id: &str, functions: &Bound<'_, PyAny>) -> PyResult<DynamicMessage> {
    let mut application = message("handler.Application", &[("app_id", app_id)]);
    if functions.is_none() {
        return Ok(application);
    }
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

#[pymethods(crate = "crate::py::named")]
impl PyApplicationClient {
    #[doc = stub!("ApplicationClient.set_payload_format")]
    #[pyo3(
        signature = (payload_format=Given(None), *, profile=None, timeout=None, **aliases),
        text_signature = "($self, payload_format, *, profile=None, timeout=None, **aliases)"
    )]
    fn set_payload_format<'py>(
        &self,
        py: Python<'py>,
        payload_format: Given<'py>,
        profile: Option<String>,
        timeout: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut aliases = Aliases::new("set_payload_format", aliases);
        let given = aliases.require("payload_format", payload_format, &["payloadf"])?;
        aliases.finish()?;
        let format = given.text()?;
        if !["custom", "cayennelpp", ""].contains(&format.as_str()) {
            return Err(PyValueError::new_err(format!(
                "{} {format:?} is not valid: expected \"custom\", \"cayennelpp\" or \"\" for none",
                given.name
            )));
        }
        self.change(py, vec![("payload_format", format)], profile, timeout.as_ref())
    }

    #[doc = stub!("ApplicationClient.set_custom_payload_functions")]
    #[pyo3(signature = (encoder="", decoder="", validator="", converter="", *, payload_format=None, register_on_join_access_key=None, profile=None, timeout=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn set_custom_payload_functions<'py>(
        &self,
        py: Python<'py>,
        encoder: Option<&str>,
        decoder: Option<&str>,
        validator: Option<&str>,
        converter: Option<&str>,
        payload_format: Option<String>,
        register_on_join_access_key: Option<String>,
        profile: Option<String>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut changes = vec![("payload_format", payload_format.unwrap_or_else(|| "custom".to_owned()))];
        for (name, code) in FUNCTIONS.into_iter().zip([encoder, decoder, validator, converter]) {
            if let Some(code) = code.filter(|code| !code.is_empty()) {
                changes.push((name, code.to_owned()));
            }
        }
        changes.extend(register_on_join_access_key.map(|key| ("register_on_join_access_key", key)));
        self.change(py, changes, profile, timeout.as_ref())
    }

    /// Remove payload functions: the named ones, or all.
    #[pyo3(signature = (*names, profile=None, timeout=None))]
    fn clear_custom_payload_functions<'py>(
        &self,
        py: Python<'py>,
        names: Vec<String>,
        profile: Option<String>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(name) = names.iter().find(|name| !FUNCTIONS.contains(&name.as_str())) {
            let known = FUNCTIONS.join(", ");
            return Err(PyValueError::new_err(format!("unknown payload function {name:?}: expected some of {known}")));
        }
        let cleared = FUNCTIONS.into_iter().filter(|known| names.is_empty() || names.iter().any(|name| name == known));
        let changes: Vec<_> = cleared.map(|name| (name, String::new())).collect();
        self.change(py, changes, profile, timeout.as_ref())
    }

    /// Set the key with which devices register themselves when they join; ``""`` for none.
    #[pyo3(signature = (access_key, *, timeout=None))]
    fn set_register_on_join_access_key<'py>(
        &self,
        py: Python<'py>,
        access_key: String,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.change(py, vec![("register_on_join_access_key", access_key)], None, timeout.as_ref())
    }

    #[doc = stub!("ApplicationClient.dry_uplink")]
    #[pyo3(signature = (payload, port=1, functions=None, *, timeout=None))]
    fn dry_uplink<'py>(
        &self,
        py: Python<'py>,
        payload: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number::frame_port)] port: u32,
        functions: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut request = message("handler.DryUplinkMessage", &[]);
        request.set_field_by_name("payload", Value::Bytes(frame_bytes("payload", payload)?.into()));
        request.set_field_by_name("port", Value::U32(port));
        self.dry_run(py, "DryUplink", request, functions.as_ref(), timeout.as_ref())
    }

    /// Run payload functions on a downlink's fields, storing nothing: the given ones, or the application's.
    #[pyo3(signature = (fields, port=1, functions=None, *, timeout=None))]
    fn dry_downlink<'py>(
        &self,
        py: Python<'py>,
        fields: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number::frame_port)] port: u32,
        functions: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut request = message("handler.DryDownlinkMessage", &[]);
        if let Some(payload) = octets("fields", fields)? {
            request.set_field_by_name("payload", Value::Bytes(payload.into()));
        } else {
            let text = object("fields", fields, "a dict or bytes")?;
            request.set_field_by_name("fields", Value::String(text));
        }
        request.set_field_by_name("port", Value::U32(port));
        self.dry_run(py, "DryDownlink", request, functions.as_ref(), timeout.as_ref())
    }
}
