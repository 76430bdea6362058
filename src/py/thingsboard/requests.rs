//! Requests that wait for their answers, and what their callbacks are given.

use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyConnectionError, PyValueError};
use pyo3::prelude::*;

use super::callback::Callback;
use super::deliver::Shared;
use super::exceptions::TBTimeoutException;
use super::publish_info::PyPublishInfo;
use super::reach::Reach;
use super::registry::{Pending, Timer};
use crate::client::thingsboard::{Request, Traffic, Unanswered};
use crate::dialect::thingsboard::PublishCode;
use crate::session::QoS;

impl Shared {
    /// Have a request's callback called after `patience`, if nothing answers before.
    pub(super) fn await_answer(
        &self,
        request: Request,
        callback: Callback,
        patience: Option<Duration>,
    ) -> PyResult<()> {
        let timer = patience.map(|patience| self.timer(request, patience)).transpose()?;
        let pending = Pending { callback, _timer: timer };
        let mut registry = self.registry.lock();
        let replaced = match request {
            Request::Attributes(number) => registry.attribute_requests.insert(number, pending),
            Request::Call(number) => registry.calls.insert(number, pending),
            Request::Piece => None,
        };
        drop(registry);
        // Dropped outside the lock: this may run Python code.
        drop(replaced);
        Ok(())
    }

    fn timer(&self, request: Request, patience: Duration) -> PyResult<Timer> {
        let task = self.owner.process()?.handle.spawn(self.client.clone().expire(request, patience));
        Ok(Timer(task.abort_handle()))
    }

    /// Tell after `patience` that a piece of a package has not come; what was said before holds no longer.
    pub(super) fn await_piece(&self, patience: Duration) -> PyResult<()> {
        let timer = self.timer(Request::Piece, patience)?;
        self.registry.lock().piece = Some(timer);
        Ok(())
    }

    /// Take a request that waits.
    pub(super) fn take(&self, request: Request) -> Option<Pending> {
        let mut registry = self.registry.lock();
        match request {
            Request::Attributes(number) => registry.attribute_requests.remove(&number),
            Request::Call(number) => registry.calls.remove(&number),
            Request::Piece => None,
        }
    }

    /// Nobody waits any more for what this callback was to get.
    pub(super) fn forget(&self, callback: &Bound<'_, PyAny>) {
        let is_its = |pending: &mut Pending| pending.callback.callable.function.is(callback);
        let mut registry = self.registry.lock();
        let requests: Vec<_> = registry.attribute_requests.extract_if(|_, pending| is_its(pending)).collect();
        let calls: Vec<_> = registry.calls.extract_if(|_, pending| is_its(pending)).collect();
        drop(registry);
        // Dropped outside the lock: this may run Python code.
        drop((requests, calls));
    }

    /// An attribute callback takes the message alone, with an exception, or with the client in front.
    pub(super) fn call_attributes(
        &self,
        client: &Bound<'_, PyAny>,
        callback: &Callback,
        content: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
    ) {
        let mut arguments = vec![content.clone(), exception.clone()];
        match callback.count {
            1 => drop(arguments.pop()),
            3 => arguments.insert(0, client.clone()),
            _ => {}
        }
        self.call(client, callback, arguments);
    }

    pub(super) fn call_reply(
        &self,
        client: &Bound<'_, PyAny>,
        callback: &Callback,
        number: u64,
        content: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let number = number.into_pyobject(client.py())?.into_any();
        let mut arguments = vec![number, content.clone(), exception.clone()];
        if callback.count == 4 {
            arguments.insert(0, client.clone());
        }
        self.call(client, callback, arguments);
        Ok(())
    }

    /// Give up all calls to the server, whose answers went to a connection that is no more.
    pub(super) fn fail_calls(&self, client: &Bound<'_, PyAny>, reason: &str) -> PyResult<()> {
        let py = client.py();
        let calls: Vec<_> = self.registry.lock().calls.drain().collect();
        for (number, pending) in calls {
            let exception = PyConnectionError::new_err(format!("no answer to the call {number}: {reason}"));
            let exception = exception.value(py).clone().into_any();
            self.call_reply(client, &pending.callback, number, &py.None().into_bound(py), &exception)?;
        }
        Ok(())
    }

    pub(super) fn unanswered(&self, client: &Bound<'_, PyAny>, unanswered: Unanswered) -> PyResult<()> {
        let py = client.py();
        let Unanswered { request, unsent } = unanswered;
        if request == Request::Piece {
            client.call_method0("_hear_piece_missing")?;
            return Ok(());
        }
        let Some(pending) = self.take(request) else { return Ok(()) };
        let none = py.None().into_bound(py);
        let exception = |late: String| {
            let error = unsent.map_or_else(|| TBTimeoutException::new_err(late), unsent_error);
            error.value(py).clone().into_any()
        };
        match request {
            Request::Attributes(_) => {
                let late = "Timeout while waiting for a reply for attribute request from ThingsBoard!".to_owned();
                self.call_attributes(client, &pending.callback, &none, &exception(late));
            }
            Request::Call(number) => {
                let late = format!("Timeout while waiting for a reply to the RPC call {number} from ThingsBoard!");
                self.call_reply(client, &pending.callback, number, &none, &exception(late))?;
            }
            Request::Piece => {}
        }
        Ok(())
    }
}

impl Reach {
    /// Send a request whose answer `callback` gets, and not later than `patience` why there is none.
    pub(super) fn ask(
        &self,
        py: Python<'_>,
        request: Request,
        callback: Option<Callback>,
        asking: Asking<'_>,
    ) -> PyResult<PyPublishInfo> {
        let awaited = callback.is_some();
        if let Some(callback) = callback {
            self.await_answer(request, callback, asking.patience)?;
        }
        let info = self.publish(py, asking.topic, asking.qos, asking.traffic, vec![(asking.body, 0)], asking.timeout);
        match info.as_ref().map(|info| if awaited { info.asks(request) } else { None }) {
            Err(_) => drop(self.take(request)),
            Ok(Some(code)) => self.client.give_up(Unanswered { request, unsent: Some(code) }),
            Ok(None) => {}
        }
        info
    }
}

/// How a request is sent.
pub(super) struct Asking<'a> {
    pub(super) topic: &'a str,
    pub(super) qos: QoS,
    pub(super) traffic: Traffic,
    pub(super) body: Bytes,
    /// How long the answer is waited for.
    pub(super) patience: Option<Duration>,
    /// How long the way out is waited for.
    pub(super) timeout: Option<Duration>,
}

fn unsent_error(code: PublishCode) -> PyErr {
    let text = format!("the request was not sent: {}", code.why_unsent());
    match code {
        PublishCode::Auth | PublishCode::NoConn => PyConnectionError::new_err(text),
        PublishCode::PayloadSize => PyValueError::new_err(text),
        _ => TBTimeoutException::new_err(text),
    }
}
