//! One subscription of a client, and what is waiting in it to be read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use super::flow::Flow;
use super::letter::{Fate, PyShare, Share};
use crate::client::Body;
use crate::error::Error;
use crate::py::acknowledging::{Acknowledge, Acknowledgement};
use crate::py::error::to_py;
use crate::py::event_loop::complete;
use crate::py::lorawan::{Subject, document_to_py, field_to_py};
use crate::py::number;
use crate::py::raw::PyRawMessage;
use crate::sync::Mutex;

/// How long a reader that always finds something goes on before the loop has its turn.
const BREATH: Duration = Duration::from_millis(5);
/// Deliveries that a reader takes out of the mailbox when it finds nothing in its stream.
const BATCH: usize = 256;

/// A stream of messages.
pub(super) struct Stream {
    flow: Arc<Flow>,
    pub(super) subject: Subject,
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<Arc<Share>>,
    bytes: usize,
    /// What the reader has, until it asks for more.
    given: Vec<Arc<Share>>,
    reader: Option<Reader>,
    /// What no reconnect cures.
    failure: Option<PyErr>,
    ended: bool,
    /// When the loop had its turn.
    breath: Instant,
    /// Dropped since the stream last had room.
    burst: u64,
}

/// Who waits.
struct Reader {
    future: Py<PyAny>,
    /// For how many messages.
    wanted: usize,
}

