//! Sends that are awaited: `TBPublishInfo` in programs of asyncio.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::{PyPublishInfo, SLICE, Source, known, outcome};
use crate::client::thingsboard::{Client, Request, Sending, Unanswered};
use crate::dialect::thingsboard::PublishCode;
use crate::py::prepared::Prepared;
use crate::py::runtime;
use crate::py::thingsboard::deliver::Shared;
use crate::py::thingsboard::reach::Told;
use crate::session::Ticket;
use crate::sync::Mutex;

/// A send that must wait for something.
pub(in crate::py::thingsboard) struct Later {
    pub(in crate::py::thingsboard) shared: Arc<Shared>,
    pub(in crate::py::thingsboard) sending: Sending,
    pub(in crate::py::thingsboard) timeout: Option<Duration>,
    pub(in crate::py::thingsboard) told: Told,
    /// The request that it makes, whose answer somebody waits for.
    pub(in crate::py::thingsboard) request: Option<Request>,
}

/// Wait for tickets; as [`super::wait`].
async fn settled(client: &Client, tickets: &[Arc<Ticket>], until: Instant) -> bool {
    for ticket in tickets {
        loop {
            // Before looking, so that nothing is missed.
            let progress = client.outbox().room();
            if ticket.outcome().is_some() {
                break;
            }
            if Instant::now() >= until || client.is_refused() || !client.is_open() {
                return false;
            }
            let slice = until.min(Instant::now() + SLICE);
            tokio::select! {
                () = progress => {}
                () = tokio::time::sleep_until(slice.into()) => {}
            }
        }
    }
    true
}

impl PyPublishInfo {
    /// Of a send that begins when it is awaited.
    pub(in crate::py::thingsboard) fn later(client: Client, later: Later, patience: Duration) -> Self {
        let later = Mutex::new(Some(Box::new(later)));
        Self { source: Source::Ours { client, sent: OnceLock::new(), patience, later } }
    }

    /// It makes this request. Gives why something of it was not sent, if that is known already.
    pub(in crate::py::thingsboard) fn asks(&self, request: Request) -> Option<PublishCode> {
        let Source::Ours { sent, later, .. } = &self.source else { return None };
        if let Some(later) = later.lock().as_mut() {
            later.request = Some(request);
        }
        sent.get().and_then(|sent| sent.refused)
    }

    /// Send what was left to be sent, and wait for all messages.
    fn prepared(slf: &Bound<'_, Self>) -> PyResult<Prepared<i64>> {
        let Source::Ours { client, sent, patience, later } = &slf.get().source else {
            let text = "only what a client of thingslink has sent can be awaited: it stands for another one's messages";
            return Err(PyTypeError::new_err(text));
        };
        let (client, patience, this) = (client.clone(), *patience, slf.clone().unbind());
        let later = later.lock().take();
        let Some(later) = later else {
            let sent = known(sent);
            if sent.tickets.iter().all(|ticket| ticket.outcome().is_some()) {
                return Ok(Prepared::Ready(outcome(&client, sent, true)));
            }
            let tickets = sent.tickets.clone();
            let (until, watched) = (Instant::now() + patience, client.clone());
            let settled = async move { settled(&watched, &tickets, until).await };
            return Ok(Prepared::new(runtime::process()?, settled, move |_, settled| match &this.get().source {
                Source::Ours { sent, .. } => Ok(outcome(&client, known(sent), settled)),
                Source::Given(_) => Ok(0),
            }));
        };
        let Later { shared, sending, timeout, told, request } = *later;
        let sender = client.clone();
        let all = async move {
            let sent = sending.finish(sender.clone(), timeout).await;
            let settled = settled(&sender, &sent.tickets, Instant::now() + patience).await;
            (sent, settled)
        };
        Ok(Prepared::new(runtime::process()?, all, move |py, (all, settled)| {
            shared.tell_unsent(py, &told, &all);
            if let (Some(request), Some(code)) = (request, all.refused) {
                client.give_up(Unanswered { request, unsent: Some(code) });
            }
            let code = outcome(&client, &all, settled);
            if let Source::Ours { sent, .. } = &this.get().source {
                // Nobody else has taken what was left.
                let _known = sent.set(all);
            }
            Ok(code)
        }))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyPublishInfo {
    /// ``await`` gives what ``get`` does, and holds no thread up meanwhile.
    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::prepared(slf)?.future(slf.py())?.call_method0("__await__")
    }
}
