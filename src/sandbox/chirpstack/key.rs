//! API keys and the tokens of users (CS 4.2): JWTs that the server signs with its secret.

use std::collections::BTreeMap;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// What the sandbox signs with. No secret: it protects nothing.
const SECRET: &[u8] = b"thingslink sandbox";
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
/// How long the token of a user holds, in seconds.
const DAY: i64 = 86_400;

/// What a key permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Only this tenant; `None` for all.
    pub(super) tenant_id: Option<String>,
    pub(super) is_read_only: bool,
    pub(super) name: String,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The user of the web interface, an administrator.
    User,
    /// An API key.
    Key(Key),
}

#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    aud: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iss: String,
    sub: String,
    typ: String,
}

/// The keys that were made and not deleted, by ID.
#[derive(Debug, Default)]
pub(super) struct Keys {
    made: BTreeMap<String, Key>,
    /// Whether any token is taken, as a key for everything.
    any_key: bool,
}

fn sign(claims: &Claims) -> String {
    // Cannot fail: texts and a number.
    let claims = serde_json::to_string(claims).unwrap_or_default();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn claims(sub: &str, typ: &str, exp: Option<i64>) -> Claims {
    let chirpstack = || "chirpstack".to_owned();
    Claims { aud: chirpstack(), exp, iss: chirpstack(), sub: sub.to_owned(), typ: typ.to_owned() }
}

/// What stands in a token.
///
/// # Errors
/// The server's words.
fn read(token: &str) -> Result<Claims, String> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, body, signature] = parts[..] else { return Err("InvalidToken".to_owned()) };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| format!("Base64 error: {error}"));
    decoded(header)?;
    let tag = decoded(signature)?;
    let signed = &token[..header.len() + 1 + body.len()];
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes(), &tag)
        .map_err(|_| "InvalidSignature".to_owned())?;
    let claims: Claims = serde_json::from_slice(&decoded(body)?).map_err(|error| format!("JSON error: {error}"))?;
    if claims.exp.is_some_and(|until| until < jiff::Timestamp::now().as_second()) {
        return Err("ExpiredSignature".to_owned());
    }
    Ok(claims)
}

/// The token of a key with this ID.
pub(super) fn token(id: &str) -> String {
    sign(&claims(id, "key", None))
}

/// The token of the user, which holds for a day.
pub(super) fn user_token(id: &str) -> String {
    sign(&claims(id, "user", Some(jiff::Timestamp::now().as_second() + DAY)))
}

/// The ID in a token that the sandbox has signed as a key.
pub(super) fn key_id(token: &str) -> Option<String> {
    read(token).ok().filter(|claims| claims.typ == "key").map(|claims| claims.sub)
}

impl Keys {
    pub(super) fn new(any_key: bool) -> Self {
        Self { any_key, ..Self::default() }
    }

    pub(super) fn add(&mut self, id: &str, key: Key) {
        self.made.insert(id.to_owned(), key);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Key> {
        self.made.remove(id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Key)> {
        self.made.iter()
    }

    /// Who calls with this token; `None` for a key that was deleted.
    ///
    /// # Errors
    /// The server's words.
    pub(super) fn caller(&self, token: &str) -> Result<Option<Caller>, String> {
        if self.any_key {
            let everything = Key { tenant_id: None, is_read_only: false, name: String::new() };
            return Ok(Some(Caller::Key(everything)));
        }
        let claims = read(token)?;
        if claims.typ == "user" {
            return Ok(Some(Caller::User));
        }
        Ok(self.made.get(&claims.sub).cloned().map(Caller::Key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_tokens_are_refused_in_the_servers_words() {
        let keys = Keys::default();
        let good = token("634177ac-00f7-4066-8ea8-615d9e06be17");
        assert!(good.starts_with("eyJ0eXAi"));
        assert_eq!(keys.caller(&good), Ok(None));
        for (token, words) in [
            ("no-token", "InvalidToken"),
            ("NNSXS.AAAA.BBBB", "Base64 error: Invalid input length: 5"),
            (&format!("{good}="), "Base64 error"),
            (&good.replace(".eyJ", ".eyK"), "InvalidSignature"),
            (&sign(&claims("x", "user", Some(0))), "ExpiredSignature"),
        ] {
            let refused = keys.caller(token).unwrap_err();
            assert!(refused.starts_with(words), "{token}: {refused}");
        }
    }

    #[test]
    fn keys_hold_until_they_are_deleted() {
        let mut keys = Keys::default();
        let key = Key { tenant_id: Some("t".into()), is_read_only: true, name: "n".into() };
        keys.add("k1", key.clone());
        assert_eq!(keys.caller(&token("k1")), Ok(Some(Caller::Key(key))));
        assert_eq!(keys.caller(&user_token("u")), Ok(Some(Caller::User)));
        keys.remove("k1");
        assert_eq!(keys.caller(&token("k1")), Ok(None));
        assert_eq!(key_id(&token("k1")).as_deref(), Some("k1"));
        assert_eq!(key_id(&user_token("u")), None);
    }
}
