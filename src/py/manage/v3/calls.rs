//! The calls behind the methods of `ApplicationClient` on this network.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::MessageDescriptor;
use pyo3::exceptions::{PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::super::identity::Identity;
use super::super::refused::{
    DELETE_APPLICATION, DELETE_DEVICE, DRY_RUN, GET_ADDRESS, GET_APPLICATION, GET_DEVICE, GET_DEVICES, GET_QUEUE,
    GET_RIGHTS, REGISTER_APPLICATION, REGISTER_DEVICE, SET_APPLICATION, SET_QUEUE, SIMULATE, UPDATE_DEVICE, Words,
};
use super::super::stub::Connection;
use super::application::Got;
use super::device::Listed;
use super::dictionary;
use super::downlink;
use crate::client::stack::{Defaults, Functions, Stack, check, check_id};
use crate::error::Error;
use crate::ids::AccessKey;
use crate::py::error::{OrRaise as _, application_error, to_py, unreadable_answer};
use crate::py::leaving;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place as Message, PyRepeated, wrap};
use crate::rpc::message::{decode, descriptor};
use crate::rpc::proto::{handler, v3};
use crate::sync::Mutex;

/// An application, who asks for it, and the ways to its servers.
pub(in super::super) struct Calls {
    pub(in super::super) identity: Mutex<Identity>,
    pub(super) identity_server: Arc<Connection>,
    pub(super) cluster: Arc<Connection>,
    pub(super) defaults: Arc<Defaults>,
    /// Where they are, for those who look at the client.
    pub(in super::super) address: String,
}

impl Calls {
    pub(in super::super) fn close(&self) {
        self.identity_server.close();
        self.cluster.close();
    }

