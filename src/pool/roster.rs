//! Who leads, who handles, who waits: decisions alone. The caller brings the time, and does what is decided.

mod hand;
mod orders;
mod places;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use self::hand::{Hand, Role, Task};
pub(super) use self::orders::{Alarm, Orders, Turn};
use self::watch::Watch;
use super::home::Home;

/// How long the network may be without a thread while a callback runs.
pub(super) const RELIEF: Duration = Duration::from_micros(200);
/// The same for a hand whose callbacks have all been quick lately: such a timer is cheap, and stays set.
const TRUSTED_RELIEF: Duration = Duration::from_millis(5);
/// Quick callbacks in a row that make a hand trusted.
const TRUST: u32 = 64;
/// How long a hand that nobody is at home with waits for its turn before it goes.
pub(super) const KEEP: Duration = Duration::from_secs(5);
/// Hands that there may be.
const MANY: usize = 4096;
/// Calls in a row to one hand after which it gets the lead, too.
const STREAK: u32 = 4;

/// A thread of the pool. Numbers are not used again; 0 is nobody's.
pub(super) type HandId = u64;

/// All hands, and what waits for them.
pub(super) struct Roster<W> {
    hands: BTreeMap<HandId, Hand<W>>,
    last: HandId,
    /// Work of those who have no home yet, and of those who need none.
    common: VecDeque<Task<W>>,
    leader: Option<HandId>,
    /// The hand that sleeps on the alarm, until it has woken up.
    standby: Option<HandId>,
    /// Whether the alarm is set for it, and how far ahead it was.
    armed: Option<Duration>,
    /// The hand that is to have the lead when it has done what it is called for.
    heir: Option<HandId>,
    /// Calls in a row to one hand.
    streak: (HandId, u32),
    /// When the lead was let go last.
    let_go: Option<Instant>,
    /// Whether that came soon after the time before.
    hurried: bool,
    /// Hands that handle work.
    active: usize,
    /// Hands that may be at home to somebody.
    homes: usize,
    watch: Watch,
    stopping: bool,
    orders: Orders,
}

impl<W> Roster<W> {
    /// Nobody is there yet; at most `homes` hands will be at home to somebody.
    pub(super) fn new(homes: usize) -> Self {
        Self {
            hands: BTreeMap::new(),
            last: 0,
            common: VecDeque::new(),
            leader: None,
            standby: None,
            armed: None,
            heir: None,
            streak: (0, 0),
            let_go: None,
            hurried: false,
            active: 0,
            homes,
            watch: Watch::new(),
            stopping: false,
            orders: Orders::default(),
        }
    }

    /// What has been ordered since the last time.
    pub(super) fn orders(&mut self) -> Orders {
        std::mem::take(&mut self.orders)
    }

    /// At most so many hands are at home to somebody from now on. Nobody moves.
    pub(super) fn set_homes(&mut self, homes: usize) {
        self.homes = homes;
    }

    /// Add a hand, and order a thread for it.
    pub(super) fn hire(&mut self) {
        self.last += 1;
        self.hands.insert(self.last, Hand::new());
        self.orders.start = Some(self.last);
    }

    /// The thread cannot be had: those who are there share the work.
    pub(super) fn not_hired(&mut self, id: HandId) {
        self.hands.remove(&id);
        for task in std::mem::take(&mut self.common) {
            self.share(task);
        }
        let waiting = self.hands.keys().copied().find(|id| self.is_waiting(*id));
        if let (None, Some(id)) = (self.leader, waiting) {
            self.wake(id);
        }
    }

    fn role(&self, id: HandId) -> Option<Role> {
        self.hands.get(&id).map(|hand| hand.role)
    }

    fn set_role(&mut self, id: HandId, role: Role) {
        if let Some(hand) = self.hands.get_mut(&id) {
            hand.role = role;
        }
    }

    /// Have a hand look at its queue.
    fn call(&mut self, id: HandId) {
        match self.role(id) {
            Some(Role::Leading) => {
                self.streak = (id, 0);
                self.orders.tell_leader = true;
            }
            Some(Role::Waiting) => {
                let before = if self.streak.0 == id { self.streak.1 } else { 0 };
                self.streak = (id, before.saturating_add(1));
                self.wake(id);
                if self.inherits(id) {
                    self.heir = Some(id);
                    self.orders.tell_leader = true;
                }
            }
            Some(Role::StandingBy) => {
                self.set_role(id, Role::Called);
                self.set_alarm(Duration::ZERO);
            }
            Some(Role::Called | Role::Working) | None => {}
        }
    }

    fn wake(&mut self, id: HandId) {
        self.set_role(id, Role::Called);
        self.orders.wake.push(id);
    }

