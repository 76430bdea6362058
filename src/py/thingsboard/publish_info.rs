//! `TBPublishInfo`: what became of a send.

mod later;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::types::{PyDict, PyList};

pub(super) use self::later::Later;
use super::logger;
use crate::client::thingsboard::{Client, Sent};
use crate::dialect::thingsboard::PublishCode;
use crate::py::convert::seconds;
use crate::py::{leaving, runtime};
use crate::session::Ticket;
use crate::sync::Mutex;

/// How long a wait may be deaf to Ctrl-C.
const SLICE: Duration = Duration::from_millis(100);
/// How long `get` waits for a send that was given no time of its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Wait for tickets, without the interpreter lock and open to Ctrl-C; tells whether all are settled. Nobody waits for a
/// client that is closed, or that the server does not let in.
fn wait(py: Python<'_>, client: &Client, tickets: &[Arc<Ticket>], until: Instant) -> PyResult<bool> {
    for ticket in tickets {
        if ticket.outcome().is_some() {
            continue;
        }
        if let Some(process) = runtime::existing() {
            // The waiting thread may be the one that the network lacks.
            process.pool.relieve();
        }
        loop {
            let slice = until.min(Instant::now() + SLICE);
            if leaving::detach(py, || client.outbox().wait(ticket, slice)) {
                break;
            }
            py.check_signals()?;
            if Instant::now() >= until || client.is_refused() || !client.is_open() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// One message on its way.
#[pyclass(frozen, name = "MessageInfo", module = "thingslink.tb_device_mqtt")]
pub(in crate::py) struct PyMessageInfo {
    client: Client,
    ticket: Arc<Ticket>,
}

#[pymethods(crate = "crate::py::named")]
impl PyMessageInfo {
    /// Message ID, 1 to 65535.
    #[getter]
    fn mid(&self) -> u16 {
        self.ticket.mid()
    }

    /// 0, or a ``TB_ERR_…`` code once the server has refused the message.
    #[getter]
    fn rc(&self) -> i8 {
        self.ticket.outcome().map_or(0, |reason| PublishCode::of_reason(reason) as i8)
    }

    /// Wait until the message is written (QoS 0) or acknowledged (QoS 1), at most ``timeout`` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait_for_publish(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let patience = timeout.map_or(Ok(Duration::from_secs(86_400 * 365)), |timeout| seconds("timeout", &timeout))?;
        wait(py, &self.client, std::slice::from_ref(&self.ticket), Instant::now() + patience)?;
        Ok(())
    }

    /// Whether the message is written (QoS 0) or acknowledged (QoS 1).
    fn is_published(&self) -> bool {
        self.ticket.outcome().is_some_and(|reason| PublishCode::of_reason(reason) == PublishCode::Success)
    }
}

#[doc = stub!("TBPublishInfo")]
#[pyclass(frozen, subclass, name = "TBPublishInfo", module = "thingslink.tb_device_mqtt")]
pub(in crate::py) struct PyPublishInfo {
    source: Source,
}

#[cfg_attr(
    all(test, feature = "explore"),
    expect(clippy::large_enum_variant, reason = "the locks of that scheduler are large, those of the system are not")
)]
enum Source {
    Ours {
        client: Client,
        /// Nothing before it is known.
        sent: OnceLock<Sent>,
        patience: Duration,
        /// What has not begun: it is left to whoever awaits it.
        later: Mutex<Option<Box<Later>>>,
    },
    /// Whatever a program has wrapped.
    Given(Py<PyAny>),
}

/// What is known of a send that was not begun, or whose wait was cancelled.
static UNSENT: Sent = Sent { tickets: Vec::new(), refused: Some(PublishCode::NoConn) };

fn known(sent: &OnceLock<Sent>) -> &Sent {
    sent.get().unwrap_or(&UNSENT)
}

/// The code of a send whose tickets are settled, or are not waited for any more.
fn outcome(client: &Client, sent: &Sent, settled: bool) -> i64 {
    match first_failure(sent) {
        0 if settled => 0,
        0 if client.is_connected() => PublishCode::Again as i64,
        0 if client.is_refused() => PublishCode::Auth as i64,
        0 => PublishCode::NoConn as i64,
        code => code.into(),
    }
}