    /// Have a recipe run on the servers.
    fn run<T, U, F>(
        &self,
        py: Python<'_>,
        words: Words,
        timeout: Option<Duration>,
        recipe: impl FnOnce(Stack) -> F,
        finish: impl FnOnce(Python<'_>, T) -> PyResult<U> + Send + 'static,
    ) -> PyResult<Prepared<U>>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
        U: 'static,
    {
        let (cluster, process) = self.cluster.channel(py)?;
        let (identity_server, _) = self.identity_server.channel(py)?;
        let Identity { app_id, key, token } = self.identity.lock().clone();
        let app_id = plain(&app_id).to_owned();
        let key = token.or(key).map(AccessKey::new);
        let stack = Stack { identity: identity_server, cluster, app_id, key, timeout, defaults: self.defaults.clone() };
        Ok(Prepared::new(process, recipe(stack), move |py, outcome| {
            outcome.map_err(|error| failed(py, &error, words)).and_then(|value| finish(py, value))
        }))
    }

    pub(in super::super) fn application(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let app_id = plain(&self.identity.lock().app_id).to_owned();
        self.run(
            py,
            GET_APPLICATION,
            timeout,
            async move |stack| stack.application().await,
            move |py, application| {
                let got = Got { app_id, application };
                wrap(py, Message::beside(got.to_v2(), Arc::new(got))).map(Bound::unbind)
            },
        )
    }

    pub(in super::super) fn register(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let look = async move |stack: Stack| stack.look_for_application().await;
        self.run(py, REGISTER_APPLICATION, timeout, look, |py, ()| empty(py))
    }

    pub(in super::super) fn unregister(
        &self,
        py: Python<'_>,
        confirm: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        if !confirm {
            return Err(PyValueError::new_err(
                "unregister() deletes the application with all its devices on The Things Stack V3, and its ID cannot be used \
                 again: expected confirm=True",
            ));
        }
        let delete = async move |stack: Stack| stack.unregister().await;
        self.run(py, DELETE_APPLICATION, timeout, delete, |py, ()| empty(py))
    }

    /// The rights of the key, by their names.
    pub(in super::super) fn rights(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Vec<String>>> {
        self.run(py, GET_RIGHTS, timeout, async move |stack| stack.rights().await, |_, rights| Ok(rights))
    }

    pub(in super::super) fn change_functions(
        &self,
        py: Python<'_>,
        changes: Vec<(&'static str, String)>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        if changes.iter().any(|(name, key)| *name == "register_on_join_access_key" && !key.is_empty()) {
            return Err(missing("register_on_join_access_key", "devices are registered before they join"));
        }
        let change = async move |stack: Stack| {
            stack
                .change_functions(|functions| changes.into_iter().for_each(|(name, value)| set(functions, name, value)))
                .await
        };
        self.run(py, SET_APPLICATION, timeout, change, |py, ()| Ok(py.None()))
    }

    pub(in super::super) fn dry_uplink(
        &self,
        py: Python<'_>,
        payload: Vec<u8>,
        port: u32,
        functions: Option<handler::Application>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let functions = functions.map(given);
        let run = async move |stack: Stack| stack.dry_uplink(&payload, port, functions).await;
        self.run(py, DRY_RUN, timeout, run, |py, result| object(py, "handler.DryUplinkResult", &result))
    }

    pub(in super::super) fn dry_downlink(
        &self,
        py: Python<'_>,
        request: handler::DryDownlinkMessage,
        functions: Option<handler::Application>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let (functions, downlink) = (functions.map(given), downlink::dry(request)?);
        let run = async move |stack: Stack| stack.dry_downlink(downlink, functions).await;
        self.run(py, DRY_RUN, timeout, run, |py, result| object(py, "handler.DryDownlinkResult", &result))
    }

    pub(in super::super) fn device(
        self: &Arc<Self>,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let (dev_id, calls) = (dev_id.to_owned(), self.clone());
        let read = async move |stack: Stack| stack.device(&dev_id).await;
        self.run(py, GET_DEVICE, timeout, read, move |py, device| {
            let listed = Listed::complete(calls, timeout, device);
            wrap(py, Message::beside(listed.to_v2(), Arc::new(listed))).map(Bound::unbind)
        })
    }

    /// What the other servers have of a device that was listed.
    pub(super) fn rest(
        &self,
        py: Python<'_>,
        identity: crate::client::stack::Part,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<crate::client::stack::Device>> {
        let read = async move |stack: Stack| stack.complete(identity).await;
        self.run(py, GET_DEVICE, timeout, read, |_, device| Ok(device))
    }

    pub(in super::super) fn page(
        self: &Arc<Self>,
        py: Python<'_>,
        limit: Option<u64>,
        offset: Option<u64>,
        complete: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let calls = self.clone();
        let list = async move |stack: Stack| {
            let (parts, total) = stack.devices(limit, offset.unwrap_or_default()).await?;
            let whole = if complete { Some(stack.complete_all(parts.clone()).await?) } else { None };
            Ok((parts, whole, total))
        };
        self.run(py, GET_DEVICES, timeout, list, move |py, (parts, whole, total)| {
            let listed: Vec<Listed> = match whole {
                Some(devices) => {
                    devices.into_iter().map(|device| Listed::complete(calls.clone(), timeout, device)).collect()
                }
                None => parts.into_iter().map(|part| Listed::new(calls.clone(), timeout, part)).collect(),
            };
            let places = listed.into_iter().map(|listed| Message::beside(listed.to_v2(), Arc::new(listed))).collect();
            Ok(Py::new(py, PyRepeated::whole(descriptor("handler.Device"), places, total))?.into_any())
        })
    }

    pub(in super::super) fn register_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        device: &Bound<'_, PyAny>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let (registration, _) = leaving::within(py, || dictionary::read(dev_id, device))?;
        let write = async move |stack: Stack| Box::pin(stack.register_device(&registration)).await;
        self.run(py, REGISTER_DEVICE, timeout, write, |py, ()| empty(py))
    }

    pub(in super::super) fn check_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        device: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (registration, _) = leaving::within(py, || dictionary::read(dev_id, device))?;
        check(&registration, &self.defaults).or_raise(py)
    }

    pub(in super::super) fn update_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        updates: &Bound<'_, PyAny>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let (updates, forgotten) = leaving::within(py, || dictionary::read(dev_id, updates))?;
        let write = async move |stack: Stack| Box::pin(stack.update_device(&updates, &forgotten)).await;
        self.run(py, UPDATE_DEVICE, timeout, write, |py, told| Ok(told.into_pyobject(py)?.into_any().unbind()))
    }

