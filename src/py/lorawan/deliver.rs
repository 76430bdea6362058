//! What the dispatch pool and a client's Python object have in common: deliveries become calls of callbacks here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use tokio::runtime::Handle;

use super::event;
use super::handlers::{Handler, Handlers, Subject};
use super::message::body_to_py;
use super::raw::PyRawMessage;
use crate::client::lorawan::{Client, Config};
use crate::client::{Body, Delivery, Incoming};
use crate::dialect::lorawan::{Downlink, Topic};
use crate::error::Error;
use crate::ids::DevId;
use crate::py::dispatch::Work;
use crate::py::error::{OrRaise as _, to_py};
use crate::py::log;
use crate::py::owner::Consumer;
use crate::py::runtime::{Closable, Process};
use crate::session::covers;
use crate::sync::Mutex;

/// How long `send` waits for room in a full queue.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

/// What the dispatch pool and the Python object have in common.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) handlers: Mutex<Arc<Handlers>>,
    /// Counts changes of the callbacks, so that a look for one costs next to nothing.
    version: AtomicU64,
    pub(super) consumer: Consumer<Delivery>,
    /// Messages that came before any callback was set.
    parked: Mutex<VecDeque<Delivery>>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Result<Arc<Self>, Error> {
        let this: Arc<OnceLock<Weak<Self>>> = Arc::default();
        let waker = this.clone();
        let client = Client::new(config, move || {
            if let Some(shared) = waker.get().and_then(Weak::upgrade)
                && let Some(process) = shared.consumer.known_process()
            {
                process.pool.submit(shared.clone());
            }
        })?;
        let shared = Arc::new(Self {
            client,
            handlers: Mutex::default(),
            version: AtomicU64::new(0),
            consumer: Consumer::default(),
            parked: Mutex::default(),
        });
        // Set once, here.
        let _first = this.set(Arc::downgrade(&shared));
        shared.listen(&shared.handlers());
        Ok(shared)
    }

    /// Have the client tell what these callbacks are for, and no more: each delivery wakes a thread.
    fn listen(&self, handlers: &Handlers) {
        self.client.listen(handlers.filters());
        self.client.tell_sent(handlers.all.iter().any(|handler| handler.subject == Subject::Downlink));
    }

    fn handlers(&self) -> Arc<Handlers> {
        self.handlers.lock().clone()
    }

    /// The process's runtime; an error in a forked child.
    pub(super) fn process(&self) -> PyResult<&Arc<Process>> {
        self.consumer.process()
    }

    pub(super) fn add(&self, py: Python<'_>, subject: Subject, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.consumer.check_process()?;
        self.change(|handlers| handlers.with(py, subject.clone(), callback))?;
        let parked: Vec<_> =
            if self.handlers().listens() { self.parked.lock().drain(..).collect() } else { Vec::new() };
        if !parked.is_empty() {
            self.client.mailbox().put_back(parked.into_iter());
            self.client.mailbox().nudge();
        }
        Ok(())
    }

    pub(super) fn remove(&self, py: Python<'_>, subject: &Subject, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.consumer.check_process()?;
        self.change(|handlers| handlers.without(py, subject, callback))
    }

    /// Replace the callbacks. Made without the lock, since comparing callables runs Python code; a change that came in
    /// between is taken into account by trying again.
    fn change(&self, make: impl Fn(&Handlers) -> PyResult<Handlers>) -> PyResult<()> {
        loop {
            let before = self.handlers();
            let after = Arc::new(make(&before)?);
            let mut handlers = self.handlers.lock();
            if Arc::ptr_eq(&handlers, &before) {
                *handlers = after.clone();
                self.version.fetch_add(1, Ordering::Release);
                drop(handlers);
                self.listen(&after);
                return Ok(());
            }
        }
    }

    pub(super) fn send(&self, py: Python<'_>, dev_id: &DevId, downlink: Downlink) -> PyResult<u16> {
        self.consumer.check_process()?;
        match self.client.send(dev_id, &downlink) {
            Err(Error::Full { .. }) => {
                let (client, dev_id) = (self.client.clone(), dev_id.clone());
                let sent = async move { client.send_within(&dev_id, &downlink, SEND_PATIENCE).await };
                self.process()?.wait(py, sent)?.or_raise(py)
            }
            outcome => outcome.or_raise(py),
        }
    }

    fn failed(&self, py: Python<'_>, handlers: &Handlers, error: PyErr, client: &Bound<'_, PyAny>) {
        if error.is_instance_of::<PySystemExit>(py) && self.consumer.is_exiting() {
            // Our own doing: the interpreter exits and the callback would not end.
            return;
        }
        self.client.callback_failed();
        log::exception(py, "exception in a callback", &error);
        self.tell_error(py, handlers, &error, client);
    }

    fn tell_error(&self, py: Python<'_>, handlers: &Handlers, error: &PyErr, client: &Bound<'_, PyAny>) {
        for handler in handlers.all.iter().filter(|handler| handler.subject == Subject::Error) {
            if let Err(error) = handler.call(error.value(py).as_any(), client) {
                log::exception(py, "exception in an error callback", &error);
            }
        }
    }

    /// Call every callback that `chosen` chooses with what `first` makes, which is made once and only if needed.
    fn call<'py>(
        &self,
        handlers: &Handlers,
        client: &Bound<'py, PyAny>,
        chosen: impl Fn(&Handler) -> bool,
        first: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> bool {
        let mut chosen = handlers.all.iter().filter(|handler| chosen(handler)).peekable();
        if chosen.peek().is_none() {
            return false;
        }
        let py = client.py();
        match first() {
            Ok(first) => {
                for handler in chosen {
                    if self.consumer.is_exiting() {
                        break;
                    }
                    if let Err(error) = handler.call(&first, client) {
                        self.failed(py, handlers, error, client);
                    }
                }
            }
            Err(error) => self.failed(py, handlers, error, client),
        }
        true
    }

    /// Call the callbacks that a message is for; tells whether there were any.
    fn deliver_message(&self, message: &Incoming, handlers: &Handlers, client: &Bound<'_, PyAny>) -> bool {
        let py = client.py();
        let called = self.call(
            handlers,
            client,
            |handler| matches!(&handler.subject, Subject::Topic(filter) if covers(filter, &message.topic)),
            || Ok(Bound::new(py, PyRawMessage::new(py, message)?)?.into_any()),
        );
        let Some(topic) = Topic::parse(&message.topic) else { return called };
        let app_id = || message.topic.split('/').next().unwrap_or_default();
        let is_raw = |handler: &Handler| matches!(handler.subject, Subject::Raw(_));
        let mut called = called;
        if let Body::Json(document) = &message.body {
            let decoded = |handler: &Handler| !is_raw(handler) && handler.subject.takes(topic);
            called |= self.call(handlers, client, decoded, || match topic {
                Topic::Event { dev_id, name } => event::new(py, name, app_id(), dev_id, document.clone()),
                Topic::Field { dev_id, field } => {
                    let value = event::PyFieldValue::new(field, app_id(), dev_id, document.clone());
                    Ok(Bound::new(py, value)?.into_any())
                }
                Topic::Uplink { .. } | Topic::Downlink { .. } => {
                    body_to_py(py, &message.body).unwrap_or_else(|| Ok(py.None().into_bound(py)))
                }
            });
        } else if handlers.all.iter().any(|handler| handler.subject == Subject::Error) {
            let error = Error::Decode { topic: message.topic.clone(), reason: reason(&message.body) };
            self.tell_error(py, handlers, &to_py(py, error), client);
        }
        // Raw callbacks come behind all others, as in the original, and get undecodable messages, too.
        called |= self.call(
            handlers,
            client,
            |handler| is_raw(handler) && handler.subject.takes(topic),
            || Ok(Bound::new(py, PyRawMessage::new(py, message)?)?.into_any()),
        );
        called
    }

    fn deliver(&self, delivery: &Delivery, handlers: &Handlers, client: &Bound<'_, PyAny>) -> bool {
        let py = client.py();
        let for_subject = |subject: Subject| move |handler: &Handler| handler.subject == subject;
        let boolean = |value: bool| Ok(pyo3::types::PyBool::new(py, value).to_owned().into_any());
        match delivery {
            Delivery::Message(message) => return self.deliver_message(message, handlers, client),
            Delivery::Connected(result) => {
                self.call(handlers, client, for_subject(Subject::Connect), || boolean(*result));
            }
            Delivery::Closed(result) => {
                self.call(handlers, client, for_subject(Subject::Close), || boolean(*result));
            }
            Delivery::Sent(mid) => {
                let number = || Ok(mid.into_pyobject(py)?.into_any());
                self.call(handlers, client, for_subject(Subject::Downlink), number);
            }
            Delivery::Problem(error) => {
                if handlers.all.iter().any(|handler| handler.subject == Subject::Error) {
                    self.tell_error(py, handlers, &to_py(py, again(error)), client);
                }
            }
        }
        true
    }

    /// Let the Python object go, if nothing more can be delivered.
    pub(super) fn release_owner(&self) {
        self.consumer.release_owner(self.client.mailbox(), || self.client.is_open());
    }
}

