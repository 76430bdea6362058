//! API keys (V3 1.3): of applications, and of users.

use crate::ids::AccessKey;
use crate::rpc::proto::v3;

use super::record::now;
use super::right::Rights;

/// Digits of an ID, and of a secret.
const ID: usize = 39;
const SECRET: usize = 52;

/// ID and secret of a key.
pub(super) fn parts(key: &str) -> Option<(&str, &str)> {
    let is_part = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let parts = key.strip_prefix("NNSXS.")?.split_once('.')?;
    (is_part(parts.0, ID) && is_part(parts.1, SECRET)).then_some(parts)
}

/// A key.
#[derive(Clone, Debug)]
pub(super) struct ApiKey {
    pub(super) secret: AccessKey,
    pub(super) rights: Rights,
    pub(super) name: String,
    made_at: prost_types::Timestamp,
    expires_at: Option<prost_types::Timestamp>,
}

impl ApiKey {
    pub(super) fn new(secret: AccessKey, rights: Rights) -> Self {
        Self { secret, rights, name: String::new(), made_at: now(), expires_at: None }
    }

    /// A new one, for a request.
    pub(super) fn make(request: &v3::CreateApplicationApiKeyRequest, random: &mut fastrand::Rng) -> Self {
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut digits = |count| (0..count).map(|_| char::from(DIGITS[random.usize(..32)])).collect::<String>();
        let secret = AccessKey::new(format!("NNSXS.{}.{}", digits(ID), digits(SECRET)));
        let rights = Rights::of(request.rights.iter().copied());
        Self { name: request.name.clone(), expires_at: request.expires_at, ..Self::new(secret, rights) }
    }

    /// Its ID; empty for a text that is no key.
    pub(super) fn id(&self) -> &str {
        parts(self.secret.reveal()).map(|(id, _)| id).unwrap_or_default()
    }

    /// What is told of it, without its secret.
    pub(super) fn told(&self, rights: Vec<i32>) -> v3::ApiKey {
        v3::ApiKey {
            id: self.id().to_owned(),
            key: String::new(),
            name: self.name.clone(),
            rights,
            created_at: Some(self.made_at),
            updated_at: Some(self.made_at),
            expires_at: self.expires_at,
        }
    }

    /// Whether its time is over.
    pub(super) fn has_expired(&self) -> bool {
        let at = |time: prost_types::Timestamp| (time.seconds, time.nanos);
        self.expires_at.is_some_and(|end| at(end) <= at(now()))
    }
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Application(String),
    /// An administrator, as all users here are.
    User(String),
}
