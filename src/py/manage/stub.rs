//! A service's methods as Python callables, and calls through them or through whatever a program put in their place.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::reply_bound::ReplyBound;
use crate::endpoint::{Endpoint, Trust};
use crate::error::Error;
use crate::ids::AccessKey;
use crate::py::arguments::wrong_type;
use crate::py::convert::seconds;
use crate::py::error::{OrRaise as _, unreadable_answer};
use crate::py::leaving;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place, PyMessage, wrap};
use crate::py::runtime::{self, Process};
use crate::rpc::message::{decode, descriptor, encode};
use crate::rpc::{Authority, CallOptions, Channel, Method, Reply, Server};
use crate::sync::Mutex;

/// A server, and the way to it in each process that calls it.
pub(in crate::py) struct Connection {
    server: Server,
    link: Mutex<Link>,
}

/// The way to a server.
enum Link {
    /// To be made at the first call.
    Unmade,
    Made(Channel, Arc<Process>),
    Closed,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.lock().replace(Link::Closed);
    }
}

impl Link {
    fn replace(&mut self, next: Self) {
        match std::mem::replace(self, next) {
            // Made before a fork: its tasks are in the parent, and locks of theirs may be held by threads that do not
            // exist here.
            Self::Made(channel, process) if process.check().is_err() => std::mem::forget((channel, process)),
            // Its task lives in the runtime and ends with the last handle.
            old => drop(old),
        }
    }
}

impl Connection {
    /// A connection to be made at the first call: a program that makes its clients before it forks has no threads of ours
    /// until then.
    pub(in crate::py) fn new(
        py: Python<'_>,
        endpoints: Vec<Endpoint>,
        trust: &Trust,
        argument: &'static str,
        largest: ReplyBound,
    ) -> PyResult<Arc<Self>> {
        Self::to(py, endpoints, trust, argument, largest, |server| server)
    }

    /// The same to a server that wants to be spoken to in a manner of its own.
    pub(super) fn to(
        py: Python<'_>,
        endpoints: Vec<Endpoint>,
        trust: &Trust,
        argument: &'static str,
        largest: ReplyBound,
        manner: fn(Server) -> Server,
    ) -> PyResult<Arc<Self>> {
        // Reading the system's roots takes a while.
        let server = leaving::detach(py, || Server::new(endpoints, trust)).or_raise(py)?;
        let server = manner(server.trusting_by(argument).with_largest_reply(largest.0));
        Ok(Arc::new(Self { server, link: Mutex::new(Link::Unmade) }))
    }

    /// Forget the channel; calls under way end by themselves, those that only wait at once.
    pub(in crate::py) fn close(&self) {
        let mut link = self.link.lock();
        if let Link::Made(channel, process) = &*link
            && process.check().is_ok()
        {
            channel.close();
        }
        link.replace(Link::Closed);
    }

    /// The channel of this process, and the process. Called with the interpreter lock, so that no fork comes in between.
    pub(super) fn channel(&self, py: Python<'_>) -> PyResult<(Channel, Arc<Process>)> {
        // Whoever is kept must not hold the lock.
        leaving::keep();
        let mut link = self.link.lock();
        match &*link {
            Link::Closed => return Err(Error::NotConnected).or_raise(py),
            Link::Made(channel, process) if process.check().is_ok() => return Ok((channel.clone(), process.clone())),
            _ => {}
        }
        let process = runtime::process()?;
        let channel = {
            let _runtime = process.handle.enter();
            self.server.channel()
        };
        link.replace(Link::Made(channel.clone(), process.clone()));
        Ok((channel, process))
    }

    /// A call.
    pub(super) fn call(
        &self,
        py: Python<'_>,
        method: &Method,
        message: Bytes,
        options: CallOptions,
    ) -> PyResult<Prepared<Reply>> {
        let (channel, process) = self.channel(py)?;
        let method = method.clone();
        let call = async move { channel.call(&method, message, &options).await };
        Ok(Prepared::new(process, call, |py, outcome| outcome.or_raise(py)))
    }
}

/// The methods of a service on a channel.
#[pyclass(frozen, name = "ServiceStub", module = "thingslink._native")]
pub(in crate::py) struct PyStub {
    service: &'static str,
    connection: Arc<Connection>,
}

