//! How many connections a server has room for.

use std::sync::Arc;

use crate::sync::Mutex;

/// Most connections of a server, unless it is told another number.
pub const MAX_CONNECTIONS: usize = 10_000;

/// The places of a server, for all its listeners together.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    places: usize,
    /// Whether it was said that there is no more room.
    is_said: bool,
}

/// A connection's place, free again as soon as it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Room>);

impl Default for Room {
    fn default() -> Self {
        Self::new(MAX_CONNECTIONS)
    }
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// A place for one more connection, if there is one.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken.lock();
        if taken.places < self.most {
            taken.places += 1;
            return Some(Place(self.clone()));
        }
        let says = !std::mem::replace(&mut taken.is_said, true);
        drop(taken);
        if says {
            let most = self.most;
            tracing::warn!("all {most} connections are taken (max_connections): more are closed until some end");
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock();
        taken.places -= 1;
        // Said again only after some ease: not for each that comes as one goes.
        if taken.places <= self.0.most * 9 / 10 {
            taken.is_said = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_has_ended() {
        let room = Arc::new(Room::new(2));
        let first = room.enter().unwrap();
        let _second = room.enter().unwrap();
        assert!(room.enter().is_none());
        drop(first);
        assert!(room.enter().is_some());
    }
}
