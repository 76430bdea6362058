//! `DiscoveryClient`: who serves an application, and where.

use std::sync::Arc;

use prost_reflect::{DynamicMessage, Value};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use super::chirpstack;
use super::known::{self, Known};
use super::reply_bound::ReplyBound;
use super::stub::{Answer, Call, Connection, PyStub, deadline, invoke, message, method};
use super::v3;
use crate::endpoint::Trust;
use crate::py::arguments::{Aliases, Given, text, wrong_type};
use crate::py::convert::exact_bytes;
use crate::py::error::{OrRaise as _, unreadable_answer};
use crate::py::lead::Lead;
use crate::py::number;
use crate::py::prepared::{Face, Prepared};
use crate::py::proto::{Place, PyRepeated};
use crate::rpc::message::{descriptor, elements};
use crate::rpc::{Authority, DISCOVERY_PORT, addresses};
use crate::sync::Mutex;

const SERVICE: &str = "discovery.Discovery";

/// PEM text or bytes as whom to trust; nothing, or an empty text, means the system's roots.
pub(in crate::py) fn pem(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<u8>>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(None) };
    let bytes = if let Ok(text) = value.cast::<PyString>() {
        text.to_str()?.as_bytes().to_vec()
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else {
        return Err(wrong_type(name, "PEM text or PEM bytes", value));
    };
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

#[doc = stub!("DiscoveryClient")]
#[pyclass(frozen, subclass, name = "DiscoveryClient", module = "thingslink.ttn", weakref, dict)]
pub(in crate::py) struct PyDiscoveryClient {
    asked: Arc<Asked>,
    face: Face,
}

/// Who is asked.
enum Asked {
    Server(Server),
    /// Nobody needs to be: a cluster of The Things Stack V3, or a ChirpStack.
    Known(Box<dyn Known>),
}

/// A discovery server.
struct Server {
    address: String,
    client: Mutex<Py<PyAny>>,
    connection: Arc<Connection>,
}

impl Server {
    fn call(
        &self,
        py: Python<'_>,
        name: &str,
        request: DynamicMessage,
        timeout: Option<&Bound<'_, PyAny>>,
        metadata: Vec<(&'static str, String)>,
    ) -> PyResult<Prepared<Answer>> {
        let client = self.client.lock().clone_ref(py).into_bound(py);
        let call = Call { timeout: deadline(timeout)?, authority: Authority::Anonymous, metadata };
        invoke(py, &client, &method(SERVICE, name)?, request, call)
    }
}

impl PyDiscoveryClient {
    fn server(&self) -> PyResult<&Server> {
        match &*self.asked {
            Asked::Server(server) => Ok(server),
            Asked::Known(known) => {
                let text = format!("client: {} has no discovery server, and no stub for one", known.title());
                Err(PyAttributeError::new_err(text))
            }
        }
    }

    fn one<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        request: DynamicMessage,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = method(SERVICE, name)?;
        let server = match &*self.asked {
            Asked::Server(server) => server,
            Asked::Known(known) => {
                deadline(timeout)?;
                return self.face.give(py, known::answer(&**known, py, name, &request)?);
            }
        };
        let answer = server.call(py, name, request, timeout, Vec::new())?;
        self.face.give(py, answer.map(py, move |py, answer| answer.into_object(py, &asked))?)
    }
}

/// Text, or bytes in UTF-8, as the original took for IDs.
fn id(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return std::str::from_utf8(bytes.as_bytes())
            .map(str::to_owned)
            .map_err(|_| wrong_type(name, "str, or bytes in UTF-8", value));
    }
    text(name, value)
}

/// Where and how to ask.
#[derive(Clone)]
pub(in crate::py) struct Discovery {
    pub(in crate::py) address: String,
    pub(in crate::py) certificate: Option<Vec<u8>>,
    /// What the program calls the certificate.
    pub(in crate::py) argument: &'static str,
    pub(in crate::py) insecure: bool,
    /// What stands in for the public network; nothing if the program has named a server.
    pub(in crate::py) lead: Lead,
    /// How large its replies, and those of who is found through it, may be.
    pub(super) largest: ReplyBound,
}

impl Discovery {
    /// The server that a program has named, or the one that programs without an address are led to.
    pub(in crate::py) fn new(address: Option<&str>, certificate: Option<Vec<u8>>, insecure: bool) -> Self {
        let argument = "discovery_certificate";
        if let Some(address) = address {
            let (address, lead) = (address.to_owned(), Lead::default());
            return Self { address, certificate, argument, insecure, lead, largest: ReplyBound::default() };
        }
        let lead = Lead::current();
        let certificate = certificate.or_else(|| lead.trust.clone());
        let address = lead.discovery().to_owned();
        Self { address, certificate, argument, insecure, lead, largest: ReplyBound::default() }
    }

