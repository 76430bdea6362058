use std::time::Duration;

use super::*;
use crate::dialect::mqtt::code;

fn outbox(messages: usize) -> Outbox {
    Outbox::new(OutboxLimits { messages, bytes: 1000, ..OutboxLimits::default() })
}

fn window(in_flight: usize) -> ServerLimits {
    ServerLimits { in_flight, packet_bytes: usize::MAX }
}

fn publish(outbox: &Outbox, qos: QoS) -> u16 {
    outbox.publish("t".into(), Bytes::from_static(b"12"), qos).unwrap()
}

#[test]
fn ids_count_up_and_skip_those_in_use() {
    let outbox = outbox(50_000);
    assert_eq!(outbox.reserve(), 1);
    assert_eq!(publish(&outbox, QoS::AtMostOnce), 2);
    outbox.state().last_mid = 65_535;
    assert_eq!(publish(&outbox, QoS::AtMostOnce), 2, "1 is in use, 2 was of QoS 0");
    outbox.release(1);
    outbox.state().last_mid = 65_535;
    assert_eq!(publish(&outbox, QoS::AtLeastOnce), 1);
}

#[test]
fn unacknowledged_messages_go_out_again_in_order_before_new_ones() {
    let outbox = outbox(10);
    let mids: Vec<_> = (0..3).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
    let given: Vec<_> = std::iter::from_fn(|| outbox.next(&window(2))).map(|message| message.mid).collect();
    assert_eq!(given, mids[..2], "the window holds the third back");
    outbox.rewind();
    let given: Vec<_> =
        std::iter::from_fn(|| outbox.next(&window(2))).map(|message| (message.mid, message.dup)).collect();
    assert_eq!(given, [(mids[0], true), (mids[1], true)]);
    assert!(outbox.acknowledged(mids[0], 0).is_some() && outbox.acknowledged(mids[0], 0).is_none());
    assert_eq!(outbox.next(&window(2)).map(|message| (message.mid, message.dup)), Some((mids[2], false)));
}

#[test]
fn unwritten_messages_keep_their_place() {
    let outbox = outbox(10);
    let mids: Vec<_> = (0..3).map(|_| publish(&outbox, QoS::AtMostOnce)).collect();
    outbox.next(&window(1));
    outbox.next(&window(1));
    let mut written = Vec::new();
    outbox.written(1, |mid| written.push(mid));
    outbox.rewind();
    assert_eq!(written, mids[..1]);
    assert_eq!(outbox.next(&window(1)).unwrap().mid, mids[1]);
    assert_eq!(outbox.len(), 2);
}

#[test]
fn bounds_hold_in_messages_and_bytes() {
    let full = outbox(1);
    publish(&full, QoS::AtMostOnce);
    assert!(matches!(full.publish("t".into(), Bytes::new(), QoS::AtMostOnce), Err(Error::Full { limit: 1 })));
    let heavy = outbox(10);
    let body = Bytes::from(vec![0; 600]);
    heavy.publish("t".into(), body.clone(), QoS::AtMostOnce).unwrap();
    assert!(matches!(heavy.publish("t".into(), body, QoS::AtMostOnce), Err(Error::Full { .. })));
    assert!(matches!(heavy.publish("t".into(), vec![0; 2000].into(), QoS::AtMostOnce), Err(Error::TooLarge { .. })));
}

#[test]
fn tickets_tell_what_became_of_their_messages() {
    let outbox = outbox(10);
    let body = || Bytes::from_static(b"12");
    let taken = outbox.track("t".into(), body(), QoS::AtLeastOnce, 1).unwrap();
    let refused = outbox.track("t".into(), body(), QoS::AtLeastOnce, 1).unwrap();
    let written = outbox.track("t".into(), body(), QoS::AtMostOnce, 1).unwrap();
    for _ in 0..3 {
        outbox.next(&window(9)).unwrap();
    }
    assert!(!outbox.wait(&taken, Instant::now() + Duration::from_millis(1)));
    outbox.acknowledged(taken.mid(), 0);
    outbox.acknowledged(refused.mid(), 151);
    outbox.written(1, |_| ());
    assert!(outbox.wait(&written, Instant::now()));
    assert_eq!((taken.outcome(), refused.outcome(), written.outcome()), (Some(0), Some(151), Some(0)));
    assert!(outbox.is_empty() && outbox.state().bytes == 0);
}

