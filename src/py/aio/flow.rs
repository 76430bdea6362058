//! The consumer of a client whose deliveries go to an event loop: from the mailbox into the streams that take them.
//!
//! The network's threads append to the mailbox. When it becomes occupied a thread of the pool wakes the loop, once for all
//! that has come until the loop gets there; a reader that asks for more finds it without being woken. What a stream has
//! taken and is not done with goes on counting against the mailbox's bound, so a stream that nobody reads stops the
//! reading of the network.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::letter::{Fate, Letter};
use super::sends::Sends;
use super::stream::Stream;
use crate::client::lorawan::{Client, Config};
use crate::client::{Body, Delivery, Incoming, Wanted};
use crate::dialect::lorawan::{Filter, Network};
use crate::error::Error;
use crate::pool::Work;
use crate::py::acknowledging::Acknowledging;
use crate::py::error::to_py;
use crate::py::event_loop::{EventLoop, complete};
use crate::py::interpreter::Interpreter;
use crate::py::lorawan::{Sender, Subject};
use crate::py::runtime::{Bond, Closable, Process};
use crate::py::serve::woken;
use crate::session::{Hands, Overflow, QoS};
use crate::sync::Mutex;

/// Deliveries that are taken out of the mailbox at once.
const BATCH: usize = 256;
/// Those that one call on the loop's thread takes before other calls have their turn.
const TURN: usize = 16 * BATCH;
/// Messages that are finished before the mailbox is told.
const TELL: usize = 64;
/// How long the exit, and the end of a loop, wait for a client's acknowledgements.
const AT_EXIT: Duration = Duration::from_secs(1);

/// A client and the streams of its messages.
pub(super) struct Flow {
    pub(super) client: Client,
    pub(super) acknowledging: Acknowledging,
    pub(super) bond: Bond,
    pub(super) sends: Sends,
    event_loop: Mutex<Option<EventLoop>>,
    hands: Mutex<Hands<Delivery<Infallible>>>,
    /// In the order in which they were opened.
    streams: Mutex<Vec<Weak<Stream>>>,
    /// Messages at QoS 1 that nobody has taken, or whose stream went: for the next one.
    parked: Mutex<VecDeque<Arc<Letter>>>,
    /// Messages that have come.
    came: AtomicU64,
    /// Whether a message counts against the mailbox's bound until it is dealt with; otherwise each stream has a bound.
    holds: bool,
    /// Finished, and the mailbox was not told: how many, and their bytes.
    finished: AtomicUsize,
    weight: AtomicUsize,
    /// Why a session without leave to connect anew has ended.
    pub(super) lost: Mutex<Option<Error>>,
    closed: AtomicBool,
    /// What the program is told that streams do not tell: called with a word for it and the thing itself.
    pub(super) told: Mutex<Option<Py<PyAny>>>,
    /// The host that the client logs in at, for what it is told when it refuses.
    pub(super) host: Mutex<String>,
}

impl Flow {
    pub(super) fn new(config: Config, acknowledging: Acknowledging, told: Py<PyAny>) -> Result<Arc<Self>, Error> {
        let made = woken(
            |wake| {
                let client = Client::new(config, wake)?;
                let holds = client.mailbox().limits().overflow == Overflow::StopReading;
                Ok(Self {
                    client,
                    acknowledging,
                    bond: Bond::default(),
                    sends: Sends::default(),
                    event_loop: Mutex::default(),
                    hands: Mutex::default(),
                    streams: Mutex::default(),
                    parked: Mutex::default(),
                    came: AtomicU64::new(0),
                    holds,
                    finished: AtomicUsize::new(0),
                    weight: AtomicUsize::new(0),
                    lost: Mutex::default(),
                    closed: AtomicBool::new(true),
                    told: Mutex::new(Some(told)),
                    host: Mutex::default(),
                })
            },
            |flow| flow.bond.known(),
        )?;
        made.client.want(Wanted::ALL);
        made.listen();
        Ok(made)
    }

