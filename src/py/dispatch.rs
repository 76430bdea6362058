//! The threads that drive the network and carry deliveries into Python callbacks.
//!
//! One thread at a time leads: it drives the tokio runtime while it waits for work. When work comes it lets go of the lead
//! and handles the work itself, so that a message in quiet times is read, decoded and handed to its callback by one
//! thread and waits for no second one to wake up. Soon it is back in the lead; if it is not back in time, an alarm wakes a
//! thread that stands by and leads from then on. In a flood the leader stays with the network and calls that thread for the
//! work. While a thread is at work, more work waits for it; the leader takes some only when nothing moves, that is while
//! callbacks block. So the pool grows and shrinks again, and the network always has a thread.
//!
//! Each thread keeps its Python thread state for life: a fresh state for each message costs about 10 µs from Python 3.11
//! on. A client that has deliveries is served by one thread at a time, so its callbacks come in order. While there is
//! work nobody detaches: getting the interpreter lock back from a busy main thread costs up to 5 ms. More in
//! `docs/dev/dispatch.md`.

use crate::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;

use super::alarm::Alarm;

/// Deliveries of one client that a thread handles before it looks at other clients.
const BATCH: usize = 256;
/// How long nothing moves before another thread takes work.
const PATIENCE: Duration = Duration::from_millis(10);
/// Deliveries without a pause that make a flood.
const FLOOD: u64 = 64;
/// How long to look for more in a flood.
const LINGER: Duration = Duration::from_micros(100);
/// How long the network may be without a thread while a callback runs.
const RELIEF: Duration = Duration::from_micros(200);
/// How long a thread waits for its turn before it goes.
const KEEP: Duration = Duration::from_secs(5);
/// Threads that there may be; each one above the first two is in a callback that blocks.
const MANY: usize = 4096;
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
    /// Tells the leader of work that it may take.
    due: Notify,
    /// Wakes the thread that stands by when the leader does not come back in time.
    alarm: Alarm,
    /// Tells a spare thread that it is needed.
    needed: Condvar,
    gone: Condvar,
    progress: AtomicU64,
    /// Whether the work done last was a flood.
    flooded: AtomicBool,
    /// The state's `stopping`, to be looked at between two deliveries without the lock.
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<dyn Work>>,
    /// All threads, those that are starting included.
    threads: usize,
    /// Python's identifiers of the threads that have handled work.
    idents: Vec<u64>,
    /// Whether a thread leads.
    led: bool,
    standby: Standby,
    /// When the lead was let go last.
    let_go: Option<Instant>,
    /// Whether that came soon after the time before.
    hurried: bool,
    /// Threads that wait until they are needed.
    spare: usize,
    /// Threads that handle work.
    active: usize,
    /// Of these, those that do not have the interpreter lock yet.
    entering: usize,
    watch: Watch,
    stopping: bool,
}

/// The thread that stands by.
#[derive(Default, PartialEq)]
enum Standby {
    #[default]
    Nobody,
    Asleep,
    /// The alarm is set.
    Alarmed,
    /// It is to take work, and on its way.
    Called,
}

/// Whether somebody watches for a lack of progress.
#[derive(Default, PartialEq)]
enum Watch {
    #[default]
    Nobody,
    Watching,
    /// Nothing moves: the leader may take work although others are active.
    Stuck,
}

impl State {
    /// Whether the leader may take what is ready.
    fn is_due(&self) -> bool {
        let free = self.active == 0 && self.standby != Standby::Called;
        !self.stopping && !self.ready.is_empty() && (free || self.watch == Watch::Stuck)
    }

    /// Whether a thread stands by that nobody has called yet.
    fn sleeps(&self) -> bool {
        matches!(self.standby, Standby::Asleep | Standby::Alarmed)
    }

