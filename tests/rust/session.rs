//! Sessions against a server of a few lines that does what a test says.

use std::sync::Arc;
use std::time::Duration;

use thingslink::Error;
use thingslink::backoff::Bounds;
use thingslink::endpoint::Endpoint;
use thingslink::ids::AccessKey;
use thingslink::session::{Event, Options, Outbox, OutboxLimits, QoS, Ready, Session, Sink, Subscriptions, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use crate::consumer::PATIENCE;

/// Hands events to the test.
struct Ear {
    events: mpsc::UnboundedSender<Event>,
    room: Notify,
}

impl Sink for Ear {
    fn deliver(&self, batch: &mut Vec<Event>) -> bool {
        for event in batch.drain(..) {
            let _nobody_listens = self.events.send(event);
        }
        false
    }

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> &Notify {
        &self.room
    }
}

struct Fixture {
    server: TcpListener,
    options: Options,
    outbox: Arc<Outbox>,
    filters: Vec<(String, QoS)>,
    ear: Arc<Ear>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Fixture {
    async fn new(filters: &[&str]) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let pace = Bounds { min: Duration::from_millis(10), max: Duration::from_millis(40) };
        let options = Options {
            endpoint: Endpoint::parse(&address, None).unwrap(),
            tls: None,
            proxy: None,
            client_id: "c".into(),
            username: String::new(),
            password: AccessKey::new(""),
            will: None,
            version: Version::V311,
            fallback: false,
            ready: Ready::Subscribed,
            clean_session: true,
            keep_alive: Duration::from_secs(60),
            connect_timeout: PATIENCE,
            reconnect: true,
            pace: pace.into(),
            max_incoming_bytes: 1000,
        };
        let (sender, events) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear { events: sender, room: Notify::new() });
        let filters = filters.iter().map(|filter| ((*filter).to_owned(), QoS::AtMostOnce)).collect();
        let outbox = Arc::new(Outbox::new(OutboxLimits::default()));
        Self { server, options, outbox, filters, ear, events }
    }

    async fn start(&self) -> thingslink::Result<Session> {
        let subscriptions = Arc::new(Subscriptions::one_by_one(self.filters.clone()));
        Session::start(self.options.clone(), self.outbox.clone(), subscriptions, self.ear.clone(), None).await
    }

    /// The next login, answered.
    async fn accept(&self) -> TcpStream {
        let (mut stream, _) = in_time(self.server.accept()).await.unwrap();
        assert_eq!(packet(&mut stream).await.unwrap()[0], 0x10);
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        stream
    }

    /// The next login, answered, and each of its subscriptions with this code.
    async fn serve(&self, code: u8) -> TcpStream {
        let mut stream = self.accept().await;
        for _ in &self.filters {
            let packet = packet(&mut stream).await.unwrap();
            stream.write_all(&[0x90, 3, packet[2], packet[3], code]).await.unwrap();
        }
        stream
    }

    async fn event(&mut self) -> Event {
        in_time(self.events.recv()).await.unwrap()
    }

    /// Whether no driver is left: it would hold the ear.
    fn is_over(&self) -> bool {
        Arc::strong_count(&self.ear) == 1
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// The next packet, which is short; `None` at the end.
async fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; 2];
    in_time(stream.read_exact(&mut packet)).await.ok()?;
    let length = usize::from(packet[1]);
    packet.resize(2 + length, 0);
    in_time(stream.read_exact(&mut packet[2..])).await.ok()?;
    Some(packet)
}

#[tokio::test]
async fn a_start_fails_when_every_filter_is_refused() {
    let fixture = Fixture::new(&["a", "b/#"]).await;
    let (outcome, mut stream) = tokio::join!(fixture.start(), async {
        let mut stream = fixture.serve(128).await;
        assert_eq!(packet(&mut stream).await.unwrap(), [0xE0, 0], "parted with in good order");
        stream
    });
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::SubscriptionRefused { filter, .. } if filter == "a, b/#"), "{error}");
    assert!(fixture.is_over() && packet(&mut stream).await.is_none());
}

