//! What is decided: a hand's own turn, and what is to be done besides.

use std::time::Duration;

use super::HandId;

/// What a hand does next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pool) enum Turn<W> {
    /// Handle this.
    Work(W),
    /// Drive the network, and ask [`super::Roster::due`] whenever told to.
    Lead,
    /// Sleep on the alarm.
    StandBy,
    /// Sleep until called, at most so long.
    Wait(Option<Duration>),
    /// End.
    Go,
}

/// What is to be done besides, once the lock is free.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Orders {
    /// Tell the leader to ask what is due.
    pub(in crate::pool) tell_leader: bool,
    /// Wake these.
    pub(in crate::pool) wake: Vec<HandId>,
    /// Set the alarm, or call it off.
    pub(in crate::pool) alarm: Option<Alarm>,
    /// Start a thread for this hand.
    pub(in crate::pool) start: Option<HandId>,
    /// Begin to ask [`super::Roster::tick`] now and then.
    pub(in crate::pool) watch: bool,
}

/// What to do with the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Alarm {
    Set(Duration),
    CallOff,
}
