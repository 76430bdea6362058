//! The roster's decisions, one scene each.

use std::time::{Duration, Instant};

use crate::pool::home::Home;
use crate::pool::roster::{Alarm, HandId, KEEP, Orders, RELIEF, Roster, Turn};

/// A roster, and the time.
struct Scene {
    roster: Roster<&'static str>,
    now: Instant,
}

const QUICK: bool = false;
const SLOW: bool = true;

impl Scene {
    /// Hand 1 leads, nobody else is there.
    fn new(homes: usize) -> Self {
        let mut scene = Self { roster: Roster::new(homes), now: Instant::now() };
        scene.roster.hire();
        assert_eq!(scene.orders().start, Some(1));
        assert_eq!(scene.next(1), Turn::Lead);
        scene
    }

    /// Hand 1 leads and is at home to "soil", hand 2 stands by.
    fn with_soil() -> (Self, Home) {
        let mut scene = Self::new(64);
        let soil = Home::default();
        scene.roster.submit("soil", Some(soil.clone()));
        assert_eq!(scene.due(1), Some(Turn::Work("soil")));
        soil.claim();
        assert_eq!(scene.orders().start, Some(2));
        assert_eq!(scene.next(1), Turn::Lead);
        assert_eq!(scene.next(2), Turn::StandBy);
        scene.roster.orders();
        scene.quiet();
        (scene, soil)
    }

    fn orders(&mut self) -> Orders {
        self.roster.orders()
    }

    fn next(&mut self, id: HandId) -> Turn<&'static str> {
        self.roster.next(id, QUICK, self.now)
    }

    fn due(&mut self, id: HandId) -> Option<Turn<&'static str>> {
        self.roster.due(id, self.now)
    }

    fn submit(&mut self, work: &'static str, home: &Home) -> Orders {
        self.roster.submit(work, Some(home.clone()));
        self.orders()
    }

    /// Time passes without messages.
    fn quiet(&mut self) {
        self.now += Duration::from_secs(1);
    }

    /// A second client at home with hand 2, which waits; hand 3 stands by.
    fn with_rain(&mut self) -> Home {
        let rain = Home::default();
        let orders = self.submit("rain", &rain);
        assert_eq!(orders.alarm, Some(Alarm::Set(Duration::ZERO)), "the hand that stands by is called");
        assert_eq!(self.next(2), Turn::Work("rain"));
        rain.claim();
        assert_eq!(self.next(2), Turn::Wait(None));
        self.roster.hire();
        assert_eq!(self.next(3), Turn::StandBy);
        self.orders();
        rain
    }
}

#[test]
fn the_leader_handles_the_message_of_its_own_client_itself_and_leads_again() {
    let (mut scene, soil) = Scene::with_soil();
    for _ in 0..10 {
        let orders = scene.submit("soil", &soil);
        assert!(orders.tell_leader && orders.wake.is_empty() && orders.start.is_none(), "{orders:?}");
        assert_eq!(scene.due(1), Some(Turn::Work("soil")));
        assert_eq!(scene.orders().alarm, Some(Alarm::Set(RELIEF)), "somebody leads if it takes long");
        assert_eq!(scene.next(1), Turn::Lead);
        assert_eq!(scene.orders().alarm, Some(Alarm::CallOff));
        scene.quiet();
    }
}

#[test]
fn the_alarm_stays_set_while_messages_follow_each_other_quickly() {
    let (mut scene, soil) = Scene::with_soil();
    let mut alarms = 0;
    for _ in 0..50 {
        scene.submit("soil", &soil);
        assert_eq!(scene.due(1), Some(Turn::Work("soil")));
        assert_eq!(scene.next(1), Turn::Lead);
        alarms += usize::from(scene.orders().alarm.is_some());
        scene.now += RELIEF;
    }
    assert!(alarms <= 2, "{alarms}");
}

