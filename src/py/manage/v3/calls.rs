//! What of the calls behind the methods of `ApplicationClient` is this network's own.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::super::downlink::Downlink;
use super::super::identity::Identity;
use super::super::refused::{DRY_RUN, GET_RIGHTS, SET_APPLICATION, SIMULATE};
use super::super::stub::Connection;
use super::super::tasks::{Described, Site, Tasks, object, set_functions};
use super::application::PyStackApplication;
use super::device::PyStackDevice;
use super::dictionary;
use super::downlink;
use crate::client::managed::Functions;
use crate::client::stack::{Application, Defaults, Device, Stack, check, check_id};
use crate::error::Error;
use crate::ids::AccessKey;
use crate::py::error::OrRaise as _;
use crate::py::prepared::Prepared;
use crate::py::runtime::Process;
use crate::rpc::proto::{handler, v3};

/// The servers of a stack.
pub(in super::super) struct Servers {
    pub(super) identity: Arc<Connection>,
    pub(super) cluster: Arc<Connection>,
    pub(super) defaults: Arc<Defaults>,
}

/// The calls to them.
pub(in super::super) type Calls = Tasks<Servers>;

impl Site for Servers {
    type Managed = Stack;
    const TITLE: &'static str = "The Things Stack V3";
    const OWN: &'static str = "v3";
    const UNREGISTERING: &'static str = "unregister() deletes the application with all its devices on The Things Stack V3, and \
                                         its ID cannot be used again";

    fn managed(
        &self,
        py: Python<'_>,
        identity: Identity,
        timeout: Option<Duration>,
    ) -> PyResult<(Stack, Arc<Process>)> {
        let (cluster, process) = self.cluster.channel(py)?;
        let (identity_server, _) = self.identity.channel(py)?;
        let Identity { app_id, key, token } = identity;
        let app_id = plain(&app_id).to_owned();
        let key = token.or(key).map(AccessKey::new);
        let defaults = self.defaults.clone();
        Ok((Stack { identity: identity_server, cluster, app_id, key, timeout, defaults }, process))
    }

    fn close(&self) {
        self.identity.close();
        self.cluster.close();
    }

    fn plain(app_id: &str) -> &str {
        plain(app_id)
    }

    fn check_id(what: &'static str, dev_id: &str) -> Result<(), Error> {
        check_id(what, dev_id)
    }

    fn read(dev_id: &str, argument: &str, given: &Bound<'_, PyAny>) -> PyResult<(Described<Self>, Vec<String>)> {
        dictionary::read(dev_id, argument, given)
    }

    fn check(&self, registration: &Described<Self>) -> Result<(), Error> {
        check(registration, &self.defaults)
    }

    fn own_device(py: Python<'_>, device: Arc<Device>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, PyStackDevice { device })?.into_any())
    }

    fn own_application(py: Python<'_>, app_id: &str, application: &Application) -> PyResult<Py<PyAny>> {
        let own = PyStackApplication { app_id: app_id.to_owned(), application: application.clone() };
        Ok(Py::new(py, own)?.into_any())
    }

    fn functions(application: &Application) -> &Functions {
        &application.functions
    }

    const DOWNLINK: &'static str = "ttn.lorawan.v3.ApplicationDownlink";

    fn downlink(py: Python<'_>, given: Downlink) -> PyResult<v3::ApplicationDownlink> {
        downlink::downlink(py, given)
    }

    fn queued(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }

    fn changed(py: Python<'_>, told: Vec<&'static str>) -> PyResult<Py<PyAny>> {
        Ok(told.into_pyobject(py)?.into_any().unbind())
    }
}

impl Calls {
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
        let change =
            async move |stack: Stack| stack.change_functions(|functions| set_functions(functions, changes)).await;
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
}

/// An application without its tenant, which gRPC has in the host.
pub(super) fn plain(app_id: &str) -> &str {
    app_id.split_once('@').map_or(app_id, |(app, _)| app)
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
