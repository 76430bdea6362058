//! How much of the processor a thread has had, so that a busy machine is not taken for a long script.

use std::time::Duration;

/// What this thread has had until now, where the system tells.
#[cfg(target_os = "linux")]
pub(super) fn spent() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// What this thread has had until now, where the system tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn spent() -> Option<Duration> {
    None
}
