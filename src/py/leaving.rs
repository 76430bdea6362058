//! How threads come back from waits when the interpreter goes: not any more.
//!
//! A daemon thread that comes back for the interpreter lock while the interpreter is being torn down is ended where it
//! stands, in the middle of Rust, or reads memory that is gone, until the process's last destructor has run. So
//! once [`close`] has been called, waits end in one that ends with the process, on every thread but the one that exits. The
//! same holds for Python code that Rust calls: it takes the lock again and again.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::forked::Forked;

/// How often a thread that is kept looks whether the interpreter is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How long threads are kept while the interpreter stays: a later handler of `atexit` may wait for one.
const STAY: Duration = Duration::from_secs(5);
/// How long [`close`] waits for threads that are in between.
const OUT: Duration = Duration::from_secs(2);

/// Whether threads are kept. Looked at after each wait, hence beside the lock.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// Threads that have ended their wait and may not have the interpreter lock yet, and those that run Python code from Rust,
/// which lets the lock go and takes it at any time.
static BETWEEN: AtomicUsize = AtomicUsize::new(0);
/// The thread that exits.
static EXITING: Forked<Option<ThreadId>> = Forked::new(None, None);

thread_local! {
    /// Whether this thread runs Python code from Rust, and is counted for it. That code may call Rust again.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Do something without the interpreter lock.
#[expect(clippy::disallowed_methods, reason = "this is what stands for it everywhere else")]
pub(super) fn detach<T: Send>(py: Python<'_>, wait: impl FnOnce() -> T + Send) -> T {
    // Who waits is not in between, whatever has called it.
    let within = WITHIN.replace(false);
    if within {
        count_out();
    }
    let (outcome, counted) = py.detach(|| {
        let outcome = wait();
        (outcome, Counted::new(stay))
    });
    if within {
        WITHIN.set(true);
        // Counted for the code that it returns to.
        std::mem::forget(counted);
    }
    outcome
}

/// Run Python code from Rust: what a program has written, or a module of Python.
pub(super) fn within<T>(py: Python<'_>, run: impl FnOnce() -> T) -> T {
    struct Until;
    impl Drop for Until {
        fn drop(&mut self) {
            WITHIN.set(false);
        }
    }
    if WITHIN.get() {
        return run();
    }
    #[expect(clippy::disallowed_methods, reason = "it never comes back, or while the interpreter stays")]
    let _counted = Counted::new(|| py.detach(stay));
    WITHIN.set(true);
    let _until = Until;
    run()
}

fn count_out() {
    // A forked child begins anew, in the middle of whatever it was forked in.
    let _none_left = BETWEEN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
}

/// A thread that must not meet the interpreter's end.
struct Counted(());

impl Counted {
    /// Be counted, and then look: [`close`] does the same in the other order, so that one of both sees the other.
    fn new(stay: impl FnOnce()) -> Self {
        let counted = Self(());
        BETWEEN.fetch_add(1, Ordering::SeqCst);
        if CLOSED.load(Ordering::SeqCst) && *EXITING.lock() != Some(std::thread::current().id()) {
            count_out();
            stay();
            BETWEEN.fetch_add(1, Ordering::SeqCst);
        }
        counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        count_out();
    }
}

/// Stay until the process has ended, or until it is clear that the interpreter waits for something.
fn stay() {
    let until = Instant::now() + STAY;
    while is_there() {
        if Instant::now() >= until {
            return;
        }
        std::thread::sleep(LOOK);
    }
    loop {
        std::thread::park();
    }
}

#[allow(
    unsafe_code,
    reason = "reads one number, which the interpreter allows any thread at any time; pyo3 has no safe way"
)]
fn is_there() -> bool {
    (unsafe { pyo3::ffi::Py_IsInitialized() }) != 0
}

/// From now on no thread but this one comes back or runs Python code from Rust. Those that are about to do so end it first.
#[expect(clippy::disallowed_methods, reason = "the thread that exits comes back")]
pub(super) fn close(py: Python<'_>) {
    *EXITING.lock() = Some(std::thread::current().id());
    CLOSED.store(true, Ordering::SeqCst);
    let until = Instant::now() + OUT;
    py.detach(|| {
        while BETWEEN.load(Ordering::SeqCst) != 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// In a forked child, whose only thread has the interpreter lock.
pub(super) fn after_fork() {
    CLOSED.store(false, Ordering::SeqCst);
    BETWEEN.store(0, Ordering::SeqCst);
    EXITING.after_fork(|thread| *thread = None);
}
