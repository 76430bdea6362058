//! Who is at home where, and which hand does what work.

use super::hand::{Role, Task};
use super::{HandId, MANY, Roster};
use crate::pool::home::Home;

impl<W> Roster<W> {
    /// Have work done soon, where its owner is at home.
    pub(in crate::pool) fn submit(&mut self, work: W, home: Option<Home>) {
        if self.stopping {
            return;
        }
        let task = Task { work, home };
        let place = task.home.as_ref().and_then(|home| Some((home, self.address(home)?)));
        if let Some((home, id)) = place {
            home.come_back();
            self.assign(id, task);
        } else {
            self.common.push_back(task);
            self.summon();
        }
    }

    fn assign(&mut self, id: HandId, task: Task<W>) {
        if let Some(hand) = self.hands.get_mut(&id) {
            hand.queue.push_back(task);
            self.call(id);
        }
    }

    /// Where somebody is at home; nowhere if that hand is gone, or if others took the place while the client was closed.
    fn address(&self, home: &Home) -> Option<HandId> {
        let id = home.hand();
        let hand = self.hands.get(&id)?;
        let taken = || hand.guests.iter().any(|guest| !guest.is_away() && !guest.is(home));
        let lost = home.is_away() && (taken() || self.occupied() >= self.homes);
        (!lost).then_some(id)
    }

    /// Whether nobody is at home with this hand.
    pub(super) fn is_free(&self, id: HandId) -> bool {
        let at_home = |guest: &Home| guest.is_living() && guest.hand() == id;
        self.hands.get(&id).is_some_and(|hand| !hand.guests.iter().any(at_home))
    }

    /// How many are at home with this hand, or may be in a moment.
    fn company(&self, id: HandId) -> usize {
        let here = |guest: &&Home| !guest.is_away() && guest.hand() == id;
        self.hands.get(&id).map_or(0, |hand| hand.guests.iter().filter(here).count())
    }

    /// How many hands have company.
    fn occupied(&self) -> usize {
        self.hands.keys().filter(|id| self.company(**id) > 0).count()
    }

    /// See to it that a hand with nobody at home comes for the common work.
    pub(super) fn summon(&mut self) {
        if self.common.is_empty() || self.stopping {
            return;
        }
        if self.is_awaited(None) {
            self.orders.watch |= self.watch.begin();
            return;
        }
        let free: Vec<_> = self.hands.keys().copied().filter(|id| self.is_free(*id)).collect();
        let find = |role| free.iter().copied().find(|id| self.role(*id) == Some(role));
        if find(Role::Leading).is_some() {
            self.orders.tell_leader = true;
        } else if find(Role::Called).is_some() {
            // It will ask what is next.
        } else if let Some(id) = find(Role::Waiting) {
            self.wake(id);
        } else if let Some(id) = find(Role::StandingBy) {
            // While nobody leads it must stay: it will have the lead if those at work do not come back in a moment, and
            // find the work then.
            if self.leader.is_some_and(|leader| self.role(leader) == Some(Role::Leading)) {
                self.call(id);
            }
        } else if self.hands.len() < MANY {
            self.hire();
        } else if let Some(task) = self.common.pop_front() {
            self.share(task);
        }
    }

    /// Whether a hand with nobody at home is at work. It will be back for more in a moment, or be somebody's home, or it
    /// waits for the interpreter, for which the others would have to wait as well, or it is in something that blocks:
    /// then the watch finds that nothing moves.
    fn is_awaited(&self, by: Option<HandId>) -> bool {
        let others = self.hands.iter().filter(|(id, hand)| hand.role == Role::Working && Some(**id) != by);
        !self.watch.is_stuck() && others.into_iter().any(|(id, _)| self.is_free(*id))
    }

    /// Give work to the hand that fewest are at home with.
    pub(super) fn share(&mut self, task: Task<W>) {
        let occupied = self.hands.keys().copied().filter(|id| self.company(*id) > 0);
        let chosen = occupied.min_by_key(|id| self.company(*id)).or_else(|| self.hands.keys().copied().next());
        if let Some(id) = chosen {
            if let (Some(home), Some(hand)) = (task.home.clone(), self.hands.get_mut(&id)) {
                hand.welcome(id, home);
            }
            self.assign(id, task);
        }
    }

    /// What a hand may work on now.
    pub(super) fn take(&mut self, id: HandId) -> Option<W> {
        if self.stopping {
            return None;
        }
        let hand = self.hands.get_mut(&id)?;
        hand.see_off(id);
        let mut task = hand.queue.pop_front();
        while task.is_none() && !self.common.is_empty() && self.is_free(id) && !self.is_awaited(Some(id)) {
            let first = self.common.pop_front()?;
            self.watch.moved();
            if first.home.is_some() && self.occupied() >= self.homes {
                self.share(first);
                // It may have come back to this very hand.
                task = self.hands.get_mut(&id)?.queue.pop_front();
            } else {
                task = Some(first);
            }
        }
        let Task { work, home } = task?;
        if let (Some(home), Some(hand)) = (home, self.hands.get_mut(&id)) {
            hand.welcome(id, home);
        }
        self.set_role(id, Role::Working);
        self.summon();
        Some(work)
    }
}