#[test]
fn a_full_window_is_filled_again_in_one_go() {
    let outbox = outbox(20);
    let mids: Vec<_> = (0..12).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
    let give = || std::iter::from_fn(|| outbox.next(&window(8))).count();
    assert_eq!(give(), 8);
    outbox.acknowledged(mids[0], 0);
    assert_eq!((give(), outbox.is_holding(&window(8))), (0, true));
    outbox.acknowledged(mids[1], 0);
    outbox.acknowledged(mids[2], 0);
    assert_eq!((give(), outbox.is_holding(&window(8))), (3, false));
    outbox.acknowledged(mids[3], 0);
    outbox.release_held();
    assert_eq!(give(), 1, "held no longer than its time");
}

#[test]
fn what_the_server_can_never_take_is_given_up() {
    let outbox = outbox(10);
    let large = outbox.track("t".into(), vec![0; 200].into(), QoS::AtLeastOnce, 1).unwrap();
    let small = publish(&outbox, QoS::AtLeastOnce);
    let next = outbox.next(&ServerLimits { in_flight: 9, packet_bytes: 100 }).unwrap();
    assert_eq!((next.mid, large.outcome(), outbox.len()), (small, Some(code::PACKET_TOO_LARGE), 1));
}

fn give(outbox: &Outbox) -> Vec<u16> {
    std::iter::from_fn(|| outbox.next(&window(9))).map(|message| message.mid).collect()
}

const HUNG_UP: Verdict = Verdict { blamed: Some(code::PAYLOAD_FORMAT_INVALID), paced: true };
const CUT: Verdict = Verdict { blamed: None, paced: false };

#[test]
fn a_message_that_the_server_hangs_up_over_is_set_aside_tried_alone_and_ended() {
    let outbox = outbox(10);
    let bad = outbox.track("bad".into(), Bytes::from_static(b"12"), QoS::AtLeastOnce, 1).unwrap();
    let good = [publish(&outbox, QoS::AtLeastOnce), publish(&outbox, QoS::AtLeastOnce)];
    for _ in 0..3 {
        assert_eq!(give(&outbox).first(), Some(&bad.mid()));
        assert_eq!(outbox.lost(HUNG_UP), None);
    }
    assert_eq!(give(&outbox), good[..1], "the others go first");
    outbox.acknowledged(good[0], 0);
    assert_eq!(give(&outbox), good[1..], "and it waits until they are acknowledged");
    outbox.acknowledged(good[1], 0);
    let later = publish(&outbox, QoS::AtMostOnce);
    assert_eq!(give(&outbox), [bad.mid()], "nothing else is on the way with it");
    assert_eq!(bad.outcome(), None);
    let given_up = GivenUp { mid: bad.mid(), topic: "bad".into(), size: 5 };
    assert_eq!(outbox.lost(HUNG_UP), Some(given_up));
    assert_eq!(bad.outcome(), Some(code::PAYLOAD_FORMAT_INVALID));
    assert_eq!((give(&outbox), outbox.len()), (vec![later], 1));
}

#[test]
fn a_message_on_trial_that_is_acknowledged_is_as_good_as_any() {
    let outbox = outbox(10);
    let mid = publish(&outbox, QoS::AtLeastOnce);
    for _ in 0..3 {
        give(&outbox);
        outbox.lost(HUNG_UP);
    }
    let again = outbox.next(&window(9)).unwrap();
    assert!((again.mid, again.dup) == (mid, true));
    assert!(outbox.acknowledged(mid, 0).is_some() && outbox.is_empty());
    assert!(give(&outbox).is_empty());
}

