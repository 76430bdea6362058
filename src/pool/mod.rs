//! The threads that drive the network and carry deliveries into callbacks.
//!
//! One thread at a time leads: it drives the tokio runtime while it waits for work. Each client that has callbacks is at
//! home with one thread, which calls all of them. When work comes for the leader's own client it lets go of the lead and
//! handles the work itself, so that a message in quiet times is read, decoded and handed to its callback by one thread and
//! waits for no second one to wake up. Soon it is back in the lead; if it is not back in time, an alarm wakes a thread
//! that stands by and leads from then on. Work for another thread's client wakes that one, which may get the lead, too:
//! then it is there for the next message by itself. In a flood the roles stay, one thread for the network and one for
//! the callbacks.
//!
//! Who leads, who handles and who waits is decided in `roster.rs`, which is pure; here it is done. The pool knows no
//! Python: what a thread needs to handle work, it gets from a [`Host`]. More in `docs/dev/dispatch.md`.

mod alarm;
mod flood;
mod home;
mod roster;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;

use self::alarm::Alarm;
use self::flood::Flood;
pub use self::home::Home;
use self::roster::{HandId, RELIEF, Roster, Turn};
use crate::sync::{Condvar, Mutex};

/// Clients with callbacks that each have a thread of their own, unless more are asked for.
pub const HOMES: usize = 64;

/// Deliveries of one client that a thread handles before it looks at other clients.
const BATCH: usize = 256;
/// How long nothing moves before another thread takes work.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long to look for more in a flood.
const LINGER: Duration = Duration::from_micros(100);

