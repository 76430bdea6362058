//! Connections to gRPC servers: addresses in order, TLS, login metadata, deadlines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport;

use super::codec::AsIs;
use super::door::door;
use super::method::Method;
use super::pace::{Paces, Pass, Told};
use super::stack;
use super::status::{CONNECTION_LOST, Failure, Fate, GIVEN_UP, deadline, is_unknown_method, to_failure};
use super::way::{Aside, Way};
use super::web::{Door, Web};
use super::witness::{HTTP1, Witness};
use crate::backoff::{Backoff, Bounds};
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result, RpcCode};
use crate::ids::AccessKey;
use crate::net;

/// How long a call may hear nothing before the peer is asked whether it lives.
const PROBE: Duration = Duration::from_secs(20);
/// The same for servers that hang up on who asks more than once a minute (V3 3.1).
const RARE_PROBE: Duration = Duration::from_secs(75);
/// How long the peer may take to answer that.
const PROBE_ANSWER: Duration = Duration::from_secs(10);
/// Largest reply, unless it is set.
pub const LARGEST_REPLY: usize = 64 << 20;
/// How long a call may take that is given no time; as it was with the original, the server is not told of it.
const UNTOLD: Duration = Duration::from_secs(60);
/// How long a call without a time may wait for the server's limit, before that begins.
const PACED: Duration = Duration::from_secs(3600);
/// No call takes longer: more is not to be expressed everywhere on the way.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// How often a call is sent again whose connection was lost.
const AGAIN: u32 = 2;
/// How often a call is sent again to which the stack says that a server of its own is away.
const OUTAGES: u32 = 4;
/// A connection that takes longer to be noticed as lost was not ended by its server: trying again would take as long.
const STALE: Duration = Duration::from_secs(5);
/// Between these tries.
const RETRY: Bounds = Bounds { min: Duration::from_millis(100), max: Duration::from_secs(2) };

/// What is said of a call that found no room in its time.
const NO_ROOM: &str = "the server's rate limit has no room for this call within its timeout: it was not sent";
/// What is said of an answer that is none of gRPC.
const NO_STATUS: [&str; 2] = ["grpc-status header missing", "missing grpc-status trailer"];
/// What is said of a reply that is larger than what is taken.
const TOO_LARGE: &str = "message length too large";
/// What to try with a payload function that fails.
const PAYLOAD_FUNCTION: &str = "the network runs ECMAScript 5; dry_uplink and dry_downlink try functions without storing \
                                them, and give what console.log prints";

/// Who is speaking: what goes along with each call.
#[derive(Clone, Debug, Default)]
pub enum Authority {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// An access key.
    Key(AccessKey),
    /// A token of the account server. A server that gets both uses it.
    Token(AccessKey),
    /// An API key of The Things Stack V3.
    Bearer(AccessKey),
}

/// What belongs to one call.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Longest time, connecting included; `None` for 60 s, which the server is not told of.
    pub timeout: Option<Duration>,
    /// Who is speaking.
    pub authority: Authority,
    /// More metadata, such as `limit` and `offset`.
    pub metadata: Vec<(&'static str, String)>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The encoded message.
    pub message: Bytes,
    /// Header metadata that is text.
    pub metadata: BTreeMap<String, String>,
}

/// Where a server is and whom to trust there: what any number of channels can be made of.
#[derive(Clone, Debug)]
pub struct Server {
    endpoints: Vec<Endpoint>,
    tls: Option<net::Tls>,
    settings: transport::Endpoint,
    origin: Uri,
    largest_reply: usize,
    /// Whether it is called by gRPC-web if HTTP/2 does not get through.
    speaks_web: bool,
}

