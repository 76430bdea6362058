//! How threads come back from waits when the interpreter goes: not any more.
//!
//! A daemon thread that comes back for the interpreter lock while the interpreter is being torn down is ended where it
//! stands, in the middle of Rust, or reads memory that is gone, until the process's last destructor has run. The same
//! holds for one that has just let the lock go. So once [`close`] has been called, waits end in one that ends with the
//! process, on every thread but the one that exits; so does what begins then. The same holds for Python code that Rust
//! calls: it takes the lock again and again. No thread hears of the exit by an exception: to print it takes the lock dozens
//! of times, in the interpreter's last moments.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::forked::Forked;

/// How often a thread that is kept looks whether the interpreter is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How long threads are kept while the interpreter stays when all is closed: a later handler of `atexit` may wait for one.
const STAY: Duration = Duration::from_secs(5);
/// How long [`close`] waits for threads that are in between.
const OUT: Duration = Duration::from_secs(2);
/// How long it waits for threads that are about to call again, as far as anybody knows.
const REST: Duration = Duration::from_millis(50);

/// Whether the exit has begun.
static BEGUN: AtomicBool = AtomicBool::new(false);
/// Whether threads are kept. Looked at after each wait, hence beside the lock.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// Whether there is nothing left to close.
static SETTLED: AtomicBool = AtomicBool::new(false);
/// Threads that are about to let the interpreter lock go for a wait, that have ended it and may not have the lock yet, and
/// those that run Python code from Rust, which lets the lock go and takes it at any time.
static BETWEEN: AtomicUsize = AtomicUsize::new(0);
/// Threads that have waited here and do not now.
static AWAKE: AtomicUsize = AtomicUsize::new(0);
/// The thread that exits.
static EXITING: Forked<Option<ThreadId>> = Forked::new(None, None);

thread_local! {
    /// Whether this thread runs Python code from Rust, and is counted for it. That code may call Rust again.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    /// Whether the exit waits for this thread's end.
    static JOINED: Cell<bool> = const { Cell::new(false) };
    /// Counts this thread among those awake, from its first wait until its end.
    static KNOWN: Known = Known::new();
}

struct Known;

impl Known {
    fn new() -> Self {
        AWAKE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        count_out(&AWAKE);
    }
}

/// Do something without the interpreter lock.
#[expect(clippy::disallowed_methods, reason = "this is what stands for it everywhere else")]
pub(super) fn detach<T: Send>(py: Python<'_>, wait: impl FnOnce() -> T + Send) -> T {
    // Counted until the lock is let go, as who runs Python code from Rust is already.
    let within = WITHIN.replace(false);
    if !within {
        BETWEEN.fetch_add(1, Ordering::SeqCst);
    }
    // The thread may be in its last moments, after the end of what counts it.
    let known = KNOWN.try_with(|_| ()).is_ok();
    let (outcome, counted) = py.detach(|| {
        // Who waits is not in between, whatever has called it.
        count_out(&BETWEEN);
        if known {
            count_out(&AWAKE);
        }
        let outcome = wait();
        let counted = Counted::new(stay);
        if known {
            AWAKE.fetch_add(1, Ordering::SeqCst);
        }
        (outcome, counted)
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

fn count_out(threads: &AtomicUsize) {
    // A forked child begins anew, in the middle of whatever it was forked in.
    let _none_left = threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
}

/// A thread that must not meet the interpreter's end.
struct Counted(());

impl Counted {
    /// Be counted, and then look: [`close`] does the same in the other order, so that one of both sees the other.
    fn new(stay: impl FnOnce()) -> Self {
        let counted = Self(());
        BETWEEN.fetch_add(1, Ordering::SeqCst);
        if CLOSED.load(Ordering::SeqCst) && !exits() {
            count_out(&BETWEEN);
            stay();
            BETWEEN.fetch_add(1, Ordering::SeqCst);
        }
        counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        count_out(&BETWEEN);
    }
}

/// Whether it is this thread that exits.
fn exits() -> bool {
    *EXITING.lock() == Some(std::thread::current().id())
}

/// Keep the current thread, which has the interpreter lock, if the exit has begun: whatever it has called could not be done
/// any more, and it would be told so in the interpreter's last moments.
pub(super) fn keep() {
    if BEGUN.load(Ordering::Relaxed) && !exits() && (CLOSED.load(Ordering::SeqCst) || !JOINED.get()) {
        #[expect(clippy::disallowed_methods, reason = "it never comes back, or while the interpreter stays")]
        Python::attach(|py| py.detach(stay));
    }
}

/// The exit waits for the end of the current thread, which must not be kept before.
pub(super) fn is_joined() {
    JOINED.set(true);
}

/// Stay until the process has ended, or until it is clear that the interpreter waits for something.
fn stay() {
    let mut until = None;
    while is_there() {
        if SETTLED.load(Ordering::SeqCst) && Instant::now() >= *until.get_or_insert_with(|| Instant::now() + STAY) {
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

/// The exit begins, on this thread.
pub(super) fn begin() {
    *EXITING.lock() = Some(std::thread::current().id());
    BEGUN.store(true, Ordering::SeqCst);
}

/// From now on no thread but this one comes back or runs Python code from Rust. Those that are about to do so end it first;
/// those that call again and again get a moment to do it once more.
#[expect(clippy::disallowed_methods, reason = "the thread that exits comes back")]
pub(super) fn close(py: Python<'_>) {
    CLOSED.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let me = usize::from(KNOWN.try_with(|_| ()).is_ok());
    let waits_for_some = || {
        let passed = begun.elapsed();
        BETWEEN.load(Ordering::SeqCst) != 0 && passed < OUT || AWAKE.load(Ordering::SeqCst) > me && passed < REST
    };
    py.detach(|| {
        while waits_for_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// There is nothing left to close: what keeps the interpreter now is the program's.
pub(super) fn settle() {
    SETTLED.store(true, Ordering::SeqCst);
}

/// In a forked child, whose only thread has the interpreter lock.
pub(super) fn after_fork() {
    for told in [&BEGUN, &CLOSED, &SETTLED] {
        told.store(false, Ordering::SeqCst);
    }
    for threads in [&BETWEEN, &AWAKE] {
        threads.store(0, Ordering::SeqCst);
    }
    EXITING.after_fork(|thread| *thread = None);
}