    pub(in super::super) fn delete_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let delete = async move |stack: Stack| stack.delete_device(&dev_id).await;
        self.run(py, DELETE_DEVICE, timeout, delete, |py, ()| empty(py))
    }

    pub(in super::super) fn personalize(
        self: &Arc<Self>,
        py: Python<'_>,
        dev_id: &str,
        keys: (Vec<u8>, Vec<u8>),
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let (dev_id, calls) = (dev_id.to_owned(), self.clone());
        let write = async move |stack: Stack| Box::pin(stack.personalize(&dev_id, &keys.0, &keys.1)).await;
        self.run(py, UPDATE_DEVICE, timeout, write, move |py, device| {
            let listed = Listed::complete(calls, timeout, device);
            wrap(py, Message::beside(listed.to_v2(), Arc::new(listed))).map(Bound::unbind)
        })
    }

    pub(in super::super) fn move_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        to: &Self,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        // The other client's servers, by its own recipe's means.
        let mut other = None;
        drop(to.run(
            py,
            REGISTER_DEVICE,
            timeout,
            |stack| {
                other = Some(stack);
                std::future::ready(Ok(()))
            },
            |_, ()| Ok(()),
        )?);
        let other = other.ok_or_else(|| PyTypeError::new_err("to has no servers"))?;
        let carry = async move |stack: Stack| Box::pin(stack.move_device(&dev_id, &other)).await;
        self.run(py, REGISTER_DEVICE, timeout, carry, |py, ()| Ok(py.None()))
    }

    pub(in super::super) fn simulate_uplink(
        &self,
        py: Python<'_>,
        dev_id: &str,
        payload: Vec<u8>,
        port: u32,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let send = async move |stack: Stack| stack.simulate_uplink(&dev_id, payload, port).await;
        self.run(py, SIMULATE, timeout, send, |py, ()| Ok(py.None()))
    }

    pub(in super::super) fn dev_addr(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<Prepared<Vec<u8>>> {
        self.run(py, GET_ADDRESS, timeout, async move |stack| stack.dev_addr().await, |_, address| Ok(address))
    }

    pub(in super::super) fn downlinks(
        &self,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let list = async move |stack: Stack| stack.downlinks(&dev_id).await;
        self.run(py, GET_QUEUE, timeout, list, |py, found| {
            let of = descriptor("ttn.lorawan.v3.ApplicationDownlink");
            let places = found.into_iter().map(|bytes| Message::encoded(of.clone(), bytes)).collect();
            Ok(Py::new(py, PyRepeated::whole(of, places, None))?.into_any())
        })
    }

    pub(in super::super) fn queue(
        &self,
        py: Python<'_>,
        dev_id: &str,
        downlinks: Vec<v3::ApplicationDownlink>,
        replace: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let write = async move |stack: Stack| stack.queue(&dev_id, downlinks, replace).await;
        self.run(py, SET_QUEUE, timeout, write, |py, ()| Ok(py.None()))
    }
}

/// An application without its tenant, which gRPC has in the host.
pub(super) fn plain(app_id: &str) -> &str {
    app_id.split_once('@').map_or(app_id, |(app, _)| app)
}

/// A failed recipe as users catch it.
fn failed(py: Python<'_>, error: &Error, words: Words) -> PyErr {
    match error {
        Error::Malformed { .. } => application_error(py, unreadable_answer(py, error), words),
        error => application_error(py, to_py(py, error), words),
    }
}

/// What V2 has and this network has not.
pub(in super::super) fn missing(what: &str, instead: &str) -> PyErr {
    PyNotImplementedError::new_err(format!("{what} does not exist on The Things Stack V3: {instead}"))
}

fn set(functions: &mut Functions, name: &str, value: String) {
    match name {
        "encoder" => functions.encoder = value,
        "decoder" => functions.decoder = value,
        "converter" => functions.converter = value,
        "validator" => functions.validator = value,
        "payload_format" => functions.format = value,
        _ => {}
    }
}

fn given(application: handler::Application) -> Functions {
    // Functions that are given are to run.
    let format = if application.payload_format.is_empty() { "custom".to_owned() } else { application.payload_format };
    Functions {
        format,
        encoder: application.encoder,
        decoder: application.decoder,
        converter: application.converter,
        validator: application.validator,
    }
}

fn object(py: Python<'_>, of: &str, message: &impl prost::Message) -> PyResult<Py<PyAny>> {
    wrap(py, Message::new(shape(&descriptor(of), message))).map(Bound::unbind)
}

/// A message of ours as one that users hold.
pub(super) fn shape(of: &MessageDescriptor, message: &impl prost::Message) -> prost_reflect::DynamicMessage {
    decode(of, message.encode_to_vec().into()).unwrap_or_else(|_| prost_reflect::DynamicMessage::new(of.clone()))
}

fn empty(py: Python<'_>) -> PyResult<Py<PyAny>> {
    object(py, "google.protobuf.Empty", &())
}