    fn set_alarm(&mut self, after: Duration) {
        self.armed = Some(after);
        self.orders.alarm = Some(Alarm::Set(after));
    }

    /// Whether a hand that is called to work should have the lead as well, and so be there for the next message by
    /// itself. Not in a flood, which two share; nor if its callbacks are slow, for then somebody else must lead.
    fn inherits(&self, id: HandId) -> bool {
        let Some(leader) = self.leader else { return false };
        let quick = self.hands.get(&id).is_some_and(|hand| !hand.flooded && !hand.slow);
        let idle = self.hands.get(&leader).is_some_and(|hand| hand.queue.is_empty());
        let better = self.is_free(leader) || self.streak.1 >= STREAK;
        quick && idle && better && self.heir.is_none() && !self.expects_standby()
    }

    /// Whether the hand that slept on the alarm has been called and is on its way.
    fn expects_standby(&self) -> bool {
        self.standby.is_some_and(|id| self.role(id) != Some(Role::StandingBy))
    }

    /// A hand is awake, or done with its work, which was a flood or `slow`.
    fn arrive(&mut self, id: HandId, slow: bool) {
        if self.standby == Some(id) {
            self.standby = None;
            self.armed = None;
        }
        let Some(hand) = self.hands.get_mut(&id) else { return };
        if std::mem::replace(&mut hand.role, Role::Called) == Role::Working {
            hand.slow = slow;
            hand.quick = if slow { 0 } else { hand.quick.saturating_add(1) };
            self.active -= 1;
        }
        hand.see_off(id);
    }

    fn begin(&mut self, id: HandId) {
        self.active += 1;
        self.attend(id);
    }

    /// The lead is free while a hand goes to work: see to it that the network is without a thread for a short while at
    /// most.
    fn attend(&mut self, id: HandId) {
        if self.leader.is_some() {
            return;
        }
        if self.standby.is_some() {
            let relief = self.relief(id);
            if !self.expects_standby() && self.armed.is_none_or(|armed| armed > relief) {
                self.set_alarm(relief);
            }
            return;
        }
        let find = |role, free: bool| {
            let mut hands = self.hands.keys().copied();
            hands.find(|id| self.role(*id) == Some(role) && (!free || self.is_free(*id)))
        };
        if find(Role::Called, false).is_some() {
            return;
        }
        let others_free = self.hands.keys().any(|other| *other != id && self.is_free(*other));
        match find(Role::Waiting, true).or_else(|| find(Role::Waiting, false).filter(|_| others_free)) {
            Some(id) => self.wake(id),
            // From now on there is one to stand by.
            None if self.hands.len() < MANY => self.hire(),
            None => {}
        }
    }

    /// How long the network may be without a thread while a hand is at work.
    fn relief(&self, id: HandId) -> Duration {
        match self.hands.get(&id) {
            // In a flood the work takes a while.
            Some(hand) if hand.flooded => Duration::ZERO,
            Some(hand) if hand.quick >= TRUST => TRUSTED_RELIEF,
            _ => RELIEF,
        }
    }

    fn hurry(&mut self, now: Instant) {
        let before = self.let_go.replace(now);
        self.hurried = before.is_some_and(|before| now.saturating_duration_since(before) < 2 * RELIEF);
    }

    /// What a hand that is awake does next. `slow` tells how its work was, if it comes from any.
    pub(super) fn next(&mut self, id: HandId, slow: bool, now: Instant) -> Turn<W> {
        let trusting = self.standby == Some(id) && self.armed == Some(TRUSTED_RELIEF);
        self.arrive(id, slow);
        if self.stopping && (self.active == 0 || self.leader.is_some()) {
            self.orders.tell_leader |= self.active == 0;
            self.remove(id);
            return Turn::Go;
        }
        if let Some(work) = self.take(id) {
            self.begin(id);
            return Turn::Work(work);
        }
        if self.leader.is_some() {
            return self.step_aside(id);
        }
        let gone = self.let_go.map_or(RELIEF, |before| now.saturating_duration_since(before));
        if trusting && gone < RELIEF && !self.stopping {
            // The alarm was set for an earlier callback, and this one has only just begun.
            self.standby = Some(id);
            self.set_role(id, Role::StandingBy);
            self.set_alarm(RELIEF.saturating_sub(gone));
            return Turn::StandBy;
        }
        self.lead(id);
        Turn::Lead
    }

    fn lead(&mut self, id: HandId) {
        self.leader = Some(id);
        self.set_role(id, Role::Leading);
        // In a hurry, or far ahead, the alarm serves the next time as well: the kernel's timers are dear on virtual
        // machines. And at the end all must wake up.
        let near = self.armed.is_some_and(|armed| armed < TRUSTED_RELIEF);
        if near && !self.hurried && !self.stopping && !self.expects_standby() {
            self.armed = None;
            self.orders.alarm = Some(Alarm::CallOff);
        }
        // What waited until somebody leads again.
        self.summon();
    }