    /// Belong to the loop that runs on this thread: from the first use on, until the client is closed.
    pub(super) fn belong(&self, py: Python<'_>) -> PyResult<EventLoop> {
        let known = self.event_loop.lock().as_ref().map(|event_loop| event_loop.clone_ref(py));
        if let Some(event_loop) = known {
            match event_loop.check(py) {
                Ok(()) => return Ok(event_loop),
                Err(error) if self.client.is_open() && !event_loop.is_closed(py) => return Err(error),
                Err(_) => {}
            }
        }
        let event_loop = EventLoop::running(py)?;
        let old = self.event_loop.lock().replace(event_loop.clone_ref(py));
        drop(old);
        Ok(event_loop)
    }

    /// A call of `connect` begins.
    pub(super) fn begin(&self) {
        if self.closed.swap(false, Ordering::AcqRel) {
            // What came when nobody read any more, while the session before was parted with: the server has it, too.
            self.client.mailbox().discard(Delivery::is_message);
        }
        drop(self.lost.lock().take());
        self.listen();
    }

    /// Whether the client was closed, or never connected.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Streams that somebody may still read.
    fn open_streams(&self) -> Vec<Arc<Stream>> {
        self.streams.lock().iter().filter_map(Weak::upgrade).filter(|stream| !stream.has_ended()).collect()
    }

    /// Have the client listen to what streams are open for. A server that keeps messages for an absent client keeps those
    /// that come before the first stream is opened, too.
    fn listen(&self) {
        let config = self.client.config();
        let mut filters: Vec<_> = self.open_streams().iter().filter_map(|stream| stream.subject.filter()).collect();
        let is_kept = config.network != Network::V3 && config.qos == QoS::AtLeastOnce && !config.clean_session;
        if is_kept && !filters.iter().any(|filter| matches!(filter, Filter::Uplink(_))) {
            filters.push(Filter::Uplink(None));
        }
        self.client.listen(filters);
    }

    /// Open a stream. It begins with what was kept for it.
    pub(super) fn open(self: &Arc<Self>, subject: Subject) -> Arc<Stream> {
        let stream = Stream::new(self.clone(), subject);
        let mut parked = self.parked.lock();
        let network = self.client.config().network;
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            parked.drain(..).partition(|letter| takes(&stream.subject, network, &letter.incoming));
        *parked = left;
        drop(parked);
        for letter in &taken {
            stream.push(letter.share());
        }
        self.streams.lock().push(Arc::downgrade(&stream));
        self.listen();
        stream
    }

    /// A stream is gone. A closed client leaves its subscriptions as they are: the server may keep what comes for them.
    pub(super) fn forget_streams(&self) {
        self.streams.lock().retain(|stream| stream.strong_count() > 0);
        if !self.is_closed() {
            self.listen();
        }
    }

    /// All streams are done with a message.
    pub(super) fn ended(self: &Arc<Self>, letter: &Arc<Letter>, fate: Fate) {
        match (letter.incoming.receipt, fate) {
            (Some(receipt), Fate::Handled) => self.client.acknowledge(receipt),
            (Some(receipt), Fate::Kept) => self.client.keep(receipt, letter.why.lock().take()),
            (Some(_), Fate::Abandoned) if !self.is_closed() => {
                let mut parked = self.parked.lock();
                let place = parked.partition_point(|other| other.serial < letter.serial);
                parked.insert(place, letter.clone());
                return;
            }
            _ => {}
        }
        let abandoned = fate == Fate::Abandoned && letter.incoming.receipt.is_none();
        self.client.count(u64::from(fate != Fate::Abandoned), u64::from(abandoned));
        if letter.counts {
            self.weight.fetch_add(letter.weight(), Ordering::AcqRel);
            if self.finished.fetch_add(1, Ordering::AcqRel) + 1 >= TELL {
                self.tell_finished();
            }
        }
    }

    /// Tell the mailbox what is finished.
    fn tell_finished(&self) {
        let (finished, weight) = (self.finished.swap(0, Ordering::AcqRel), self.weight.swap(0, Ordering::AcqRel));
        if finished > 0 {
            self.client.mailbox().finished(finished, weight);
        }
    }

