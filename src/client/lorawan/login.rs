//! What a stack's management says of a key that logs in over MQTT, which itself says little: it refuses good keys while its
//! Identity Server is away, and takes keys that may not read and then sends them nothing (V3 2.1, 2.2).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::management::READ;
use super::{Application, Client, Config, chirpstack, group};
use crate::client::line::Inner;
use crate::client::receiver::Source;
use crate::client::stack::{Stack, grants};
use crate::client::stats::read;
use crate::client::{Delivery, Line};
use crate::dialect::lorawan::Network;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result, RpcCode};
use crate::ids::AccessKey;
use crate::net;
use crate::session::{Event, Options, Ready, Version, is_unanswered};

/// Bound on what management is asked during a login.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between logins while the Identity Server is away; each counts with the limit of logins.
const REST: Duration = Duration::from_secs(1);
/// So many keep-alives in which nothing but answers to pings come are silence.
const SILENT: u32 = 2;
/// A keep-alive where there is none.
const MINUTE: Duration = Duration::from_secs(60);

/// What management says of the key.
enum Word {
    /// It has these rights on the application.
    Rights(Vec<String>),
    /// It is none of this stack's.
    Wrong(String),
    /// Nobody can know now: the Identity Server, or its database, is away.
    Away(String),
    /// Nothing: it is not known where it is, or it does not answer.
    Silence,
}

async fn ask(stack: Option<&Stack>, within: Duration) -> Word {
    let Some(stack) = stack else { return Word::Silence };
    match timeout(within, stack.rights()).await {
        Ok(Ok(rights)) => Word::Rights(rights),
        Ok(Err(Error::Rpc { code: RpcCode::Unavailable, details, reported: Some(_) })) => Word::Away(details),
        Ok(Err(
            error @ Error::Rpc {
                code:
                    RpcCode::Unauthenticated | RpcCode::PermissionDenied | RpcCode::InvalidArgument | RpcCode::NotFound,
                ..
            },
        )) => Word::Wrong(error.to_string()),
        _ => Word::Silence,
    }
}

impl Client {
    /// One login.
    async fn attempt(&self, endpoint: &Endpoint, timeout: Duration) -> Result<()> {
        let config = self.config();
        if config.shares_stream() {
            let expected = "nats://host[:port], as when the client was made";
            return Err(Error::invalid("mqtt_address", endpoint.to_string(), expected));
        }
        let options = Options {
            tls: endpoint
                .tls
                .then(|| net::client_config_for(&config.trust, config.identity.as_ref(), &[]))
                .transpose()?
                .map(|config| net::Tls { config, argument: "ca_certs" }),
            ..options(config, endpoint, timeout)
        };
        let network = config.network;
        self.open(Source::Session(Box::new(options)), timeout).await.map_err(|error| match error {
            Error::Refused { code, .. } => match network.refused(code, &config.app_id, &endpoint.host) {
                Error::Refused { code, text } if matches!(code, 4 | 5) => {
                    Error::Refused { code, text: format!("{text}{}", network.hint(&config.access_key)).into() }
                }
                error => error,
            },
            Error::SubscriptionRefused { filter, .. } => {
                let hint = if config.group.is_some() { group::HINT } else { network.topic_hint(&config.access_key) };
                Error::SubscriptionRefused { filter, hint }
            }
            error if network == Network::V3 && is_unanswered(&error) => {
                let text = "; The Things Stack V3 does so where logins come too fast, and with logins of MQTT 5";
                Error::Lost { address: endpoint.to_string(), reason: format!("{error}{text}") }
            }
            error => endpoint.explain(error),
        })
    }

    /// Log in. A first refusal is not called that of a wrong key before management was asked, where it is known and
    /// answers; while the Identity Server is away the login is tried again and again until `within` is over.
    pub(super) async fn log_in(&self, endpoint: &Endpoint, within: Duration) -> Result<()> {
        match self.config().network {
            Network::V2 => return self.attempt(endpoint, within).await,
            Network::ChirpStack => {
                let deadline = Instant::now() + within;
                self.ask_for_application().await?;
                self.attempt(endpoint, deadline.saturating_duration_since(Instant::now())).await?;
                tokio::spawn(hear(Arc::downgrade(&self.inner), chirpstack::SILENCE));
                return Ok(());
            }
            Network::V3 if self.config().group.is_some() => return self.attempt(endpoint, within).await,
            Network::V3 => {}
        }
        // What is wrong with that way is said to whoever manages.
        let stack = self.inner.platform.stack().ok().flatten();
        let deadline = Instant::now() + within;
        let left = || deadline.saturating_duration_since(Instant::now());
        let login = self.config().app_id.as_str();
        let (mut accepted, mut outage) = (false, None);
        loop {
            let (code, text) = match self.attempt(endpoint, left()).await {
                Err(Error::Refused { code, text }) if matches!(code, 4 | 5) => (code, text),
                Ok(()) => {
                    tokio::spawn(listen(Arc::downgrade(&self.inner), stack));
                    return Ok(());
                }
                outcome => return outcome,
            };
            let refused = |why: String| Error::Refused {
                code,
                text: format!("The Things Stack refuses the login of {login:?} (code {code}): {why}").into(),
            };
            let why = match ask(stack.as_ref(), PATIENCE.min(left())).await {
                // In what was left of the time.
                Word::Silence if outage.is_some() => outage.take().unwrap_or_default(),
                Word::Silence => return Err(Error::Refused { code, text }),
                Word::Wrong(why) => return Err(refused(format!("its management says {why}"))),
                Word::Rights(rights) if rights.is_empty() => {
                    return Err(refused("the API key has no right on this application".to_owned()));
                }
                // It may have come back between the two questions.
                Word::Rights(_) if std::mem::replace(&mut accepted, true) => {
                    let why = "its management takes the API key: are the MQTT server and the tenant the right ones?";
                    return Err(refused(why.to_owned()));
                }
                Word::Rights(_) => continue,
                Word::Away(details) => {
                    format!("its Identity Server is away ({details}), and no key is taken meanwhile")
                }
            };
            if left() <= REST {
                return Err(refused(why));
            }
            tracing::warn!("the login is refused: {why}; trying again in {REST:?}");
            outage = Some(why);
            sleep(REST).await;
            if self.is_closing() {
                return Err(Error::Lost { address: endpoint.to_string(), reason: "closed while connecting".into() });
            }
        }
    }
}

