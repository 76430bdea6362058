//! Which messages have come, as far back as the network's storage may give them once more.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::dialect::lorawan::{Network, Told};

/// How far back from the last message it is asked again, by the network's own clocks: messages come out of order by so much.
#[must_use]
pub(super) fn overlap(network: Network) -> SignedDuration {
    SignedDuration::from_secs(match network {
        // Gateways tell the time, and are taken at their word if they are wrong by no more than half a minute (CS 3.4).
        Network::ChirpStack => 60,
        // Servers of a cluster work side by side.
        Network::V2 | Network::V3 => 2,
    })
}

/// Messages that are remembered at most.
const MOST: usize = 100_000;
/// How long a message may take to get into the storage.
const STORING: Duration = Duration::from_secs(2);

/// What tells one message from all others.
type Key = (u64, u64);

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Live,
    Stored,
}

/// What a stored message is to who has heard others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    Known,
}

/// The messages of a while.
#[derive(Debug)]
pub(super) struct Memory {
    overlap: SignedDuration,
    keys: HashMap<Key, Way>,
    /// In the order in which they came.
    order: VecDeque<(Timestamp, Key)>,
    hashers: [RandomState; 2],
    /// When the network received the first one that came over MQTT: what was before that was not missed.
    first: Option<Timestamp>,
    /// When it received the last one.
    newest: Option<Timestamp>,
    /// What came after this was missed, or may have been.
    owed: Option<Timestamp>,
    /// The last uplink that came over MQTT: when the network received it, and when it was here.
    last_uplink: Option<(Timestamp, Instant)>,
    /// The storage has given an uplink that was known: its memory goes back far enough.
    is_joined: bool,
    /// It has given a later one.
    is_past: bool,
}

impl Memory {
    pub(super) fn new(overlap: SignedDuration) -> Self {
        Self {
            overlap,
            keys: HashMap::new(),
            order: VecDeque::new(),
            hashers: <[RandomState; 2]>::default(),
            first: None,
            newest: None,
            owed: None,
            last_uplink: None,
            is_joined: false,
            is_past: false,
        }
    }

    fn key(&self, told: &Told<'_>) -> Key {
        let parts = (&told.dev_id, &told.kind, &told.mark, told.counter, told.instant);
        let [one, other] = &self.hashers;
        (one.hash_one(parts), other.hash_one(parts))
    }

    /// A message came over MQTT; tells whether the storage has not given it before.
    pub(super) fn note_live(&mut self, told: &Told<'_>, now: Instant) -> bool {
        if told.is_uplink && self.last_uplink.is_none_or(|(at, _)| at <= told.at) {
            self.last_uplink = Some((told.at, now));
        }
        self.first.get_or_insert(told.at);
        self.newest = self.newest.max(Some(told.at));
        let key = self.key(told);
        match self.keys.get(&key) {
            Some(Way::Stored) => false,
            Some(Way::Live) => true,
            None => {
                self.keep(told.at, key, Way::Live);
                true
            }
        }
    }

    /// Whether a message has come.
    pub(super) fn knows(&self, told: &Told<'_>) -> bool {
        self.keys.contains_key(&self.key(told))
    }

    /// All that the network has received until then is here.
    pub(super) fn advance(&mut self, until: Timestamp) {
        self.owed = self.owed.max(Some(until));
    }

    /// The storage gives a message, of those that are owed.
    pub(super) fn note_stored(&mut self, told: &Told<'_>) -> Novelty {
        self.newest = self.newest.max(Some(told.at));
        self.is_past |= self.last_uplink.is_some_and(|(at, _)| at < told.at);
        let key = self.key(told);
        if let Some(way) = self.keys.get(&key) {
            self.is_joined |= told.is_uplink && *way == Way::Live;
            return Novelty::Known;
        }
        self.keep(told.at, key, Way::Stored);
        Novelty::New
    }

    fn keep(&mut self, at: Timestamp, key: Key, way: Way) {
        self.keys.insert(key, way);
        self.order.push_back((at, key));
        let horizon = self.owed.or(self.newest).and_then(|from| from.checked_sub(self.overlap).ok());
        while let Some((at, key)) = self.order.front()
            && (self.order.len() > MOST || horizon.is_some_and(|horizon| *at < horizon))
        {
            self.keys.remove(key);
            self.order.pop_front();
        }
    }

    /// A connection begins: what the network has received since the last message is owed. Tells whether there is a last
    /// message.
    pub(super) fn begin(&mut self) -> bool {
        self.owed = self.owed.or_else(|| self.newest?.checked_sub(self.overlap).ok().max(self.first));
        (self.is_joined, self.is_past) = (false, false);
        self.owed.is_some()
    }

    /// After when to ask, for what is owed: nothing if nothing is.
    pub(super) fn after(&self) -> Option<Timestamp> {
        // Who stores times may store microseconds.
        self.owed?.checked_sub(SignedDuration::from_micros(1)).ok()
    }

    /// The latest that is owed no more.
    pub(super) fn owed(&self) -> Option<Timestamp> {
        self.owed
    }

