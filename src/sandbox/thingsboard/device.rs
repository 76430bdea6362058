//! What the server knows of one device.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::dialect::thingsboard::Package;

/// How a device logs in (TB 1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A token as user name.
    Token(String),
    /// Any combination of these.
    Basic {
        /// Client identifier.
        client_id: Option<String>,
        /// User name.
        username: Option<String>,
        /// Password.
        password: Option<String>,
    },
    /// A TLS client certificate, as DER.
    Certificate(Vec<u8>),
    /// Not by itself: behind a gateway.
    None,
}

/// Whose attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Told by the device.
    Client,
    /// Set at the server.
    Shared,
}

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) profile: String,
    pub(super) gateway: bool,
    pub(super) credentials: Credentials,
    pub(super) client: Map<String, Value>,
    pub(super) shared: Map<String, Value>,
    pub(super) telemetry: Vec<Value>,
    pub(super) claim: Option<Value>,
    pub(super) packages: BTreeMap<Package, Vec<u8>>,
    /// Sizes of pieces, by number of the request.
    pub(super) chunk_sizes: HashMap<String, usize>,
    /// Number of the next call to it.
    pub(super) next_call: u64,
}

impl Device {
    pub(super) fn new(profile: &str, gateway: bool, credentials: Credentials) -> Self {
        Self {
            profile: profile.to_owned(),
            gateway,
            credentials,
            client: Map::new(),
            shared: Map::new(),
            telemetry: Vec::new(),
            claim: None,
            packages: BTreeMap::new(),
            chunk_sizes: HashMap::new(),
            next_call: 0,
        }
    }

    pub(super) fn describe(&self, name: &str) -> Value {
        let credentials = match &self.credentials {
            Credentials::Token(token) => json!({"credentialsType": "ACCESS_TOKEN", "credentialsValue": token}),
            Credentials::Basic { client_id, username, password } => json!({
                "credentialsType": "MQTT_BASIC",
                "credentialsValue": {"clientId": client_id, "userName": username, "password": password},
            }),
            Credentials::Certificate(_) => json!({"credentialsType": "X509_CERTIFICATE"}),
            Credentials::None => json!({}),
        };
        json!({
            "name": name, "profile": self.profile, "gateway": self.gateway,
            "credentials": credentials, "claim": self.claim,
        })
    }

    pub(super) fn scope(&mut self, scope: Scope) -> &mut Map<String, Value> {
        match scope {
            Scope::Client => &mut self.client,
            Scope::Shared => &mut self.shared,
        }
    }

    /// Attributes by their names; all of them where no name is given at all.
    pub(super) fn answer(&self, client_keys: &[String], shared_keys: &[String]) -> Value {
        let all = client_keys.is_empty() && shared_keys.is_empty();
        let pick = |from: &Map<String, Value>, keys: &[String]| -> Map<String, Value> {
            if all {
                return from.clone();
            }
            keys.iter().filter_map(|key| from.get(key).map(|value| (key.clone(), value.clone()))).collect()
        };
        let mut answer = Map::new();
        for (scope, found) in [("client", pick(&self.client, client_keys)), ("shared", pick(&self.shared, shared_keys))]
        {
            if !found.is_empty() {
                answer.insert(scope.to_owned(), Value::Object(found));
            }
        }
        Value::Object(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_answered_by_scope() {
        let mut device = Device::new("default", false, Credentials::None);
        device.client.insert("a".into(), json!(1));
        device.shared.insert("b".into(), json!("x"));
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(device.answer(&[], &[]), json!({"client": {"a": 1}, "shared": {"b": "x"}}));
        assert_eq!(device.answer(&names("a,z"), &[]), json!({"client": {"a": 1}}));
        assert_eq!(device.answer(&names("z"), &names("b")), json!({"shared": {"b": "x"}}));
        assert_eq!(device.answer(&names("z"), &[]), json!({}));
    }
}
