//! A thread of the pool, and what is kept of it.

use std::collections::VecDeque;

use super::HandId;
use crate::pool::home::Home;

/// Work, and whose it is.
pub(super) struct Task<W> {
    pub(super) work: W,
    pub(super) home: Option<Home>,
}

/// A thread of the pool.
pub(super) struct Hand<W> {
    pub(super) role: Role,
    pub(super) queue: VecDeque<Task<W>>,
    /// Whose work it has done, as far as they have not moved.
    pub(super) guests: Vec<Home>,
    /// What it did last was a flood.
    pub(super) flooded: bool,
    /// What it did last took longer than the network is left alone.
    pub(super) slow: bool,
    /// How often in a row it did not.
    pub(super) quick: u32,
}

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Awake and on its way to ask what is next.
    Called,
    Leading,
    Working,
    /// Asleep on the alarm.
    StandingBy,
    /// Asleep until it is called.
    Waiting,
}

impl<W> Hand<W> {
    pub(super) fn new() -> Self {
        Self { role: Role::Called, queue: VecDeque::new(), guests: Vec::new(), flooded: false, slow: false, quick: 0 }
    }

    /// Somebody's work is for this hand from now on.
    pub(super) fn welcome(&mut self, id: HandId, home: Home) {
        home.come_back();
        home.settle(id);
        if !self.guests.iter().any(|guest| guest.is(&home)) {
            self.guests.push(home);
        }
    }

    /// Who has not called any callback is at home nowhere yet, once the work is done; who has moved is not here.
    pub(super) fn see_off(&mut self, id: HandId) {
        let Self { queue, guests, .. } = self;
        guests.retain(|guest| {
            let here = guest.hand() == id;
            let waits = || queue.iter().any(|task| task.home.as_ref().is_some_and(|home| home.is(guest)));
            here && (guest.is_living() || waits() || guest.rest())
        });
    }
}