#[test]
fn a_network_that_fails_condemns_no_message() {
    let outbox = outbox(10);
    let mid = publish(&outbox, QoS::AtLeastOnce);
    for _ in 0..20 {
        assert_eq!(give(&outbox), [mid]);
        assert_eq!(outbox.lost(CUT), None);
    }
}

#[test]
fn what_is_sent_again_after_the_server_hung_up_is_one_message_and_doubles_with_each_acknowledgement() {
    let outbox = outbox(20);
    let mids: Vec<_> = (0..12).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
    assert_eq!(give(&outbox).len(), 9);
    outbox.lost(HUNG_UP);
    assert_eq!(give(&outbox), mids[..1]);
    outbox.acknowledged(mids[0], 0);
    assert_eq!(give(&outbox), mids[1..3]);
    outbox.lost(CUT);
    assert_eq!(give(&outbox), mids[1..2], "a cut on the way does not widen it");
    outbox.acknowledged(mids[1], code::QUOTA_EXCEEDED);
    assert_eq!(give(&outbox), mids[2..3], "nor does a refusal");
    outbox.acknowledged(mids[2], 0);
    assert_eq!(give(&outbox), mids[3..5]);
    outbox.acknowledged(mids[3], 0);
    assert_eq!(give(&outbox), mids[5..8]);
    outbox.acknowledged(mids[4], 0);
    assert_eq!(give(&outbox), mids[8..12]);
}

#[test]
fn after_a_cut_everything_goes_out_again_at_once() {
    let outbox = outbox(20);
    let mids: Vec<_> = (0..9).map(|_| publish(&outbox, QoS::AtLeastOnce)).collect();
    give(&outbox);
    outbox.lost(CUT);
    assert_eq!(give(&outbox), mids);
}

#[test]
fn what_must_be_said_first_goes_before_all_that_waits() {
    let full = outbox(1);
    publish(&full, QoS::AtLeastOnce);
    full.publish_first(["a", "b"].map(|topic| (topic.to_owned(), Bytes::new())), QoS::AtLeastOnce);
    let topics: Vec<_> = std::iter::from_fn(|| full.next(&window(9))).map(|message| message.topic).collect();
    assert_eq!(topics, ["a", "b", "t"]);
}

#[test]
fn what_is_withdrawn_is_not_sent_again_and_holds_nothing_back() {
    let outbox = outbox(10);
    let send = |topic: &str| outbox.track(topic.to_owned(), Bytes::new(), QoS::AtLeastOnce, 1).unwrap();
    let (first, gone, last, waits) = (send("a"), send("x/1"), send("b"), send("x/2"));
    for ticket in [&first, &gone, &last] {
        assert_eq!(outbox.next(&window(9)).map(|message| message.mid), Some(ticket.mid()));
    }
    assert_eq!(outbox.withdraw(|topic| topic.starts_with("x/"), code::IMPLEMENTATION_SPECIFIC), 2);
    assert_eq!([&first, &gone, &last, &waits].map(|ticket| ticket.outcome()), [None, Some(131), None, Some(131)]);
    assert_eq!(give(&outbox), [0; 0], "what was given out stays so");
    outbox.lost(HUNG_UP);
    outbox.acknowledged(first.mid(), 0);
    assert_eq!((give(&outbox), outbox.len()), (vec![last.mid()], 1));
}

#[test]
fn what_is_withdrawn_counts_for_the_server_until_it_is_acknowledged() {
    let outbox = outbox(10);
    let send = |topic: &str| outbox.track(topic.to_owned(), Bytes::new(), QoS::AtLeastOnce, 1).unwrap();
    let tickets = ["x/1", "x/2", "a", "b"].map(send);
    let mids = tickets.map(|ticket| ticket.mid());
    let next = || outbox.next(&window(2)).map(|message| message.mid);
    assert_eq!([next(), next(), next()], [Some(mids[0]), Some(mids[1]), None]);
    for round in 0..3 {
        outbox.withdraw(|topic| topic.starts_with("x/"), code::IMPLEMENTATION_SPECIFIC);
        assert_eq!(next(), None, "the server still holds two, round {round}");
    }
    outbox.state().last_mid = mids[0] - 1;
    assert!(!mids.contains(&publish(&outbox, QoS::AtLeastOnce)), "what the server still owes has its ID");
    assert_eq!(outbox.acknowledged(mids[0], 0), Some(Acknowledged::Withdrawn));
    assert_eq!((outbox.acknowledged(mids[0], 0), next(), next()), (None, Some(mids[2]), None));
    outbox.lost(CUT);
    assert_eq!([next(), next(), next()], [Some(mids[2]), Some(mids[3]), None], "a new connection owes nothing");
    assert_eq!(outbox.acknowledged(mids[1], 0), None);
}

