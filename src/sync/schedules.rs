//! Runs code over shuttle's locks in the orders that its threads may take. A thread that nobody wakes any more fails the
//! run, as an assertion does, and the order in which it came to that is told, for `shuttle::replay`. The orders are the
//! same at each run; `SHUTTLE_RANDOM_SEED` chooses others.
//!
//! A wait never times out here: whoever relies on its deadline has missed what it waited for.

use std::time::Duration;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

const SEED: u64 = 1;
/// Orders that a small world has fewer of.
const FEW: usize = 50_000;
/// Orders of a world that is too large for all of them, by each of two ways to choose one.
const MANY: usize = 300;
/// Changes of mind that are enough for most mistakes, as the authors of the second way found.
const DEPTH: usize = 3;

/// Every order in which the threads of a small world may run.
pub(crate) fn in_every_order(world: fn()) {
    let tried = run(DfsScheduler::new(Some(FEW), false), world);
    assert!(tried < FEW, "the world is too large to be tried in every order");
}

/// Many orders: each thread as likely as the other at each step, and then long stretches of one thread.
pub(crate) fn in_many_orders(world: fn()) {
    run(RandomScheduler::new_from_seed(SEED, MANY), world);
    run(PctScheduler::new_from_seed(SEED, DEPTH, MANY), world);
}

fn run(scheduler: impl Scheduler + 'static, world: fn()) -> usize {
    // For code that names deadlines. Its clock is never looked at.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    // That it takes all atomics for sequentially consistent.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(world)
}

/// Later than anything here takes.
pub(crate) const NEVER: Duration = Duration::from_secs(86_400);
