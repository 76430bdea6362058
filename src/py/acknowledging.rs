//! What becomes of a message at QoS 1 beside what its callbacks do.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::client::{Line, Platform};
use crate::session::{QoS, Receipt};

/// How a client acknowledges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledging {
    /// The program acknowledges by itself.
    pub(super) manual: bool,
    /// A message whose callback raised an exception is not acknowledged.
    pub(super) keeps_failed: bool,
}

impl Acknowledging {
    /// What the keywords `manual_ack` and `on_callback_error` say of a client that listens at `qos`, as the keyword
    /// `quality` says.
    pub(super) fn new(qos: QoS, quality: &str, manual: bool, on_callback_error: &str) -> PyResult<Self> {
        let keeps_failed = match on_callback_error {
            "acknowledge" => false,
            "keep" => true,
            other => {
                return Err(PyValueError::new_err(format!(
                    "on_callback_error {other:?} is not valid: expected \"acknowledge\" or \"keep\""
                )));
            }
        };
        if qos == QoS::AtMostOnce {
            let given = if manual { "manual_ack True" } else { "on_callback_error \"keep\"" };
            if manual || keeps_failed {
                let text =
                    format!("{given} is not valid: expected {quality}=1, since at QoS 0 nothing is acknowledged");
                return Err(PyValueError::new_err(text));
            }
        }
        Ok(Self { manual, keeps_failed })
    }

    /// The callbacks of a message are done: `heard` if there was one, `failed` if one of them raised, and `why`. Tells
    /// whether the message was left with the server because of that.
    pub(super) fn settle<P: Platform>(
        self,
        line: &Line<P>,
        receipt: Receipt,
        heard: bool,
        failed: bool,
        why: Option<String>,
    ) -> bool {
        let keeps = failed && self.keeps_failed;
        if keeps {
            line.keep(receipt, why);
        } else if !(heard && self.manual) {
            line.acknowledge(receipt);
        }
        keeps
    }
}

/// An exception with its traceback, as a log has it.
pub(super) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = py.import("traceback").and_then(|module| module.call_method1("format_exception", (error.value(py),)));
    let text = lines.and_then(|lines| lines.extract::<Vec<String>>()).map(|lines| lines.concat());
    text.unwrap_or_else(|_| error.to_string())
}

/// Something that can be acknowledged by itself.
pub(super) trait Acknowledge: Send + Sync {
    /// It has been dealt with.
    fn acknowledge(&self);
}

/// What a message is acknowledged with; nothing if it came at QoS 0.
#[derive(Clone)]
pub(super) enum Acknowledgement {
    /// By the client that called back with it.
    Client(Option<Receipt>),
    /// By itself.
    Stream(Option<Arc<dyn Acknowledge>>),
}

impl Acknowledgement {
    /// What the client acknowledges it with.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        match self {
            Self::Client(receipt) => *receipt,
            Self::Stream(_) => None,
        }
    }

    /// What `ack()` of a message does.
    pub(super) fn acknowledge(&self) -> PyResult<()> {
        match self {
            Self::Client(_) => {
                let text =
                    "ack() is for messages of a stream of thingslink.aio: give this one to the ack() of its client";
                Err(PyValueError::new_err(text))
            }
            Self::Stream(by) => {
                if let Some(by) = by {
                    by.acknowledge();
                }
                Ok(())
            }
        }
    }
}

impl Default for Acknowledgement {
    fn default() -> Self {
        Self::Client(None)
    }
}

impl From<Option<Receipt>> for Acknowledgement {
    fn from(receipt: Option<Receipt>) -> Self {
        Self::Client(receipt)
    }
}
