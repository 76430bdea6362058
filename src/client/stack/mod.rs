//! Managing applications and devices of The Things Stack V3: what takes several calls to its four servers, as one (V3 3.4).

mod application;
mod device;
mod formatters;
mod managing;
mod masks;
mod part;
mod queue;
mod registration;
mod right;
mod shape;
mod stored;
mod update;

use std::sync::Arc;
use std::time::Duration;

use prost::Message;

pub use self::application::Application;
pub use self::part::{Device, Part};
pub use self::registration::{Registration, check};
pub(in crate::client) use self::right::grants;
pub use self::shape::SERVERS;
use crate::error::{Error, Result, RpcCode};
use crate::ids::AccessKey;
use crate::rpc::proto::v3;
use crate::rpc::{Authority, CallOptions, Channel, Method, Reply};

/// The services of the Identity Server; hosted networks have it in one cluster alone.
const IDENTITY_SERVER: [&str; 3] = ["ApplicationRegistry", "ApplicationAccess", "EndDeviceRegistry"];

/// What new devices are given that do not say it themselves.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Frequency plan, such as `EU_863_870_TTN`; none where the cluster does not suggest one.
    pub frequency_plan_id: Option<String>,
    /// LoRaWAN version, by its number.
    pub lorawan_version: i32,
    /// Version of the regional parameters, by its number.
    pub lorawan_phy_version: i32,
    /// Host name of the cluster's Network, Application and Join Server.
    pub host: String,
}

/// An application, who asks for it, and the ways to its servers.
#[derive(Clone, Debug)]
pub struct Stack {
    /// To the Identity Server.
    pub identity: Channel,
    /// To the cluster's other servers.
    pub cluster: Channel,
    /// The application.
    pub app_id: String,
    /// Its API key.
    pub key: Option<AccessKey>,
    /// Longest time for each single call.
    pub timeout: Option<Duration>,
    /// What new devices are given.
    pub defaults: Arc<Defaults>,
}

impl Stack {
    fn application_ids(&self) -> v3::ApplicationIdentifiers {
        v3::ApplicationIdentifiers { application_id: self.app_id.clone() }
    }

    fn device_ids(&self, dev_id: &str) -> v3::EndDeviceIdentifiers {
        let application_ids = Some(self.application_ids());
        v3::EndDeviceIdentifiers {
            device_id: dev_id.to_owned(),
            application_ids,
            ..v3::EndDeviceIdentifiers::default()
        }
    }

    async fn reply(&self, service: &str, name: &str, request: &impl Message) -> Result<Reply> {
        let (method, options) = self.method(service, name)?;
        let channel = if IDENTITY_SERVER.contains(&service) { &self.identity } else { &self.cluster };
        channel.call(&method, request.encode_to_vec().into(), &options).await
    }

    fn method(&self, service: &str, name: &str) -> Result<(Method, CallOptions)> {
        let full = format!("ttn.lorawan.v3.{service}");
        let method = Method::find(&full, name)
            .ok_or_else(|| Error::rpc(RpcCode::Unimplemented, format!("no method {full}/{name}")))?;
        let authority = self.key.clone().map_or(Authority::Anonymous, Authority::Bearer);
        Ok((method, CallOptions { timeout: self.timeout, authority, metadata: Vec::new() }))
    }

    async fn call<A: Message + Default>(&self, service: &str, name: &str, request: &impl Message) -> Result<A> {
        let reply = self.reply(service, name, request).await?;
        let malformed = |error: prost::DecodeError| Error::Malformed {
            message: format!("answer of {service}/{name}"),
            reason: error.to_string(),
        };
        A::decode(reply.message).map_err(malformed)
    }

    async fn tell(&self, service: &str, name: &str, request: &impl Message) -> Result<()> {
        self.reply(service, name, request).await.map(drop)
    }
}

/// Check the ID of a device or application.
///
/// # Errors
/// [`Error::Invalid`] for what cannot be one on this network (V3 1.3).
pub fn check_id(what: &'static str, id: &str) -> Result<()> {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if (3..=36).contains(&id.len()) && id.split('-').all(is_part) {
        return Ok(());
    }
    let expected = if id.contains('_') {
        "an ID without '_', which IDs of The Things Stack V3 do not have: '-' in its place, for example"
    } else {
        "3 to 36 lower-case letters and digits with single '-' between them, such as \"node-1\""
    };
    Err(Error::invalid(what, id, expected))
}

fn mask<'a>(paths: impl IntoIterator<Item = &'a str>) -> Option<prost_types::FieldMask> {
    let paths: Vec<String> = paths.into_iter().map(str::to_owned).collect();
    (!paths.is_empty()).then_some(prost_types::FieldMask { paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_rule_of_v3() {
        for good in ["abc", "node-1", "a1b", &"a".repeat(36), "a-b-c"] {
            assert!(check_id("dev_id", good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Node", "-abc", "abc-", "a--b", "node_1", "a b", &"a".repeat(37)] {
            assert!(check_id("dev_id", bad).is_err(), "{bad}");
        }
        let error = check_id("dev_id", "node_1").unwrap_err().to_string();
        assert!(error.contains("\"node_1\"") && error.contains("without '_'"), "{error}");
    }
}
