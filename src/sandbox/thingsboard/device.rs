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

    /// Take telemetry in any of its forms (TB 1.3); tells whether it was one.
    pub(super) fn take_telemetry(&mut self, message: &Value, now_ms: u64) -> bool {
        let entries = match message {
            Value::Array(entries) => entries.as_slice(),
            single => std::slice::from_ref(single),
        };
        if !entries.iter().all(Value::is_object) {
            return false;
        }
        for entry in entries {
            let stamped = entry.get("ts").and_then(Value::as_u64).zip(entry.get("values").filter(|it| it.is_object()));
            let (ts, values) = stamped.unwrap_or((now_ms, entry));
            self.telemetry.push(json!({"ts": ts, "values": values}));
        }
        true
    }

    /// Attributes by their names; all of them where no name is given at all.
    pub(super) fn answer(&self, client_keys: Option<&str>, shared_keys: Option<&str>) -> Value {
        let all = client_keys.is_none() && shared_keys.is_none();
        let pick = |from: &Map<String, Value>, keys: Option<&str>| -> Map<String, Value> {
            match keys {
                None if all => from.clone(),
                None => Map::new(),
                Some(keys) => {
                    let named =
                        keys.split(',').filter_map(|key| from.get(key).map(|value| (key.into(), value.clone())));
                    named.collect()
                }
            }
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
    fn telemetry_is_taken_in_every_form() {
        let mut device = Device::new("default", false, Credentials::None);
        for message in [
            json!({"a": 1}),
            json!([{"a": 1}, {"ts": 5, "values": {"b": 2}}]),
            json!({"ts": 7, "a": 1}),
            json!({"ts": "x", "values": {"b": 2}}),
        ] {
            assert!(device.take_telemetry(&message, 99));
        }
        assert!(!device.take_telemetry(&json!([1]), 99) && !device.take_telemetry(&json!("x"), 99));
        let times: Vec<_> = device.telemetry.iter().map(|entry| entry["ts"].as_u64().unwrap()).collect();
        assert_eq!(times, [99, 99, 5, 99, 99]);
        assert_eq!(device.telemetry[3]["values"], json!({"ts": 7, "a": 1}));
    }

    #[test]
    fn attributes_are_answered_by_scope() {
        let mut device = Device::new("default", false, Credentials::None);
        device.client.insert("a".into(), json!(1));
        device.shared.insert("b".into(), json!("x"));
        assert_eq!(device.answer(None, None), json!({"client": {"a": 1}, "shared": {"b": "x"}}));
        assert_eq!(device.answer(Some("a,z"), None), json!({"client": {"a": 1}}));
        assert_eq!(device.answer(Some("z"), Some("b")), json!({"shared": {"b": "x"}}));
        assert_eq!(device.answer(Some("z"), None), json!({}));
    }
}