#[test]
fn the_alarm_is_set_far_ahead_and_stays_set_for_a_hand_that_has_been_quick_for_long() {
    let (mut scene, soil) = Scene::with_soil();
    let mut alarms = Vec::new();
    for _ in 0..100 {
        scene.submit("soil", &soil);
        assert_eq!(scene.due(1), Some(Turn::Work("soil")));
        alarms.extend(scene.orders().alarm);
        assert_eq!(scene.next(1), Turn::Lead);
        alarms.extend(scene.orders().alarm);
        scene.quiet();
    }
    let far = Duration::from_millis(5);
    assert_eq!(alarms.last(), Some(&Alarm::Set(far)));
    let fired = scene.next(2);
    assert_eq!(fired, Turn::StandBy, "the leader is there");

    // It fires while a callback is under way: only if that has taken too long already does somebody else lead.
    scene.submit("soil", &soil);
    scene.due(1);
    assert_eq!(scene.orders().alarm, Some(Alarm::Set(far)));
    scene.now += RELIEF / 4;
    assert_eq!(scene.next(2), Turn::StandBy);
    assert_eq!(scene.orders().alarm, Some(Alarm::Set(RELIEF * 3 / 4)));
    scene.now += RELIEF;
    assert_eq!(scene.next(2), Turn::Lead);
    assert_eq!(scene.roster.next(1, SLOW, scene.now), Turn::Wait(None));
}

#[test]
fn who_stands_by_leads_when_a_callback_is_slow_and_the_lead_comes_home_after_it() {
    let (mut scene, soil) = Scene::with_soil();
    scene.submit("soil", &soil);
    assert_eq!(scene.due(1), Some(Turn::Work("soil")));
    assert_eq!(scene.next(2), Turn::Lead, "the alarm woke it");
    assert_eq!(scene.roster.next(1, SLOW, scene.now), Turn::Wait(None));
    scene.orders();

    // Once more without the lead: it may be slow again.
    let orders = scene.submit("soil", &soil);
    assert_eq!(orders.wake, [1]);
    assert_eq!(scene.due(2), None);
    assert_eq!(scene.next(1), Turn::Work("soil"));
    assert_eq!(scene.next(1), Turn::Wait(None));

    // It was quick, so the next message brings the lead.
    let orders = scene.submit("soil", &soil);
    assert_eq!((orders.wake, orders.tell_leader), (vec![1], true));
    assert_eq!(scene.due(2), Some(Turn::StandBy));
    assert_eq!(scene.orders().alarm, Some(Alarm::Set(RELIEF)));
    assert_eq!(scene.next(1), Turn::Work("soil"));
    assert_eq!(scene.next(1), Turn::Lead);
}

#[test]
fn a_hand_that_was_done_before_the_leader_let_go_waits_for_the_next_message() {
    let (mut scene, soil) = Scene::with_soil();
    scene.submit("soil", &soil);
    scene.due(1);
    assert_eq!(scene.next(2), Turn::Lead);
    assert_eq!(scene.next(1), Turn::Wait(None));
    scene.submit("soil", &soil);
    assert_eq!(scene.next(1), Turn::Work("soil"));
    assert_eq!(scene.next(1), Turn::Wait(None));
    assert_eq!(scene.due(2), None, "nobody is there to lead instead");
}

#[test]
fn a_second_client_gets_a_hand_of_its_own_and_the_leader_goes_on() {
    let (mut scene, soil) = Scene::with_soil();
    let rain = scene.with_rain();
    let orders = scene.submit("rain", &rain);
    assert_eq!((orders.wake, orders.tell_leader), (vec![2], false));
    assert_eq!(scene.next(2), Turn::Work("rain"));
    scene.submit("soil", &soil);
    assert_eq!(scene.due(1), Some(Turn::Work("soil")), "both at once");
}

#[test]
fn the_lead_goes_to_the_hand_that_is_called_all_the_time() {
    let (mut scene, _soil) = Scene::with_soil();
    let rain = scene.with_rain();
    let mut calls = 0;
    while scene.roster.due(1, scene.now).is_none() {
        calls += 1;
        assert!(calls < 10);
        scene.submit("rain", &rain);
        if scene.due(1).is_some() {
            break;
        }
        assert_eq!(scene.next(2), Turn::Work("rain"));
        assert_eq!(scene.next(2), Turn::Wait(None));
    }
    assert_eq!(scene.next(2), Turn::Work("rain"));
    assert_eq!(scene.next(2), Turn::Lead);
}