impl Stream {
    pub(super) fn new(flow: Arc<Flow>, subject: Subject) -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            given: Vec::new(),
            reader: None,
            failure: None,
            ended: false,
            breath: Instant::now(),
            burst: 0,
        };
        Arc::new(Self { flow, subject, state: Mutex::new(state) })
    }

    /// Append a message. Where the mailbox does not bound what streams hold, the oldest makes room.
    pub(super) fn push(&self, share: Arc<Share>) {
        let limits = self.flow.client.mailbox().limits();
        let bounded = !share.letter.counts;
        let mut state = self.state.lock();
        if state.ended {
            drop(state);
            return share.settle(Fate::Abandoned);
        }
        state.bytes += share.letter.weight();
        state.waiting.push_back(share);
        let mut dropped = Vec::new();
        while bounded
            && state.waiting.len() > 1
            && (state.waiting.len() > limits.messages || state.bytes > limits.bytes)
            && let Some(oldest) = state.waiting.pop_front()
        {
            state.bytes -= oldest.letter.weight();
            dropped.push(oldest);
        }
        let first_of_burst = !dropped.is_empty() && state.burst == 0;
        state.burst += dropped.len() as u64;
        drop(state);
        if first_of_burst {
            tracing::warn!(messages = limits.messages, "a stream is read too slowly: dropping its oldest messages");
        }
        for share in &dropped {
            share.settle(Fate::Abandoned);
        }
    }

    /// Something that no reconnect cures; nothing once there is a connection.
    pub(super) fn fail(&self, error: Option<PyErr>) {
        let old = std::mem::replace(&mut self.state.lock().failure, error);
        drop(old);
    }

    /// Whether nothing more comes.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Nothing more comes. What has come at QoS 0 may still be read.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let is_over = |share: &Arc<Share>| share.letter.incoming.receipt.is_none();
        let given = std::mem::take(&mut state.given);
        let waiting = std::mem::take(&mut state.waiting);
        let (left, gone): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(&is_over);
        state.waiting = left;
        drop(state);
        for share in given.iter().chain(&gone) {
            share.settle(if is_over(share) { Fate::Handled } else { Fate::Abandoned });
        }
    }

    /// Wake the reader if there is what it waits for, or in any case.
    pub(super) fn wake_reader(&self, py: Python<'_>, anyway: bool) -> PyResult<()> {
        let is_open = self.flow.client.is_open();
        let mut state = self.state.lock();
        let has = |reader: &Reader| state.waiting.len() >= reader.wanted;
        let wakes = anyway || state.ended || state.failure.is_some() || !is_open;
        // Where the bound is reached no more come.
        let full = || !state.waiting.is_empty() && !self.flow.client.mailbox().has_room();
        if !state.reader.as_ref().is_some_and(|reader| wakes || has(reader) || full()) {
            return Ok(());
        }
        let reader = state.reader.take();
        state.breath = Instant::now();
        drop(state);
        reader.map_or(Ok(()), |reader| complete(reader.future.bind(py), Ok(py.None().into_bound(py))))
    }

    /// Let go of whoever waits.
    pub(super) fn forget_reader(&self) -> Option<Py<PyAny>> {
        self.state.lock().reader.take().map(|reader| reader.future)
    }

    /// The reader is done with what it has.
    fn settle(&self) {
        let given = std::mem::take(&mut self.state.lock().given);
        let fate = if self.flow.acknowledging.manual { Fate::Left } else { Fate::Handled };
        for share in &given {
            share.settle(fate);
        }
    }

    fn pop(&self, most: usize) -> Vec<Arc<Share>> {
        let mut state = self.state.lock();
        let count = state.waiting.len().min(most);
        let taken: Vec<_> = state.waiting.drain(..count).collect();
        state.bytes -= taken.iter().map(|share| share.letter.weight()).sum::<usize>();
        if state.waiting.is_empty() && std::mem::take(&mut state.burst) > 0 {
            tracing::warn!("a stream's reader has caught up");
        }
        taken
    }

    /// Whether there is something to read now. Otherwise the reader has to wait.
    fn is_ready(&self, py: Python<'_>) -> PyResult<bool> {
        self.flow.belong(py)?;
        if self.state.lock().waiting.is_empty() {
            self.flow.land(py, BATCH)?;
        }
        let state = self.state.lock();
        if state.waiting.is_empty() {
            drop(state);
            return self.nothing(py).map(|()| false);
        }
        Ok(state.breath.elapsed() < BREATH || state.ended)
    }

    /// The next message, unless the reader has to wait.
    fn read(&self, py: Python<'_>) -> PyResult<Option<Arc<Share>>> {
        Ok(if self.is_ready(py)? { self.pop(1).pop() } else { None })
    }

    /// Whether there is something to wait for.
    fn nothing(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.state.lock();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if state.ended {
            return Err(PyStopAsyncIteration::new_err(()));
        }
        drop(state);
        if self.flow.client.is_open() {
            return Ok(());
        }
        Err(to_py(py, &Error::NotConnected))
    }

    /// What a program gets of a message.
    fn object<'py>(&self, py: Python<'py>, share: &Arc<Share>) -> PyResult<Bound<'py, PyAny>> {
        let (network, incoming) = (self.flow.client.config().network, &share.letter.incoming);
        let by = incoming.receipt.is_some().then(|| share.clone() as Arc<dyn Acknowledge>);
        let acknowledgement = Acknowledgement::Stream(by);
        if matches!(self.subject, Subject::Raw(_)) {
            let topic = self.flow.client.config().topics.of_server(&incoming.topic).into_owned();
            return Ok(Bound::new(py, PyRawMessage::new(py, topic, incoming, acknowledgement)?)?.into_any());
        }
        match (&incoming.body, network.topic(&incoming.topic)) {
            (Body::Json(document), Some(topic)) => {
                let about = network.about(topic, incoming.body.value());
                match self.subject.field_in(network, &about, document) {
                    Some((field, index)) => field_to_py(py, network, field, &about, document, index, acknowledgement),
                    None => document_to_py(py, network, &about, document, acknowledgement),
                }
            }
            // Not put into a stream.
            _ => Ok(py.None().into_bound(py)),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end();
        let waiting = std::mem::take(&mut self.state.lock().waiting);
        for share in &waiting {
            share.settle(Fate::Abandoned);
        }
        self.flow.forget_streams();
    }
}

/// The reader's end of a stream.
#[pyclass(frozen, name = "_Inlet", module = "thingslink._native")]
pub(in crate::py) struct PyInlet(Mutex<Option<Arc<Stream>>>);

