//! The calls behind the methods of `ApplicationClient` on networks where V2's one call is several.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::{DynamicMessage, MessageDescriptor};
use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::prelude::*;

use super::downlink::Downlink;
use super::identity::Identity;
use super::listed::{Got, Listed};
use super::refused::{
    DELETE_APPLICATION, DELETE_DEVICE, GET_ADDRESS, GET_APPLICATION, GET_DEVICE, GET_DEVICES, GET_QUEUE,
    REGISTER_APPLICATION, REGISTER_DEVICE, SET_QUEUE, UPDATE_DEVICE, Words,
};
use crate::client::managed::{Functions, Managed, Registration, of_all};
use crate::error::Error;
use crate::py::error::{OrRaise as _, application_error, to_py, unreadable_answer};
use crate::py::leaving;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place as Message, PyRepeated, wrap};
use crate::py::runtime::Process;
use crate::rpc::message::{decode, descriptor};
use crate::sync::Mutex;

/// A network of that kind: the way to it, and what of the calls is its own.
pub(super) trait Site: Send + Sync + Sized + 'static {
    /// What does the tasks.
    type Managed: Managed;
    /// Its name in sentences.
    const TITLE: &'static str;
    /// What attribute of messages holds the network's own.
    const OWN: &'static str;
    /// What deleting an application does, as the beginning of an error.
    const UNREGISTERING: &'static str;

    /// Who does them for this call.
    fn managed(
        &self,
        py: Python<'_>,
        identity: Identity,
        timeout: Option<Duration>,
    ) -> PyResult<(Self::Managed, Arc<Process>)>;

    /// Close the connections.
    fn close(&self);

    /// The application as messages have it.
    fn plain(app_id: &str) -> &str {
        app_id
    }

    /// Check the ID of a device.
    fn check_id(what: &'static str, dev_id: &str) -> Result<(), Error>;

    /// A device as a program describes it, and the attributes that have no value.
    fn read(dev_id: &str, argument: &str, given: &Bound<'_, PyAny>) -> PyResult<(Described<Self>, Vec<String>)>;

    /// Check what can be checked before anything is sent.
    fn check(&self, registration: &Described<Self>) -> Result<(), Error>;

    /// The network's own messages of a device.
    fn own_device(py: Python<'_>, device: Arc<DeviceOf<Self>>) -> PyResult<Py<PyAny>>;

    /// The network's own messages of an application.
    fn own_application(py: Python<'_>, app_id: &str, application: &ApplicationOf<Self>) -> PyResult<Py<PyAny>>;

    /// The payload functions of an application.
    fn functions(application: &ApplicationOf<Self>) -> &Functions;

    /// The messages of a queue.
    const DOWNLINK: &'static str;

    /// A downlink that a program has given, as queues take it.
    fn downlink(py: Python<'_>, given: Downlink) -> PyResult<<Self::Managed as Managed>::Downlink>;

    /// What queueing gives.
    fn queued(py: Python<'_>, told: <Self::Managed as Managed>::Queued) -> PyResult<Py<PyAny>>;

    /// What a change gives.
    fn changed(py: Python<'_>, changed: <Self::Managed as Managed>::Changed) -> PyResult<Py<PyAny>>;
}

/// A device of a network as a program describes it.
pub(super) type Described<S> = Registration<<<S as Site>::Managed as Managed>::Extra>;
/// A device of a network.
pub(super) type DeviceOf<S> = <<S as Site>::Managed as Managed>::Device;
/// An application of a network.
pub(super) type ApplicationOf<S> = <<S as Site>::Managed as Managed>::Application;

/// An application, who asks for it, and where it is.
pub(super) struct Tasks<S> {
    pub(super) identity: Mutex<Identity>,
    /// For those who look at the client.
    pub(super) address: String,
    pub(super) site: S,
}

impl<S: Site> Tasks<S> {
    /// Have a task done.
    pub(super) fn run<T, U, F>(
        &self,
        py: Python<'_>,
        words: Words,
        timeout: Option<Duration>,
        task: impl FnOnce(S::Managed) -> F,
        finish: impl FnOnce(Python<'_>, T) -> PyResult<U> + Send + 'static,
    ) -> PyResult<Prepared<U>>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
        U: 'static,
    {
        let identity = self.identity.lock().clone();
        let (managed, process) = self.site.managed(py, identity, timeout)?;
        Ok(Prepared::new(process, task(managed), move |py, outcome| {
            outcome.map_err(|error| failed(py, &error, words)).and_then(|value| finish(py, value))
        }))
    }

    /// The application, as messages have it.
    pub(super) fn app_id(&self) -> String {
        S::plain(&self.identity.lock().app_id).to_owned()
    }

    pub(super) fn downlinks(
        &self,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let list = async move |managed: S::Managed| managed.downlinks(&dev_id).await;
        self.run(py, GET_QUEUE, timeout, list, |py, found| {
            let of = descriptor(S::DOWNLINK);
            let places = found.into_iter().map(|bytes| Message::encoded(of.clone(), bytes)).collect();
            Ok(Py::new(py, PyRepeated::whole(of, places, None))?.into_any())
        })
    }

    pub(super) fn queue(
        &self,
        py: Python<'_>,
        dev_id: &str,
        downlinks: Vec<Downlink>,
        replace: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let downlinks = downlinks.into_iter().map(|given| S::downlink(py, given)).collect::<PyResult<_>>()?;
        let dev_id = dev_id.to_owned();
        let write = async move |managed: S::Managed| managed.queue(&dev_id, downlinks, replace).await;
        self.run(py, SET_QUEUE, timeout, write, S::queued)
    }

    pub(super) fn application(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<Prepared<Py<PyAny>>> {
        self.got(py, timeout, async move |managed: S::Managed| managed.application().await)
    }

    /// The application, as a task gives it.
    pub(super) fn got<F>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        task: impl FnOnce(S::Managed) -> F,
    ) -> PyResult<Prepared<Py<PyAny>>>
    where
        F: Future<Output = Result<ApplicationOf<S>, Error>> + Send + 'static,
    {
        let app_id = self.app_id();
        self.run(py, GET_APPLICATION, timeout, task, move |py, application| {
            let v2 = shape(&descriptor("handler.Application"), &S::functions(&application).to_v2(&app_id));
            let got = Got::<S> { app_id, application };
            wrap(py, Message::beside(v2, Arc::new(got))).map(Bound::unbind)
        })
    }

    pub(super) fn register(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<Prepared<Py<PyAny>>> {
        let look = async move |managed: S::Managed| managed.look_for_application().await;
        self.run(py, REGISTER_APPLICATION, timeout, look, |py, ()| empty(py))
    }

    pub(super) fn unregister(
        &self,
        py: Python<'_>,
        confirm: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        if !confirm {
            return Err(PyValueError::new_err(format!("{}: expected confirm=True", S::UNREGISTERING)));
        }
        let delete = async move |managed: S::Managed| managed.unregister().await;
        self.run(py, DELETE_APPLICATION, timeout, delete, |py, ()| empty(py))
    }

    pub(super) fn device(
        self: &Arc<Self>,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let read = async move |managed: S::Managed| managed.device(&dev_id).await;
        self.whole(py, GET_DEVICE, timeout, read)
    }

    /// A device, as a task gives it.
    fn whole<F>(
        self: &Arc<Self>,
        py: Python<'_>,
        words: Words,
        timeout: Option<Duration>,
        task: impl FnOnce(S::Managed) -> F,
    ) -> PyResult<Prepared<Py<PyAny>>>
    where
        F: Future<Output = Result<DeviceOf<S>, Error>> + Send + 'static,
    {
        let tasks = self.clone();
        self.run(py, words, timeout, task, move |py, device| {
            let listed = Listed::new(tasks, timeout, device, true);
            wrap(py, Message::beside(listed.to_v2(), Arc::new(listed))).map(Bound::unbind)
        })
    }

    /// The rest of a device that was listed.
    pub(super) fn rest(
        &self,
        py: Python<'_>,
        listed: DeviceOf<S>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<DeviceOf<S>>> {
        let read = async move |managed: S::Managed| managed.complete(listed).await;
        self.run(py, GET_DEVICE, timeout, read, |_, device| Ok(device))
    }

    pub(super) fn page(
        self: &Arc<Self>,
        py: Python<'_>,
        limit: Option<u64>,
        offset: Option<u64>,
        complete: bool,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let tasks = self.clone();
        let list = async move |managed: S::Managed| {
            let (listed, total) = managed.devices(limit, offset.unwrap_or_default()).await?;
            if !complete {
                return Ok((listed, total));
            }
            let rest = |device| {
                let managed = managed.clone();
                async move { managed.complete(device).await }
            };
            Ok((of_all(listed, rest).await?, total))
        };
        self.run(py, GET_DEVICES, timeout, list, move |py, (devices, total)| {
            let listed = devices.into_iter().map(|device| Listed::new(tasks.clone(), timeout, device, complete));
            let places = listed.map(|listed| Message::beside(listed.to_v2(), Arc::new(listed))).collect();
            Ok(Py::new(py, PyRepeated::whole(descriptor("handler.Device"), places, total))?.into_any())
        })
    }

    pub(super) fn register_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        device: &Bound<'_, PyAny>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let (registration, _) = leaving::within(py, || S::read(dev_id, "device", device))?;
        let write = async move |managed: S::Managed| managed.register_device(&registration).await;
        self.run(py, REGISTER_DEVICE, timeout, write, |py, ()| empty(py))
    }

    pub(super) fn check_device(&self, py: Python<'_>, dev_id: &str, device: &Bound<'_, PyAny>) -> PyResult<()> {
        let (registration, _) = leaving::within(py, || S::read(dev_id, "device", device))?;
        self.site.check(&registration).or_raise(py)
    }

    pub(super) fn update_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        updates: &Bound<'_, PyAny>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let (updates, forgotten) = leaving::within(py, || S::read(dev_id, "updates", updates))?;
        let write = async move |managed: S::Managed| managed.update_device(&updates, &forgotten).await;
        self.run(py, UPDATE_DEVICE, timeout, write, S::changed)
    }

    pub(super) fn delete_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let delete = async move |managed: S::Managed| managed.delete_device(&dev_id).await;
        self.run(py, DELETE_DEVICE, timeout, delete, |py, ()| empty(py))
    }

    pub(super) fn personalize(
        self: &Arc<Self>,
        py: Python<'_>,
        dev_id: &str,
        (nwk_s_key, app_s_key): (Vec<u8>, Vec<u8>),
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let write = async move |managed: S::Managed| managed.personalize(&dev_id, &nwk_s_key, &app_s_key).await;
        self.whole(py, UPDATE_DEVICE, timeout, write)
    }

    pub(super) fn move_device(
        &self,
        py: Python<'_>,
        dev_id: &str,
        to: &Self,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        S::check_id("dev_id", dev_id).or_raise(py)?;
        let dev_id = dev_id.to_owned();
        let identity = to.identity.lock().clone();
        let (other, _) = to.site.managed(py, identity, timeout)?;
        let carry = async move |managed: S::Managed| managed.move_device(&dev_id, &other).await;
        self.run(py, REGISTER_DEVICE, timeout, carry, |py, ()| Ok(py.None()))
    }

    pub(super) fn dev_addr(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<Prepared<Vec<u8>>> {
        let give = async move |managed: S::Managed| managed.dev_addr().await;
        self.run(py, GET_ADDRESS, timeout, give, |_, address| Ok(address))
    }

    /// What V2 has and this network has not.
    pub(super) fn missing(&self, what: &str, instead: &str) -> PyErr {
        missing::<S>(what, instead)
    }
}

/// What V2 has and a network has not.
pub(super) fn missing<S: Site>(what: &str, instead: &str) -> PyErr {
    PyNotImplementedError::new_err(format!("{what} does not exist on {}: {instead}", S::TITLE))
}

/// A failed task as users catch it.
pub(super) fn failed(py: Python<'_>, error: &Error, words: Words) -> PyErr {
    match error {
        Error::Malformed { .. } => application_error(py, unreadable_answer(py, error), words),
        error => application_error(py, to_py(py, error), words),
    }
}

/// Change some of an application's payload functions, or their format.
pub(super) fn set_functions(functions: &mut Functions, changes: Vec<(&'static str, String)>) {
    for (name, value) in changes {
        match name {
            "encoder" => functions.encoder = value,
            "decoder" => functions.decoder = value,
            "converter" => functions.converter = value,
            "validator" => functions.validator = value,
            "payload_format" => functions.format = value,
            _ => {}
        }
    }
}

/// A message of ours as one that users hold.
pub(super) fn object(py: Python<'_>, of: &str, message: &impl prost::Message) -> PyResult<Py<PyAny>> {
    wrap(py, Message::new(shape(&descriptor(of), message))).map(Bound::unbind)
}

/// The same, not yet for users.
pub(super) fn shape(of: &MessageDescriptor, message: &impl prost::Message) -> DynamicMessage {
    decode(of, message.encode_to_vec().into()).unwrap_or_else(|_| DynamicMessage::new(of.clone()))
}

pub(super) fn empty(py: Python<'_>) -> PyResult<Py<PyAny>> {
    object(py, "google.protobuf.Empty", &())
}
