//! Deliveries become calls of callbacks here.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::callbacks::Served;
use super::handlers::{Handler, Handlers};
use super::parse::{document_to_py, field_to_py};
use super::subject::Subject;
use super::watch::Teller;
use crate::client::lorawan::{Application, Client, Config};
use crate::client::{Body, Delivery, Incoming};
use crate::dialect::json::Document;
use crate::dialect::lorawan::About;
use crate::dialect::mqtt::covers;
use crate::error::Error;
use crate::py::acknowledging::traceback;
use crate::py::error::to_py;
use crate::py::face;
use crate::py::log;
use crate::py::owner::Owner;
use crate::py::raw::PyRawMessage;
use crate::py::serve::{Serve, is_our_interrupt};

/// What is kept between the deliveries of one turn.
pub(super) struct Turn {
    version: u64,
    handlers: Arc<Handlers>,
    delivered: u64,
    unheard: u64,
    /// Whom to tell what passes, once it was looked up.
    teller: OnceCell<Option<Teller>>,
}

/// What came of calling callbacks.
#[derive(Clone, Copy, Default)]
struct Called {
    /// There was one.
    any: bool,
    /// One of them raised an exception.
    failed: bool,
}

impl Called {
    fn and(self, other: Self) -> Self {
        Self { any: self.any || other.any, failed: self.failed || other.failed }
    }
}

impl Served {
    fn failed(&self, py: Python<'_>, handlers: &Handlers, error: PyErr, client: &Bound<'_, PyAny>) {
        if is_our_interrupt(py, &self.owner, &error) {
            return;
        }
        // First, so that who waits for the count finds it told.
        face::callback_failed(client, &error);
        self.client.callback_failed();
        if self.client.config().shares_stream() {
            let text = traceback(py, &error);
            self.failure.lock().get_or_insert(text);
        }
        log::exception(py, "exception in a callback", &error);
        self.tell_error(py, handlers, &error, client);
    }

    fn tell_error(&self, py: Python<'_>, handlers: &Handlers, error: &PyErr, client: &Bound<'_, PyAny>) {
        for handler in handlers.all.iter().filter(|handler| handler.subject == Subject::Error) {
            self.owner.home().claim();
            if let Err(error) = handler.call(error.value(py).as_any(), client) {
                face::callback_failed(client, &error);
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
    ) -> Called {
        let mut chosen = handlers.all.iter().filter(|handler| chosen(handler)).peekable();
        if chosen.peek().is_none() {
            return Called::default();
        }
        let py = client.py();
        let mut called = Called { any: true, failed: false };
        match first() {
            Ok(first) => {
                for handler in chosen {
                    if self.owner.is_exiting() {
                        break;
                    }
                    self.owner.home().claim();
                    if let Err(error) = handler.call(&first, client) {
                        called.failed = true;
                        self.failed(py, handlers, error, client);
                    }
                }
            }
            Err(error) => {
                called.failed = true;
                self.failed(py, handlers, error, client);
            }
        }
        called
    }

    /// Call the callbacks that a message is for.
    fn deliver_message(&self, message: &Incoming, handlers: &Handlers, client: &Bound<'_, PyAny>) -> Called {
        let py = client.py();
        let Config { network, topics, .. } = self.client.config();
        let (network, published) = (*network, topics.of_server(&message.topic));
        let as_it_came = || {
            let raw = PyRawMessage::new(py, (*published).to_owned(), message, message.receipt.into())?;
            Ok(Bound::new(py, raw)?.into_any())
        };
        let mut called = self.call(
            handlers,
            client,
            |handler| matches!(&handler.subject, Subject::Topic(filter) if covers(filter, &published)),
            as_it_came,
        );
        let Some(topic) = network.topic(&message.topic) else { return called };
        let about = network.about(topic, message.body.value());
        let is_raw = |handler: &Handler| matches!(handler.subject, Subject::Raw(_));
        match &message.body {
            Body::Json(document) => {
                let decoded = |handler: &Handler| !is_raw(handler) && handler.subject.takes(&about);
                called = called.and(self.call(handlers, client, decoded, || {
                    document_to_py(py, network, &about, document, message.receipt.into())
                }));
                called = called.and(self.deliver_fields(message, document, &about, handlers, client));
            }
            Body::Undecodable { reason, .. } => {
                if handlers.all.iter().any(|handler| handler.subject == Subject::Error) {
                    let error = Error::Decode { topic: published.to_string(), reason: reason.to_string() };
                    self.tell_error(py, handlers, &to_py(py, &error), client);
                }
            }
        }
        // Raw callbacks come after all others, as in the original, and get undecodable messages, too.
        let raw = |handler: &Handler| is_raw(handler) && handler.subject.takes(&about);
        called.and(self.call(handlers, client, raw, as_it_came))
    }

    /// Call the callbacks for single fields, of a network that publishes uplinks alone.
    fn deliver_fields(
        &self,
        message: &Incoming,
        document: &Arc<Document>,
        about: &About<'_>,
        handlers: &Handlers,
        client: &Bound<'_, PyAny>,
    ) -> Called {
        let (py, network) = (client.py(), self.client.config().network);
        let mut called = Called::default();
        for handler in &handlers.all {
            if let Some((field, index)) = handler.subject.field_in(network, about, document) {
                let acknowledgement = message.receipt.into();
                let first = || field_to_py(py, network, field, about, document, index, acknowledgement);
                called = called.and(self.call(handlers, client, |one| std::ptr::eq(one, handler), first));
            }
        }
        called
    }

    /// Call the callbacks that a step of the client's life is for.
    fn deliver_step<'py>(&self, delivery: Delivery<Infallible>, handlers: &Handlers, client: &Bound<'py, PyAny>) {
        let py = client.py();
        let tell = |subject: Subject, first: &dyn Fn() -> PyResult<Bound<'py, PyAny>>| {
            self.call(handlers, client, |handler| handler.subject == subject, first);
        };
        let boolean = |value: bool| move || Ok(PyBool::new(py, value).to_owned().into_any());
        match delivery {
            Delivery::Connected { .. } => tell(Subject::Connect, &boolean(true)),
            Delivery::Refused { .. } => tell(Subject::Connect, &boolean(false)),
            Delivery::Lost(_) => tell(Subject::Close, &boolean(false)),
            // Of a connection that was lost before, its end has been told.
            Delivery::Closed { online } if online => tell(Subject::Close, &boolean(true)),
            Delivery::Sent(mid) => tell(Subject::Downlink, &|| Ok(mid.into_pyobject(py)?.into_any())),
            Delivery::Rejected { topic, reason, .. } => {
                self.tell_error(py, handlers, &to_py(py, &Error::Rejected { topic, reason }), client);
            }
            Delivery::Problem(error) => self.tell_error(py, handlers, &to_py(py, &error), client),
            Delivery::Closed { .. }
            | Delivery::Failed(_)
            | Delivery::Replaced
            | Delivery::Message(_)
            | Delivery::Unread(_) => {}
            Delivery::Own(never) => match never {},
        }
    }
}