impl Server {
    /// The first of these addresses that answers.
    ///
    /// # Errors
    /// [`Error::Tls`] when there is nothing usable to trust, [`Error::Invalid`] without an address.
    pub fn new(endpoints: Vec<Endpoint>, trust: &Trust) -> Result<Self> {
        let first = endpoints.first().ok_or_else(|| Error::invalid("address", "", "at least one host:port"))?;
        let config = first.tls.then(|| net::client_config_for(trust, None, &[b"h2"])).transpose()?;
        let tls = config.map(|config| net::Tls { config, argument: "certificate" });
        let uri = |scheme: &str| {
            format!("{scheme}://{first}")
                .parse::<Uri>()
                .map_err(|_| Error::invalid("address", first.to_string(), "a host name and a port"))
        };
        let origin = uri(if first.tls { "https" } else { "http" })?;
        let settings = transport::Endpoint::from(uri("http")?)
            .origin(origin.clone())
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PROBE)
            .keep_alive_timeout(PROBE_ANSWER)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(4 << 20);
        Ok(Self { endpoints, tls, settings, origin, largest_reply: LARGEST_REPLY, speaks_web: false })
    }

    /// The same, whose certificates to trust have another name.
    #[must_use]
    pub fn trusting_by(mut self, argument: &'static str) -> Self {
        self.tls = self.tls.map(|tls| net::Tls { argument, ..tls });
        self
    }

    /// The same, of which replies of up to so many bytes are taken; 64 MiB unless set.
    #[must_use]
    pub fn with_largest_reply(self, bytes: usize) -> Self {
        Self { largest_reply: bytes, ..self }
    }

    /// A server that wants to be left in peace while a call takes long.
    #[must_use]
    pub fn probed_rarely(mut self) -> Self {
        self.settings = self.settings.http2_keep_alive_interval(RARE_PROBE);
        self
    }

    /// A server that speaks gRPC-web as well, which is used where a proxy before it does not pass HTTP/2.
    #[must_use]
    pub fn or_by_web(self) -> Self {
        let tls = self.tls.map(|tls| speaking(&tls, &[b"h2", HTTP1]));
        Self { tls, speaks_web: true, ..self }
    }

    /// A channel to it. Must be called within a tokio runtime.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let witness = Witness::default();
        let gone = self.endpoints.iter().find(|endpoint| endpoint.is_switched_off()).cloned();
        let open = |tls, witness, is_for_http2| door(self.endpoints.clone(), tls, witness, is_for_http2);
        let direct = self.settings.connect_with_connector_lazy(open(self.tls.clone(), witness.clone(), true));
        let aside = self.speaks_web.then(|| {
            let tls = self.tls.as_ref().map(|tls| speaking(tls, &[HTTP1]));
            // Who answers there says nothing of HTTP/2.
            let door = Door::new(open(tls, Witness::default(), false));
            Aside::new(Web::new(door, self.origin.clone()), witness.clone())
        });
        let (paces, closed) = (Paces::default(), Arc::default());
        Channel { inner: Way::new(direct, aside), gone, witness, paces, closed, largest_reply: self.largest_reply }
    }
}

/// The same, for connections that agree on one of these protocols (ALPN).
fn speaking(tls: &net::Tls, protocols: &[&[u8]]) -> net::Tls {
    let mut config = rustls::ClientConfig::clone(&tls.config);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    net::Tls { config: Arc::new(config), ..tls.clone() }
}

/// A way to a server. Connects at the first call and again when it must; cheap to clone, shared by any number of threads.
#[derive(Clone, Debug)]
pub struct Channel {
    inner: Way,
    /// An address that nobody can be behind any more.
    gone: Option<Endpoint>,
    /// Who answers.
    witness: Witness,
    /// How fast it wants to be called.
    paces: Paces,
    closed: Arc<watch::Sender<bool>>,
    largest_reply: usize,
}

