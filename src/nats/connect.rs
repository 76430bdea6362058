//! One connection to NATS. async-nats keeps it alive; here is how it begins, what is told of it, and how it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use super::trouble::unconnected;
use super::{Address, Login, Monitor};
use crate::endpoint::Trust;
use crate::error::{Error, Result};
use crate::net;

/// First and longest delay between attempts to connect anew.
const DELAYS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(4));
/// For whom nobody waits.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Messages that may wait for the socket.
const WAITING: usize = 8192;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers.
    pub address: Address,
    /// As whom.
    pub login: Login,
    /// Whom to trust where TLS is spoken.
    pub trust: Trust,
    /// What the server shows of the connection.
    pub name: String,
    /// Bound on connecting, and on each answer of `JetStream`.
    pub timeout: Duration,
    /// How many published messages may wait for `JetStream`'s acknowledgement.
    pub window: usize,
    /// The server's monitoring, if it is not at its usual place.
    pub monitor: Option<Monitor>,
}

/// A connection to a NATS server, and to `JetStream` behind it. Clones are the same connection; the last one ends it.
#[derive(Clone)]
pub struct Server {
    client: Client,
    context: Context,
    online: watch::Receiver<bool>,
    address: Address,
    _parting: Arc<Parting>,
}

/// Tells async-nats when the last clone goes: it tries to connect anew for ever otherwise.
#[derive(Debug)]
struct Parting(Arc<AtomicBool>);

impl Drop for Parting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Connect and log in. A connection that is lost later comes back by itself.
    ///
    /// # Errors
    /// [`Error::Refused`] and what keeps connections from being opened, in words that hold no secret.
    pub async fn connect(options: &Options) -> Result<Self> {
        let Options { address, login, trust, name, timeout, window, monitor: _ } = options;
        let (told, online) = watch::channel(true);
        let parted = Arc::<AtomicBool>::default();
        let (parting, over) = (Arc::new(Parting(parted.clone())), parted.clone());
        let shown = address.to_string();
        let mut settings = ConnectOptions::new()
            .name(name)
            .connection_timeout(*timeout)
            .request_timeout(Some(*timeout))
            .client_capacity(WAITING)
            .max_reconnects(None)
            .reconnect_delay_callback(
                move |attempt| if parted.load(Ordering::Relaxed) { NEVER } else { delay(attempt) },
            )
            .event_callback(move |event| {
                if !over.load(Ordering::Relaxed) {
                    tell(&event, &shown, &told);
                }
                std::future::ready(())
            });
        if address.tls() || *trust != Trust::System {
            settings = settings.tls_client_config(net::client_config(trust)?.as_ref().clone());
        }
        settings = match login {
            Login::Nobody => settings,
            Login::User { name, password } => settings.user_and_password(name.clone(), password.reveal().to_owned()),
            Login::Token(token) => settings.token(token.reveal().to_owned()),
            Login::Nkey(seed) => settings.nkey(seed.reveal().to_owned()),
            Login::Credentials(text) => settings.credentials(text.reveal()).map_err(|_| {
                let expected = "a credentials file of NATS, with a user's JWT and the seed of an nkey";
                Error::invalid("nats_credentials", "***", expected)
            })?,
        };
        // Several servers, each with the bound; and name lookup, which it does not cover.
        let servers = u32::try_from(address.servers().len()).unwrap_or(u32::MAX);
        let client = tokio::time::timeout(timeout.saturating_mul(servers + 1), settings.connect(address.urls()))
            .await
            .map_err(|_| Error::Timeout { what: format!("connecting to NATS at {address}"), after: *timeout })?
            .map_err(|error| unconnected(&error, address, login, *timeout))?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(*timeout)
            .ack_timeout(*timeout)
            // Those of a connection that was lost may count for a while yet.
            .max_ack_inflight(window.saturating_mul(4))
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Self { client, context, online, address: address.clone(), _parting: parting })
    }

    /// What is spoken over it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `JetStream`.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Where the servers are.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it stands now, and each change of that.
    #[must_use]
    pub fn online(&self) -> watch::Receiver<bool> {
        self.online.clone()
    }

    /// The version of the server, major and minor; `None` before the server has told it.
    #[must_use]
    pub fn version(&self) -> Option<(u32, u32)> {
        let info = self.client.try_server_info()?;
        let mut numbers = info.version.split(['.', '-']).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Write what waits and part, at most `within`.
    pub async fn close(&self, within: Duration) {
        let parting = async {
            // By itself the other one only begins with it.
            let written = self.client.flush().await;
            (written.is_ok() && self.client.drain().await.is_ok()).then_some(())
        };
        if !matches!(tokio::time::timeout(within, parting).await, Ok(Some(()))) {
            tracing::warn!(address = %self.address, "NATS does not take the last messages");
        }
    }
}

/// How long to wait before an attempt: doubled each time, with some chance so that a fleet does not come at once.
fn delay(attempt: usize) -> Duration {
    let (first, longest) = DELAYS;
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let doubled = first.saturating_mul(1 << (attempt - 2).min(10));
    doubled.min(longest).mul_f64(0.5 + 0.5 * fastrand::f64())
}

fn tell(event: &Event, address: &str, online: &watch::Sender<bool>) {
    match event {
        Event::Connected => {
            // Of the first one nobody has to hear.
            if online.send_if_modified(|online| !std::mem::replace(online, true)) {
                tracing::info!(address, "connected to NATS again");
            }
        }
        Event::Disconnected => {
            if online.send_if_modified(|online| std::mem::replace(online, false)) {
                tracing::warn!(address, "the connection to NATS is lost; connecting anew");
            }
        }
        Event::ServerError(error) => tracing::warn!(address, %error, "NATS reports an error"),
        // It was told that the connection is lost.
        Event::ClientError(_) if !*online.borrow() => {}
        Event::ClientError(error) => tracing::warn!(address, %error, "NATS"),
        Event::SlowConsumer(_) => tracing::warn!(address, "NATS drops messages, since they are taken too slowly"),
        Event::LameDuckMode => tracing::info!(address, "the NATS server is about to stop"),
        Event::Draining | Event::Closed => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_stay_bounded() {
        assert_eq!(delay(1), Duration::ZERO);
        assert!(delay(2) <= DELAYS.0 && delay(2) > Duration::ZERO);
        assert!((5..100).all(|attempt| delay(attempt) <= DELAYS.1));
        assert!(delay(50) >= DELAYS.1 / 2);
    }
}