    fn step_aside(&mut self, id: HandId) -> Turn<W> {
        let free = self.is_free(id);
        let turn = if free && self.standby.is_none() {
            self.standby = Some(id);
            self.set_role(id, Role::StandingBy);
            Turn::StandBy
        } else {
            self.set_role(id, Role::Waiting);
            Turn::Wait(free.then_some(KEEP))
        };
        // If it has become somebody's home, others must come for the common work.
        self.summon();
        turn
    }

    /// What the leader lets go of the lead for, if there is anything.
    pub(super) fn due(&mut self, id: HandId, now: Instant) -> Option<Turn<W>> {
        if self.stopping {
            if self.active > 0 {
                // Somebody is in a callback that may wait for the network.
                return None;
            }
            self.leader = None;
            self.remove(id);
            return Some(Turn::Go);
        }
        if let Some(work) = self.take(id) {
            self.leader = None;
            self.heir = None;
            self.hurry(now);
            self.begin(id);
            return Some(Turn::Work(work));
        }
        let heir = self.heir.take()?;
        if !matches!(self.role(heir), Some(Role::Called | Role::Working)) || self.expects_standby() {
            return None;
        }
        self.leader = None;
        self.hurry(now);
        if self.standby.is_none() {
            self.standby = Some(id);
            self.set_role(id, Role::StandingBy);
            self.set_alarm(self.relief(heir));
            return Some(Turn::StandBy);
        }
        self.attend(heir);
        self.set_role(id, Role::Waiting);
        Some(Turn::Wait(self.is_free(id).then_some(KEEP)))
    }

    /// A batch of work is done and there may be more of it: what the hand works on next.
    pub(super) fn go_on(&mut self, id: HandId, work: W, home: impl FnOnce(&W) -> Option<Home>) -> Option<W> {
        let hand = self.hands.get_mut(&id)?;
        if self.stopping {
            return None;
        }
        if hand.queue.is_empty() {
            return Some(work);
        }
        let home = home(&work);
        hand.queue.push_back(Task { work, home });
        self.take(id)
    }

    /// More work for a hand that is at work; `flooded` tells how that was.
    pub(super) fn more(&mut self, id: HandId, flooded: bool) -> Option<W> {
        if let Some(hand) = self.hands.get_mut(&id) {
            hand.flooded = flooded;
        }
        self.take(id)
    }

    /// Somebody waits for the network, or will be busy for a while: let it have a thread at once.
    pub(super) fn relieve(&mut self) {
        if self.leader.is_none() && self.standby.is_some() && !self.expects_standby() {
            self.set_alarm(Duration::ZERO);
        }
    }

    /// Whether a hand still waits to be called.
    pub(super) fn is_waiting(&self, id: HandId) -> bool {
        self.role(id) == Some(Role::Waiting)
    }

    /// It has waited for as long as it should.
    pub(super) fn timed_out(&mut self, id: HandId, now: Instant) -> Turn<W> {
        if !self.is_waiting(id) || !self.is_free(id) {
            return self.next(id, false, now);
        }
        self.remove(id);
        Turn::Go
    }

    /// A hand cannot go on. What waits for it is for others.
    pub(super) fn gone(&mut self, id: HandId) {
        self.arrive(id, false);
        self.orders.tell_leader |= self.stopping;
        self.remove(id);
    }

    fn remove(&mut self, id: HandId) {
        let Some(hand) = self.hands.remove(&id) else { return };
        if !self.stopping {
            self.common.extend(hand.queue);
            self.summon();
        }
    }

    /// A client is closed: its hand is free for others unless it is called again.
    pub(super) fn depart(&mut self, home: &Home) {
        home.leave();
        let id = home.hand();
        // So that it does not wait for ever.
        if self.is_waiting(id) && self.is_free(id) {
            self.wake(id);
        }
    }

    /// Look whether common work gets on, as [`Watch::look`] does. Tells whether to go on looking.
    pub(super) fn tick(&mut self, progress: u64, entering: usize) -> bool {
        if self.common.is_empty() || self.stopping {
            self.watch.end();
            return false;
        }
        self.watch.look(progress, entering);
        self.summon();
        true
    }

    /// Begin no more work.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.orders.tell_leader = true;
        self.set_alarm(Duration::ZERO);
        for id in self.hands.keys().copied().collect::<Vec<_>>() {
            if self.is_waiting(id) {
                self.wake(id);
            }
        }
    }
}