#[tokio::test]
async fn a_subscription_that_is_never_answered_costs_the_connection() {
    let mut fixture = Fixture::new(&["a"]).await;
    fixture.options.connect_timeout = Duration::from_millis(200);
    let (session, stream) = tokio::join!(fixture.start(), fixture.serve(0));
    drop(stream);
    let _deaf = fixture.accept().await;
    let _heard = fixture.serve(0).await;
    let mut told = Vec::new();
    while told.len() < 4 {
        told.push(fixture.event().await);
    }
    assert!(
        matches!(
            &told[..],
            [Event::Connected { again: false, .. }, Event::Lost { .. }, Event::Lost { error, .. }, Event::Connected { .. }]
                if error.to_string().contains("no answer to a subscription")
        ),
        "{told:?}"
    );
    session.unwrap().close(Duration::ZERO).await;
}

#[tokio::test]
async fn a_loss_while_closing_ends_the_session() {
    let fixture = Fixture::new(&["a"]).await;
    let (session, mut stream) = tokio::join!(fixture.start(), fixture.serve(0));
    fixture.outbox.publish("t".into(), "1".into(), QoS::AtLeastOnce).unwrap();
    assert_eq!(packet(&mut stream).await.unwrap()[0], 0x32);
    // Not acknowledged: closing would wait for it.
    let session = session.unwrap();
    let closing = tokio::spawn(async move { session.close(Duration::from_secs(3600)).await });
    fixture.outbox.publish("t".into(), "2".into(), QoS::AtLeastOnce).unwrap();
    assert_eq!(packet(&mut stream).await.unwrap()[0], 0x32, "the order to close has come in between");
    drop(stream);
    in_time(closing).await.unwrap();
    assert!(fixture.is_over() && fixture.outbox.len() == 2);
    let again = tokio::time::timeout(Duration::from_millis(100), fixture.server.accept()).await;
    assert!(again.is_err(), "logged in after the close");
}

#[tokio::test]
async fn closing_ends_in_time_though_the_server_reads_nothing() {
    let fixture = Fixture::new(&["a"]).await;
    let (session, _stream) = tokio::join!(fixture.start(), fixture.serve(0));
    for _ in 0..100 {
        fixture.outbox.publish("t".into(), vec![0; 500_000].into(), QoS::AtLeastOnce).unwrap();
    }
    in_time(session.unwrap().close(Duration::from_millis(50))).await;
    assert!(fixture.is_over());
}

#[tokio::test]
async fn closing_while_connecting_ends_at_once() {
    let mut fixture = Fixture::new(&["a"]).await;
    fixture.options.ready = Ready::Open;
    let session = fixture.start().await.unwrap();
    // Nobody answers the login.
    in_time(session.close(Duration::from_secs(3600))).await;
    assert!(fixture.is_over());
}

#[tokio::test]
async fn a_message_that_the_server_hangs_up_over_does_not_stop_the_others() {
    let mut fixture = Fixture::new(&[]).await;
    let bad = fixture.outbox.track("b".into(), "1".into(), QoS::AtLeastOnce, 1).unwrap();
    for topic in ["a", "c"] {
        fixture.outbox.publish(topic.into(), "1".into(), QoS::AtLeastOnce).unwrap();
    }
    let serving = async {
        let mut stored = Vec::new();
        while stored.len() < 3 {
            let mut stream = fixture.accept().await;
            while let Some(packet) = packet(&mut stream).await {
                if packet[4] == b'b' {
                    break;
                }
                stream.write_all(&[0x40, 2, packet[5], packet[6]]).await.unwrap();
                stored.push(packet[4]);
                if stored.len() == 3 {
                    break;
                }
                if stored == *b"ac" {
                    // Once the others are through.
                    fixture.outbox.publish("d".into(), "1".into(), QoS::AtLeastOnce).unwrap();
                }
            }
        }
        stored
    };
    let (session, stored) = tokio::join!(fixture.start(), serving);
    assert_eq!(stored, b"acd");
    loop {
        if let Event::Rejected { topic, reason, .. } = fixture.event().await {
            assert_eq!((topic.as_str(), reason, bad.outcome()), ("b", 128, Some(128)));
            break;
        }
    }
    session.unwrap().close(Duration::ZERO).await;
}