impl Channel {
    /// A channel to the first of these addresses that answers. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(endpoints: Vec<Endpoint>, trust: &Trust) -> Result<Self> {
        Ok(Server::new(endpoints, trust)?.channel())
    }

    /// Have the calls fail that wait for the server's limit or for another try. Those that are on their way end by themselves.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Wait, unless the channel is closed meanwhile.
    async fn wait<T>(&self, waiting: impl Future<Output = T>) -> Result<T> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            // The sender is held here, so this ends with its word alone.
            _ = closed.wait_for(|closed| *closed) => Err(Error::NotConnected),
            value = waiting => Ok(value),
        }
    }

    /// Call a method with an encoded message. Calls of The Things Stack V3 wait until its limit has room for them.
    ///
    /// # Errors
    /// [`Error::NotConnected`] when the channel is closed during a wait, [`Error::Rpc`] for whatever the server, the way there or the deadline answers, [`Error::SwitchedOff`] for a server
    /// of a network that is no more; [`Error::Invalid`] for metadata that cannot be sent.
    pub async fn call(&self, method: &Method, message: Bytes, options: &CallOptions) -> Result<Reply> {
        self.insist(method, message, options).await.map_err(|error| match (&self.gone, error) {
            (Some(gone), Error::Rpc { code: RpcCode::Unavailable | RpcCode::DeadlineExceeded, details, .. }) => {
                Error::SwitchedOff { address: gone.to_string(), reason: details }
            }
            (_, error) => self.explain(method, options, error),
        })
    }

    /// Say what is wrong and what to try, where client and server do not belong together.
    pub(super) fn explain(&self, method: &Method, options: &CallOptions, error: Error) -> Error {
        let Error::Rpc { code, details, reported } = error else { return error };
        if let Some(reported) = reported {
            return stack::explain(code, &details, reported);
        }
        let details = match (code, &options.authority) {
            (RpcCode::Unavailable, _) if details.starts_with(CONNECTION_LOST) => {
                self.witness.stranger(method.ports()).unwrap_or(details)
            }
            (RpcCode::DeadlineExceeded, _) if details == GIVEN_UP => {
                let stranger = self.witness.stranger_at_last(method.ports());
                stranger.map_or(details, |stranger| format!("{GIVEN_UP}: {stranger}"))
            }
            (RpcCode::Unimplemented, _) if is_unknown_method(&details) => {
                let server = self.witness.address();
                format!("{server} does not have {}: {}", method.service(), method.where_else())
            }
            _ if NO_STATUS.iter().any(|words| details.contains(words)) => {
                format!("{} answers as a web server does, and not by gRPC ({details})", self.witness.address())
            }
            (RpcCode::OutOfRange, _) if details.contains(TOO_LARGE) => {
                format!("{details}; max_reply_bytes says how large a reply may be")
            }
            (RpcCode::Unknown, _) if details.contains(" threw error: ") => format!("{details} ({PAYLOAD_FUNCTION})"),
            (RpcCode::PermissionDenied | RpcCode::Unauthenticated, Authority::Key(key)) => {
                format!("{details}{}", key.hint())
            }
            _ => details,
        };
        Error::rpc(code, details)
    }

    async fn insist(&self, method: &Method, message: Bytes, options: &CallOptions) -> Result<Reply> {
        let begun = Instant::now();
        let within = options.timeout.unwrap_or(UNTOLD).min(LONGEST);
        let pace = method.is_of_the_stack().then(|| self.paces.of(method.path()));
        // Who has given no time waits for many others, too.
        let admitted_by = begun + if options.timeout.is_some() { within } else { PACED };
        let (mut give_up, mut tried) = (None, None);
        let mut backoff = Backoff::new(RETRY, fastrand::Rng::new());
        let (mut again, mut outages) = (AGAIN, OUTAGES);
        loop {
            let mut pass = None;
            if let Some(pace) = &pace {
                let bound = give_up.unwrap_or(admitted_by);
                let admitted = self.wait(timeout_at(bound, pace.admit())).await?;
                pass = Some(admitted.map_err(|_| Error::rpc(RpcCode::ResourceExhausted, NO_ROOM))?);
            }
            let now = Instant::now();
            tried.get_or_insert(now);
            let give_up = *give_up.get_or_insert(options.timeout.map_or(now, |_| begun) + within);
            let left = options.timeout.map(|_| give_up.saturating_duration_since(Instant::now()));
            let attempt = self.attempt(method, message.clone(), options, left);
            let too_late = |_| Err(Failure::settled(deadline()));
            let outcome = timeout_at(give_up, attempt).await.unwrap_or_else(too_late);
            learn(pass, method, &outcome);
            let failure = match outcome {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            if let Some(reason) = worth_a_wait(method, &failure, &mut outages) {
                // The server's own figure, spread so that its many callers do not come at once.
                let asked = failure.wait.map(|wait| wait + wait.mul_f64(fastrand::f64() / 4.0));
                let delay = asked.or_else(|| backoff.next()).unwrap_or(RETRY.max);
                if Instant::now() + delay >= give_up {
                    return Err(failure.error);
                }
                tracing::debug!(method = method.name(), ?delay, reason, "trying again");
                self.wait(sleep(delay)).await?;
                continue;
            }
            // A server that was restarted is noticed by the next call: that call is not to blame.
            let repeatable = match failure.fate {
                Fate::Settled | Fate::Answered => false,
                Fate::Unsent => true,
                Fate::Unknown => method.is_repeatable(),
            };
            if !repeatable || again == 0 || tried.is_none_or(|tried: Instant| tried.elapsed() > STALE) {
                return Err(failure.error);
            }
            again -= 1;
            tracing::debug!(method = method.name(), error = %failure.error, "trying again on a new connection");
        }
    }

    /// A request, and where it goes.
    pub(super) fn request(
        method: &Method,
        message: Bytes,
        options: &CallOptions,
    ) -> Result<(tonic::Request<Bytes>, PathAndQuery)> {
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        match &options.authority {
            Authority::Anonymous => {}
            Authority::Key(key) => drop(metadata.insert("key", secret("access_key", key)?)),
            Authority::Token(token) => drop(metadata.insert("token", secret("token", token)?)),
            Authority::Bearer(key) => {
                let bearer = AccessKey::new(format!("Bearer {}", key.reveal()));
                drop(metadata.insert("authorization", secret("access_key", &bearer)?));
            }
        }
        for (name, value) in &options.metadata {
            let text = value.parse().map_err(|_| Error::invalid("metadata", value, "printable ASCII text"))?;
            metadata.insert(*name, text);
        }
        let path = PathAndQuery::try_from(method.path())
            .map_err(|_| Error::invalid("method", method.path(), "a gRPC method"))?;
        Ok((request, path))
    }

    /// A client that is ready to send one.
    pub(super) async fn ready(&self) -> std::result::Result<tonic::client::Grpc<Way>, Failure> {
        let mut client = tonic::client::Grpc::new(self.inner.clone()).max_decoding_message_size(self.largest_reply);
        client.ready().await.map_err(|error| to_failure(&tonic::Status::from_error(error)))?;
        Ok(client)
    }

    async fn attempt(
        &self,
        method: &Method,
        message: Bytes,
        options: &CallOptions,
        left: Option<Duration>,
    ) -> std::result::Result<Reply, Failure> {
        let (mut request, path) = Self::request(method, message, options).map_err(Failure::settled)?;
        if let Some(left) = left {
            request.set_timeout(left);
        }
        let mut client = self.ready().await?;
        let response = client.unary(request, path, AsIs).await.map_err(|status| to_failure(&status))?;
        let (metadata, message, _) = response.into_parts();
        let text =
            |(name, value): (&str, &MetadataValue<Ascii>)| Some((name.to_owned(), value.to_str().ok()?.to_owned()));
        let metadata = metadata
            .iter()
            .filter_map(|entry| match entry {
                tonic::metadata::KeyAndValueRef::Ascii(name, value) => text((name.as_str(), value)),
                tonic::metadata::KeyAndValueRef::Binary(..) => None,
            })
            .collect();
        Ok(Reply { message, metadata })
    }
}

