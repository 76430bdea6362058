//! A look at the server's settings: where acknowledged messages could be lost, in plain words.

use std::time::Duration;

use async_nats::jetstream::stream::Info;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Server;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};

/// Port of the server's monitoring.
const MONITOR_PORT: u16 = 8222;
/// How long to wait for it.
const LOOK: Duration = Duration::from_secs(2);
/// The largest answer of it that is read.
const MOST: u64 = 1 << 20;
/// The oldest server that has all that is used.
const OLDEST: (u32, u32) = (2, 11);

/// The monitoring of a server, where it has one (`http: 8222` in its configuration).
#[derive(Clone, Debug)]
pub struct Monitor(Endpoint);

impl Monitor {
    /// Read its address, `http://host:8222` or `host:8222`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn parse(address: &str) -> Result<Self> {
        let plain = address.strip_prefix("http://").unwrap_or(address);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        Endpoint::parse_plain("nats_monitor", plain, "http://host:8222, without TLS", MONITOR_PORT, false).map(Self)
    }

    /// Where it is unless somebody says otherwise.
    #[must_use]
    pub fn beside(server: &Endpoint) -> Self {
        Self(Endpoint { host: server.host.clone(), port: MONITOR_PORT, tls: false })
    }

    /// How seldom the server has what it has acknowledged written to the disk; zero for each time.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub async fn sync_interval(&self, within: Duration) -> Result<Duration> {
        let late = |_| Error::Timeout { what: format!("asking the monitoring at {}", self.0), after: within };
        let body = tokio::time::timeout(within, self.get("/jsz?config=true")).await.map_err(late)??;
        sync_interval(&body).ok_or_else(|| Error::Lost {
            address: self.0.to_string(),
            reason: "it does not answer as the monitoring of a NATS server with JetStream".to_owned(),
        })
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        let unreachable = |error| Error::unreachable(self.0.to_string(), error);
        let mut stream = TcpStream::connect((self.0.host.as_str(), self.0.port)).await.map_err(unreachable)?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.0);
        stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer).await.map_err(unreachable)?;
        let start = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        Ok(Bytes::from(answer).slice(start..))
    }
}

fn sync_interval(body: &[u8]) -> Option<Duration> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let config = answer.get("config")?.as_object()?;
    if config.get("sync_always").and_then(serde_json::Value::as_bool) == Some(true) {
        return Some(Duration::ZERO);
    }
    config.get("sync_interval")?.as_u64().map(Duration::from_nanos)
}

/// What is to be said of a server and of a stream on it. `sync` is how seldom it writes to the disk, where that is known.
#[must_use]
pub fn advice(version: Option<(u32, u32)>, stream: &Info, sync: Option<Duration>) -> Vec<String> {
    let mut said = Vec::new();
    let name = &stream.config.name;
    if let Some((major, minor)) = version.filter(|version| *version < OLDEST) {
        said.push(format!(
            "the NATS server is of version {major}.{minor}; 2.11 or newer is needed for workers in order"
        ));
    }
    let replicas = stream.config.num_replicas;
    if let Some(sync) = sync.filter(|sync| !sync.is_zero() && replicas < 3) {
        said.push(format!(
            "the NATS server writes acknowledged messages to the disk every {} s only, and {name} has {replicas} of the 3 \
             replicas that would make up for it: a power cut loses those of that time. Set `sync_interval: always` in \
             jetstream {{}} of the server, or have three replicas",
            sync.as_secs_f64()
        ));
    }
    if replicas == 1 && stream.cluster.as_ref().is_some_and(|cluster| cluster.name.is_some()) {
        said.push(format!(
            "{name} is on one server of a cluster: with that server its messages are gone for as long as it is away; three \
             replicas stay"
        ));
    }
    if replicas == 2 {
        said.push(format!("{name} has two replicas, of which both must be there: three outlive the loss of one"));
    }
    said
}

/// Look at a server and at a stream on it, and warn of what should be known.
pub async fn look(server: &Server, stream: &Info, monitor: Option<Monitor>) -> Vec<String> {
    let asked = monitor.is_some();
    let monitor = monitor.unwrap_or_else(|| Monitor::beside(&server.address().servers()[0]));
    let sync = match monitor.sync_interval(LOOK).await {
        Ok(sync) => Some(sync),
        Err(error) => {
            if asked {
                tracing::warn!(%error, "the NATS server's settings cannot be looked at");
            }
            None
        }
    };
    let said = advice(server.version(), stream, sync);
    for one in &said {
        tracing::warn!("{one}");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_read_off_the_monitoring() {
        let two_minutes = br#"{"config":{"sync_interval":120000000000}}"#;
        assert_eq!(sync_interval(two_minutes), Some(Duration::from_secs(120)));
        assert_eq!(sync_interval(br#"{"config":{"sync_interval":1,"sync_always":true}}"#), Some(Duration::ZERO));
        for other in ["{}", "no", r#"{"config":{}}"#] {
            assert_eq!(sync_interval(other.as_bytes()), None, "{other}");
        }
    }

    fn info(replicas: usize, cluster: &str) -> Info {
        let text = format!(
            r#"{{"config":{{"name":"S","retention":"limits","discard":"new","storage":"file","num_replicas":{replicas}}},
            "created":"2026-01-01T00:00:00Z","state":{{"messages":0,"bytes":0,"first_seq":0,"first_ts":"0001-01-01T00:00:00Z",
            "last_seq":0,"last_ts":"0001-01-01T00:00:00Z","consumer_count":0}},"cluster":{cluster}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn where_acknowledged_messages_could_be_lost_is_said() {
        let two_minutes = Some(Duration::from_secs(120));
        let said = |version, info: Info, sync| advice(Some(version), &info, sync).join("\n");
        assert!(said((2, 15), info(1, "null"), two_minutes).contains("sync_interval: always"));
        assert!(said((2, 15), info(1, "null"), Some(Duration::ZERO)).is_empty());
        assert!(said((2, 15), info(1, "null"), None).is_empty());
        assert!(said((2, 9), info(1, "null"), None).contains("2.11"));
        assert!(said((2, 15), info(1, r#"{"name":"C"}"#), None).contains("three replicas"));
        assert!(said((2, 15), info(3, r#"{"name":"C"}"#), two_minutes).is_empty());
        assert!(said((2, 15), info(2, r#"{"name":"C"}"#), None).contains("two replicas"));
    }
}
