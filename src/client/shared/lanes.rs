//! The lanes of a member: which it may read, and where each one is. Pure; `leases` asks the server.

use std::collections::{BTreeMap, HashSet};

use tokio::time::Instant;

use super::consumer::PULL;
use super::supply::PAUSE;
use crate::nats::subject::LANES;

/// How many lanes a member may have when there are so many.
pub(super) fn share(members: usize) -> usize {
    usize::from(LANES).div_ceil(members.max(1))
}

/// A lane's lease as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// Whose it is; nobody's if it is empty.
    pub(super) owner: String,
    /// The number of this entry, by which it can be replaced.
    pub(super) sequence: u64,
}

/// What the server knows of a group's members and lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) members: HashSet<String>,
    pub(super) lanes: BTreeMap<u16, Lease>,
}

/// What a member does about its leases.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Lanes to renew, with the entries that are to be replaced.
    pub(super) renew: Vec<(u16, u64)>,
    /// Lanes to claim, likewise.
    pub(super) claim: Vec<(u16, u64)>,
    /// How many lanes it has beyond its share.
    pub(super) excess: usize,
    /// Whether it has fewer than its share, and there may be more soon.
    pub(super) short: bool,
}

/// Decide, as `me`, with `mine` of the lanes leased. `start` is where to begin to look for free ones, another place for
/// each member, so that they do not all claim the same.
pub(super) fn plan(me: &str, mine: &BTreeMap<u16, u64>, table: &Table, start: u16) -> Plan {
    let mut members = table.members.len();
    members += usize::from(!table.members.contains(me));
    let share = share(members);
    let lease = |lane: u16| table.lanes.get(&lane).filter(|lease| !lease.owner.is_empty());
    let is_mine = |lane: u16| mine.contains_key(&lane) && lease(lane).is_none_or(|lease| lease.owner == me);
    let entry = |lane: u16| (lane, table.lanes.get(&lane).map_or(0, |lease| lease.sequence));
    let renew: Vec<_> = (0..LANES).filter(|lane| is_mine(*lane)).map(entry).collect();
    let room = share.saturating_sub(renew.len());
    let order = (0..LANES).map(|step| (start + step) % LANES);
    // A lease of ours that we do not know is one whose answer was lost.
    let is_free = |lane: &u16| !is_mine(*lane) && lease(*lane).is_none_or(|lease| lease.owner == me);
    let claim: Vec<_> = order.filter(is_free).take(room).map(entry).collect();
    let excess = renew.len().saturating_sub(share);
    let short = renew.len() + claim.len() < share;
    Plan { renew, claim, excess, short }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// A message was asked for, which may come until then.
    Asked(Instant),
    /// A message of it is in hand.
    Busy,
}

#[derive(Debug)]
struct Lane {
    /// The number of its lease's entry.
    lease: u64,
    state: State,
    /// It is given to another member when its message is settled.
    leaves: bool,
    /// Messages that waited in it when it was last heard of.
    pending: u64,
}

/// A member's lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<u16, Lane>,
}

impl Lanes {
    /// The leases that are to be kept.
    pub(super) fn leases(&self) -> BTreeMap<u16, u64> {
        self.lanes.iter().filter(|(_, lane)| !lane.leaves).map(|(number, lane)| (*number, lane.lease)).collect()
    }

    /// These lanes are ours from now on, and no others; a message of another one that is in hand is settled all the same.
    pub(super) fn own(&mut self, leases: &BTreeMap<u16, u64>) {
        self.lanes.retain(|number, lane| lane.leaves || leases.contains_key(number));
        for (number, lease) in leases {
            let new = Lane { lease: *lease, state: State::Idle, leaves: false, pending: 0 };
            self.lanes.entry(*number).or_insert(new).lease = *lease;
        }
    }

    /// None is ours any more.
    pub(super) fn clear(&mut self) {
        self.lanes.clear();
    }

    /// Give up so many lanes, idle ones first; gives those that can be released at once.
    pub(super) fn leave(&mut self, count: usize) -> Vec<(u16, u64)> {
        let mut chosen: Vec<_> = self.lanes.iter_mut().filter(|(_, lane)| !lane.leaves).collect();
        chosen.sort_by_key(|(_, lane)| lane.state == State::Busy);
        for (_, lane) in chosen.into_iter().take(count) {
            lane.leaves = true;
        }
        let is_free = |lane: &Lane| lane.leaves && lane.state != State::Busy;
        let free = self.lanes.iter().filter(|(_, lane)| is_free(lane)).map(|(number, lane)| (*number, lane.lease));
        let free: Vec<_> = free.collect();
        for (number, _) in &free {
            self.lanes.remove(number);
        }
        free
    }

    /// Lanes of which a message is to be asked for.
    pub(super) fn ask(&mut self, most: usize) -> Vec<u16> {
        let now = Instant::now();
        let due = |lane: &Lane| match lane.state {
            State::Idle => true,
            State::Asked(until) => until <= now,
            State::Busy => false,
        };
        let due = self.lanes.iter_mut().filter(|(_, lane)| !lane.leaves && due(lane)).take(most);
        due.map(|(number, lane)| {
            lane.state = State::Asked(now + PULL);
            *number
        })
        .collect()
    }

