//! Identifiers and keys: checked once, where they enter.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, Result};

/// Application ID: one level of every topic and the user name of the login.
///
/// Any text that can be a topic level is accepted, since private networks and plain brokers are freer than
/// The Things Network's own `^[0-9a-z](?:[_-]?[0-9a-z]){1,35}$`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppId(String);

impl AppId {
    /// Check and take an application ID.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is empty, longer than 512 bytes or contains `/`, `+`, `#` or a control character.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id: String = id.into();
        let is_level =
            !id.is_empty() && id.len() <= 512 && !id.contains(['/', '+', '#']) && !id.contains(char::is_control);
        if !is_level || is_access_key(&id) {
            let expected = "an application ID without '/', '+', '#' and control characters, such as \"my-app\"";
            return Err(no_id("app_id", id, expected));
        }
        Ok(Self(id))
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Device ID within an application: `^[0-9a-z](?:[_-]?[0-9a-z]){1,35}$` (V2 1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DevId(String);

impl DevId {
    /// Check and take a device ID.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not have the network's form.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id: String = id.into();
        if is_network_id(&id) {
            Ok(Self(id))
        } else {
            Err(no_id(
                "dev_id",
                id,
                "2 to 36 lower-case letters and digits with single '-' or '_' between them, such as \"node-1\"",
            ))
        }
    }

    /// A device ID of a network where it may have any form: up to 100 characters, none of them a control character.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn of_any_form(id: impl Into<String>, expected: &'static str) -> Result<Self> {
        let id: String = id.into();
        let is_one = (1..=100).contains(&id.chars().count()) && !id.contains(char::is_control);
        if is_one && !is_access_key(&id) { Ok(Self(id)) } else { Err(no_id("dev_id", id, expected)) }
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DevId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `id` has the form of The Things Network's application and device IDs.
#[must_use]
pub fn is_network_id(id: &str) -> bool {
    let mut letters = 0;
    let mut separated = true;
    for byte in id.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' => {
                letters += 1;
                separated = false;
            }
            b'-' | b'_' if !separated => separated = true,
            _ => return false,
        }
    }
    (2..=36).contains(&letters) && !separated
}

/// Whether `id` has the form of IDs in The Things Stack V3: `^[a-z0-9](?:[-]?[a-z0-9]){2,}$`, at most 36 characters.
#[must_use]
pub fn is_stack_id(id: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'));
    let letters = id.bytes().filter(|byte| *byte != b'-').count();
    letters >= 3 && id.len() <= 36 && id.split('-').all(is_part)
}

/// What the access keys of The Things Network begin with, and those of its successor.
const KEYS: [&str; 3] = ["ttn-account-v2.", "ttn-account.", "NNSXS."];

/// Whether a text is an access key of these networks, as it may be where arguments are mixed up.
#[must_use]
pub fn is_access_key(text: &str) -> bool {
    KEYS.iter().any(|start| text.starts_with(start)) || is_token(text)
}

/// Whether a text is a JSON web token, as API keys of `ChirpStack` are: three parts, the first of them an object.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2 && text.len() > 32
}

/// An error for what stands in an ID's place; never shows a key.
fn no_id(what: &'static str, id: String, expected: &'static str) -> Error {
    if is_access_key(&id) {
        return Error::invalid(what, "***", "an ID, not an access key: are the arguments mixed up?");
    }
    Error::invalid(what, id, expected)
}

/// A secret that logs in: shown as `***` by every formatter.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(String);

impl AccessKey {
    /// Take a key as it is.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Why a server of The Things Network V2 may refuse it, as the end of a sentence; empty where nothing is known.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.0.as_str() {
            "" => ": the access key is empty",
            key if key.starts_with("NNSXS.") => {
                ": a key that begins with NNSXS. is of The Things Stack V3, whose topics and services are not those of V2"
            }
            key if key.trim() != key => ": the access key has blanks around it",
            _ => "",
        }
    }

    /// Whether it is an API key of The Things Stack V3.
    #[must_use]
    pub fn is_of_stack(&self) -> bool {
        self.0.starts_with("NNSXS.")
    }

    /// Whether it is an API key of `ChirpStack`: a token that says so (CS 4.2).
    #[must_use]
    pub fn is_of_chirpstack(&self) -> bool {
        let claims = is_token(&self.0).then(|| self.0.split('.').nth(1)).flatten();
        let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok());
        let claims: Option<serde_json::Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
        claims.is_some_and(|claims| claims["iss"] == "chirpstack")
    }

    /// The secret itself, for the login alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_follow_the_network_rule() {
        for good in ["ab", "node-1", "a1", "soil_07", "0a", &"a".repeat(36), "a-b-c"] {
            assert!(DevId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "Node", "-a", "a-", "a--b", "a_-b", "a b", "a/b", "a+", "é1", &"a".repeat(37)] {
            assert!(DevId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_of_the_stack_are_stricter() {
        for good in ["abc", "node-1", "a-b-c", &"a".repeat(36)] {
            assert!(is_stack_id(good), "{good}");
        }
        for bad in ["", "ab", "a-b", "soil_07", "a--b", "-abc", "abc-", "Abc", "a b c", &"a".repeat(37)] {
            assert!(!is_stack_id(bad), "{bad}");
        }
    }

    #[test]
    fn application_ids_stay_one_topic_level() {
        assert!(AppId::new("Demo App").is_ok());
        for bad in ["", "a/b", "+", "a#", "a\0", "app\n", "a\u{85}b"] {
            assert!(AppId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_never_shows() {
        for key in ["ttn-account-v2.5ec7e7", "NNSXS.5ec7e7", "ttn-account.5ec7e7"] {
            for error in [AppId::new(key).unwrap_err(), DevId::new(key).unwrap_err()] {
                let text = error.to_string();
                assert!(text.contains("mixed up") && !text.contains("5ec7e7"), "{text}");
            }
        }
        assert_eq!(format!("{:?}", AccessKey::new("secret")), "***");
    }
}
