//! The extension's allocator, and how it is left at the exit.

use std::ffi::{c_int, c_long};
use std::time::Duration;

/// Messages are made on one thread and freed on another, which glibc's allocator answers with a lock for both: measured
/// in `docs/dev/dispatch.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_destroy_on_exit`. The bindings have neither it nor, without another crate, the function.
const DESTROY_ON_EXIT: c_int = 22;
/// Its value with which the allocator's destructor does nothing at all.
const NEVER: c_long = 2;

#[allow(unsafe_code, reason = "the functions are the linked library's own, and they may be called at any time")]
mod library {
    use std::ffi::{c_int, c_long};

    unsafe extern "C" {
        pub(super) safe fn mi_option_set(option: c_int, value: c_long);
        pub(super) safe fn mi_collect(force: bool);
    }
}

/// Leave all memory to the system when the process ends. The allocator's destructor would look through it and give it
/// back: milliseconds in which other threads of the program still run, in an interpreter that is gone.
pub(super) fn leave_at_exit() {
    library::mi_option_set(DESTROY_ON_EXIT, NEVER);
}

/// How often memory that has been free for a second is looked for.
const EVERY: Duration = Duration::from_secs(2);

/// Give memory that is free for a while back to the system. By itself the allocator does so only while something is
/// allocated: what a burst or one large reply had taken stayed until the next one. Ends with the runtime.
pub(super) async fn give_back() {
    let mut turns = tokio::time::interval(EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        library::mi_collect(false);
    }
}