#[test]
fn clients_that_take_turns_do_not_make_the_lead_go_round() {
    let (mut scene, soil) = Scene::with_soil();
    let rain = scene.with_rain();
    for _ in 0..20 {
        scene.submit("rain", &rain);
        assert_eq!(scene.due(1), None);
        assert_eq!(scene.next(2), Turn::Work("rain"));
        assert_eq!(scene.next(2), Turn::Wait(None));
        scene.submit("soil", &soil);
        assert_eq!(scene.due(1), Some(Turn::Work("soil")));
        assert_eq!(scene.next(1), Turn::Lead);
    }
}

#[test]
fn in_a_flood_the_roles_stay() {
    let (mut scene, soil) = Scene::with_soil();
    scene.submit("soil", &soil);
    scene.due(1);
    scene.roster.relieve();
    assert_eq!(scene.orders().alarm, Some(Alarm::Set(Duration::ZERO)));
    assert_eq!(scene.next(2), Turn::Lead);
    assert_eq!(scene.roster.more(1, true), None);
    assert_eq!(scene.next(1), Turn::Wait(None));
    scene.submit("soil", &soil);
    assert_eq!(scene.due(2), None, "the leader goes on with the network");
    assert_eq!(scene.next(1), Turn::Work("soil"));
}

#[test]
fn a_client_that_calls_nothing_gets_no_home() {
    let mut scene = Scene::new(64);
    for _ in 0..1000 {
        scene.submit("idle", &Home::default());
        assert_eq!(scene.due(1), Some(Turn::Work("idle")));
        assert_eq!(scene.next(1), Turn::Lead);
        scene.roster.orders();
        scene.quiet();
    }
    assert_eq!(scene.submit("idle", &Home::default()).start, None);
}

#[test]
fn a_burst_of_clients_that_call_nothing_is_done_by_one_hand() {
    let mut scene = Scene::new(64);
    for _ in 0..50 {
        scene.submit("idle", &Home::default());
    }
    assert_eq!(scene.due(1), Some(Turn::Work("idle")));
    assert_eq!(scene.next(2), Turn::Lead, "the alarm was for it, since hand 1 waits for the interpreter");
    assert_eq!(scene.due(2), None);
    for _ in 1..50 {
        assert_eq!(scene.roster.more(1, false), Some("idle"));
    }
    assert_eq!(scene.next(1), Turn::StandBy);
    assert_eq!(scene.due(2), None);
    assert_eq!(scene.orders().start, Some(2), "no third one");
}

#[test]
fn a_delivery_that_comes_while_the_first_callback_returns_goes_to_the_same_hand() {
    let mut scene = Scene::new(64);
    let soil = Home::default();
    scene.submit("soil", &soil);
    assert_eq!(scene.due(1), Some(Turn::Work("soil")));
    assert_eq!(scene.next(2), Turn::Lead);
    soil.claim();
    let orders = scene.submit("soil", &soil);
    assert!(!orders.tell_leader && orders.wake.is_empty(), "it will look by itself");
    assert_eq!(scene.roster.more(1, false), Some("soil"));
}

#[test]
fn beyond_the_bound_clients_share_the_hand_that_fewest_are_at_home_with() {
    let mut scene = Scene::new(2);
    let homes: Vec<_> = (0..2).map(|_| Home::default()).collect();
    scene.submit("first", &homes[0]);
    assert_eq!(scene.due(1), Some(Turn::Work("first")));
    homes[0].claim();
    scene.submit("second", &homes[1]);
    assert_eq!(scene.next(2), Turn::Work("second"));
    homes[1].claim();
    let third = Home::default();
    scene.submit("third", &third);
    scene.roster.hire();
    assert_eq!(scene.next(3), Turn::Lead, "it gives the work to those who are at home");
    assert_eq!(scene.roster.more(1, false), Some("third"));
    third.claim();
    assert_eq!(third.hand(), 1);
    let fourth = Home::default();
    scene.submit("fourth", &fourth);
    scene.due(3);
    assert_eq!(scene.roster.more(2, false), Some("fourth"));
}

