//! The API of a `ChirpStack` server (CS 4): what its answers mean, and what takes several calls, as one.

mod application;
mod change;
mod device;
mod events;
mod find;
mod kept;
mod list;
mod managing;
mod meaning;
mod profile;
mod queue;
mod register;
mod whole;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

pub use self::application::Application;
pub use self::device::Device;
pub use self::events::Events;
pub use self::kept::KEPT;
pub use self::managing::{Extra, Registration, check, check_id};
use self::meaning::explain;
pub(in crate::client) use self::queue::no_codec;
pub use self::whole::Whole;
use crate::endpoint::{Endpoint, Trust};
use crate::error::{Error, Result, RpcCode};
use crate::ids::AccessKey;
use crate::rpc::{Authority, CallOptions, Channel, Method, Server};
use crate::sync::Mutex;

/// A server's API.
#[derive(Clone, Debug)]
pub struct ChirpStack {
    channel: Channel,
    key: AccessKey,
    timeout: Option<Duration>,
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The tenant that has it.
    pub tenant_id: String,
}

/// What the server has said of applications, by what programs call them.
pub type Found = Arc<Mutex<HashMap<String, Named>>>;

/// An application, in its tenant.
#[derive(Clone, Debug)]
pub struct Tenancy {
    /// The way to the server.
    pub server: ChirpStack,
    /// The application's UUID, or its name.
    pub app_id: String,
    /// The tenant, without which an application cannot be found by its name.
    pub tenant_id: Option<String>,
    /// The device profile that is meant, by its UUID or its name, where it is not the only one.
    pub profile: Option<String>,
    /// What need not be asked again.
    pub found: Found,
}

impl ChirpStack {
    /// A way to the server; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Tls`] where nobody can be trusted.
    pub fn new(endpoint: &Endpoint, trust: &Trust, key: AccessKey, timeout: Duration) -> Result<Self> {
        let server = Server::new(vec![endpoint.clone()], trust)?.trusting_by("ca_certs").probed_rarely().or_by_web();
        Ok(Self::over(server.channel(), key, Some(timeout)))
    }

    /// The same over a way that is there already.
    #[must_use]
    pub fn over(channel: Channel, key: AccessKey, timeout: Option<Duration>) -> Self {
        Self { channel, key, timeout }
    }

    /// The same, whose answers may take so long.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    fn method(&self, service: &str, name: &str) -> Result<(Method, CallOptions)> {
        let full = format!("api.{service}");
        let method = Method::find(&full, name)
            .ok_or_else(|| Error::rpc(RpcCode::Unimplemented, format!("no method {full}/{name}")))?;
        let authority = Authority::Bearer(self.key.clone());
        Ok((method, CallOptions { timeout: self.timeout, authority, metadata: Vec::new() }))
    }

    /// Call, and give the answer as it came.
    async fn reply(&self, service: &str, name: &str, request: Bytes) -> Result<Bytes> {
        let (method, options) = self.method(service, name)?;
        let reply = self.channel.call(&method, request, &options).await.map_err(explain)?;
        Ok(reply.message)
    }

    async fn call<A: Message + Default>(&self, service: &str, name: &str, request: &impl Message) -> Result<A> {
        let reply = self.reply(service, name, request.encode_to_vec().into()).await?;
        A::decode(reply).map_err(|error| unreadable(service, name, &error))
    }

    async fn tell(&self, service: &str, name: &str, request: &impl Message) -> Result<()> {
        self.reply(service, name, request.encode_to_vec().into()).await.map(drop)
    }
}

fn unreadable(service: &str, name: &str, error: &prost::DecodeError) -> Error {
    Error::Malformed { message: format!("answer of {service}/{name}"), reason: error.to_string() }
}