impl PyPublishInfo {
    pub(super) fn new(client: Client, sent: Sent, patience: Duration) -> Self {
        Self { source: Source::Ours { client, sent: OnceLock::from(sent), patience, later: Mutex::new(None) } }
    }

    fn code(&self, py: Python<'_>) -> PyResult<i64> {
        match &self.source {
            Source::Ours { sent, .. } => Ok(first_failure(known(sent)).into()),
            Source::Given(info) => {
                for info in infos(info.bind(py))? {
                    match code_of(&info)? {
                        0 => {}
                        code => return Ok(code),
                    }
                }
                Ok(0)
            }
        }
    }

    /// What becomes of its first message.
    pub(super) fn ticket(&self) -> Option<Arc<Ticket>> {
        match &self.source {
            Source::Ours { sent, .. } => known(sent).tickets.first().cloned(),
            Source::Given(_) => None,
        }
    }
}

fn first_failure(sent: &Sent) -> i8 {
    let codes = sent.tickets.iter().filter_map(|ticket| ticket.outcome()).map(PublishCode::of_reason);
    codes.chain(sent.refused).find(|code| *code != PublishCode::Success).map_or(0, |code| code as i8)
}

/// The infos behind whatever was wrapped.
fn infos<'py>(given: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match given.cast::<PyList>() {
        Ok(list) => Ok(list.iter().collect()),
        Err(_) => Ok(vec![given.clone()]),
    }
}

fn code_of(info: &Bound<'_, PyAny>) -> PyResult<i64> {
    let code = info.getattr("rc")?;
    code.extract().or_else(|_| code.getattr("value")?.extract())
}

/// A code that is a number and can be called for it: the generations of the API differ in that.
#[pyclass(frozen, name = "ResultCode", module = "thingslink.tb_device_mqtt")]
pub(in crate::py) struct PyResultCode(i64);

#[pymethods(crate = "crate::py::named")]
impl PyResultCode {
    fn __call__(&self) -> i64 {
        self.0
    }

    fn __int__(&self) -> i64 {
        self.0
    }

    fn __index__(&self) -> i64 {
        self.0
    }

    fn __bool__(&self) -> bool {
        self.0 != 0
    }