#[test]
fn more_homes_may_be_asked_for() {
    let mut scene = Scene::new(1);
    let (soil, rain) = (Home::default(), Home::default());
    scene.submit("soil", &soil);
    scene.due(1);
    soil.claim();
    scene.roster.set_homes(2);
    scene.submit("rain", &rain);
    assert_eq!(scene.next(2), Turn::Work("rain"));
}

#[test]
fn the_hand_of_a_closed_client_goes_after_a_while() {
    let (mut scene, _soil) = Scene::with_soil();
    let rain = scene.with_rain();
    scene.roster.depart(&rain);
    assert_eq!(scene.orders().wake, [2]);
    assert_eq!(scene.next(2), Turn::Wait(Some(KEEP)));
    assert_eq!(scene.roster.timed_out(2, scene.now), Turn::Go);
}

#[test]
fn a_client_that_comes_back_in_time_is_at_home_where_it_was() {
    let (mut scene, _soil) = Scene::with_soil();
    let rain = scene.with_rain();
    scene.roster.depart(&rain);
    assert_eq!(scene.next(2), Turn::Wait(Some(KEEP)));
    scene.submit("rain", &rain);
    assert_eq!(scene.roster.timed_out(2, scene.now), Turn::Work("rain"), "it was called at that very moment");
}

#[test]
fn the_hand_of_a_closed_client_is_given_to_the_next_one() {
    let (mut scene, _soil) = Scene::with_soil();
    let rain = scene.with_rain();
    scene.roster.depart(&rain);
    assert_eq!(scene.next(2), Turn::Wait(Some(KEEP)));
    scene.orders();
    let hail = Home::default();
    assert_eq!(scene.submit("hail", &hail).wake, [2]);
    assert_eq!(scene.next(2), Turn::Work("hail"));
    hail.claim();
    // Not two in one home: who was away moves.
    assert_eq!(scene.next(2), Turn::Wait(None));
    scene.submit("rain", &rain);
    assert_eq!(scene.next(3), Turn::Work("rain"));
}

#[test]
fn what_needs_no_home_is_done_by_a_free_hand() {
    let (mut scene, _soil) = Scene::with_soil();
    scene.roster.submit("log", None);
    assert_eq!(scene.due(1), None);
    assert_eq!(scene.next(2), Turn::Work("log"));
}

#[test]
fn common_work_gets_another_hand_only_when_nothing_moves_and_nobody_waits_to_enter() {
    let (mut scene, _soil) = Scene::with_soil();
    scene.roster.submit("blocking", None);
    assert_eq!(scene.next(2), Turn::Work("blocking"));
    scene.orders();
    scene.roster.submit("other", None);
    assert_eq!(scene.orders(), Orders { watch: true, ..Orders::default() });
    assert!(scene.roster.tick(7, 0));
    assert_eq!(scene.orders(), Orders::default(), "it has moved on to 7");
    assert!(scene.roster.tick(7, 1));
    assert_eq!(scene.orders(), Orders::default(), "more hands would wait for the interpreter as well");
    assert!(scene.roster.tick(7, 0));
    assert_eq!(scene.orders().start, Some(3));
    assert_eq!(scene.next(3), Turn::Work("other"));
    assert!(!scene.roster.tick(7, 0));
}

#[test]
fn at_the_end_nobody_begins_and_the_leader_stays_for_those_at_work() {
    let (mut scene, soil) = Scene::with_soil();
    scene.submit("soil", &soil);
    scene.due(1);
    assert_eq!(scene.next(2), Turn::Lead);
    scene.roster.stop();
    scene.roster.submit("soil", Some(soil));
    assert_eq!(scene.due(2), None, "a callback may wait for the network");
    assert_eq!(scene.next(1), Turn::Go);
    assert!(scene.orders().tell_leader);
    assert_eq!(scene.due(2), Some(Turn::Go));
}