    /// Nothing is owed any more. Tells the time since which messages may be lost, if the storage does not reach back to what
    /// was here already.
    pub(super) fn settle(&mut self, begun: Option<Timestamp>, now: Instant) -> Option<Timestamp> {
        self.clear();
        let (at, here) = self.last_uplink?;
        let is_stored = self.is_past || now.saturating_duration_since(here) >= STORING;
        let should_know = is_stored && begun.is_some_and(|begun| at >= begun);
        (should_know && !self.is_joined).then_some(at)
    }

    /// Nothing is owed any more: all of it is here, or never to be had.
    pub(super) fn clear(&mut self) {
        self.owed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    /// An uplink, by its second and counter.
    fn uplink(second: i64, counter: i64, session: &str) -> Document {
        let at = Timestamp::from_second(1_700_000_000 + second).unwrap();
        let text = format!(
            r#"{{"end_device_ids":{{"device_id":"d-1"}},"received_at":"{at}","uplink_message":{{"session_key_id":"{session}","f_cnt":{counter}}}}}"#
        );
        Document::parse(text.as_bytes()).unwrap()
    }

    fn live(memory: &mut Memory, second: i64, counter: i64) -> bool {
        let document = uplink(second, counter, "AQ==");
        memory.note_live(&Network::V3.told("", document.root()).unwrap(), Instant::now())
    }

    fn stored(memory: &mut Memory, second: i64, counter: i64) -> Novelty {
        let document = uplink(second, counter, "AQ==");
        let told = Network::V3.told("", document.root()).unwrap();
        memory.advance(told.at);
        memory.note_stored(&told)
    }

    fn later() -> Instant {
        Instant::now() + STORING + Duration::from_secs(1)
    }

    #[test]
    fn nothing_is_owed_before_a_message_came() {
        let mut memory = Memory::new(overlap(Network::V3));
        assert!(!memory.begin() && memory.after().is_none());
        assert!(live(&mut memory, 0, 0) && memory.begin());
        assert!(memory.after().unwrap() < Timestamp::from_second(1_700_000_000).unwrap());
    }

    #[test]
    fn what_was_before_the_first_message_was_not_missed() {
        let mut memory = Memory::new(overlap(Network::ChirpStack));
        live(&mut memory, 100, 0);
        live(&mut memory, 130, 1);
        memory.begin();
        assert_eq!(memory.owed(), Timestamp::from_second(1_700_000_100).ok(), "and not a minute before the last one");
        memory.clear();
        live(&mut memory, 190, 2);
        memory.begin();
        assert_eq!(memory.owed(), Timestamp::from_second(1_700_000_130).ok());
    }

    #[test]
    fn what_is_known_comes_once_whichever_way_it_comes_first() {
        let mut memory = Memory::new(overlap(Network::V3));
        assert!(live(&mut memory, 0, 7));
        let begun = memory.begin().then(|| memory.after()).flatten();
        assert_eq!(stored(&mut memory, 0, 7), Novelty::Known);
        assert_eq!(stored(&mut memory, 1, 8), Novelty::New);
        assert_eq!(stored(&mut memory, 1, 8), Novelty::Known);
        assert!(!live(&mut memory, 1, 8), "the storage was faster");
        assert!(live(&mut memory, 2, 9));
        assert_eq!(stored(&mut memory, 2, 9), Novelty::Known, "MQTT was faster");
        assert_eq!(memory.settle(begun, later()), None);
        assert!(memory.after().is_none());
    }

    #[test]
    fn a_storage_that_does_not_know_the_last_uplink_has_lost_some() {
        for (gives_later, now, is_told) in
            [(false, Instant::now(), false), (false, later(), true), (true, Instant::now(), true)]
        {
            let mut memory = Memory::new(overlap(Network::V3));
            live(&mut memory, 0, 7);
            memory.begin();
            let begun = memory.after();
            if gives_later {
                stored(&mut memory, 90_000, 20);
            }
            assert_eq!(memory.settle(begun, now).is_some(), is_told, "{gives_later}: it may not be stored yet");
        }
    }

    #[test]
    fn what_was_not_fetched_stays_owed_from_where_it_ended() {
        let mut memory = Memory::new(overlap(Network::V3));
        live(&mut memory, 0, 7);
        memory.begin();
        stored(&mut memory, 10, 8);
        // Not settled; meanwhile others come live.
        live(&mut memory, 100, 20);
        assert!(memory.begin());
        assert_eq!(memory.owed(), Timestamp::from_second(1_700_000_010).ok());
        assert_eq!(stored(&mut memory, 50, 12), Novelty::New);
        assert_eq!(stored(&mut memory, 100, 20), Novelty::Known);
    }

    #[test]
    fn what_is_long_over_is_forgotten() {
        let mut memory = Memory::new(overlap(Network::V3));
        for second in 0..1000 {
            live(&mut memory, second, second);
        }
        assert!(memory.order.len() <= 4 && memory.keys.len() == memory.order.len(), "{memory:?}");
    }

    #[test]
    fn without_a_session_the_time_tells_uplinks_apart() {
        let mut memory = Memory::new(overlap(Network::V3));
        let [one, other] = [uplink(0, 0, ""), uplink(1, 0, "")];
        for document in [&one, &other] {
            assert_eq!(memory.note_stored(&Network::V3.told("", document.root()).unwrap()), Novelty::New);
        }
        assert_eq!(memory.note_stored(&Network::V3.told("", one.root()).unwrap()), Novelty::Known);
    }
}