    /// That of an equal number.
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.0.into_pyobject(py)?.hash()
    }

    fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, op: CompareOp) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        match other.extract::<i64>() {
            Ok(other) => Ok(op.matches(self.0.cmp(&other)).into_pyobject(py)?.to_owned().into_any()),
            Err(_) => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    fn __repr__(&self) -> String {
        self.0.to_string()
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyPublishInfo {
    #[classattr]
    const TB_ERR_AGAIN: i8 = -1;
    #[classattr]
    const TB_ERR_SUCCESS: i8 = 0;
    #[classattr]
    const TB_ERR_NOMEM: i8 = 1;
    #[classattr]
    const TB_ERR_PROTOCOL: i8 = 2;
    #[classattr]
    const TB_ERR_INVAL: i8 = 3;
    #[classattr]
    const TB_ERR_NO_CONN: i8 = 4;
    #[classattr]
    const TB_ERR_CONN_REFUSED: i8 = 5;
    #[classattr]
    const TB_ERR_NOT_FOUND: i8 = 6;
    #[classattr]
    const TB_ERR_CONN_LOST: i8 = 7;
    #[classattr]
    const TB_ERR_TLS: i8 = 8;
    #[classattr]
    const TB_ERR_PAYLOAD_SIZE: i8 = 9;
    #[classattr]
    const TB_ERR_NOT_SUPPORTED: i8 = 10;
    #[classattr]
    const TB_ERR_AUTH: i8 = 11;
    #[classattr]
    const TB_ERR_ACL_DENIED: i8 = 12;
    #[classattr]
    const TB_ERR_UNKNOWN: i8 = 13;
    #[classattr]
    const TB_ERR_ERRNO: i8 = 14;
    #[classattr]
    const TB_ERR_QUEUE_SIZE: i8 = 15;

    #[classattr]
    #[pyo3(name = "ERRORS_DESCRIPTION")]
    fn errors_description(py: Python<'_>) -> PyResult<Py<PyDict>> {
        let texts = [
            "the message is not acknowledged yet",
            "no error",
            "out of memory",
            "the server broke the protocol, or was misunderstood",
            "an argument or the message is not valid",
            "the client is not connected",
            "the server refused the connection",
            "not found",
            "the connection was lost",
            "a TLS error occurred",
            "the message is too large",
            "this is not supported",
            "the login was refused",
            "the server does not permit it",
            "an unknown error occurred",
            "the operating system reported an error",
            "a queue or a quota is full",
            "the server did not answer the keep-alive probe",
        ];
        let descriptions = PyDict::new(py);
        for (code, text) in (-1_i8..).zip(texts) {
            descriptions.set_item(code, text)?;
        }
        Ok(descriptions.unbind())
    }

    #[new]
    fn py_new(message_info: &Bound<'_, PyAny>) -> PyResult<Self> {
        for info in infos(message_info)? {
            if !info.hasattr("rc")? {
                let name = info.get_type().name()?;
                return Err(PyTypeError::new_err(format!(
                    "message_info must be a message info or a list of them (with rc, mid and wait_for_publish), not {name}"
                )));
            }
        }
        Ok(Self { source: Source::Given(message_info.clone().unbind()) })
    }

    /// The single messages.
    #[getter]
    fn message_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.source {
            Source::Given(info) => Ok(info.bind(py).clone()),
            Source::Ours { client, sent, .. } => {
                let list = PyList::empty(py);
                for ticket in &known(sent).tickets {
                    list.append(Bound::new(py, PyMessageInfo { client: client.clone(), ticket: ticket.clone() })?)?;
                }
                Ok(list.into_any())
            }
        }
    }

    /// ``message_info`` as the first generation spelled it.
    #[getter(messageInfo)]
    fn older_message_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.message_info(py)
    }

    /// The first code that is not 0, without waiting; 0 while nothing has failed. To be called, or compared.
    #[getter]
    fn rc(&self, py: Python<'_>) -> PyResult<PyResultCode> {
        Ok(PyResultCode(self.code(py)?))
    }

    /// Wait until everything is written (QoS 0) or acknowledged (QoS 1), at most ``timeout`` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait_for_publish(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        self.get(py, timeout)?;
        Ok(())
    }

    /// The message IDs, 1 to 65535, one for each message.
    fn mid<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.source {
            Source::Ours { sent, .. } => {
                let ids: Vec<u16> = known(sent).tickets.iter().map(|ticket| ticket.mid()).collect();
                ids.into_pyobject(py)
            }
            Source::Given(info) => {
                let info = info.bind(py);
                if !info.is_instance_of::<PyList>() {
                    return info.getattr("mid");
                }
                let ids = infos(info)?.iter().map(|info| info.getattr("mid")).collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, ids)?.into_any())
            }
        }
    }

    #[doc = stub!("TBPublishInfo.get")]
    #[pyo3(signature = (timeout=None))]
    fn get(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<i64> {
        let given = timeout.map(|timeout| seconds("timeout", &timeout)).transpose()?;
        match &self.source {
            Source::Ours { client, sent, patience, .. } => {
                let sent = known(sent);
                let settled = wait(py, client, &sent.tickets, Instant::now() + given.unwrap_or(*patience))?;
                Ok(outcome(client, sent, settled))
            }
            Source::Given(info) => {
                let options = PyDict::new(py);
                options.set_item("timeout", given.map_or(1.0, |given| given.as_secs_f64()))?;
                for info in infos(info.bind(py))? {
                    if let Err(error) = leaving::within(py, || info.call_method("wait_for_publish", (), Some(&options)))
                    {
                        logger::log(py, "error", &format!("Error while waiting for publish: {}", error.value(py)));
                    }
                }
                self.code(py)
            }
        }
    }

    /// Whether every message is acknowledged (QoS 1) or written (QoS 0), without waiting.
    fn is_published(&self, py: Python<'_>) -> PyResult<bool> {
        match &self.source {
            Source::Ours { sent, .. } => {
                let published = |ticket: &Arc<Ticket>| {
                    ticket.outcome().is_some_and(|reason| PublishCode::of_reason(reason) == PublishCode::Success)
                };
                let sent = known(sent);
                Ok(sent.refused.is_none() && sent.tickets.iter().all(published))
            }
            Source::Given(info) => {
                for info in infos(info.bind(py))? {
                    if !leaving::within(py, || info.call_method0("is_published"))?.is_truthy()? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("TBPublishInfo(mid={}, rc={})", self.mid(py)?.repr()?, self.code(py)?))
    }
}