#[test]
fn a_loss_that_a_withdrawn_message_may_be_the_cause_of_blames_no_other() {
    let outbox = outbox(10);
    let (mid, other) = (publish(&outbox, QoS::AtLeastOnce), publish(&outbox, QoS::AtLeastOnce));
    for _ in 0..5 {
        outbox.publish_first([("x".to_owned(), Bytes::new())], QoS::AtLeastOnce);
        assert_eq!(give(&outbox).len(), 3);
        outbox.withdraw(|topic| topic == "x", code::IMPLEMENTATION_SPECIFIC);
        assert_eq!(outbox.lost(Verdict { paced: false, ..HUNG_UP }), None);
    }
    assert_eq!(outbox.next(&window(9)).map(|message| message.mid), Some(mid));
    assert_eq!(outbox.next(&window(9)).map(|message| message.mid), Some(other), "none is tried alone");
}

#[test]
fn ids_never_run_out_however_many_are_withdrawn() {
    let outbox = Outbox::new(OutboxLimits { messages: usize::MAX, in_flight: 60_000, ..OutboxLimits::default() });
    let wide = ServerLimits { in_flight: usize::MAX, packet_bytes: usize::MAX };
    let mut accepted = 0;
    while accepted < 100_000 && outbox.publish("x".into(), Bytes::new(), QoS::AtLeastOnce).is_ok() {
        accepted += 1;
        outbox.next(&wide).unwrap();
        outbox.withdraw(|_| true, code::IMPLEMENTATION_SPECIFIC);
    }
    assert_eq!((accepted, outbox.len()), (60_000, 0), "the server owes as many");
    outbox.lost(CUT);
    assert!(outbox.publish("x".into(), Bytes::new(), QoS::AtLeastOnce).is_ok());
}

#[test]
fn what_opens_a_connection_keeps_to_what_the_server_takes() {
    let outbox = outbox(10);
    for topic in ["a", "b"] {
        outbox.greet(topic.into(), Bytes::new(), QoS::AtLeastOnce);
    }
    let first = outbox.next(&window(1)).unwrap();
    assert!(outbox.next(&window(1)).is_none());
    outbox.acknowledged(first.mid, 0);
    assert_eq!(outbox.next(&window(1)).map(|message| message.topic), Some("b".to_owned()));
}

/// Lets as many messages through as it is told to.
#[derive(Debug, Default)]
struct Turnstile {
    tokens: Mutex<usize>,
    paid: Mutex<Vec<(String, usize)>>,
}

const CLOSED: Duration = Duration::from_secs(7);

impl Gate for Turnstile {
    fn pay(&self, topic: &str, points: usize) -> Result<(), Duration> {
        let mut tokens = self.tokens.lock();
        *tokens = tokens.checked_sub(1).ok_or(CLOSED)?;
        self.paid.lock().push((topic.to_owned(), points));
        Ok(())
    }
}

fn gated() -> (Arc<Turnstile>, Outbox) {
    let gate = Arc::new(Turnstile::default());
    (gate.clone(), Outbox::gated(OutboxLimits::default(), gate))
}

fn topics(outbox: &Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.next(&window(9))).map(|message| message.topic).collect()
}

