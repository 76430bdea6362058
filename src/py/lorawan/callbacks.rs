//! The callbacks of one client, changed by any thread while another one calls them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::prelude::*;

use super::downlink::Sender;
use super::handlers::Handlers;
use super::subject::Subject;
use super::watch::Watch;
use crate::client::lorawan::{Application, Client, Config};
use crate::client::{Delivery, Wanted};
use crate::dialect::lorawan::Downlink;
use crate::error::Error;
use crate::ids::DevId;
use crate::py::acknowledging::Acknowledging;
use crate::py::error::OrRaise as _;
use crate::py::owner::Owner;
use crate::py::runtime::Process;
use crate::py::serve::served;
use crate::sync::Mutex;

/// How long `send` waits for room in a full queue.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

/// A client and its callbacks.
pub(super) struct Served {
    pub(super) client: Client,
    pub(super) owner: Owner<Application>,
    pub(super) acknowledging: Acknowledging,
    handlers: Mutex<Arc<Handlers>>,
    /// Counts changes of the callbacks, so that a look for one costs next to nothing.
    version: AtomicU64,
    /// Messages at QoS 1 that came before any callback was set.
    parked: Mutex<VecDeque<Delivery<Infallible>>>,
    /// Why a callback of the message in hand has failed, where the server is told.
    pub(super) failure: Mutex<Option<String>>,
    pub(super) watch: Watch,
    /// What programs get as the original's private client, once somebody has asked for it.
    pub(super) private: OnceLock<Py<PyAny>>,
}

impl Served {
    pub(super) fn new(config: Config, acknowledging: Acknowledging) -> Result<Arc<Self>, Error> {
        let made = served(|wake| {
            Ok(Self {
                client: Client::new(config, wake)?,
                owner: Owner::new(),
                acknowledging,
                handlers: Mutex::default(),
                version: AtomicU64::new(0),
                parked: Mutex::default(),
                failure: Mutex::default(),
                watch: Watch::default(),
                private: OnceLock::new(),
            })
        })?;
        made.listen(&made.handlers());
        Ok(made)
    }

    /// Have the client tell what these callbacks are for, and no more: each delivery wakes a thread.
    pub(super) fn listen(&self, handlers: &Handlers) {
        self.client.listen(handlers.filters(self.client.config().network));
        let has = |subject: &Subject| handlers.all.iter().any(|handler| handler.subject == *subject);
        self.client.want(Wanted {
            connections: has(&Subject::Connect),
            ends: has(&Subject::Close) || self.watch.is_set(),
            sent: has(&Subject::Downlink) || self.watch.is_set(),
            problems: has(&Subject::Error),
        });
    }

    pub(super) fn handlers(&self) -> Arc<Handlers> {
        self.handlers.lock().clone()
    }

    /// Changes with the callbacks.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The callbacks as the garbage collector looks at them; a lock that is taken is skipped, since it comes again.
    pub(super) fn try_handlers(&self) -> Option<Arc<Handlers>> {
        self.handlers.try_lock().map(|handlers| handlers.clone())
    }

    /// Let go of all callbacks.
    pub(super) fn clear(&self) {
        let handlers = std::mem::take(&mut *self.handlers.lock());
        // Dropped outside the lock: this may run Python code.
        drop(handlers);
        self.watch.set(None);
    }

    pub(super) fn add(&self, py: Python<'_>, subject: Subject, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.owner.check_process()?;
        if let Subject::Event(_, Some(name)) = &subject
            && self.client.config().network.never_tells(name)
        {
            let title = self.client.config().network.title();
            tracing::warn!("a callback waits for the event {name:?}, which {title} tells nobody over MQTT");
        }
        self.change(|handlers| handlers.with(py, subject.clone(), callback))?;
        if self.client.is_connected() {
            self.tell_of_listening(py, "")?;
        }
        let parked: Vec<_> =
            if self.handlers().listens() { self.parked.lock().drain(..).collect() } else { Vec::new() };
        if !parked.is_empty() {
            self.client.mailbox().put_back(parked.into_iter());
            self.client.mailbox().nudge();
        }
        Ok(())
    }

    pub(super) fn remove(&self, py: Python<'_>, subject: &Subject, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.owner.check_process()?;
        self.change(|handlers| handlers.without(py, subject, callback))
    }

    /// Keep a message, unacknowledged, until somebody has had the chance to listen.
    pub(super) fn park(&self, delivery: Delivery<Infallible>) {
        self.parked.lock().push_back(delivery);
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
        self.owner.check_process()?;
        let teller = self.watch.teller(py)?;
        let mid = self.queue(py, dev_id, downlink)?;
        if let Some(teller) = teller {
            let app_id = self.client.config().app_id.as_str();
            teller.tell(py, ("%s: sending downlink %d to %s", app_id, mid, dev_id.as_str()))?;
        }
        Ok(mid)
    }

    fn queue(&self, py: Python<'_>, dev_id: &DevId, downlink: Downlink) -> PyResult<u16> {
        if self.client.is_answered(&downlink) {
            let sent = self.client.send_answered(dev_id.clone(), downlink);
            return self.owner.process()?.wait(py, sent)?.or_raise(py);
        }
        match self.client.send(dev_id, &downlink) {
            Err(Error::Full { .. }) => {
                let (client, dev_id) = (self.client.clone(), dev_id.clone());
                let sent = async move { client.send_within(&dev_id, &downlink, SEND_PATIENCE).await };
                self.owner.process()?.wait(py, sent)?.or_raise(py)
            }
            outcome => outcome.or_raise(py),
        }
    }

    /// Publish to any topic.
    pub(super) fn publish(&self, py: Python<'_>, topic: &str, payload: Vec<u8>) -> PyResult<u16> {
        self.owner.check_process()?;
        let (teller, size) = (self.watch.teller(py)?, payload.len());
        let mid = self.client.publish(topic, payload.into()).or_raise(py)?;
        if let Some(teller) = teller {
            let app_id = self.client.config().app_id.as_str();
            teller.tell(py, ("%s: sending message %d to %s, %d bytes", app_id, mid, topic, size))?;
        }
        Ok(mid)
    }

    /// Tell whoever watches of what is subscribed to.
    pub(super) fn tell_of_listening(&self, py: Python<'_>, before: &str) -> PyResult<()> {
        let Some(teller) = self.watch.teller(py)? else { return Ok(()) };
        let filters: Vec<_> = self.client.subscriptions().wanted().into_iter().map(|(filter, _)| filter).collect();
        let app_id = self.client.config().app_id.as_str();
        teller.tell(py, ("%s: %ssubscribed to %s", app_id, before, filters.join(", ")))
    }
}

impl Sender for Served {
    fn client(&self) -> &Client {
        &self.client
    }

    fn process(&self, _py: Python<'_>) -> PyResult<&Arc<Process>> {
        self.owner.process()
    }
}
