//! Errors of the core as Python exceptions: one table.

use std::ffi::OsStr;
use std::io;

use pyo3::exceptions::{PyConnectionError, PyOSError, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::face::{self, CallError};
use super::leaving;
use crate::error::{Error, Reported, RpcCode};

/// The exception classes, in the order of [`CLASSES`].
static MADE: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();

/// Which builtin a class is beside `ThingsError`.
enum Also {
    Nothing,
    Connection,
    Timeout,
    Value,
}

const THINGS: usize = 0;
const NOT_CONNECTED: usize = 1;
const REFUSED: usize = 2;
const LOST: usize = 3;
const TLS: usize = 4;
const TIMEOUT: usize = 5;
const SUBSCRIPTION: usize = 6;
const QUEUE_FULL: usize = 7;
const DECODE: usize = 8;
const SANDBOX: usize = 9;
const TOO_LARGE: usize = 10;
const DOWNLINK: usize = 11;
const STREAM: usize = 12;

const CLASSES: [(&str, Also, &str); 13] = [
    ("ThingsError", Also::Nothing, "Base of the errors of this library."),
    ("NotConnectedError", Also::Nothing, "There is no session; nothing was queued."),
    (
        "LoginRefusedError",
        Also::Connection,
        "The server refused the login.\n\nAttributes:\n    code: MQTT 3.1.1 CONNACK return code, 1-255; 4 and 5 mean a wrong ID or key.",
    ),
    ("ConnectionLostError", Also::Connection, "A connection ended, or the server broke the protocol."),
    ("TlsError", Also::Connection, "The TLS handshake failed, or a certificate cannot be used."),
    ("ThingsTimeoutError", Also::Timeout, "Something did not happen in time."),
    ("SubscriptionRefusedError", Also::Nothing, "The server refused a subscription; its messages will not arrive."),
    ("QueueFullError", Also::Nothing, "The bounded queue of unsent messages has no room."),
    ("DecodeError", Also::Value, "A message or a payload cannot be decoded."),
    ("SandboxError", Also::Nothing, "The sandbox cannot do what was asked."),
    ("MessageTooLargeError", Also::Value, "A message is larger than a limit."),
    (
        "DownlinkError",
        Also::Nothing,
        "A downlink does not come as far as it should.\n\nAttributes:\n    mid: Its message ID.\n    dev_id: Its device; None where that is not known.\n    state: The state that it is in, such as \"failed\" or \"unconfirmed\".",
    ),
    ("StreamError", Also::Nothing, "A stream of NATS JetStream cannot be had, or does not do what was asked."),
];

/// Make the classes and export them.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let classes = MADE.get_or_try_init(py, || make(py))?;
    for ((name, _, _), class) in CLASSES.iter().zip(classes) {
        module.add(*name, class)?;
    }
    Ok(())
}

fn make(py: Python<'_>) -> PyResult<Vec<Py<PyType>>> {
    let mut made: Vec<Py<PyType>> = Vec::with_capacity(CLASSES.len());
    for (name, also, doc) in CLASSES {
        let mut bases: Vec<Bound<'_, PyType>> = Vec::with_capacity(2);
        match made.first() {
            Some(things) => bases.push(things.bind(py).clone()),
            None => bases.push(py.get_type::<PyRuntimeError>()),
        }
        match also {
            Also::Nothing => {}
            Also::Connection => bases.push(py.get_type::<PyConnectionError>()),
            Also::Timeout => bases.push(py.get_type::<PyTimeoutError>()),
            Also::Value => bases.push(py.get_type::<PyValueError>()),
        }
        let body = PyDict::new(py);
        body.set_item("__module__", "thingslink")?;
        body.set_item("__doc__", doc)?;
        let class = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, body))?;
        made.push(class.cast_into::<PyType>()?.unbind());
    }
    Ok(made)
}

fn raise(py: Python<'_>, class: usize, text: String) -> PyErr {
    match MADE.get(py).and_then(|classes| classes.get(class)) {
        Some(class) => PyErr::from_type(class.bind(py).clone(), (text,)),
        None => PyRuntimeError::new_err(text),
    }
}

