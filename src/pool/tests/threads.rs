//! The pool with threads of its own: the interpreter is a mutex, a client is a queue of numbers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::pool::{Home, Host, Pool, Work};
use crate::sync::{Condvar, Mutex};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// One may be inside at a time.
#[derive(Clone, Default)]
struct Interpreter(Arc<(Mutex<bool>, Condvar)>);

impl Interpreter {
    fn lock(&self) {
        let mut taken = self.0.0.lock();
        while *taken {
            taken = self.0.1.wait(taken);
        }
        *taken = true;
    }

    fn unlock(&self) {
        *self.0.0.lock() = false;
        self.0.1.notify_one();
    }
}

impl Host for Interpreter {
    type Inside<'a> = ();

    fn enter<T>(&self, life: impl FnOnce(()) -> T) -> Option<T> {
        self.lock();
        let result = life(());
        self.unlock();
        Some(result)
    }

    fn step_out<T: Send>(&self, (): (), wait: impl FnOnce() -> T + Send) -> T {
        self.unlock();
        let result = wait();
        self.lock();
        result
    }

    fn ident(&self, (): ()) -> u64 {
        0
    }
}

/// What a callback tells the test: the client, the delivery, and the thread.
type Heard = (usize, u32, ThreadId);

struct Client {
    number: usize,
    host: Interpreter,
    home: Home,
    mailbox: Mutex<(VecDeque<u32>, bool)>,
    heard: mpsc::Sender<Heard>,
    /// Callbacks wait here while it is shut.
    gate: (Mutex<bool>, Condvar),
}

impl Client {
    fn set_gate(&self, open: bool) {
        *self.gate.0.lock() = open;
        self.gate.1.notify_all();
    }
}

impl Work<Interpreter> for Client {
    fn run(self: Arc<Self>, (): (), most: usize, progress: &AtomicU64) -> bool {
        for _ in 0..most {
            let next = {
                let mut mailbox = self.mailbox.lock();
                let next = mailbox.0.pop_front();
                mailbox.1 = next.is_some();
                next
            };
            let Some(delivery) = next else { return false };
            progress.fetch_add(1, Ordering::Relaxed);
            self.home.claim();
            self.host.step_out((), || {
                let mut open = self.gate.0.lock();
                while !*open {
                    open = self.gate.1.wait(open);
                }
            });
            // The test may have seen enough.
            let _heard = self.heard.send((self.number, delivery, std::thread::current().id()));
        }
        true
    }

    fn home(&self) -> Option<&Home> {
        Some(&self.home)
    }
}

struct Scene {
    runtime: Arc<Runtime>,
    pool: Arc<Pool<Interpreter>>,
    clients: Vec<Arc<Client>>,
    heard: mpsc::Receiver<Heard>,
}

impl Scene {
    fn new(clients: usize, homes: usize) -> Self {
        let host = Interpreter::default();
        let runtime = Arc::new(Builder::new_current_thread().enable_all().build().unwrap());
        let pool = Pool::start(&runtime, host.clone(), homes).unwrap();
        let (sender, heard) = mpsc::channel();
        let client = |number| {
            Arc::new(Client {
                number,
                host: host.clone(),
                home: Home::default(),
                mailbox: Mutex::default(),
                heard: sender.clone(),
                gate: (Mutex::new(true), Condvar::new()),
            })
        };
        Self { runtime, pool, clients: (0..clients).map(client).collect(), heard }
    }

    /// A delivery for a client, from the network.
    fn push(&self, number: usize, delivery: u32) {
        let (client, pool) = (self.clients[number].clone(), self.pool.clone());
        self.runtime.handle().spawn(async move {
            let mut mailbox = client.mailbox.lock();
            mailbox.0.push_back(delivery);
            let wake = !std::mem::replace(&mut mailbox.1, true);
            drop(mailbox);
            if wake {
                pool.submit(client);
            }
        });
    }

    fn hear(&self) -> Heard {
        self.heard.recv_timeout(LIMIT).expect("nothing was delivered")
    }

    fn threads_of(&self, rounds: u32) -> Vec<ThreadId> {
        let mut threads: Vec<Option<ThreadId>> = vec![None; self.clients.len()];
        for round in 0..rounds {
            for number in 0..self.clients.len() {
                self.push(number, round);
            }
            for _ in &self.clients {
                let (number, _, thread) = self.hear();
                assert!(threads[number].is_none_or(|before| before == thread), "client {number} moved");
                threads[number] = Some(thread);
            }
        }
        threads.into_iter().flatten().collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for client in &self.clients {
            client.set_gate(true);
        }
        self.pool.stop();
        assert!(self.pool.wait_stopped(Instant::now() + LIMIT), "threads are left");
    }
}

fn distinct(threads: &[ThreadId]) -> usize {
    threads.iter().collect::<std::collections::HashSet<_>>().len()
}

#[test]
fn each_client_has_a_thread_for_its_life() {
    let scene = Scene::new(10, 64);
    assert_eq!(distinct(&scene.threads_of(50)), 10);
}

#[test]
fn beyond_the_bound_threads_are_shared() {
    let scene = Scene::new(10, 3);
    assert_eq!(distinct(&scene.threads_of(20)), 3);
}

#[test]
fn deliveries_come_in_order_and_on_one_thread_in_a_flood() {
    let scene = Scene::new(3, 64);
    for delivery in 0..10_000 {
        for number in 0..3 {
            scene.push(number, delivery);
        }
    }
    let (mut expected, mut threads) = (vec![0; 3], vec![None; 3]);
    for _ in 0..30_000 {
        let (number, delivery, thread) = scene.hear();
        assert_eq!(delivery, expected[number]);
        assert_eq!(*threads[number].get_or_insert(thread), thread);
        expected[number] += 1;
    }
}

#[test]
fn a_blocked_callback_holds_up_its_own_client_alone() {
    let scene = Scene::new(8, 64);
    let before = scene.threads_of(3);
    for client in &scene.clients[..7] {
        client.set_gate(false);
    }
    for round in 0..100 {
        for number in 0..8 {
            scene.push(number, round);
        }
        assert_eq!(scene.hear(), (7, round, before[7]));
    }
    for client in &scene.clients {
        client.set_gate(true);
    }
    for _ in 0..700 {
        let (number, _, thread) = scene.hear();
        assert_eq!(thread, before[number]);
    }
}

#[test]
fn first_callbacks_that_block_hold_up_nobody_else() {
    let scene = Scene::new(20, 64);
    for client in &scene.clients[..19] {
        client.set_gate(false);
    }
    for number in 0..20 {
        scene.push(number, 7);
    }
    assert_eq!(scene.hear().0, 19);
}

#[test]
fn the_threads_and_the_runtime_end_with_the_pool() {
    let scene = Scene::new(5, 64);
    scene.threads_of(5);
    let runtime: Weak<Runtime> = Arc::downgrade(&scene.runtime);
    drop(scene);
    assert!(runtime.upgrade().is_none());
}
