//! Strangers at a sandbox's ports: what they may cost before they have logged in. The time is not real.

use std::net::SocketAddr;
use std::time::Duration;

use thingslink::sandbox::thingsboard::{ThingsBoard, ThingsBoardOptions};
use thingslink::sandbox::v2::{Options, Sandbox};
use thingslink::sandbox::{MAX_CONNECTIONS, v3};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How long a client may take to log in, and a little.
const LOGIN: Duration = Duration::from_secs(11);
/// No stranger is watched for longer.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// One server of each kind, and where they listen.
struct Servers {
    v2: Sandbox,
    v3: v3::Sandbox,
    thingsboard: ThingsBoard,
}

/// A port, and what a client begins with there.
type Port = (&'static str, SocketAddr, &'static [u8]);

/// The beginning of a login, of an endless TLS handshake, of HTTP/2.
const MQTT: &[u8] = b"\x10\x70\x00\x04MQTT\x04\x02\x00\x3c\x00\x40";
const TLS: &[u8] = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03";
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n";

impl Servers {
    async fn start() -> Self {
        Self::with_room_for(MAX_CONNECTIONS).await
    }

    async fn with_room_for(max_connections: usize) -> Self {
        let v2 = Options { mqtts_port: Some(0), max_connections, ..Options::default() };
        let v3 = v3::Options { mqtts_port: Some(0), insecure: true, max_connections, ..v3::Options::default() };
        let thingsboard = ThingsBoardOptions { host: "127.0.0.1".into(), port: 0, tls_port: Some(0), max_connections };
        Self {
            v2: Sandbox::start(v2).await.unwrap(),
            v3: v3::Sandbox::start(v3).await.unwrap(),
            thingsboard: ThingsBoard::start(thingsboard).await.unwrap(),
        }
    }

    fn ports(&self) -> Vec<Port> {
        let at = |address: &str| address.trim_start_matches("mqtts://").parse().unwrap();
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        vec![
            ("MQTT of V2", at(&self.v2.mqtt_address()), MQTT),
            ("MQTT over TLS of V2", at(&self.v2.mqtts_address().unwrap()), TLS),
            ("discovery", at(&self.v2.discovery_address()), TLS),
            ("handler", at(&self.v2.handler_address()), TLS),
            ("MQTT of V3", at(&self.v3.mqtt_address()), MQTT),
            ("MQTT over TLS of V3", at(&self.v3.mqtts_address().unwrap()), TLS),
            ("gRPC in plain text of V3", at(&self.v3.management_address()), HTTP2),
            ("MQTT of ThingsBoard", local(self.thingsboard.port()), MQTT),
            ("MQTT over TLS of ThingsBoard", local(self.thingsboard.tls_port().unwrap()), TLS),
        ]
    }

    async fn stop(self) {
        self.v2.stop().await;
        self.v3.stop().await;
        self.thingsboard.stop().await;
    }
}

/// Whether the server closes a connection while it is watched; what it says is passed over.
async fn is_closed(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut space = [0; 1024];
    let end = async { while stream.read(&mut space).await.is_ok_and(|count| count > 0) {} };
    timeout(FOR_EVER, end).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_closed_at_the_end_of_the_login_time() {
    let servers = Servers::start().await;
    for (name, address, _) in servers.ports() {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(is_closed(&mut stream).await, "{name} holds a silent connection");
        assert!(begun.elapsed() <= LOGIN, "{name} holds a silent connection for {:?}", begun.elapsed());
    }
    servers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_does_not_lengthen_the_login_time() {
    let servers = Servers::start().await;
    for (name, address, beginning) in servers.ports() {
        let begun = Instant::now();
        let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        let dripping = tokio::spawn(async move {
            for byte in beginning.iter().chain(std::iter::repeat(&0)) {
                sleep(Duration::from_secs(1)).await;
                if writer.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        });
        assert!(is_closed(&mut reader).await, "{name} holds a dripping connection");
        assert!(begun.elapsed() <= LOGIN, "{name} holds a dripping connection for {:?}", begun.elapsed());
        dripping.abort();
    }
    servers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_login_of_more_than_64_kib_is_not_waited_for() {
    let servers = Servers::start().await;
    for (name, address, beginning) in servers.ports().into_iter().filter(|(_, _, beginning)| *beginning == MQTT) {
        for (length, is_waited_for) in [(&b"\xff\xff\x03"[..], true), (&b"\x81\x80\x04"[..], false)] {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&[&b"\x10"[..], length, &beginning[2..]].concat()).await.unwrap();
            assert!(is_closed(&mut stream).await, "{name}");
            let waited = begun.elapsed() >= Duration::from_secs(10);
            assert_eq!(waited, is_waited_for, "{name}: a login of {length:x?} bytes");
        }
    }
    servers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_of_grpc_that_answers_nothing_is_closed() {
    let servers = Servers::start().await;
    let mut stream = TcpStream::connect(servers.v3.management_address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    assert!(is_closed(&mut stream).await);
    servers.stop().await;
}

#[tokio::test(start_paused = true)]
async fn connections_over_the_bound_are_closed_until_one_ends() {
    let servers = Servers::with_room_for(2).await;
    for (name, address, _) in servers.ports() {
        let begun = Instant::now();
        let (first, _second) = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(is_closed(&mut third).await, "{name}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}: it was let in, and closed for its silence");
        drop(first);
        let is_served = async {
            loop {
                let begun = Instant::now();
                let mut next = TcpStream::connect(address).await.unwrap();
                if is_closed(&mut next).await && begun.elapsed() >= Duration::from_secs(9) {
                    return;
                }
            }
        };
        assert!(timeout(FOR_EVER, is_served).await.is_ok(), "{name}: the place of a connection is kept after its end");
    }
    servers.stop().await;
}