/// An error of the core as the exception that users catch; what the exit of the interpreter has brought about, nobody
/// hears of.
pub(super) fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    leaving::keep();
    let text = error.to_string();
    match error {
        Error::Invalid { .. } | Error::Ambiguous { .. } | Error::Address { .. } => PyValueError::new_err(text),
        Error::Unresolved { host, reason } => gaierror(py, host, reason),
        Error::Unreachable { address, source } => os_error(address, source),
        Error::Tls { .. } => raise(py, TLS, text),
        Error::Refused { code, .. } => {
            let error = raise(py, REFUSED, text);
            let told = error.value(py).setattr("code", code);
            told.err().unwrap_or(error)
        }
        Error::Downlink { mid, dev_id, state, .. } => {
            let error = raise(py, DOWNLINK, text);
            let value = error.value(py);
            let told = value.setattr("mid", mid).and_then(|()| value.setattr("dev_id", dev_id));
            told.and_then(|()| value.setattr("state", state)).err().unwrap_or(error)
        }
        Error::SubscriptionRefused { .. } => raise(py, SUBSCRIPTION, text),
        Error::Rejected { .. } => raise(py, THINGS, text),
        Error::Timeout { .. } => raise(py, TIMEOUT, text),
        Error::NotConnected => raise(py, NOT_CONNECTED, text),
        Error::Lost { .. } | Error::Protocol { .. } => raise(py, LOST, text),
        Error::TooLarge { .. } => raise(py, TOO_LARGE, text),
        Error::Full { .. } => raise(py, QUEUE_FULL, text),
        Error::Decode { .. } | Error::Malformed { .. } => raise(py, DECODE, text),
        Error::Rpc { code, details, reported } => call_error(py, CallError::Rpc, *code, details, reported.as_deref()),
        Error::SwitchedOff { .. } => call_error(py, CallError::SwitchedOff, RpcCode::Unavailable, &text, None),
        Error::Spool { folder, source } => file_error(py, OsStr::new(folder), source),
        Error::Stream { .. } => raise(py, STREAM, text),
        Error::Sandbox { .. } => raise(py, SANDBOX, text),
    }
}

/// What gRPC's own Python package raises, as far as users see it: `thingslink.RpcError`, or its subclass
/// `thingslink.SwitchedOffError`, which is what the original's MQTT library raised as well.
fn call_error(py: Python<'_>, class: CallError, code: RpcCode, details: &str, reported: Option<&Reported>) -> PyErr {
    let class = face::call_error(py, class);
    let reported = reported.map(|reported| plain_report(py, reported)).transpose();
    let made = leaving::within(py, || class.and_then(|class| class.call1((code.name(), details, reported?))));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// A report as Python hands it on: namespace, name, attributes.
fn plain_report<'py>(py: Python<'py>, reported: &Reported) -> PyResult<(String, String, Bound<'py, PyAny>)> {
    let attributes = pythonize::pythonize(py, &reported.attributes)?;
    Ok((reported.namespace.clone(), reported.name.clone(), attributes))
}

/// An answer that cannot be read: a failed call as any other, which gRPC's own package calls internal, and an error of
/// decoding.
pub(super) fn unreadable_answer(py: Python<'_>, error: &Error) -> PyErr {
    call_error(py, CallError::RpcDecode, RpcCode::Internal, &error.to_string(), None)
}

/// A failed call as the original told it: `thingslink.ApplicationError`, with the call's own error as its cause.
/// Errors that are none of a call stay as they are.
pub(super) fn application_error(py: Python<'_>, error: PyErr, words: (&str, &str)) -> PyErr {
    let value = error.value(py);
    // Ours, or those of whatever a program has put in the stub's place.
    let told = leaving::within(py, || {
        let code = value.call_method0("code").and_then(|code| code.getattr("name"));
        let reported = value.getattr("_reported").ok();
        code.map(|code| (code, value.call_method0("details").ok(), reported))
    });
    let Ok((code, details, reported)) = told else { return error };
    let is_decoding = MADE.get(py).is_some_and(|classes| error.is_instance(py, classes[DECODE].bind(py)));
    let class = if is_decoding { CallError::ApplicationDecode } else { CallError::Application };
    let class = face::call_error(py, class);
    let made = leaving::within(py, || class.and_then(|class| class.call1((words.0, words.1, code, details, reported))));
    match made {
        Ok(exception) => {
            let exception = PyErr::from_value(exception);
            exception.set_cause(py, Some(error));
            exception
        }
        Err(failure) => failure,
    }
}

/// The operating system's errors keep their number, by which Python chooses the class: `ConnectionRefusedError` and so on.
fn os_error(address: &str, source: &io::Error) -> PyErr {
    let text = source.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    match source.raw_os_error() {
        Some(number) => PyOSError::new_err((number, format!("{reason} (connecting to {address})"))),
        None => PyConnectionError::new_err(format!("{reason} (connecting to {address})")),
    }
}

/// As `open` raises it.
pub(super) fn file_error(py: Python<'_>, path: &OsStr, source: &io::Error) -> PyErr {
    let Some(number) = source.raw_os_error() else { return PyOSError::new_err(source.to_string()) };
    let words = py.import("os").and_then(|os| os.call_method1("strerror", (number,))).map(Bound::unbind);
    words.map_or_else(|error| error, |words| PyOSError::new_err((number, words, path.to_owned())))
}

fn gaierror(py: Python<'_>, host: &str, reason: &str) -> PyErr {
    let name = match reason {
        "Temporary failure in name resolution" => "EAI_AGAIN",
        "No address associated with hostname" => "EAI_NODATA",
        _ => "EAI_NONAME",
    };
    let exception = py.import("socket").and_then(|socket| {
        let number = socket.getattr(name)?;
        socket.getattr("gaierror")?.call1((number, format!("{reason}: {host:?}")))
    });
    match exception {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// Shorthand for results of the core.
pub(super) trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_py(py, &error))
    }
}

/// A decoding error with its own text.
pub(super) fn decode_error(py: Python<'_>, text: String) -> PyErr {
    raise(py, DECODE, text)
}
