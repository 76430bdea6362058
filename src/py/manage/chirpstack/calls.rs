//! What of the calls behind the methods of `ApplicationClient` is this network's own.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::super::downlink::{Downlink, Payload};
use super::super::identity::Identity;
use super::super::refused::{GET_EVENTS, GET_GATEWAYS, SET_APPLICATION};
use super::super::stub::Connection;
use super::super::tasks::{Described, Site, Tasks, set_functions};
use super::dictionary;
use super::event::PyDeviceEvents;
use super::messages::{PyChirpStackApplication, PyChirpStackDevice};
use crate::client::chirpstack::{Application, ChirpStack, Device, Found, Tenancy, check, check_id};
use crate::client::managed::{Functions, Managed as _};
use crate::error::Error;
use crate::ids::AccessKey;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place as Message, PyRepeated};
use crate::py::runtime::Process;
use crate::rpc::message::descriptor;
use crate::rpc::proto::chirpstack::api;

/// A server's API.
pub(in super::super) struct Api {
    pub(super) connection: Arc<Connection>,
    pub(super) tenant_id: Option<String>,
    /// The device profile that is meant where none is named.
    pub(super) profile: Option<String>,
    pub(super) found: Found,
}

/// The calls to it.
pub(in super::super) type Calls = Tasks<Api>;

impl Site for Api {
    type Managed = Tenancy;
    const TITLE: &'static str = "ChirpStack";
    const OWN: &'static str = "chirpstack";
    const UNREGISTERING: &'static str = "unregister() deletes the application with all its devices on ChirpStack";

    fn managed(
        &self,
        py: Python<'_>,
        identity: Identity,
        timeout: Option<Duration>,
    ) -> PyResult<(Tenancy, Arc<Process>)> {
        let (channel, process) = self.connection.channel(py)?;
        let Identity { app_id, key, token } = identity;
        let key = AccessKey::new(token.or(key).unwrap_or_default());
        let tenancy = Tenancy {
            server: ChirpStack::over(channel, key, timeout),
            app_id,
            tenant_id: self.tenant_id.clone(),
            profile: self.profile.clone(),
            found: self.found.clone(),
        };
        Ok((tenancy, process))
    }

    fn close(&self) {
        self.connection.close();
    }

    fn check_id(what: &'static str, dev_id: &str) -> Result<(), Error> {
        check_id(what, dev_id)
    }

    fn read(dev_id: &str, argument: &str, given: &Bound<'_, PyAny>) -> PyResult<(Described<Self>, Vec<String>)> {
        dictionary::read(dev_id, argument, given)
    }

    fn check(&self, registration: &Described<Self>) -> Result<(), Error> {
        check(registration)
    }

    fn own_device(py: Python<'_>, device: Arc<Device>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, PyChirpStackDevice { device })?.into_any())
    }

    fn own_application(py: Python<'_>, app_id: &str, application: &Application) -> PyResult<Py<PyAny>> {
        let own = PyChirpStackApplication { app_id: app_id.to_owned(), application: application.clone() };
        Ok(Py::new(py, own)?.into_any())
    }

    fn functions(application: &Application) -> &Functions {
        &application.functions
    }

    const DOWNLINK: &'static str = "api.DeviceQueueItem";

    fn downlink(_: Python<'_>, given: Downlink) -> PyResult<api::DeviceQueueItem> {
        Ok(item(given))
    }

    /// The IDs of what was queued.
    fn queued(py: Python<'_>, ids: Vec<String>) -> PyResult<Py<PyAny>> {
        Ok(ids.into_pyobject(py)?.into_any().unbind())
    }

    fn changed(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
        super::super::tasks::empty(py)
    }
}

/// With this device profile in place of the client's.
fn with(tenancy: Tenancy, profile: Option<String>) -> Tenancy {
    Tenancy { profile: profile.or(tenancy.profile), ..tenancy }
}

impl Calls {
    pub(in super::super) fn application_with(
        &self,
        py: Python<'_>,
        profile: Option<String>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        self.got(py, timeout, async move |tenancy| with(tenancy, profile).application().await)
    }

    pub(in super::super) fn change_functions(
        &self,
        py: Python<'_>,
        changes: Vec<(&'static str, String)>,
        profile: Option<String>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let change = async move |tenancy: Tenancy| {
            with(tenancy, profile).change_functions(|functions| set_functions(functions, changes)).await
        };
        self.run(py, SET_APPLICATION, timeout, change, |py, ()| Ok(py.None()))
    }

    pub(in super::super) fn gateways(
        &self,
        py: Python<'_>,
        limit: Option<u64>,
        offset: Option<u64>,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<Py<PyAny>>> {
        let list = async move |tenancy: Tenancy| tenancy.gateways(limit, offset.unwrap_or_default()).await;
        self.run(py, GET_GATEWAYS, timeout, list, |py, (found, total)| {
            let of = descriptor("api.GatewayListItem");
            let encoded = found.iter().map(|gateway| prost::Message::encode_to_vec(gateway).into());
            let places = encoded.map(|bytes| Message::encoded(of.clone(), bytes)).collect();
            Ok(Py::new(py, PyRepeated::whole(of, places, Some(total)))?.into_any())
        })
    }

    pub(in super::super) fn events(
        &self,
        py: Python<'_>,
        dev_id: &str,
        timeout: Option<Duration>,
    ) -> PyResult<Prepared<PyDeviceEvents>> {
        check_id("dev_id", dev_id).or_raise(py)?;
        let (dev_id, app_id) = (dev_id.to_owned(), self.app_id());
        let (_, process) = self.site.connection.channel(py)?;
        let begin = async move |tenancy: Tenancy| tenancy.events(&dev_id).await;
        self.run(py, GET_EVENTS, timeout, begin, move |_, events| Ok(PyDeviceEvents::new(process, app_id, events)))
    }
}

/// A downlink as the queue takes it.
fn item(downlink: Downlink) -> api::DeviceQueueItem {
    let mut item = api::DeviceQueueItem {
        confirmed: downlink.manner.confirmed,
        f_port: downlink.port.into(),
        ..api::DeviceQueueItem::default()
    };
    match downlink.payload {
        Payload::Raw(bytes) => item.data = bytes,
        Payload::Fields(fields) => item.object = Some(fields),
    }
    item
}
