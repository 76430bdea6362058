//! How a client's methods send: waiting for what a send must wait for, or leaving that to whoever awaits it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::deliver::Shared;
use super::logger;
use super::publish_info::{Later, PATIENCE, PyPublishInfo};
use super::telemetry::Cut;
use crate::client::thingsboard::{Sent, Traffic};
use crate::dialect::thingsboard::PublishCode;
use crate::py::prepared::Face;
use crate::py::runtime;
use crate::session::QoS;

/// A client as its methods reach it.
#[derive(Clone)]
pub(super) struct Reach {
    shared: Arc<Shared>,
    face: Face,
}

impl Deref for Reach {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Reach {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, face: Face::default() }
    }

    /// The same client, whose sends are awaited.
    pub(super) fn awaited(&self) -> Self {
        Self { shared: self.shared.clone(), face: Face::Asyncio }
    }

    /// Whether this is a second view of a client, which does not own its callbacks.
    pub(super) fn is_awaited(&self) -> bool {
        self.face == Face::Asyncio
    }

    /// Send parts of a message; waits for what `Client` says it must, open to Ctrl-C, or has it awaited.
    pub(super) fn publish(
        &self,
        py: Python<'_>,
        topic: &str,
        qos: QoS,
        traffic: Traffic,
        cut: impl Into<Cut>,
        timeout: Option<Duration>,
    ) -> PyResult<PyPublishInfo> {
        let patience = timeout.unwrap_or(PATIENCE);
        let Cut { parts, refused } = cut.into();
        let largest = parts.iter().map(|(payload, _)| payload.len()).max().unwrap_or(0);
        let sending = self.client.sending(topic.to_owned(), qos, traffic, parts).lacking(refused);
        let sent = self.owner.process().and_then(|process| match sending.start(&self.client) {
            Ok(sent) => Ok(Ok(sent)),
            Err(sending) if self.is_awaited() => Ok(Err(sending)),
            Err(sending) => process.wait(py, sending.finish(self.client.clone(), timeout)).map(Ok),
        });
        let told = || Told { topic: topic.to_owned(), largest, is_known: refused.is_some() };
        if let Ok(Ok(sent)) = &sent
            && sent.refused.is_some()
        {
            self.tell_unsent(py, &told(), sent);
        }
        // The last words of a `__del__` when the program has ended, of which nothing is told.
        let unsaid = Sent { tickets: Vec::new(), refused: Some(PublishCode::NoConn) };
        match runtime::parted(py, sent, Ok(unsaid))? {
            Ok(sent) => Ok(PyPublishInfo::new(self.client.clone(), sent, patience)),
            Err(sending) => {
                let later = Later { shared: self.shared.clone(), sending, timeout, told: told(), request: None };
                Ok(PyPublishInfo::later(self.client.clone(), later, patience))
            }
        }
    }
}

/// What is said of a send that did not come about.
pub(super) struct Told {
    topic: String,
    largest: usize,
    /// That something of it is missing was said before.
    is_known: bool,
}

impl Shared {
    /// Say why something of it was not sent.
    pub(super) fn tell_unsent(&self, py: Python<'_>, told: &Told, sent: &Sent) {
        let Some(code) = sent.refused.filter(|_| !told.is_known) else { return };
        let Told { topic, largest, .. } = told;
        let limit = self.client.outbox().limits().largest_payload(topic).filter(|_| code == PublishCode::PayloadSize);
        let limit = limit.map_or_else(String::new, |limit| format!(", which is {limit} bytes"));
        let why = code.why_unsent();
        logger::log(py, "error", &format!("a message of {largest} bytes to {topic:?} is not sent: {why}{limit}"));
    }
}
