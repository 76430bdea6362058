//! The threads that carry deliveries into Python callbacks.
//!
//! They are blocking threads of the tokio runtime that keep their Python thread state for life: a fresh state for each
//! message costs about 10 µs from Python 3.11 on. A client that has deliveries is served by one thread at a time, so
//! its callbacks come in order. The pool grows only while no thread makes progress, that is while callbacks block, and
//! shrinks again. While there is work nobody detaches: getting the interpreter lock back from a busy main thread costs
//! up to 5 ms. More in `docs/dev/dispatch.md`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::runtime::Handle;

/// Deliveries of one client that a thread handles before it looks at other clients.
const BATCH: usize = 256;
/// How long no thread makes progress before another one is started.
const PATIENCE: Duration = Duration::from_millis(10);
/// Deliveries without a pause that make a flood.
const FLOOD: u64 = 64;
/// How long to look for more in a flood.
const LINGER: Duration = Duration::from_micros(100);
/// How long a thread waits for work before it goes, if it is not the last.
const KEEP: Duration = Duration::from_secs(5);
/// How long a callback may take to end after it was interrupted, before it is interrupted again.
const INSIST: Duration = Duration::from_millis(100);

/// Something with deliveries.
pub(super) trait Work: Send + Sync {
    /// Handle at most `most` deliveries; tells whether there may be more. `progress` is to be bumped for each.
    fn run(self: Arc<Self>, py: Python<'_>, most: usize, progress: &AtomicU64) -> bool;
}

/// The pool.
pub(super) struct Pool {
    handle: Handle,
    state: Mutex<State>,
    work: Condvar,
    gone: Condvar,
    progress: AtomicU64,
    /// The state's `stopping`, to be looked at between two deliveries without the lock.
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<dyn Work>>,
    /// Python thread identifiers of all threads.
    threads: Vec<u64>,
    /// Threads that have been started and hold no interpreter lock yet.
    starting: usize,
    /// Threads that wait for work.
    idle: usize,
    /// Whether somebody watches for a lack of progress.
    watched: bool,
    stopping: bool,
}

enum Next {
    Work(Arc<dyn Work>),
    Nothing,
    Leave,
}

impl Pool {
    pub(super) fn new(handle: Handle) -> Arc<Self> {
        Arc::new(Self {
            handle,
            state: Mutex::default(),
            work: Condvar::new(),
            gone: Condvar::new(),
            progress: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Have work done soon. Never blocks, needs no interpreter lock.
    pub(super) fn submit(self: &Arc<Self>, work: Arc<dyn Work>) {
        let mut state = self.state();
        if state.stopping {
            return;
        }
        state.ready.push_back(work);
        if state.threads.is_empty() && state.starting == 0 {
            return self.start_thread(&mut state);
        }
        // Idle threads may have been told of other work and not have woken up yet: they count once each.
        let watch = state.ready.len() > state.idle && !std::mem::replace(&mut state.watched, true);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        if watch {
            self.handle.spawn(self.clone().watch());
        }
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) {
        state.starting += 1;
        let pool = self.clone();
        self.handle.spawn_blocking(move || {
            // "No" when the interpreter is going down: then there is nothing to call either.
            if Python::try_attach(|py| pool.serve(py)).is_none() {
                pool.state().starting -= 1;
                pool.gone.notify_all();
            }
        });
    }

    /// Start threads as long as work waits and nothing moves.
    async fn watch(self: Arc<Self>) {
        let mut before = self.progress.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(PATIENCE).await;
            let now = self.progress.load(Ordering::Relaxed);
            let mut state = self.state();
            if state.ready.is_empty() || state.stopping {
                state.watched = false;
                return;
            }
            // One at a time: a thread that cannot get the interpreter lock shows that more would not help.
            if now == before && state.idle == 0 && state.starting == 0 {
                self.start_thread(&mut state);
            }
            before = now;
        }
    }

    /// A thread's life.
    fn serve(&self, py: Python<'_>) {
        let me = thread_ident(py);
        {
            let mut state = self.state();
            state.starting -= 1;
            state.threads.push(me);
        }
        let mut flooded = false;
        loop {
            let next = match self.take() {
                Next::Nothing if flooded => self.linger(),
                next => next,
            };
            let next = match next {
                Next::Nothing => py.detach(|| self.wait()),
                next => next,
            };
            match next {
                Next::Work(work) => {
                    let before = self.progress.load(Ordering::Relaxed);
                    while work.clone().run(py, BATCH, &self.progress) {
                        let mut state = self.state();
                        if state.stopping || !state.ready.is_empty() {
                            state.ready.push_back(work);
                            break;
                        }
                    }
                    flooded = self.progress.load(Ordering::Relaxed).wrapping_sub(before) >= FLOOD;
                }
                Next::Nothing => flooded = false,
                Next::Leave => break,
            }
        }
        let mut state = self.state();
        state.threads.retain(|thread| *thread != me);
        drop(state);
        self.gone.notify_all();
    }

    /// In the middle of a flood the next messages are microseconds away: look for them a moment longer before giving up
    /// the interpreter lock, which a busy main thread would keep for 5 ms.
    fn linger(&self) -> Next {
        let until = Instant::now() + LINGER;
        loop {
            std::thread::yield_now();
            match self.take() {
                Next::Nothing if Instant::now() < until => {}
                next => return next,
            }
        }
    }

    fn take(&self) -> Next {
        let mut state = self.state();
        if state.stopping {
            return Next::Leave;
        }
        state.ready.pop_front().map_or(Next::Nothing, Next::Work)
    }

    /// Wait for work, without the interpreter lock. One thread stays for ever, so that the next message finds it.
    fn wait(&self) -> Next {
        let mut state = self.state();
        state.idle += 1;
        let (mut state, timeout) = self
            .work
            .wait_timeout_while(state, KEEP, |state| state.ready.is_empty() && !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        if state.stopping || (timeout.timed_out() && state.threads.len() > 1 && state.ready.is_empty()) {
            return Next::Leave;
        }
        state.ready.pop_front().map_or(Next::Nothing, Next::Work)
    }

    /// Begin no more work, nor another delivery of the work under way.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        self.stopping.store(true, Ordering::Release);
        drop(state);
        self.work.notify_all();
    }

    /// Whether the interpreter is exiting.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Wait until all threads are gone; tells whether they are. Must be called without the interpreter lock.
    pub(super) fn wait_stopped(&self, until: Instant) -> bool {
        let state = self.state();
        let left = until.saturating_duration_since(Instant::now());
        let busy = |state: &mut State| !state.threads.is_empty() || state.starting > 0;
        let (state, timeout) = self.gone.wait_timeout_while(state, left, busy).unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !timeout.timed_out()
    }

    /// Raise `SystemExit` in every thread that is still in a callback, again and again since the callback may catch it;
    /// tells whether all threads are gone.
    pub(super) fn interrupt(&self, py: Python<'_>, until: Instant) -> PyResult<bool> {
        let raise = py.import("ctypes")?.getattr("pythonapi")?.getattr("PyThreadState_SetAsyncExc")?;
        let ulong = py.import("ctypes")?.getattr("c_ulong")?;
        let exception =
            py.import("ctypes")?.getattr("py_object")?.call1((py.get_type::<pyo3::exceptions::PySystemExit>(),))?;
        loop {
            let threads = self.state().threads.clone();
            for thread in threads {
                raise.call1((ulong.call1((thread,))?, &exception))?;
            }
            let soon = Instant::now() + INSIST;
            if py.detach(|| self.wait_stopped(soon.min(until))) {
                return Ok(true);
            }
            if soon >= until {
                return Ok(false);
            }
        }
    }
}

/// The identifier that Python knows the current thread by.
pub(super) fn thread_ident(py: Python<'_>) -> u64 {
    // Cannot fail in a working interpreter; 0 is no thread's identifier.
    py.import("_thread")
        .and_then(|module| module.call_method0("get_ident"))
        .and_then(|ident| ident.extract())
        .unwrap_or(0)
}