    /// Lanes of which a message may come.
    pub(super) fn asked(&self) -> usize {
        self.lanes.values().filter(|lane| matches!(lane.state, State::Asked(_))).count()
    }

    /// A message of a lane came, with so many after it.
    pub(super) fn came(&mut self, number: u16, pending: u64) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.state = State::Busy;
            lane.pending = pending;
        }
    }

    /// The message of a lane is settled. Tells whether the next one is asked for, or the lease to be released.
    pub(super) fn settled(&mut self, number: u16, asks: bool) -> Next {
        let Some(lane) = self.lanes.get_mut(&number) else { return Next::Nothing };
        if lane.leaves {
            let lease = lane.lease;
            self.lanes.remove(&number);
            return Next::Release(lease);
        }
        lane.state = if asks { State::Asked(Instant::now() + PULL) } else { State::Idle };
        if asks { Next::Ask } else { Next::Nothing }
    }

    /// The server does not give what was asked for; where it refuses, it is left alone for a while.
    pub(super) fn ended(&mut self, number: u16, refused: bool) {
        if let Some(lane) = self.lanes.get_mut(&number)
            && matches!(lane.state, State::Asked(_))
        {
            lane.state = if refused { State::Asked(Instant::now() + PAUSE) } else { State::Idle };
        }
    }

    /// The connection is another one.
    pub(super) fn forget(&mut self) {
        let numbers: Vec<_> = self.lanes.keys().copied().collect();
        for number in numbers {
            self.ended(number, false);
        }
    }

    /// Messages that wait in these lanes.
    pub(super) fn lag(&self) -> u64 {
        self.lanes.values().map(|lane| lane.pending).sum()
    }
}

/// What comes after a lane's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Ask,
    Release(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(members: &[&str], owner: impl Fn(u16) -> &'static str) -> Table {
        let lanes =
            (0..LANES).map(|lane| (lane, Lease { owner: owner(lane).to_owned(), sequence: u64::from(lane) + 1 }));
        Table { members: members.iter().map(|member| (*member).to_owned()).collect(), lanes: lanes.collect() }
    }

    #[test]
    fn the_first_member_claims_all_and_then_renews_them() {
        let first = plan("a", &BTreeMap::new(), &Table::default(), 7);
        assert_eq!((first.claim.len(), first.claim[0], first.excess, first.short), (256, (7, 0), 0, false));
        let mine: BTreeMap<_, _> = (0..LANES).map(|lane| (lane, 1)).collect();
        let second = plan("a", &mine, &table(&["a"], |_| "a"), 0);
        assert_eq!((second.renew.len(), second.claim.len(), second.excess), (256, 0, 0));
    }

    #[test]
    fn a_second_member_gets_half() {
        let mine: BTreeMap<_, _> = (0..LANES).map(|lane| (lane, 1)).collect();
        let table = table(&["a", "b"], |_| "a");
        assert_eq!(plan("a", &mine, &table, 0).excess, 128);
        let newcomer = plan("b", &BTreeMap::new(), &table, 0);
        assert_eq!((newcomer.claim.len(), newcomer.short), (0, true));
    }

    #[test]
    fn shares_add_up_and_nobody_takes_more() {
        for members in 1..=300 {
            assert!(share(members) * members >= usize::from(LANES));
            assert!(members > 256 || (share(members) - 1) * members < usize::from(LANES));
        }
        let third = table(&["a", "b", "c"], |lane| {
            if lane < 86 {
                "a"
            } else if lane < 172 {
                "b"
            } else {
                ""
            }
        });
        assert_eq!(plan("c", &BTreeMap::new(), &third, 0).claim.len(), 84);
    }

    #[test]
    fn what_another_one_has_taken_is_lost_and_what_a_dead_one_had_is_free() {
        let mine: BTreeMap<_, _> = [(1, 2), (2, 3)].into();
        let mut table = table(&["a", "b"], |lane| if lane == 1 { "b" } else { "a" });
        let plan_now = plan("a", &mine, &table, 0);
        assert!(plan_now.renew.iter().all(|(lane, _)| *lane != 1));
        table.lanes.remove(&9);
        assert!(plan("b", &BTreeMap::new(), &table, 9).claim.contains(&(9, 0)));
    }

    #[tokio::test]
    async fn a_lane_is_released_between_messages() {
        let mut lanes = Lanes::default();
        lanes.own(&[(1, 10), (2, 20)].into());
        assert_eq!(lanes.ask(9), [1, 2]);
        lanes.came(1, 5);
        lanes.came(2, 6);
        assert_eq!(lanes.lag(), 11);
        assert_eq!(lanes.leave(1), [], "both are busy");
        assert_eq!(lanes.leases().len(), 1);
        assert_eq!(lanes.settled(1, true), Next::Release(10));
        assert_eq!(lanes.settled(2, true), Next::Ask);
        lanes.ended(2, false);
        assert_eq!(lanes.leave(1), [(2, 20)]);
    }
}
