//! What servers of The Things Stack V3 say of failed calls, in plain words (V3 3.2).

use std::sync::Arc;

use crate::error::{Error, Reported, RpcCode};

/// The error with what is wrong and what to try. What the server takes for a malformed argument but is a key that cannot be
/// one of its own is a login like any other that fails.
pub(super) fn explain(code: RpcCode, details: &str, reported: Arc<Reported>) -> Error {
    let words = plain(details);
    let is_key = reported.namespace == "pkg/auth" && reported.name == "token";
    let code = if is_key { RpcCode::Unauthenticated } else { code };
    let hint = match (code, reported.name.as_str()) {
        _ if is_key => {
            "the access key is none of The Things Stack V3: those begin with NNSXS. and have two more parts, \
                        each after a dot; keys of The Things Network V2 are no good there"
        }
        (RpcCode::Unauthenticated, "api_key_not_found" | "token_not_found") => {
            "the access key is unknown: was it deleted, or is it of another cluster or tenant?"
        }
        (RpcCode::Unauthenticated, "invalid_authorization") => "the last part of the access key is wrong: is it whole?",
        (RpcCode::Unauthenticated, "unauthenticated") => "no access key was given",
        (RpcCode::Unauthenticated, "token_expired") => "the access key has expired",
        (RpcCode::PermissionDenied, _) => {
            let rights = missing(&reported);
            if rights.is_empty() {
                return Error::Rpc { code, details: words, reported: Some(reported) };
            }
            let details = format!("{words}: the access key lacks {}", rights.join(", "));
            return Error::Rpc { code, details, reported: Some(reported) };
        }
        _ => return Error::Rpc { code, details: words, reported: Some(reported) },
    };
    Error::Rpc { code, details: format!("{words}: {hint}"), reported: Some(reported) }
}

/// The rights that a key would need.
fn missing(reported: &Reported) -> Vec<&str> {
    let rights = reported.attributes.get("missing").and_then(serde_json::Value::as_array);
    rights.into_iter().flatten().filter_map(serde_json::Value::as_str).collect()
}

/// Newer servers write their words for web pages.
fn plain(details: &str) -> String {
    const ESCAPED: [(&str, &str); 5] = [("&#39;", "'"), ("&#34;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    ESCAPED.iter().fold(details.to_owned(), |text, (escaped, letter)| text.replace(escaped, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_web_pages_are_read() {
        assert_eq!(plain("device &#39;a&#39; &amp;lt; &lt;b&gt; &#34;c&#34;"), "device 'a' &lt; <b> \"c\"");
    }
}