/// Where work is handled: an interpreter, say, that a thread must enter first.
pub trait Host: Send + Sync + 'static {
    /// What shows that a thread is inside.
    type Inside<'a>: Copy;

    /// Enter for a thread's life; nothing if that is not possible any more.
    fn enter<T>(&self, life: impl FnOnce(Self::Inside<'_>) -> T) -> Option<T>;

    /// Be outside for as long as something takes that may block.
    fn step_out<T: Send>(&self, inside: Self::Inside<'_>, wait: impl FnOnce() -> T + Send) -> T;

    /// What the current thread is known by inside.
    fn ident(&self, inside: Self::Inside<'_>) -> u64;
}

/// Something with deliveries.
pub trait Work<H: Host>: Send + Sync {
    /// Handle at most `most` deliveries; tells whether there may be more. `progress` is to be bumped for each.
    fn run(self: Arc<Self>, inside: H::Inside<'_>, most: usize, progress: &AtomicU64) -> bool;

    /// Where all of its deliveries are to be handled, if that matters. It must [`claim`](Home::claim) that home before it
    /// calls its first callback; until then any thread may come.
    fn home(&self) -> Option<&Home> {
        None
    }
}

/// The pool.
pub struct Pool<H: Host> {
    host: H,
    handle: Handle,
    /// Weak, since the runtime is shut down by the last thread that has it.
    runtime: Weak<Runtime>,
    state: Mutex<State<H>>,
    /// Tells the leader to ask what is due.
    due: Notify,
    /// Wakes the thread that stands by when the leader does not come back in time.
    alarm: Alarm,
    gone: Condvar,
    /// Threads that have work and are not inside yet.
    entering: AtomicUsize,
    /// The roster's `stopping`, to be looked at between two deliveries without the lock.
    stopping: AtomicBool,
}

struct State<H: Host> {
    roster: Roster<Arc<dyn Work<H>>>,
    seats: BTreeMap<HandId, Arc<Seat>>,
    /// What the threads that have handled work are known by inside.
    idents: Vec<u64>,
}

/// What belongs to one thread.
#[derive(Default)]
struct Seat {
    called: Condvar,
    progress: AtomicU64,
}

impl<H: Host> std::fmt::Debug for Pool<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl<H: Host> Pool<H> {
    /// A pool whose threads drive `runtime`, which must be of tokio's current-thread kind. At most `homes` threads are at
    /// home to clients.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no timer left.
    pub fn start(runtime: &Arc<Runtime>, host: H, homes: usize) -> io::Result<Arc<Self>> {
        let pool = Arc::new(Self {
            host,
            handle: runtime.handle().clone(),
            runtime: Arc::downgrade(runtime),
            state: Mutex::new(State { roster: Roster::new(homes), seats: BTreeMap::new(), idents: Vec::new() }),
            due: Notify::new(),
            alarm: Alarm::new()?,
            gone: Condvar::new(),
            entering: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let first = {
            let mut state = pool.state.lock();
            state.roster.hire();
            state.take_orders()
        };
        pool.start_thread(first.orders.start.unwrap_or_default(), runtime.clone())?;
        Ok(pool)
    }

    /// Let the roster decide something, and do what follows from it.
    fn decide<T>(self: &Arc<Self>, decide: impl FnOnce(&mut Roster<Arc<dyn Work<H>>>) -> T) -> T {
        let mut state = self.state.lock();
        let decided = decide(&mut state.roster);
        let follows = state.take_orders();
        drop(state);
        self.follow(follows);
        decided
    }

    fn follow(self: &Arc<Self>, follows: Follows) {
        let Follows { orders, wake } = follows;
        for seat in wake {
            seat.called.notify_one();
        }
        if orders.tell_leader {
            self.due.notify_one();
        }
        match orders.alarm {
            Some(roster::Alarm::Set(after)) => report(&self.alarm.set(after)),
            Some(roster::Alarm::CallOff) => report(&self.alarm.call_off()),
            None => true,
        };
        if orders.watch {
            self.handle.spawn(self.clone().watch());
        }
        if let Some(id) = orders.start {
            let started = match self.runtime.upgrade() {
                Some(runtime) => self.start_thread(id, runtime),
                None => Err(io::Error::other("the runtime has ended")),
            };
            if !report(&started) {
                self.state.lock().seats.remove(&id);
                self.gone.notify_all();
                self.decide(|roster| roster.not_hired(id));
            }
        }
    }

    /// Have work done soon. Never blocks.
    pub fn submit(self: &Arc<Self>, work: Arc<dyn Work<H>>) {
        let home = work.home().cloned();
        self.decide(|roster| roster.submit(work, home));
    }

    /// A client is closed: its thread goes after a while, or is given to another one. If the client comes back before, so
    /// does its thread.
    pub fn depart(self: &Arc<Self>, home: &Home) {
        self.decide(|roster| roster.depart(home));
    }

    /// Have at most so many threads at home to clients from now on.
    pub fn set_homes(&self, homes: usize) {
        self.state.lock().roster.set_homes(homes);
    }

    /// Let others take common work as long as some waits and nothing moves.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PATIENCE).await;
            let entering = self.entering.load(Ordering::Relaxed);
            let mut state = self.state.lock();
            let progress = state.seats.values().map(|seat| seat.progress.load(Ordering::Relaxed));
            let progress = progress.fold(0, u64::wrapping_add);
            let goes_on = state.roster.tick(progress, entering);
            let follows = state.take_orders();
            drop(state);
            self.follow(follows);
            if !goes_on {
                return;
            }
        }
    }

    fn start_thread(self: &Arc<Self>, id: HandId, runtime: Arc<Runtime>) -> io::Result<()> {
        let pool = self.clone();
        std::thread::Builder::new().name("thingslink".into()).spawn(move || {
            pool.live(id, &runtime);
            // Let go before anybody hears that the thread is gone: the runtime is shut down by its last owner.
            drop(runtime);
            pool.state.lock().seats.remove(&id);
            pool.gone.notify_all();
        })?;
        Ok(())
    }

    /// A thread's life. It enters with its first work only, so that nothing keeps it from the network.
    fn live(self: &Arc<Self>, id: HandId, runtime: &Runtime) {
        let Some(work) = self.wait(id, runtime, false) else { return };
        if self.host.enter(|inside| self.serve(inside, id, work, runtime)).is_none() {
            self.entering.fetch_sub(1, Ordering::Relaxed);
            self.decide(|roster| roster.gone(id));
        }
    }

    fn serve(self: &Arc<Self>, inside: H::Inside<'_>, id: HandId, first: Arc<dyn Work<H>>, runtime: &Runtime) {
        let me = self.host.ident(inside);
        let seat = {
            let mut state = self.state.lock();
            state.idents.push(me);
            state.seats.get(&id).cloned().unwrap_or_default()
        };
        let (mut next, mut flood) = (Some(first), Flood::new(Instant::now()));
        while let Some(work) = next {
            self.entering.fetch_sub(1, Ordering::Relaxed);
            let slow = self.handle(inside, id, &seat.progress, &mut flood, work);
            next = self.host.step_out(inside, || self.wait(id, runtime, slow));
        }
        self.state.lock().idents.retain(|thread| *thread != me);
    }

    /// Handle work until there is none; tells whether the last of it was slow.
    fn handle(
        self: &Arc<Self>,
        inside: H::Inside<'_>,
        id: HandId,
        progress: &AtomicU64,
        flood: &mut Flood,
        mut work: Arc<dyn Work<H>>,
    ) -> bool {
        loop {
            let (before, begun) = (progress.load(Ordering::Relaxed), Instant::now());
            while work.clone().run(inside, BATCH, progress) {
                let next = self.decide(|roster| roster.go_on(id, work, |work| work.home().cloned()));
                let Some(next) = next else { return true };
                work = next;
            }
            let ended = Instant::now();
            let slow = ended.saturating_duration_since(begun) > RELIEF;
            let flooded = flood.goes_on(begun, ended, progress.load(Ordering::Relaxed).wrapping_sub(before));
            if flooded {
                self.relieve();
            }
            let Some(next) = self.more(id, flooded) else { return slow };
            work = next;
        }
    }

    /// More work for an active thread. In the middle of a flood the next messages are microseconds away: look for them a
    /// moment longer before going out, since a busy main thread would keep the interpreter for 5 ms; unless another thread
    /// of the pool waits for it.
    fn more(self: &Arc<Self>, id: HandId, flooded: bool) -> Option<Arc<dyn Work<H>>> {
        let until = flooded.then(|| Instant::now() + LINGER);
        loop {
            let next = self.decide(|roster| roster.more(id, flooded));
            let awaited = self.entering.load(Ordering::Relaxed) > 0;
            if next.is_some() || awaited || self.is_stopping() || until.is_none_or(|until| Instant::now() >= until) {
                return next;
            }
            std::thread::yield_now();
        }
    }

    /// Do what the roster says until there is work; nothing when the thread is to go. To be called outside.
    fn wait(self: &Arc<Self>, id: HandId, runtime: &Runtime, slow: bool) -> Option<Arc<dyn Work<H>>> {
        let mut turn = self.decide(|roster| roster.next(id, slow, Instant::now()));
        loop {
            turn = match turn {
                Turn::Work(work) => {
                    self.entering.fetch_add(1, Ordering::Relaxed);
                    return Some(work);
                }
                Turn::Lead => {
                    let (turn, follows) = runtime.block_on(self.lead(id));
                    // Not before the network is free for the next one.
                    self.follow(follows);
                    turn
                }
                Turn::StandBy => {
                    if !report(&self.alarm.sleep()) {
                        self.decide(|roster| roster.gone(id));
                        return None;
                    }
                    self.decide(|roster| roster.next(id, false, Instant::now()))
                }
                Turn::Wait(most) => self.sleep(id, most),
                Turn::Go => return None,
            }
        }
    }

    /// Sleep until called, at most so long.
    fn sleep(self: &Arc<Self>, id: HandId, most: Option<Duration>) -> Turn<Arc<dyn Work<H>>> {
        let mut state = self.state.lock();
        let Some(seat) = state.seats.get(&id).cloned() else { return Turn::Go };
        let until = most.map(|most| Instant::now() + most);
        while state.roster.is_waiting(id) {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                None => seat.called.wait(state),
                Some(Duration::ZERO) => {
                    drop(state);
                    return self.decide(|roster| roster.timed_out(id, Instant::now()));
                }
                Some(left) => seat.called.wait_timeout(state, left).0,
            };
        }
        drop(state);
        self.decide(|roster| roster.next(id, false, Instant::now()))
    }

    /// Drive the network until something is due.
    async fn lead(self: &Arc<Self>, id: HandId) -> (Turn<Arc<dyn Work<H>>>, Follows) {
        loop {
            {
                let mut state = self.state.lock();
                if let Some(turn) = state.roster.due(id, Instant::now()) {
                    return (turn, state.take_orders());
                }
                let follows = state.take_orders();
                drop(state);
                self.follow(follows);
            }
            self.due.notified().await;
        }
    }

    /// Somebody waits for the network, or will be busy for a while: let it have a thread at once.
    pub fn relieve(self: &Arc<Self>) {
        self.decide(Roster::relieve);
    }

    /// Begin no more work, nor another delivery of the work under way.
    pub fn stop(self: &Arc<Self>) {
        self.stopping.store(true, Ordering::Release);
        self.decide(Roster::stop);
    }

    /// Whether the pool has been stopped.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Wait until all threads are gone; tells whether they are. Must be called outside.
    pub fn wait_stopped(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let busy = |state: &mut State<H>| !state.seats.is_empty();
        let (state, timeout) = self.gone.wait_timeout_while(self.state.lock(), left, busy);
        drop(state);
        !timeout.timed_out()
    }

    /// What those threads are known by inside that have handled work and are not gone.
    pub fn idents(&self) -> Vec<u64> {
        self.state.lock().idents.clone()
    }
}

/// What is to be done after a decision, once the lock is free.
struct Follows {
    orders: roster::Orders,
    wake: Vec<Arc<Seat>>,
}

impl<H: Host> State<H> {
    fn take_orders(&mut self) -> Follows {
        let mut orders = self.roster.orders();
        // Counted from now on, so that nobody believes all threads gone while one is being started.
        if let Some(id) = orders.start {
            self.seats.insert(id, Arc::default());
        }
        let wake = orders.wake.drain(..).filter_map(|id| self.seats.get(&id).cloned()).collect();
        Follows { orders, wake }
    }
}

/// Tell of a thread or an alarm that cannot be had, and whether all is well: otherwise the network waits until a callback
/// returns. Not to be called with the state locked, which logging looks at.
fn report(outcome: &io::Result<()>) -> bool {
    if let Err(error) = outcome {
        tracing::error!(%error, "no other thread can drive the network while callbacks run");
    }
    outcome.is_ok()
}