/// Take in what an answer tells of the limit.
fn learn(pass: Option<Pass>, method: &Method, outcome: &std::result::Result<Reply, Failure>) {
    let Some(pass) = pass else { return };
    match outcome {
        Ok(reply) => pass.answered(Told::read(|name| reply.metadata.get(name).map(String::as_str))),
        Err(failure) if is_rate(failure) => {
            tracing::warn!(
                method = method.name(),
                "the server's rate limit was met: are there others with the same key?"
            );
            pass.refused(failure.told, failure.wait.unwrap_or(RETRY.max));
        }
        Err(failure) if failure.fate == Fate::Answered => pass.answered(failure.told),
        // Nothing was heard.
        Err(_) => drop(pass),
    }
}

/// Whether a call came too soon. What is full stays full: a rate alone is a matter of time.
fn is_rate(failure: &Failure) -> bool {
    let Error::Rpc { code: RpcCode::ResourceExhausted, reported, .. } = &failure.error else { return false };
    reported.as_ref().is_none_or(|reported| reported.name == "rate_limit_exceeded")
}

/// Why a call that the server has answered is worth another one later.
fn worth_a_wait(method: &Method, failure: &Failure, outages: &mut u32) -> Option<&'static str> {
    let Error::Rpc { code, .. } = &failure.error else { return None };
    let is_answer = failure.fate == Fate::Answered && method.is_of_the_stack();
    match code {
        RpcCode::ResourceExhausted => is_rate(failure).then_some("the server is at its rate limit"),
        RpcCode::Unavailable if is_answer => take_one(outages, "a server behind this one is away"),
        RpcCode::DeadlineExceeded if is_answer && method.is_reading() => take_one(outages, "the server took too long"),
        _ => None,
    }
}

fn take_one(count: &mut u32, reason: &'static str) -> Option<&'static str> {
    *count = count.checked_sub(1)?;
    Some(reason)
}

/// A secret as metadata, marked so that nobody logs or indexes it.
fn secret(what: &'static str, secret: &AccessKey) -> Result<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> = secret
        .reveal()
        .parse()
        .map_err(|_| Error::invalid(what, "***", "text without line breaks and control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}
