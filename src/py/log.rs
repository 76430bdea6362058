//! What the core logs, handed to Python's `logging` by the dispatch pool: a log call never waits for the interpreter.

mod kept;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

pub(super) use self::kept::logged;
use super::forked::Forked;
use super::interpreter::Interpreter;
use super::{leaving, runtime};
use crate::pool::Work;

/// Records that may wait. When full, new ones are dropped and counted.
const BOUND: usize = 1000;

/// What waits to be logged by Python.
static WAITING: Forked<State> = Forked::new(State::new(), State::new());

struct State {
    waiting: VecDeque<Entry>,
    dropped: u64,
    /// The pool has been asked already.
    submitted: bool,
}

struct Entry {
    level: u32,
    logger: String,
    text: String,
}

struct Forward;

/// Hands what waits to Python.
struct Forwarding;

/// Take the core's log. Once for the process; a second module in the same process finds it taken.
pub(super) fn install() {
    drop(tracing::subscriber::set_global_default(Forward));
}

/// In a forked child: what waits is the parent's to tell, and so is the pool that has been asked to.
pub(super) fn after_fork() {
    WAITING.after_fork(|state| *state = State::new());
    kept::after_fork();
}

impl State {
    const fn new() -> Self {
        Self { waiting: VecDeque::new(), dropped: 0, submitted: false }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _written = if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            write!(self.0, "{value:?}{rest}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("thingslink")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            _ => 20,
        };
        let mut parts = event.metadata().target().split("::");
        let logger = match (parts.next(), parts.next()) {
            (Some(root), Some(part)) => format!("{root}.{part}"),
            _ => "thingslink".to_owned(),
        };
        kept::keep(level, &logger, &text.0);
        let mut state = WAITING.lock();
        if state.waiting.len() >= BOUND {
            state.dropped += 1;
            return;
        }
        state.waiting.push_back(Entry { level, logger, text: text.0 });
        let submit = !std::mem::replace(&mut state.submitted, true);
        drop(state);
        if submit {
            match runtime::existing() {
                Some(process) => process.pool.submit(Arc::new(Forwarding)),
                // Nothing runs, so nobody is there to tell; the next record tries again.
                None => WAITING.lock().submitted = false,
            }
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Work<Interpreter> for Forwarding {
    fn run(self: Arc<Self>, py: Python<'_>, most: usize, progress: &AtomicU64) -> bool {
        let (records, dropped, more) = {
            let mut state = WAITING.lock();
            let count = state.waiting.len().min(most);
            let records: Vec<_> = state.waiting.drain(..count).collect();
            state.submitted = !state.waiting.is_empty();
            (records, std::mem::take(&mut state.dropped), state.submitted)
        };
        for record in records {
            forward(py, &record);
            progress.fetch_add(1, Ordering::Relaxed);
        }
        if dropped > 0 {
            let text = format!("{dropped} log records dropped");
            forward(py, &Entry { level: 30, logger: "thingslink".to_owned(), text });
        }
        more
    }
}

/// Import `logging` on the caller's thread, before anything happens in the background that may be logged: a fork in the
/// middle of an import by another thread leaves the child with half a module.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    py.import("logging").map(drop)
}

fn forward(py: Python<'_>, record: &Entry) {
    let outcome = leaving::within(py, || {
        let logger = py.import("logging")?.call_method1("getLogger", (&record.logger,))?;
        logger.call_method1("log", (record.level, "%s", &record.text))
    });
    if let Err(error) = outcome {
        // Logging itself is broken: the interpreter's last resort takes it.
        error.write_unraisable(py, None);
    }
}

/// Log an exception of a user's callback, with its traceback.
pub(super) fn exception(py: Python<'_>, text: &str, error: &PyErr) {
    let outcome = leaving::within(py, || {
        let logger = py.import("logging")?.call_method1("getLogger", ("thingslink.ttn",))?;
        let options = pyo3::types::PyDict::new(py);
        options.set_item("exc_info", (error.get_type(py), error.value(py), error.traceback(py)))?;
        logger.call_method("error", (text,), Some(&options))
    });
    if let Err(failure) = outcome {
        failure.write_unraisable(py, None);
    }
}