    /// Move what has come into the streams. On the loop's thread.
    pub(super) fn land(self: &Arc<Self>, py: Python<'_>, most: usize) -> PyResult<()> {
        self.tell_finished();
        let streams = self.open_streams();
        let mut hands = std::mem::take(&mut *self.hands.lock());
        let (mut news, mut more, mut turns) = (Vec::new(), true, most / BATCH);
        while more && turns > 0 {
            more = hands.take(self.client.mailbox(), BATCH);
            while hands.next(|delivery| self.route(delivery, &streams, &mut news)) {}
            turns -= 1;
        }
        *self.hands.lock() = hands;
        for delivery in news {
            self.hear(py, delivery, &streams)?;
        }
        if !self.client.is_open() {
            self.over(py, &streams)?;
        }
        streams.iter().try_for_each(|stream| stream.wake_reader(py, false))?;
        if more {
            self.land_soon(py)?;
        }
        Ok(())
    }

    /// Have the loop call [`Flow::land`] when others had their turn.
    pub(super) fn land_soon(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let event_loop = self.event_loop.lock().as_ref().map(|event_loop| event_loop.clone_ref(py));
        event_loop.map_or(Ok(()), |event_loop| event_loop.soon(py, PyLanding(self.clone())))
    }

    /// Put a message into the streams that take it. Tells whether the mailbox is done with the delivery.
    fn route(
        self: &Arc<Self>,
        delivery: Delivery<Infallible>,
        streams: &[Arc<Stream>],
        news: &mut Vec<Delivery<Infallible>>,
    ) -> bool {
        let Some(delivery) = self.client.read(delivery) else { return true };
        let Delivery::Message(incoming) = delivery else {
            news.push(delivery);
            return true;
        };
        let network = self.client.config().network;
        if let Body::Undecodable { reason, .. } = &incoming.body {
            let (topic, reason) = (incoming.topic.clone(), reason.to_string());
            news.push(Delivery::Problem(Error::Decode { topic, reason }));
        }
        let letter = Letter::new(self, incoming, self.came.fetch_add(1, Ordering::Relaxed), self.holds);
        let takers = streams.iter().filter(|stream| takes(&stream.subject, network, &letter.incoming));
        // All shares before the first is pushed: a full stream may give its own up at once.
        let shares: Vec<_> = takers.map(|stream| (stream, letter.share())).collect();
        if !shares.is_empty() {
            for (stream, share) in shares {
                stream.push(share);
            }
            return !self.holds;
        }
        match letter.incoming.receipt {
            Some(_) if streams.is_empty() => {
                // Nobody has had the chance to listen yet: it stays unacknowledged until somebody does.
                self.parked.lock().push_back(letter);
                return !self.holds;
            }
            Some(receipt) => self.client.acknowledge(receipt),
            None => {}
        }
        self.client.count(0, 1);
        true
    }

