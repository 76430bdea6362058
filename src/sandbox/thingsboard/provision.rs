//! Devices that make themselves known (TB 1.6).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::device::{Credentials, Device};
use super::json::Json;
use super::state::State;
use super::verdict::Verdict;
use crate::dialect::mqtt::code;
use crate::dialect::thingsboard::names;

/// The answer to a request; `None` if the server fails over it.
fn answer(state: &mut State, request: &Json, serial: u64) -> Option<Value> {
    // A null where a text belongs is an error of its own there.
    let text = |name: &str| request.get(name).map(|value| value.text().ok()).map_or(Some(None), |text| text.map(Some));
    let given = (text("provisionDeviceKey")??, text("provisionDeviceSecret")??);
    let name = text("deviceName")?;
    let (token, username, password) = (text("token")?, text("username")?, text("password")?);
    let (client_id, hash, kind) = (text("clientId")?, text("hash")?, text("credentialsType")?);
    if Some(given) != state.provisioning {
        return Some(json!({"status": "NOT_FOUND", "errorMsg": "Provision data was not found!"}));
    }
    let name = name.unwrap_or_else(|| format!("provisioned-{serial}"));
    let credentials = match kind.as_deref() {
        Some("MQTT_BASIC") => Credentials::Basic { client_id, username, password },
        Some("X509_CERTIFICATE") => Credentials::Certificate(hash.clone().unwrap_or_default().into_bytes()),
        Some("ACCESS_TOKEN") | None => Credentials::Token(token.unwrap_or_else(|| format!("token-{serial}"))),
        Some(_) => return None,
    };
    if state.devices.contains_key(&name) || state.devices.values().any(|device| device.credentials == credentials) {
        return Some(json!({"status": "FAILURE", "errorMsg": "Failed to provision device!"}));
    }
    let gateway = request.get("gateway") == Some(&Json::Bool(true));
    let mut told = Map::new();
    let (kind, value) = match &credentials {
        // What is absent is told as an empty text.
        Credentials::Basic { client_id, username, password } => (
            "MQTT_BASIC",
            json!({"clientId": client_id.as_deref().unwrap_or_default(), "userName": username.as_deref().unwrap_or_default(), "password": password.as_deref().unwrap_or_default()}),
        ),
        Credentials::Certificate(_) => ("X509_CERTIFICATE", json!(hash.unwrap_or_default())),
        Credentials::Token(token) => ("ACCESS_TOKEN", json!(token)),
        Credentials::None => return None,
    };
    told.insert("credentialsType".into(), Value::from(kind));
    told.insert("credentialsValue".into(), value);
    told.insert("status".into(), Value::from("SUCCESS"));
    state.devices.insert(name, Device::new("default", gateway, credentials));
    Some(Value::Object(told))
}

/// The only thing that a provisioning session may do.
pub(super) fn take(state: &mut State, serial: u64, topic: &str, payload: &Bytes) -> Verdict {
    if topic != names::PROVISION_REQUEST {
        return Verdict::Rejected(code::TOPIC_NAME_INVALID);
    }
    let Some(request) = Json::read(payload) else { return Verdict::Refused(code::PAYLOAD_FORMAT_INVALID) };
    let Some(answer) = answer(state, &request, serial) else {
        return Verdict::Rejected(code::IMPLEMENTATION_SPECIFIC);
    };
    if let Some(member) = state.members.get(&serial) {
        member.push_json(names::PROVISION_RESPONSE, &answer);
    }
    Verdict::Taken
}