#[test]
fn what_goes_out_again_is_paid_for_and_what_its_sender_paid_for_is_not() {
    let (gate, outbox) = gated();
    let tickets: Vec<_> = (1..=3)
        .map(|points| outbox.track(format!("t{points}"), Bytes::new(), QoS::AtLeastOnce, points).unwrap())
        .collect();
    assert_eq!((topics(&outbox).len(), gate.paid.lock().len(), outbox.held_back()), (3, 0, None));
    outbox.lost(CUT);
    assert_eq!((topics(&outbox).len(), outbox.held_back()), (0, Some(CLOSED)));
    *gate.tokens.lock() = 2;
    assert_eq!((topics(&outbox), outbox.held_back()), (vec!["t1".into(), "t2".into()], Some(CLOSED)));
    assert_eq!(*gate.paid.lock(), [("t1".into(), 1), ("t2".into(), 2)]);
    outbox.acknowledged(tickets[0].mid(), 0);
    outbox.lost(CUT);
    *gate.tokens.lock() = 9;
    assert_eq!((topics(&outbox), outbox.held_back()), (vec!["t2".into(), "t3".into()], None));
    assert_eq!(gate.paid.lock().len(), 4, "t2 was on the way twice, t3 once");
}

#[test]
fn what_the_client_says_by_itself_is_paid_for_and_goes_before_what_waits() {
    let (gate, outbox) = gated();
    outbox.track("waits".into(), Bytes::new(), QoS::AtLeastOnce, 0).unwrap();
    let tickets = outbox.publish_first(["a", "b"].map(|topic| (topic.to_owned(), Bytes::new())), QoS::AtLeastOnce);
    *gate.tokens.lock() = 1;
    assert_eq!(topics(&outbox), ["a"]);
    *gate.tokens.lock() = 1;
    assert_eq!(topics(&outbox), ["b", "waits"]);
    outbox.acknowledged(tickets[1].mid(), code::QUOTA_EXCEEDED);
    assert_eq!([tickets[0].outcome(), tickets[1].outcome()], [None, Some(code::QUOTA_EXCEEDED)]);
}

#[test]
fn a_greeting_goes_before_what_goes_out_again_is_free_and_ends_with_its_connection() {
    let (gate, outbox) = gated();
    outbox.track("old".into(), Bytes::new(), QoS::AtLeastOnce, 0).unwrap();
    assert_eq!(topics(&outbox), ["old"]);
    for round in 1..=3 {
        outbox.lost(HUNG_UP);
        outbox.greet("hello".into(), Bytes::new(), QoS::AtLeastOnce);
        *gate.tokens.lock() = 0;
        assert_eq!(topics(&outbox), ["hello"], "one on the way, be it a greeting, as after every hanging up: {round}");
        *gate.tokens.lock() = 1;
        assert_eq!((topics(&outbox).len(), outbox.len()), (0, 2));
        let hello = outbox.state().last_mid;
        outbox.acknowledged(hello, 0);
        assert_eq!((topics(&outbox), gate.paid.lock().len()), (vec!["old".into()], round));
        outbox.greet("late".into(), Bytes::new(), QoS::AtMostOnce);
        assert_eq!(topics(&outbox), ["late"]);
    }
    assert_eq!(outbox.payloads("old").len(), 1);
}

#[test]
fn a_greeting_is_not_what_the_server_hangs_up_over() {
    let (gate, outbox) = gated();
    *gate.tokens.lock() = 100;
    outbox.greet("hello".into(), Bytes::new(), QoS::AtLeastOnce);
    let bad = outbox.track("bad".into(), Bytes::new(), QoS::AtLeastOnce, 0).unwrap();
    assert_eq!(topics(&outbox), ["hello", "bad"], "neither is acknowledged");
    for _ in 0..3 {
        outbox.lost(HUNG_UP);
        assert_eq!((topics(&outbox), bad.outcome()), (vec!["bad".into()], None));
    }
    assert_eq!(outbox.lost(HUNG_UP).map(|given_up| given_up.topic), Some("bad".into()));
    assert_eq!(bad.outcome(), Some(code::PAYLOAD_FORMAT_INVALID));
}