impl PyStub {
    pub(super) fn new(service: &'static str, connection: Arc<Connection>) -> Self {
        Self { service, connection }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyStub {
    fn __getattr__(&self, name: &str) -> PyResult<PyMethod> {
        let method = Method::find(self.service, name)
            .ok_or_else(|| PyAttributeError::new_err(format!("{} has no method '{name}'", self.service)))?;
        Ok(PyMethod { method, connection: self.connection.clone() })
    }

    fn __repr__(&self) -> String {
        format!("<ServiceStub {}>", self.service)
    }
}

/// One method of a service on a channel, called as gRPC's own are: ``(request, timeout=None, metadata=None)``.
#[pyclass(frozen, name = "ServiceMethod", module = "thingslink._native")]
pub(in crate::py) struct PyMethod {
    method: Method,
    connection: Arc<Connection>,
}

#[pymethods(crate = "crate::py::named")]
impl PyMethod {
    #[pyo3(signature = (request, timeout=None, metadata=None))]
    fn __call__<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
        metadata: Option<Vec<(String, String)>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = request.py();
        let message = message_of(request, &self.method.input())?;
        let mut options = CallOptions { timeout: deadline(timeout.as_ref())?, ..CallOptions::default() };
        for (name, value) in metadata.unwrap_or_default() {
            match name.as_str() {
                "key" => options.authority = Authority::Key(AccessKey::new(value)),
                "token" => options.authority = Authority::Token(AccessKey::new(value)),
                "limit" => options.metadata.push(("limit", value)),
                "offset" => options.metadata.push(("offset", value)),
                _ => return Err(wrong_type("metadata", "pairs of key, token, limit or offset and text", request)),
            }
        }
        let reply = self.connection.call(py, &self.method, encode(&message).into(), options)?.wait(py)?;
        wrap(py, Place::new(read(py, &self.method, reply)?))
    }

    fn __repr__(&self) -> String {
        format!("<ServiceMethod {}>", self.method.path())
    }
}

fn read(py: Python<'_>, method: &Method, reply: Reply) -> PyResult<DynamicMessage> {
    decode(&method.output(), reply.message).map_err(|error| unreadable_answer(py, &error))
}

/// A deadline that was given.
pub(super) fn deadline(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    timeout.filter(|timeout| !timeout.is_none()).map(|timeout| seconds("timeout", timeout)).transpose()
}

/// A message of ours, or of another protobuf library.
pub(super) fn message_of(value: &Bound<'_, PyAny>, expected: &MessageDescriptor) -> PyResult<DynamicMessage> {
    if let Ok(message) = value.cast::<PyMessage>() {
        let place = message.get().place();
        if place.descriptor() == *expected {
            return Ok(place.copy());
        }
    } else if let Ok(bytes) = leaving::within(value.py(), || value.call_method0("SerializeToString")) {
        return decode(expected, bytes.extract::<Vec<u8>>()?.into()).or_raise(value.py());
    }
    Err(wrong_type("request", expected.full_name(), value))
}

/// What a call gave.
pub(super) enum Answer {
    /// A server's answer.
    Reply(Reply),
    /// What the object in the stub's place has returned.
    Other(Py<PyAny>),
}

impl Answer {
    /// As an object for users.
    pub(super) fn into_object(self, py: Python<'_>, method: &Method) -> PyResult<Py<PyAny>> {
        match self {
            Self::Reply(reply) => wrap(py, Place::new(read(py, method, reply)?)).map(Bound::unbind),
            Self::Other(object) => Ok(object),
        }
    }

    /// As a message to go on with.
    pub(super) fn into_message(self, py: Python<'_>, method: &Method) -> PyResult<DynamicMessage> {
        match self {
            Self::Reply(reply) => read(py, method, reply),
            Self::Other(object) => message_of(object.bind(py), &method.output()),
        }
    }
}

/// What belongs to a call beside its message.
pub(super) struct Call {
    pub(super) timeout: Option<Duration>,
    pub(super) authority: Authority,
    pub(super) metadata: Vec<(&'static str, String)>,
}

/// Call a method of `client`: our stub, or whatever a program has put in its place, which is called with the message, the
/// timeout in seconds and the metadata, as the original called gRPC's.
pub(super) fn invoke(
    py: Python<'_>,
    client: &Bound<'_, PyAny>,
    method: &Method,
    message: DynamicMessage,
    call: Call,
) -> PyResult<Prepared<Answer>> {
    if let Ok(stub) = client.cast::<PyStub>() {
        let options = CallOptions { timeout: call.timeout, authority: call.authority, metadata: call.metadata };
        let reply = stub.get().connection.call(py, method, encode(&message).into(), options)?;
        return reply.map(py, |_, reply| Ok(Answer::Reply(reply)));
    }
    let request = wrap(py, Place::new(message))?;
    let mut metadata: Vec<(&str, String)> = match &call.authority {
        Authority::Anonymous => Vec::new(),
        Authority::Key(key) => vec![("key", key.reveal().to_owned())],
        Authority::Token(token) => vec![("token", token.reveal().to_owned())],
        Authority::Bearer(key) => vec![("authorization", format!("Bearer {}", key.reveal()))],
    };
    metadata.extend(call.metadata);
    let timeout = match call.timeout.map(|timeout| timeout.as_secs_f64()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds, as the original gave them")]
        Some(whole) if whole.fract() == 0.0 && whole < 1e9 => (whole as i64).into_pyobject(py)?.into_any(),
        timeout => timeout.into_pyobject(py)?,
    };
    let arguments = PyTuple::new(py, [request, timeout, PyList::new(py, metadata)?.into_any()])?;
    let answer = leaving::within(py, || client.call_method1(method.name(), arguments))?;
    Ok(Prepared::Ready(Answer::Other(answer.unbind())))
}

/// A method that our definitions have.
pub(super) fn method(service: &str, name: &str) -> PyResult<Method> {
    Method::find(service, name).ok_or_else(|| PyTypeError::new_err(format!("no method {service}/{name}")))
}

/// A new message with these text fields.
pub(super) fn message(full_name: &str, fields: &[(&str, &str)]) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor(full_name));
    for (name, text) in fields {
        message.set_field_by_name(name, prost_reflect::Value::String((*text).to_owned()));
    }
    message
}
