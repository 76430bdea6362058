//! An alarm that wakes one sleeping thread, unless it is called off in time.
//!
//! On Linux the kernel's timer wakes the sleeper itself: setting and calling off cost a system call each, and nobody
//! wakes up in vain. Elsewhere the sleeper is woken to look at the time.

pub(super) use self::kind::Alarm;

#[cfg(target_os = "linux")]
mod kind {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::io::{Errno, read};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };

    #[derive(Debug)]
    pub(in crate::pool) struct Alarm(OwnedFd);

    impl Alarm {
        pub(in crate::pool) fn new() -> io::Result<Self> {
            Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
        }

        /// Wake the sleeper after this time, whatever was set before.
        pub(in crate::pool) fn set(&self, after: Duration) -> io::Result<()> {
            // Zero would call it off.
            self.program(after.max(Duration::from_nanos(1)))
        }

        /// Do not wake the sleeper, if that has not happened yet.
        pub(in crate::pool) fn call_off(&self) -> io::Result<()> {
            self.program(Duration::ZERO)
        }

        fn program(&self, after: Duration) -> io::Result<()> {
            let value = Timespec { tv_sec: after.as_secs().cast_signed(), tv_nsec: after.subsec_nanos().into() };
            let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            Ok(())
        }

        /// Sleep until the alarm.
        pub(in crate::pool) fn sleep(&self) -> io::Result<()> {
            let mut times = [0; 8];
            loop {
                match read(&self.0, &mut times) {
                    Ok(_) => return Ok(()),
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kind {
    use std::io;

    use std::time::{Duration, Instant};

    use crate::sync::{Condvar, Mutex};

    #[derive(Debug, Default)]
    pub(in crate::pool) struct Alarm {
        at: Mutex<Option<Instant>>,
        changed: Condvar,
    }

    impl Alarm {
        pub(in crate::pool) fn new() -> io::Result<Self> {
            Ok(Self::default())
        }

        /// Wake the sleeper after this time, whatever was set before.
        pub(in crate::pool) fn set(&self, after: Duration) -> io::Result<()> {
            *self.at.lock() = Some(Instant::now() + after);
            self.changed.notify_one();
            Ok(())
        }

        /// Do not wake the sleeper, if that has not happened yet.
        pub(in crate::pool) fn call_off(&self) -> io::Result<()> {
            *self.at.lock() = None;
            Ok(())
        }

        /// Sleep until the alarm.
        pub(in crate::pool) fn sleep(&self) -> io::Result<()> {
            let mut at = self.at.lock();
            loop {
                at = match at.map(|at| at.saturating_duration_since(Instant::now())) {
                    None => self.changed.wait(at),
                    Some(Duration::ZERO) => {
                        *at = None;
                        return Ok(());
                    }
                    Some(left) => self.changed.wait_timeout(at, left).0,
                };
            }
        }
    }
}