impl Application {
    /// How a connection ended, or began.
    pub(super) fn note_end(&self, event: &Event) {
        match event {
            _ if self.config.network != Network::V3 => {}
            Event::LoginRefused { code } => self.rest_long(&format!("the login was refused (code {code})")),
            Event::AttemptFailed { error } if is_unanswered(error) => self.rest_long(&error.to_string()),
            Event::Connected { .. } | Event::AttemptFailed { .. } | Event::Lost { .. } => {
                *self.rest.lock() = Duration::ZERO;
            }
            _ => {}
        }
    }

    /// The stack's rate limit counts each login, and a key that it refused it will refuse a second later, too: wait about as
    /// long as delays ever get.
    fn rest_long(&self, why: &str) {
        let rest = self.config.backoff.max.mul_f64(0.5 + 0.5 * fastrand::f64());
        tracing::warn!(
            "{why}: The Things Stack may be limiting logins, or its Identity Server be away; trying again in {rest:?}"
        );
        *self.rest.lock() = rest;
    }
}

pub(super) fn options(config: &Config, endpoint: &Endpoint, connect_timeout: Duration) -> Options {
    let own = || config.network.login(&config.app_id, &config.access_key);
    let login = config.login.clone().or_else(own);
    let (username, password) = login.unwrap_or_else(|| (String::new(), AccessKey::new("")));
    Options {
        endpoint: endpoint.clone(),
        tls: None,
        client_id: config.client_id.clone(),
        username,
        password,
        will: None,
        proxy: None,
        version: Version::V311,
        fallback: false,
        ready: Ready::Subscribed,
        clean_session: config.clean_session,
        keep_alive: config.keep_alive,
        connect_timeout,
        reconnect: config.reconnect,
        pace: config.backoff.into(),
        max_incoming_bytes: config.max_incoming_bytes,
    }
}

/// Say of a key that cannot read traffic that nothing will come; where nobody tells, hint at it when nothing comes.
async fn listen(line: Weak<Inner<Application>>, stack: Option<Stack>) {
    let word = ask(stack.as_ref(), PATIENCE).await;
    drop(stack);
    let Some(client) = line.upgrade().map(|inner| Line { inner }) else { return };
    if let Word::Rights(rights) = word {
        // Nobody is told anything after the end.
        if !grants(&rights, READ) && client.is_connected() && !client.is_closing() {
            let app_id = client.config().app_id.as_str();
            let text = format!("the access key lacks {READ}: {app_id:?} is connected, and no message will come");
            tracing::warn!("{text}");
            client.inner.tell(Delivery::Problem(Error::rpc(RpcCode::PermissionDenied, text)));
        }
        return;
    }
    drop(client);
    hear(line, SILENCE).await;
}

/// What may be behind it when nothing comes (V3 2.2).
const SILENCE: &str = "if its devices send, the access key may lack RIGHT_APPLICATION_TRAFFIC_READ, without which The Things \
                       Stack V3 takes all subscriptions and delivers nothing";

/// Say what may be behind it when nothing comes.
async fn hear(line: Weak<Inner<Application>>, why: &str) {
    let Some(client) = line.upgrade().map(|inner| Line { inner }) else { return };
    let received = read(&client.inner.counters.received);
    let keep_alive = client.config().keep_alive;
    let silent = SILENT * if keep_alive.is_zero() { MINUTE } else { keep_alive };
    // The client is not kept meanwhile.
    drop(client);
    sleep(silent).await;
    let Some(client) = line.upgrade().map(|inner| Line { inner }) else { return };
    let is_heard = read(&client.inner.counters.received) > received;
    if client.is_connected() && !is_heard && !client.subscriptions().wanted().is_empty() {
        tracing::warn!(
            "nothing has come from the application {:?} for {silent:?}: {why}",
            client.config().app_id.as_str()
        );
    }
}