impl PyInlet {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self(Mutex::new(Some(stream)))
    }

    fn stream(&self) -> PyResult<Arc<Stream>> {
        self.0.lock().clone().ok_or_else(|| PyStopAsyncIteration::new_err(()))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyInlet {
    /// Give the next message, or ``...``, which no message is, if the reader has to wait. The one before is acknowledged.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stream = self.stream()?;
        stream.settle();
        let Some(share) = stream.read(py)? else { return Ok(py.Ellipsis().into_bound(py)) };
        let object = stream.object(py, &share);
        stream.state.lock().given.push(share);
        object
    }

    /// Give the next message, its device, and what it is settled with; or ``None`` if the reader has to wait.
    fn next_by_hand<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, String, PyShare)>> {
        let stream = self.stream()?;
        let Some(share) = stream.read(py)? else { return Ok(None) };
        let network = stream.flow.client.config().network;
        let incoming = &share.letter.incoming;
        let dev_id = network
            .topic(&incoming.topic)
            .map_or_else(String::new, |topic| network.about(topic, incoming.body.value()).dev_id().into_owned());
        Ok(Some((stream.object(py, &share)?, dev_id, PyShare(share))))
    }

    /// Tell whether there is something to read; otherwise the reader has to wait. What was given is acknowledged.
    fn look(&self, py: Python<'_>) -> PyResult<bool> {
        let stream = self.stream()?;
        stream.settle();
        stream.is_ready(py)
    }

    /// Give what is there, at most ``most`` messages.
    fn take<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number::most)] most: usize,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let stream = self.stream()?;
        let taken = stream.pop(most);
        let objects = taken.iter().map(|share| stream.object(py, share)).collect();
        stream.state.lock().given.extend(taken);
        objects
    }

    /// Give a future that is done when ``wanted`` messages are there, or when there is something else to look at.
    #[pyo3(signature = (wanted=1))]
    fn wait<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number::wanted)] wanted: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stream = self.stream()?;
        let event_loop = stream.flow.belong(py)?;
        let future = event_loop.future(py)?;
        let other = stream.state.lock().reader.as_ref().map(|reader| reader.future.clone_ref(py));
        if let Some(other) = other
            && !other.bind(py).call_method0("done")?.extract()?
        {
            return Err(PyRuntimeError::new_err(
                "another task is already waiting for this stream: open one for each reader, or use run(concurrency=...)",
            ));
        }
        let mut state = stream.state.lock();
        let ready = state.waiting.len() >= wanted || state.ended;
        let old = state.reader.replace(Reader { future: future.clone().unbind(), wanted });
        drop(state);
        drop(old);
        if ready {
            // It only lets others have their turn.
            stream.flow.land_soon(py)?;
        }
        Ok(future)
    }

    /// Have whoever waits look again.
    fn wake(&self, py: Python<'_>) -> PyResult<()> {
        let stream = self.0.lock().clone();
        stream.map_or(Ok(()), |stream| stream.wake_reader(py, true))
    }

    /// Messages that are there.
    fn __len__(&self) -> usize {
        self.0.lock().as_ref().map_or(0, |stream| stream.state.lock().waiting.len())
    }

    /// Whether more may come before what is there is read.
    fn may_grow(&self) -> PyResult<bool> {
        let stream = self.stream()?;
        let (client, state) = (&stream.flow.client, stream.state.lock());
        let goes_on = !state.ended && state.failure.is_none() && client.is_open();
        drop(state);
        Ok(goes_on && client.mailbox().has_room())
    }

    /// Messages that the client holds at most.
    #[getter]
    fn bound(&self) -> PyResult<usize> {
        self.stream().map(|stream| stream.flow.client.mailbox().limits().messages)
    }

    /// End the subscription. What was not acknowledged comes again.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(stream) = self.0.lock().take() else { return Ok(()) };
        stream.end();
        stream.wake_reader(py, true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(stream) = self.0.try_lock() else { return Ok(()) };
        let Some(state) = stream.as_ref().and_then(|stream| stream.state.try_lock()) else { return Ok(()) };
        state.reader.as_ref().map_or(Ok(()), |reader| visit.call(&reader.future))
    }

    fn __clear__(&self) {
        let stream = self.0.lock().take();
        let reader = stream.as_ref().and_then(|stream| stream.forget_reader());
        drop((reader, stream));
    }
}
