//! Connections without sockets: bytes and the time in, bytes and events out.

use bytes::{Buf as _, Bytes};

use super::*;
use crate::session::OutboxLimits;

const SECOND: Duration = Duration::from_secs(1);
/// Bound on the answer to a subscription.
const PATIENCE: Duration = Duration::from_secs(10);

/// One client and its connections, one after another.
struct Client {
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
    connection: Connection,
    now: Instant,
}

impl Client {
    /// A client that wants these filters, logged in for the first time.
    fn new(filters: &[&str], starting: bool) -> Self {
        let outbox = Arc::new(Outbox::new(OutboxLimits::default()));
        let filters = filters.iter().map(|filter| ((*filter).to_owned(), QoS::AtMostOnce)).collect();
        let subscriptions = Arc::new(Subscriptions::one_by_one(filters));
        let now = Instant::now();
        let connection = Self::log_in(&outbox, &subscriptions, starting, now);
        Self { outbox, subscriptions, connection, now }
    }

    fn log_in(outbox: &Arc<Outbox>, subscriptions: &Arc<Subscriptions>, starting: bool, now: Instant) -> Connection {
        let setting = Setting {
            version: Version::V5,
            answer: Answer::default(),
            again: !starting,
            starting,
            outbox: outbox.clone(),
            subscriptions: subscriptions.clone(),
            pending: Pending::default(),
            keep_alive: 60 * SECOND,
            patience: PATIENCE,
            max_incoming_bytes: 1000,
            flushes: false,
        };
        let mut connection = Connection::new(setting, now);
        connection.subscribe(now).unwrap();
        connection
    }

    /// The connection ends so; there is a new one.
    fn lose(&mut self, loss: &Loss) -> Remains {
        let nowhere = Arc::new(Outbox::new(OutboxLimits::default()));
        let none = Self::log_in(&nowhere, &self.subscriptions, false, self.now);
        let mut remains = std::mem::replace(&mut self.connection, none).end(Some(loss), self.now);
        self.connection = Self::log_in(&self.outbox, &self.subscriptions, false, self.now);
        remains.events.retain(|event| !matches!(event, Event::Connected { .. }));
        remains
    }

    fn publish(&self, topic: &str) {
        self.outbox.publish(topic.into(), Bytes::new(), QoS::AtLeastOnce).unwrap();
    }

    /// The socket takes all there is; gives the types of the packets.
    fn write(&mut self) -> Vec<u8> {
        let now = self.now;
        self.connection.fill(|| now).unwrap();
        let mut types = Vec::new();
        let buffer = self.connection.writer().buffer();
        let count = buffer.len();
        while buffer.has_remaining() {
            types.push(buffer[0] >> 4);
            let length = 2 + usize::from(buffer[1]);
            buffer.advance(length);
        }
        self.connection.wrote(count, now);
        types
    }

    /// The server sends.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Loss> {
        self.connection.read(&mut BytesMut::from(bytes), self.now)
    }

    fn events(&mut self) -> Vec<String> {
        self.connection.events().drain(..).map(|event| format!("{event:?}")).collect()
    }
}

const MESSAGE: &[u8] = &[0x30, 5, 0, 1, b'a', 0, b'1'];

fn suback(mid: u8, code: u8) -> [u8; 6] {
    [0x90, 4, 0, mid, 0, code]
}

#[test]
fn connected_is_told_when_every_subscription_is_answered() {
    let mut client = Client::new(&["a", "b"], true);
    assert_eq!(client.write(), [8, 8]);
    client.read(&suback(1, 0)).unwrap();
    assert!(client.events().is_empty() && client.connection.take_settled().is_none());
    client.read(&suback(2, 0)).unwrap();
    assert_eq!(client.events(), ["Connected { again: false, session_present: false }"]);
    assert_eq!(client.connection.take_settled(), Some(Settled::Standing));
}

#[test]
fn connected_is_told_before_the_first_message() {
    let mut client = Client::new(&["a"], true);
    client.read(MESSAGE).unwrap();
    assert!(matches!(&client.connection.events()[..], [Event::Connected { .. }, Event::Message(_)]));
}

#[test]
fn a_start_whose_filters_are_all_refused_has_failed() {
    let mut client = Client::new(&["a", "b"], true);
    client.read(&[suback(1, 128), suback(2, 135)].concat()).unwrap();
    let refused = Settled::Refused(vec!["a".into(), "b".into()]);
    assert_eq!(client.connection.take_settled(), Some(refused));
    assert!(client.events().is_empty(), "the failure tells it all");
}

#[test]
fn when_some_filters_are_refused_each_is_told() {
    let mut client = Client::new(&["a", "b"], true);
    client.read(&[suback(1, 128), suback(2, 0)].concat()).unwrap();
    assert_eq!(client.connection.take_settled(), Some(Settled::Standing));
    assert!(matches!(
        &client.connection.events()[..],
        [Event::Connected { .. }, Event::SubscriptionRefused { filter }] if filter == "a"
    ));
}

#[test]
fn after_a_reconnect_refused_filters_are_told_and_the_connection_stays() {
    let mut client = Client::new(&["a"], false);
    client.read(&suback(1, 128)).unwrap();
    assert_eq!(client.connection.take_settled(), Some(Settled::Standing));
    assert_eq!(client.events().len(), 2);
}