    /// A future of a message that was accepted just now. Until it is done reading goes on whatever the bound says: the
    /// answer comes after what waits for a reader, who may be the one that waits for the answer.
    pub(super) fn await_sent<'py>(
        &self,
        py: Python<'py>,
        event_loop: &EventLoop,
        mid: u16,
    ) -> PyResult<Bound<'py, PyAny>> {
        let future = self.sends.await_one(py, event_loop, mid)?;
        self.client.mailbox().urge(true);
        Ok(future)
    }

    pub(super) fn sent(&self, mid: u16) -> Option<Py<PyAny>> {
        let future = self.sends.take(mid);
        if self.sends.is_empty() {
            self.client.mailbox().urge(false);
        }
        future
    }

    /// There is no session any more, and nobody connects anew.
    fn over(&self, py: Python<'_>, streams: &[Arc<Stream>]) -> PyResult<()> {
        if let Some(error) = self.lost.lock().take() {
            for stream in streams {
                stream.fail(Some(to_py(py, &error)));
            }
        }
        self.fail_sends(py)
    }

    /// Nothing more will be told of what was sent.
    pub(super) fn fail_sends(&self, py: Python<'_>) -> PyResult<()> {
        self.client.mailbox().urge(false);
        let futures = self.sends.all();
        futures.into_values().try_for_each(|future| complete(future.bind(py), Err(to_py(py, &Error::NotConnected))))
    }

    /// The program has closed the client: its streams end. What they have at QoS 1 comes again.
    pub(super) fn close(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        self.land(py, usize::MAX)?;
        self.closed.store(true, Ordering::Release);
        let streams = self.open_streams();
        for stream in &streams {
            stream.end();
        }
        let parked = std::mem::take(&mut *self.parked.lock());
        for letter in &parked {
            self.ended(letter, Fate::Abandoned);
        }
        self.tell_finished();
        streams.iter().try_for_each(|stream| stream.wake_reader(py, true))
    }

    /// Nobody awaits anything here any more: the loop was closed.
    fn desert(self: &Arc<Self>) {
        self.closed.store(true, Ordering::Release);
        self.client.mailbox().discard(Delivery::is_message);
        let streams = self.open_streams();
        for stream in &streams {
            stream.end();
        }
        let waiters: Vec<_> = streams.iter().filter_map(|stream| stream.forget_reader()).collect();
        drop((waiters, self.sends.all(), self.event_loop.lock().take()));
        if let Some(process) = self.bond.known() {
            let client = self.client.clone();
            drop(process.handle.spawn(async move { client.close_quietly(AT_EXIT).await }));
        }
    }

    /// For the garbage collector; what is locked is skipped, since it comes again.
    pub(super) fn visit(
        &self,
        look: impl Fn(&Py<PyAny>) -> Result<(), pyo3::PyTraverseError>,
    ) -> Result<(), pyo3::PyTraverseError> {
        if let Some(Some(told)) = self.told.try_lock().as_deref() {
            look(told)?;
        }
        if let Some(Some(event_loop)) = self.event_loop.try_lock().as_deref() {
            look(event_loop.object())?;
        }
        self.sends.visit(look)
    }

    /// Let go of Python's objects.
    pub(super) fn clear(&self) {
        let (event_loop, told) = (self.event_loop.lock().take(), self.told.lock().take());
        drop((event_loop, told, self.sends.all()));
    }
}

/// Whether a message is for a subject. Undecodable ones are for those alone that give messages as they came.
fn takes(subject: &Subject, network: Network, incoming: &Incoming) -> bool {
    let Some(topic) = network.topic(&incoming.topic) else { return false };
    let about = network.about(topic, incoming.body.value());
    match &incoming.body {
        Body::Json(document) => subject.takes(&about) || subject.field_in(network, &about, document).is_some(),
        Body::Undecodable { .. } => matches!(subject, Subject::Raw(_)) && subject.takes(&about),
    }
}

impl Sender for Flow {
    fn client(&self) -> &Client {
        &self.client
    }

    fn process(&self, py: Python<'_>) -> PyResult<&Arc<Process>> {
        self.belong(py)?;
        self.bond.process()
    }
}

impl Work<Interpreter> for Flow {
    fn run(self: Arc<Self>, py: Python<'_>, _most: usize, progress: &AtomicU64) -> bool {
        progress.fetch_add(1, Ordering::Relaxed);
        let event_loop = self.event_loop.lock().as_ref().map(|event_loop| event_loop.clone_ref(py));
        if event_loop.is_some_and(|event_loop| !event_loop.wake(py, PyLanding(self.clone()))) {
            self.desert();
        }
        false
    }
}

impl Closable for Flow {
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> JoinHandle<()> {
        handle.spawn(async move { self.client.close_quietly(AT_EXIT).await })
    }
}

/// What the event loop calls when something has come.
#[pyclass(frozen, name = "_Landing", module = "thingslink._native")]
struct PyLanding(Arc<Flow>);

#[pymethods(crate = "crate::py::named")]
impl PyLanding {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.0.land(py, TURN)
    }
}