    /// A connection to it.
    fn connect(&self, py: Python<'_>) -> PyResult<Arc<Connection>> {
        let endpoints = addresses("discovery_address", &self.address, DISCOVERY_PORT, !self.insecure).or_raise(py)?;
        let trust = self.certificate.clone().map_or(Trust::System, Trust::Pem);
        Connection::new(py, endpoints, &trust, self.argument, self.largest)
    }
}

impl PyDiscoveryClient {
    /// Ask who serves an application; a connection just for this.
    pub(in crate::py) fn announcement(
        py: Python<'_>,
        app_id: &str,
        discovery: &Discovery,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Prepared<DynamicMessage>> {
        if let Some(address) = discovery.lead.only_mqtt() {
            return Ok(Prepared::Ready(message("discovery.Announcement", &[("mqtt_address", address)])));
        }
        let connection = discovery.connect(py)?;
        let mqtt = discovery.lead.mqtt.clone();
        let by_app_id = method(SERVICE, "GetByAppID")?;
        let client = Bound::new(py, PyStub::new(SERVICE, connection.clone()))?.into_any();
        let request = message("discovery.GetByAppIDRequest", &[("app_id", app_id)]);
        let call = Call { timeout: deadline(timeout)?, authority: Authority::Anonymous, metadata: Vec::new() };
        let answer = invoke(py, &client, &by_app_id, request, call);
        Prepared::settle(py, answer, move |py, answer| {
            connection.close();
            let mut announcement = answer?.into_message(py, &by_app_id)?;
            if let Some(address) = mqtt {
                announcement.set_field_by_name("mqtt_address", Value::String(address));
            }
            Ok(Prepared::Ready(announcement))
        })
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDiscoveryClient {
    #[new]
    #[pyo3(
        signature = (
            discovery_address=None, certificate=None, insecure_channel=false, *, cluster=None, grpc_address=None,
            mqtt_address=None, max_reply_bytes=ReplyBound::default()
        ),
        text_signature = "(discovery_address='discovery.thethings.network:1900', certificate=None, insecure_channel=False, *, cluster=None, grpc_address=None, mqtt_address=None, max_reply_bytes=67108864)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    fn new(
        py: Python<'_>,
        discovery_address: Option<&str>,
        certificate: Option<Bound<'_, PyAny>>,
        insecure_channel: bool,
        cluster: Option<String>,
        grpc_address: Option<&str>,
        mqtt_address: Option<&str>,
        max_reply_bytes: ReplyBound,
    ) -> PyResult<Self> {
        let certificate = pem("certificate", certificate.as_ref())?;
        let configured = chirpstack::Configured::read(py, grpc_address, mqtt_address, insecure_channel)?;
        let known: Option<Box<dyn Known>> = match (cluster.or_else(|| v3::cluster_at(discovery_address)), configured) {
            (Some(cluster), _) => Some(Box::new(v3::Cluster::new(py, cluster, insecure_channel)?)),
            (None, Some(configured)) => Some(Box::new(configured)),
            (None, None) => None,
        };
        if let Some(known) = known {
            return Ok(Self { asked: Arc::new(Asked::Known(known)), face: Face::default() });
        }
        let discovery = Discovery::new(discovery_address, certificate, insecure_channel);
        let discovery = Discovery { argument: "certificate", largest: max_reply_bytes, ..discovery };
        let connection = discovery.connect(py)?;
        let client = Py::new(py, PyStub::new(SERVICE, connection.clone()))?.into_any();
        let server = Server { address: discovery.address, client: Mutex::new(client), connection };
        Ok(Self { asked: Arc::new(Asked::Server(server)), face: Face::default() })
    }

    /// What the calls go through. May be replaced by anything with the service's methods.
    #[getter]
    fn client(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.server()?.client.lock().clone_ref(py))
    }

    #[setter]
    fn set_client(&self, client: Py<PyAny>) -> PyResult<()> {
        let old = std::mem::replace(&mut *self.server()?.client.lock(), client);
        drop(old);
        Ok(())
    }

    /// List the announcements of a service: ``"router"``, ``"broker"`` or ``"handler"``.
    #[pyo3(signature = (service_name, *, limit=None, offset=None, timeout=None))]
    fn get_all<'py>(
        &self,
        py: Python<'py>,
        service_name: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number::limit)] limit: Option<u64>,
        #[pyo3(from_py_with = number::offset)] offset: Option<u64>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = message("discovery.GetServiceRequest", &[("service_name", &id("service_name", service_name)?)]);
        let server = match &*self.asked {
            Asked::Server(server) => server,
            Asked::Known(known) => {
                deadline(timeout.as_ref())?;
                return self.face.give(py, known::list(&**known, py, &request, limit, offset)?);
            }
        };
        let answer = server.call(py, "GetAll", request, timeout.as_ref(), paging(limit, offset))?;
        let list = answer.map(py, |py, answer| match answer {
            Answer::Reply(reply) => {
                let of = descriptor("discovery.Announcement");
                let found = elements("discovery.AnnouncementsResponse", reply.message)
                    .map_err(|error| unreadable_answer(py, &error))?;
                let places = found.into_iter().map(|bytes| Place::encoded(of.clone(), bytes)).collect();
                Ok(Py::new(py, PyRepeated::whole(of, places, None))?.into_any())
            }
            Answer::Other(object) => object.getattr(py, "services"),
        })?;
        self.face.give(py, list)
    }

    #[doc = stub!("DiscoveryClient.get")]
    #[pyo3(
        signature = (service_name, id=Given(None), *, timeout=None, **aliases),
        text_signature = "($self, service_name, id, *, timeout=None, **aliases)"
    )]
    fn get<'py>(
        &self,
        py: Python<'py>,
        service_name: &Bound<'py, PyAny>,
        id: Given<'py>,
        timeout: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut aliases = Aliases::new("get", aliases);
        let component = aliases.require("id", id, &["ID", "service_id"])?;
        aliases.finish()?;
        let (service_name, component) =
            (self::id("service_name", service_name)?, self::id(component.name, &component.value)?);
        let fields = [("id", component.as_str()), ("service_name", service_name.as_str())];
        self.one(py, "Get", message("discovery.GetRequest", &fields), timeout.as_ref())
    }

    /// Give the announcement of the handler that serves an application.
    #[pyo3(signature = (app_id, *, timeout=None))]
    fn get_by_app_id<'py>(
        &self,
        py: Python<'py>,
        app_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = message("discovery.GetByAppIDRequest", &[("app_id", &id("app_id", app_id)?)]);
        self.one(py, "GetByAppID", request, timeout.as_ref())
    }

    /// Give the announcement of the router that serves a gateway.
    #[pyo3(signature = (gateway_id, *, timeout=None))]
    fn get_by_gateway_id<'py>(
        &self,
        py: Python<'py>,
        gateway_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = message("discovery.GetByGatewayIDRequest", &[("gateway_id", &id("gateway_id", gateway_id)?)]);
        self.one(py, "GetByGatewayID", request, timeout.as_ref())
    }

    /// Give the announcement of the handler that serves the applications of an AppEUI, in hex or as 8 bytes.
    #[pyo3(signature = (app_eui, *, timeout=None))]
    fn get_by_app_eui<'py>(
        &self,
        py: Python<'py>,
        app_eui: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut request = message("discovery.GetByAppEUIRequest", &[]);
        request.set_field_by_name("app_eui", Value::Bytes(exact_bytes("app_eui", app_eui, 8)?.into()));
        self.one(py, "GetByAppEUI", request, timeout.as_ref())
    }

    /// Call a method by its name, and give a future of asyncio in place of waiting.
    #[pyo3(signature = (name, /, *arguments, **options))]
    fn _call_async<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        arguments: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let other = Bound::new(py, Self { asked: self.asked.clone(), face: Face::Asyncio })?;
        other.call_method(name, arguments, options)
    }

    /// Close the connection; later calls fail.
    fn close(&self) {
        if let Asked::Server(server) = &*self.asked {
            server.connection.close();
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> bool {
        self.close();
        false
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().name()?;
        Ok(match &*slf.get().asked {
            Asked::Server(server) => format!("<{class} discovery_address='{}'>", server.address),
            Asked::Known(known) => format!("<{class} {}>", known.shown()),
        })
    }
}

/// Paging as the servers read it.
pub(super) fn paging(limit: Option<u64>, offset: Option<u64>) -> Vec<(&'static str, String)> {
    let pair = |name, number: Option<u64>| number.map(|number| (name, number.to_string()));
    [pair("limit", limit), pair("offset", offset)].into_iter().flatten().collect()
}