impl Serve for Served {
    type Platform = Application;
    type Turn = Turn;

    fn line(&self) -> &Client {
        &self.client
    }

    fn owner(&self) -> &Owner<Application> {
        &self.owner
    }

    fn subject(&self) -> Option<String> {
        let config = self.client.config();
        config.group.is_none().then(|| format!("application '{}'", config.app_id))
    }

    fn begin(&self) -> Turn {
        Turn { version: self.version(), handlers: self.handlers(), delivered: 0, unheard: 0, teller: OnceCell::new() }
    }

    fn deliver(&self, turn: &mut Turn, delivery: Delivery<Infallible>, client: &Bound<'_, PyAny>) -> bool {
        if turn.version != self.version() {
            turn.version = self.version();
            turn.handlers = self.handlers();
        }
        let py = client.py();
        let failed = |error: PyErr| error.write_unraisable(py, None);
        let look = || {
            self.watch.teller(py).unwrap_or_else(|error| {
                failed(error);
                None
            })
        };
        if let Some(teller) = turn.teller.get_or_init(look) {
            teller.tell_of(py, self.client.config().app_id.as_str(), &delivery).unwrap_or_else(failed);
        }
        let Delivery::Message(message) = &delivery else {
            self.deliver_step(delivery, &turn.handlers, client);
            return true;
        };
        let called = self.deliver_message(message, &turn.handlers, client);
        if let Some(receipt) = message.receipt {
            if !called.any && !turn.handlers.listens() {
                // Nobody has had the chance to listen yet: it stays unacknowledged until somebody does.
                self.park(delivery);
                return false;
            }
            let why = if called.failed { self.failure.lock().take() } else { None };
            self.acknowledging.settle(&self.client, receipt, called.any, called.failed, why);
        }
        turn.delivered += u64::from(called.any);
        turn.unheard += u64::from(!called.any);
        true
    }

    fn end(&self, turn: Turn) {
        self.client.count(turn.delivered, turn.unheard);
    }
}
