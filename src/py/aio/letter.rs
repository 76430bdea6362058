//! A message that streams have taken, until all of them are done with it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use pyo3::prelude::*;

use super::flow::Flow;
use crate::client::Incoming;
use crate::py::acknowledging::Acknowledge;
use crate::sync::Mutex;

/// What became of a message, from the best to the worst: the worst word of a stream counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Fate {
    /// It was dealt with.
    Handled,
    /// The program acknowledges by itself, some time.
    Left,
    /// A handler failed: it stays with the server.
    Kept,
    /// Whoever had it went: it is for the next stream that takes it, and stays with the server until then.
    Abandoned,
}

impl Fate {
    fn of(word: u8) -> Self {
        [Self::Handled, Self::Left, Self::Kept].into_iter().find(|fate| *fate as u8 == word).unwrap_or(Self::Abandoned)
    }
}

/// A message.
pub(super) struct Letter {
    /// Weak: a message that a program keeps does not keep the connection.
    flow: Weak<Flow>,
    pub(super) incoming: Incoming,
    /// Its place in the order in which all came.
    pub(super) serial: u64,
    /// Whether it counts against the mailbox's bound for as long as a stream has it.
    pub(super) counts: bool,
    /// Streams that are not done with it.
    dues: AtomicUsize,
    fate: AtomicU8,
    /// What went wrong, of one that stays with the server.
    pub(super) why: Mutex<Option<String>>,
}

impl Letter {
    pub(super) fn new(flow: &Arc<Flow>, incoming: Incoming, serial: u64, counts: bool) -> Arc<Self> {
        let (flow, fate) = (Arc::downgrade(flow), AtomicU8::new(Fate::Handled as u8));
        Arc::new(Self { flow, incoming, serial, counts, dues: AtomicUsize::new(0), fate, why: Mutex::default() })
    }

    /// For one stream more.
    pub(super) fn share(self: &Arc<Self>) -> Arc<Share> {
        if self.dues.fetch_add(1, Ordering::AcqRel) == 0 {
            self.fate.store(Fate::Handled as u8, Ordering::Release);
        }
        Arc::new(Share { letter: self.clone(), settled: AtomicBool::new(false) })
    }

    /// Bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        self.incoming.size()
    }
}

/// One stream's part in a message.
pub(super) struct Share {
    pub(super) letter: Arc<Letter>,
    settled: AtomicBool,
}

impl Share {
    /// The stream is done with it; only the first word counts.
    pub(super) fn settle(&self, fate: Fate) {
        if self.settled.swap(true, Ordering::AcqRel) {
            return;
        }
        let letter = &self.letter;
        letter.fate.fetch_max(fate as u8, Ordering::AcqRel);
        if letter.dues.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(flow) = letter.flow.upgrade()
        {
            flow.ended(letter, Fate::of(letter.fate.load(Ordering::Acquire)));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.settle(Fate::Abandoned);
    }
}

impl Acknowledge for Share {
    fn acknowledge(&self) {
        if let Some(flow) = self.letter.flow.upgrade().filter(|flow| flow.acknowledging.manual)
            && let Some(receipt) = self.letter.incoming.receipt
        {
            flow.client.acknowledge(receipt);
        }
        self.settle(Fate::Handled);
    }
}

/// A message that whoever took it settles by hand.
#[pyclass(frozen, name = "_Share", module = "thingslink._native")]
pub(in crate::py) struct PyShare(pub(super) Arc<Share>);

#[pymethods(crate = "crate::py::named")]
impl PyShare {
    /// It was handled; ``failed`` if its handler raised an exception, with its traceback. Gives whether it is left with the
    /// server.
    #[pyo3(signature = (failed, why=None))]
    fn settle(&self, failed: bool, why: Option<String>) -> bool {
        if why.is_some() {
            *self.0.letter.why.lock() = why;
        }
        let flow = self.0.letter.flow.upgrade();
        let acknowledging = flow.as_ref().map(|flow| flow.acknowledging);
        let kept = self.0.letter.incoming.receipt.is_some()
            && failed
            && acknowledging.is_some_and(|acknowledging| acknowledging.keeps_failed);
        let fate = match acknowledging {
            _ if kept => Fate::Kept,
            Some(acknowledging) if acknowledging.manual => Fate::Left,
            _ => Fate::Handled,
        };
        if let Some(flow) = flow.filter(|_| failed) {
            flow.client.callback_failed();
        }
        self.0.settle(fate);
        kept
    }

    /// It was not handled: it comes again.
    fn abandon(&self) {
        self.0.settle(Fate::Abandoned);
    }
}