fn reason(body: &Body) -> String {
    match body {
        Body::Undecodable { reason, .. } => reason.clone(),
        Body::Json(_) => String::new(),
    }
}

/// The error once more, for handing out; only these are told as problems.
fn again(error: &Error) -> Error {
    match error {
        Error::SubscriptionRefused { filter } => Error::SubscriptionRefused { filter: filter.clone() },
        Error::TooLarge { what, size, limit } => Error::TooLarge { what, size: *size, limit: *limit },
        other => Error::Decode { topic: String::new(), reason: other.to_string() },
    }
}

impl Work for Shared {
    fn run(self: Arc<Self>, py: Python<'_>, most: usize, progress: &AtomicU64) -> bool {
        let owner = self.consumer.owner(py);
        let (mut delivered, mut unheard) = (0, 0);
        let mut version = self.version.load(Ordering::Acquire);
        let mut handlers = self.handlers();
        let more = self.consumer.run(py, self.client.mailbox(), most, progress, |delivery| {
            if version != self.version.load(Ordering::Acquire) {
                version = self.version.load(Ordering::Acquire);
                handlers = self.handlers();
            }
            let Some(owner) = &owner else { return true };
            let client = owner.bind(py);
            let heard = self.deliver(&delivery, &handlers, client);
            if let Delivery::Message(message) = &delivery {
                if !heard && !handlers.listens() && message.receipt.is_some() {
                    // Nobody has had the chance to listen yet: it stays unacknowledged until somebody does.
                    self.parked.lock().push_back(delivery);
                    return false;
                }
                self.client.acknowledge(message);
                delivered += u64::from(heard);
                unheard += u64::from(!heard);
            }
            true
        });
        self.client.count(delivered, unheard);
        if !more {
            self.release_owner();
        }
        more
    }
}

impl Closable for Shared {
    fn close_at_exit(self: Arc<Self>, handle: &Handle) -> tokio::task::JoinHandle<()> {
        // The pool has stopped: nobody would take the deliveries that a patient close waits for.
        handle.spawn(async move { self.client.close_quietly(Duration::from_secs(1)).await })
    }
}
