//! A thread that goes on although nobody waits for it any more leaves the processor to all others, where the system can say so.

/// A thread.
#[cfg(target_os = "linux")]
pub(super) type Thread = rustix::thread::Pid;
/// A thread.
#[cfg(not(target_os = "linux"))]
pub(super) type Thread = ();

/// This one.
#[cfg(target_os = "linux")]
pub(super) fn this() -> Thread {
    rustix::thread::gettid()
}

/// This one.
#[cfg(not(target_os = "linux"))]
pub(super) fn this() -> Thread {}

/// Have it come last.
#[cfg(target_os = "linux")]
pub(super) fn step_back(thread: Thread) {
    // By the number of a thread, it is that of the thread alone. One that has just ended has nothing to leave.
    let _ended = rustix::process::setpriority_process(Some(thread), 19);
}

/// Have it come last.
#[cfg(not(target_os = "linux"))]
pub(super) fn step_back(_thread: Thread) {}