#[test]
fn a_subscription_that_is_not_answered_in_time_ends_any_connection() {
    for starting in [true, false] {
        let mut client = Client::new(&["a"], starting);
        let (due, _) = client.connection.due(client.now).unwrap();
        assert_eq!(due, client.now + PATIENCE);
        assert!(client.connection.due(due - SECOND).is_ok());
        // Whatever else the server says.
        client.read(&[0xD0, 0]).unwrap();
        assert!(matches!(client.connection.due(due), Err(Loss::Unanswered(PATIENCE))));
    }
}

#[test]
fn while_nothing_is_read_a_missing_answer_proves_nothing_and_pings_go_out() {
    let mut client = Client::new(&["a"], false);
    client.write();
    let start = client.now;
    client.connection.set_deaf(true, start + SECOND);
    client.now = start + 60 * SECOND;
    let (_, pinged) = client.connection.due(client.now).unwrap();
    assert!(pinged && client.write() == [12]);
    client.connection.set_deaf(false, client.now + SECOND);
    let (due, _) = client.connection.due(client.now + SECOND).unwrap();
    assert_eq!(due, client.now + SECOND + 9 * SECOND);
}

#[test]
fn who_closes_waits_for_no_subscription() {
    let mut client = Client::new(&["a"], false);
    client.connection.close();
    assert!(client.connection.due(client.now + 2 * PATIENCE).is_ok());
    client.read(MESSAGE).unwrap();
    assert!(client.events().is_empty());
}

#[test]
fn the_likely_cause_of_a_loss_is_what_went_before_it() {
    let cause = |prepare: &dyn Fn(&mut Client), loss: Loss| {
        let mut client = Client::new(&["a"], false);
        client.write();
        prepare(&mut client);
        client.lose(&loss).worth.cause
    };
    let answered = |client: &mut Client| client.read(&suback(1, 0)).unwrap();
    let published = |client: &mut Client| {
        answered(client);
        client.publish("t");
        client.write();
    };
    let quiet = |client: &mut Client| {
        answered(client);
        client.now += SECOND;
    };
    let acknowledged = |client: &mut Client| {
        published(client);
        client.read(&[0x40, 2, 0, 2]).unwrap();
        client.now += SECOND;
    };
    assert_eq!(cause(&|_| (), Loss::Closed), Cause::Subscription);
    assert_eq!(cause(&answered, Loss::Closed), Cause::Subscription);
    assert_eq!(cause(&quiet, Loss::Closed), Cause::Unprovoked);
    assert_eq!(cause(&published, Loss::Closed), Cause::Messages);
    assert_eq!(cause(&published, Loss::Parted(code::SESSION_TAKEN_OVER)), Cause::Unprovoked);
    assert_eq!(cause(&published, Loss::Silent), Cause::Network);
    assert_eq!(cause(&acknowledged, Loss::Closed), Cause::Unprovoked);
}

#[test]
fn a_connection_is_useful_by_a_message_or_an_acknowledgement_not_by_an_answered_subscription() {
    let mut client = Client::new(&["a"], false);
    client.read(&suback(1, 0)).unwrap();
    client.now += SECOND;
    let worth = client.lose(&Loss::Closed).worth;
    assert_eq!(worth, Worth { lasted: SECOND, useful: false, cause: Cause::Unprovoked });
    client.read(MESSAGE).unwrap();
    assert!(client.lose(&Loss::Closed).worth.useful);
    client.publish("t");
    client.write();
    assert!(!client.lose(&Loss::Closed).worth.useful);
    client.write();
    client.read(&[0x40, 2, 0, 4]).unwrap();
    assert!(client.lose(&Loss::Closed).worth.useful);
}

#[test]
fn a_message_that_ends_four_connections_is_ended_with_the_servers_reason() {
    let mut client = Client::new(&[], false);
    client.publish("bad");
    for _ in 0..3 {
        client.write();
        assert!(client.lose(&Loss::Parted(code::PAYLOAD_FORMAT_INVALID)).events.is_empty());
    }
    client.write();
    let remains = client.lose(&Loss::Parted(code::PAYLOAD_FORMAT_INVALID));
    assert!(matches!(
        &remains.events[..],
        [Event::Rejected { mid: 1, topic, reason: code::PAYLOAD_FORMAT_INVALID }] if topic == "bad"
    ));
    assert!(client.outbox.is_empty());
}

#[test]
fn losses_that_no_message_can_be_behind_condemn_none() {
    for loss in [
        Loss::Silent,
        Loss::Failed(std::io::ErrorKind::HostUnreachable.into()),
        Loss::Parted(code::SESSION_TAKEN_OVER),
        Loss::Parted(code::SERVER_BUSY),
    ] {
        let mut client = Client::new(&[], false);
        client.publish("t");
        for _ in 0..10 {
            assert!(client.write().contains(&3));
            assert!(client.lose(&loss).events.is_empty());
        }
        assert_eq!(client.outbox.len(), 1);
    }
}

#[test]
fn a_message_that_was_not_written_is_not_to_blame() {
    let mut client = Client::new(&[], false);
    client.publish("t");
    for _ in 0..10 {
        let now = client.now;
        client.connection.fill(|| now).unwrap();
        assert!(client.lose(&Loss::Closed).events.is_empty());
    }
    assert_eq!(client.outbox.len(), 1);
}

#[test]
fn what_goes_out_again_after_the_server_hung_up_goes_slowly() {
    for (loss, expected) in [(Loss::Closed, 1), (Loss::Parted(code::QUOTA_EXCEEDED), 1), (Loss::Silent, 5)] {
        let mut client = Client::new(&[], false);
        for _ in 0..5 {
            client.publish("t");
        }
        assert_eq!(client.write().len(), 5);
        client.lose(&loss);
        assert_eq!(client.write().len(), expected, "{loss}");
    }
}