    /// The work that is next, for a thread that is active from now on.
    fn begin(&mut self) -> Option<Arc<dyn Work>> {
        let work = self.ready.pop_front()?;
        if self.watch == Watch::Stuck {
            self.watch = Watch::Watching;
        }
        self.active += 1;
        self.entering += 1;
        Some(work)
    }

    /// Whether work waits for active threads and nobody watches them: from now on somebody does.
    fn begins_watch(&mut self) -> bool {
        let begins = !self.ready.is_empty() && self.active > 0 && self.watch == Watch::Nobody;
        if begins {
            self.watch = Watch::Watching;
        }
        begins
    }

    /// Whether the leader has nothing more to drive: nobody is in a callback that may wait for the network.
    fn is_over(&self) -> bool {
        self.stopping && self.active == 0
    }
}

impl Pool {
    /// A pool whose threads drive `runtime`, which must be of tokio's current-thread kind.
    pub(super) fn start(runtime: &Arc<Runtime>) -> std::io::Result<Arc<Self>> {
        let pool = Arc::new(Self {
            handle: runtime.handle().clone(),
            state: Mutex::default(),
            due: Notify::new(),
            alarm: Alarm::new()?,
            needed: Condvar::new(),
            gone: Condvar::new(),
            progress: AtomicU64::new(0),
            flooded: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        pool.start_thread(&mut pool.state(), runtime)?;
        Ok(pool)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Have work done soon. Never blocks, needs no interpreter lock.
    pub(super) fn submit(self: &Arc<Self>, work: Arc<dyn Work>) {
        let mut state = self.state();
        if state.stopping {
            return;
        }
        state.ready.push_back(work);
        let mut outcome = Ok(());
        let free = state.led && state.active == 0 && state.sleeps();
        if free && self.flooded.load(Ordering::Relaxed) {
            // In a flood the leader goes on with the network, and the other thread with the callbacks.
            outcome = self.alarm.set(Duration::ZERO);
            state.standby = if outcome.is_ok() { Standby::Called } else { Standby::Asleep };
        }
        let due = state.is_due();
        let watch = state.begins_watch();
        drop(state);
        report(outcome);
        if due {
            self.due.notify_one();
        }
        if watch {
            self.handle.spawn(self.clone().watch());
        }
    }

    /// Let the leader take work as long as some waits and nothing moves.
    async fn watch(self: Arc<Self>) {
        let mut before = self.progress.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(PATIENCE).await;
            let now = self.progress.load(Ordering::Relaxed);
            let mut state = self.state();
            if state.ready.is_empty() || state.stopping {
                state.watch = Watch::Nobody;
                return;
            }
            // One at a time: a thread that cannot get the interpreter lock shows that more would not help.
            let stuck = now == before && state.entering == 0;
            state.watch = if stuck { Watch::Stuck } else { Watch::Watching };
            let due = state.is_due();
            drop(state);
            if due {
                self.due.notify_one();
            }
            before = now;
        }
    }

    fn start_thread(self: &Arc<Self>, state: &mut State, runtime: &Arc<Runtime>) -> std::io::Result<()> {
        let (pool, runtime) = (self.clone(), runtime.clone());
        std::thread::Builder::new().name("thingslink".into()).spawn(move || {
            pool.live(&runtime);
            // Let go before anybody hears that the thread is gone: the runtime is shut down by its last owner.
            drop(runtime);
            pool.state().threads -= 1;
            pool.gone.notify_all();
        })?;
        state.threads += 1;
        Ok(())
    }

    /// A thread's life. It needs the interpreter with its first work only, so that nothing keeps it from the network.
    fn live(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        let Some(work) = self.wait(runtime) else { return };
        // "No" when the interpreter is going down: then there is nothing to call either.
        if Python::try_attach(|py| self.serve(py, work, runtime)).is_none() {
            let mut state = self.state();
            state.entering -= 1;
            self.rest(&mut state);
        }
    }

    fn serve(self: &Arc<Self>, py: Python<'_>, first: Arc<dyn Work>, runtime: &Arc<Runtime>) {
        let me = thread_ident(py);
        self.state().idents.push(me);
        let mut next = Some(first);
        while let Some(work) = next {
            self.state().entering -= 1;
            self.handle(py, work);
            next = py.detach(|| self.wait(runtime));
        }
        self.state().idents.retain(|thread| *thread != me);
    }

    /// Handle work until there is none.
    fn handle(&self, py: Python<'_>, mut work: Arc<dyn Work>) {
        loop {
            let before = self.progress.load(Ordering::Relaxed);
            while work.clone().run(py, BATCH, &self.progress) {
                let mut state = self.state();
                if state.stopping || !state.ready.is_empty() {
                    state.ready.push_back(work);
                    break;
                }
            }
            let flooded = self.progress.load(Ordering::Relaxed).wrapping_sub(before) >= FLOOD;
            self.flooded.store(flooded, Ordering::Relaxed);
            if flooded {
                self.relieve();
            }
            let Some(next) = self.take(flooded) else { return };
            work = next;
        }
    }

    /// More work for an active thread. In the middle of a flood the next messages are microseconds away: look for them a
    /// moment longer before giving up the interpreter lock, which a busy main thread would keep for 5 ms.
    fn take(&self, flooded: bool) -> Option<Arc<dyn Work>> {
        let until = flooded.then(|| Instant::now() + LINGER);
        loop {
            let mut state = self.state();
            if !state.stopping
                && let Some(work) = state.ready.pop_front()
            {
                return Some(work);
            }
            if state.stopping || until.is_none_or(|until| Instant::now() >= until) {
                self.rest(&mut state);
                return None;
            }
            drop(state);
            std::thread::yield_now();
        }
    }

    /// A thread is not active any more.
    fn rest(&self, state: &mut State) {
        state.active -= 1;
        if state.is_over() {
            self.due.notify_one();
        }
    }

    /// Wait for the lead, then lead until there is work. Nothing when the thread is not needed any more. To be called
    /// without the interpreter lock.
    fn wait(self: &Arc<Self>, runtime: &Arc<Runtime>) -> Option<Arc<dyn Work>> {
        let mut state = self.state();
        loop {
            if state.is_over() || (state.led && state.stopping) {
                return None;
            }
            if !state.led {
                state.led = true;
                let mut outcome = Ok(());
                // In a hurry it serves the next time as well: the kernel's timers are dear on virtual machines. And at the
                // end all must wake up.
                if state.standby == Standby::Alarmed && !state.hurried && !state.stopping {
                    state.standby = Standby::Asleep;
                    outcome = self.alarm.call_off();
                }
                drop(state);
                report(outcome);
                return self.lead(runtime);
            }
            if state.standby != Standby::Nobody {
                state = self.spare(state)?;
                continue;
            }
            let called;
            (state, called) = self.stand_by(state)?;
            if called
                && state.led
                && !state.stopping
                && let Some(work) = self.begin(&mut state)
            {
                return Some(work);
            }
        }
    }

    /// Sleep until the alarm; tells whether it calls for work.
    fn stand_by<'p>(&'p self, mut state: MutexGuard<'p, State>) -> Option<(MutexGuard<'p, State>, bool)> {
        state.standby = Standby::Asleep;
        drop(state);
        let woken = report(self.alarm.sleep());
        state = self.state();
        let called = std::mem::take(&mut state.standby) == Standby::Called;
        if state.spare > 0 {
            self.needed.notify_one();
        }
        if !woken {
            // The work that it was called for is the leader's now.
            self.due.notify_one();
            return None;
        }
        Some((state, called))
    }

    /// Sleep until the lead or the place of the one who stands by is free; nothing when that does not come.
    fn spare<'p>(&'p self, mut state: MutexGuard<'p, State>) -> Option<MutexGuard<'p, State>> {
        state.spare += 1;
        let kept = |state: &mut State| state.led && state.standby != Standby::Nobody && !state.stopping;
        let (mut state, timeout) = self.needed.wait_timeout_while(state, KEEP, kept);
        state.spare -= 1;
        (!timeout.timed_out()).then_some(state)
    }

    fn lead(self: &Arc<Self>, runtime: &Arc<Runtime>) -> Option<Arc<dyn Work>> {
        let work = runtime.block_on(self.work());
        report(self.let_go(runtime, work.is_some()));
        work
    }

    /// The lead is free. See to it that the network is without a thread for a short while at most.
    fn let_go(self: &Arc<Self>, runtime: &Arc<Runtime>, for_work: bool) -> std::io::Result<()> {
        let mut state = self.state();
        state.led = false;
        if !for_work {
            return Ok(());
        }
        let now = Instant::now();
        state.hurried = state.let_go.replace(now).is_some_and(|before| now - before < 2 * RELIEF);
        // In a flood the work takes a while.
        let flooded = self.flooded.load(Ordering::Relaxed);
        match state.standby {
            Standby::Alarmed if !flooded => {}
            Standby::Asleep | Standby::Alarmed => {
                state.standby = Standby::Alarmed;
                self.alarm.set(if flooded { Duration::ZERO } else { RELIEF })?;
            }
            Standby::Nobody if state.spare > 0 => self.needed.notify_one(),
            Standby::Nobody if state.threads < MANY => self.start_thread(&mut state, runtime)?,
            Standby::Nobody | Standby::Called => {}
        }
        Ok(())
    }

    /// Somebody waits for the network, or will be busy for a while: let it have a thread at once.
    pub(super) fn relieve(&self) {
        let mut state = self.state();
        if !state.led && state.sleeps() {
            state.standby = Standby::Alarmed;
            let outcome = self.alarm.set(Duration::ZERO);
            drop(state);
            report(outcome);
        }
    }

    /// The leader's next work; nothing when it has nothing to lead any more.
    async fn work(self: &Arc<Self>) -> Option<Arc<dyn Work>> {
        loop {
            {
                let mut state = self.state();
                if state.is_over() {
                    return None;
                }
                if state.is_due() {
                    return self.begin(&mut state);
                }
            }
            self.due.notified().await;
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State) -> Option<Arc<dyn Work>> {
        let work = state.begin();
        if state.begins_watch() {
            self.handle.spawn(self.clone().watch());
        }
        work
    }

    /// Begin no more work, nor another delivery of the work under way.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        self.stopping.store(true, Ordering::Release);
        drop(state);
        self.due.notify_one();
        report(self.alarm.set(Duration::ZERO));
        self.needed.notify_all();
    }

    /// Whether the interpreter is exiting.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Wait until all threads are gone; tells whether they are. Must be called without the interpreter lock.
    pub(super) fn wait_stopped(&self, until: Instant) -> bool {
        let state = self.state();
        let left = until.saturating_duration_since(Instant::now());
        let busy = |state: &mut State| state.threads > 0;
        let (state, timeout) = self.gone.wait_timeout_while(state, left, busy);
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
            let threads = self.state().idents.clone();
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

/// Tell of a thread or an alarm that cannot be had, and whether all is well: otherwise the network waits until a callback
/// returns. Not to be called with the state locked, which logging looks at.
fn report(outcome: std::io::Result<()>) -> bool {
    if let Err(error) = &outcome {
        tracing::error!(%error, "no other thread can drive the network while callbacks run");
    }
    outcome.is_ok()
}

/// The identifier that Python knows the current thread by.
pub(super) fn thread_ident(py: Python<'_>) -> u64 {
    // Cannot fail in a working interpreter; 0 is no thread's identifier.
    py.import("_thread")
        .and_then(|module| module.call_method0("get_ident"))
        .and_then(|ident| ident.extract())
        .unwrap_or(0)
}
