//! MQTT's own rules, whatever network speaks it: texts, topics, filters, and reason codes by name.
//!
//! Source: OASIS, MQTT 3.1.1 and MQTT 5.0; sections are named where they matter.

use std::time::Duration;

use rumqttc::mqttbytes::{valid_filter, valid_topic};

use crate::error::{Error, Result};

/// Most bytes of a text, such as a topic, a name or a password: its length has two bytes (MQTT 5, 1.5.4).
pub const LONGEST_TEXT: usize = u16::MAX as usize;
/// Most levels of a topic or filter that a server of ours takes: a packet has room for 65,000, which cost the one who keeps
/// them far more than the one who sends them.
pub const MOST_LEVELS: usize = 128;
/// Longest keep-alive in seconds (MQTT 5, 3.1.2.10).
pub const LONGEST_KEEP_ALIVE: u64 = u16::MAX as u64;

/// Reason codes (MQTT 5, 2.4), and the login's return codes (MQTT 3.1.1, 3.2.2.3).
#[expect(missing_docs, reason = "the names are the standard's")]
pub mod code {
    pub const SUCCESS: u8 = 0;
    pub const NO_SUBSCRIPTION_EXISTED: u8 = 17;
    /// The first code that tells of a refusal; by MQTT 3.1.1 the only one of a subscription.
    pub const UNSPECIFIED: u8 = 128;
    pub const MALFORMED_PACKET: u8 = 129;
    pub const PROTOCOL_ERROR: u8 = 130;
    pub const IMPLEMENTATION_SPECIFIC: u8 = 131;
    pub const UNSUPPORTED_VERSION: u8 = 132;
    pub const CLIENT_ID_NOT_VALID: u8 = 133;
    pub const BAD_LOGIN: u8 = 134;
    pub const NOT_AUTHORISED: u8 = 135;
    pub const SERVER_UNAVAILABLE: u8 = 136;
    pub const SERVER_BUSY: u8 = 137;
    pub const SERVER_SHUTTING_DOWN: u8 = 139;
    pub const SESSION_TAKEN_OVER: u8 = 142;
    pub const TOPIC_FILTER_INVALID: u8 = 143;
    pub const TOPIC_NAME_INVALID: u8 = 144;
    pub const PACKET_ID_IN_USE: u8 = 145;
    pub const PACKET_TOO_LARGE: u8 = 149;
    pub const MESSAGE_RATE_TOO_HIGH: u8 = 150;
    pub const QUOTA_EXCEEDED: u8 = 151;
    pub const ADMINISTRATIVE_ACTION: u8 = 152;
    pub const PAYLOAD_FORMAT_INVALID: u8 = 153;
    pub const CONNECTION_RATE_EXCEEDED: u8 = 159;

    /// Reasons to part that no message can be behind: the server is busy or has moved, the client is banned, silent or
    /// somewhere else, or was connected for too long. Not 139, "server shutting down": ThingsBoard says so of messages
    /// that it fails over, and no server shuts down several times in a row.
    pub const ABOUT_THE_CONNECTION: [u8; 8] =
        [SERVER_UNAVAILABLE, SERVER_BUSY, 138, 141, SESSION_TAKEN_OVER, 156, 157, 160];

    /// Reasons to part that a rate limit may be behind; ThingsBoard says 131 and 139 of those, too.
    pub const ABOUT_THE_RATE: [u8; 5] = [
        IMPLEMENTATION_SPECIFIC,
        SERVER_SHUTTING_DOWN,
        MESSAGE_RATE_TOO_HIGH,
        QUOTA_EXCEEDED,
        CONNECTION_RATE_EXCEEDED,
    ];

    /// MQTT 3.1.1's way to refuse a login for its version.
    pub const V311_UNSUPPORTED_VERSION: u8 = 1;
    pub const V311_CLIENT_ID_NOT_VALID: u8 = 2;
    pub const V311_SERVER_UNAVAILABLE: u8 = 3;
    pub const V311_BAD_LOGIN: u8 = 4;
    pub const V311_NOT_AUTHORISED: u8 = 5;
}

/// Whether a reason code tells of a refusal.
#[must_use]
pub fn is_refusal(code: u8) -> bool {
    code >= code::UNSPECIFIED
}

/// What a reason code means, wherever it stands but in the answer to a login.
#[must_use]
pub fn reason(code: u8) -> &'static str {
    match code {
        code::SUCCESS => "Success",
        4 => "Disconnect with will message",
        16 => "No matching subscribers",
        code::NO_SUBSCRIPTION_EXISTED => "No subscription existed",
        code::MALFORMED_PACKET => "Malformed packet",
        code::PROTOCOL_ERROR => "Protocol error",
        code::IMPLEMENTATION_SPECIFIC => "Implementation specific error",
        code::UNSUPPORTED_VERSION => "Unsupported protocol version",
        code::CLIENT_ID_NOT_VALID => "Client identifier not valid",
        code::BAD_LOGIN => "Bad user name or password",
        code::NOT_AUTHORISED => "Not authorized",
        code::SERVER_UNAVAILABLE => "Server unavailable",
        code::SERVER_BUSY => "Server busy",
        138 => "Banned",
        code::SERVER_SHUTTING_DOWN => "Server shutting down",
        140 => "Bad authentication method",
        141 => "Keep alive timeout",
        code::SESSION_TAKEN_OVER => "Session taken over",
        code::TOPIC_FILTER_INVALID => "Topic filter invalid",
        code::TOPIC_NAME_INVALID => "Topic name invalid",
        code::PACKET_ID_IN_USE => "Packet identifier in use",
        146 => "Packet identifier not found",
        147 => "Receive maximum exceeded",
        148 => "Topic alias invalid",
        code::PACKET_TOO_LARGE => "Packet too large",
        code::MESSAGE_RATE_TOO_HIGH => "Message rate too high",
        code::QUOTA_EXCEEDED => "Quota exceeded",
        code::ADMINISTRATIVE_ACTION => "Administrative action",
        code::PAYLOAD_FORMAT_INVALID => "Payload format invalid",
        154 => "Retain not supported",
        155 => "QoS not supported",
        156 => "Use another server",
        157 => "Server moved",
        158 => "Shared subscription not supported",
        code::CONNECTION_RATE_EXCEEDED => "Connection rate exceeded",
        160 => "Maximum connect time",
        161 => "Subscription identifiers not supported",
        162 => "Wildcard subscription not supported",
        _ => "Unspecified error",
    }
}

/// What the answer to a login means: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5.
#[must_use]
pub fn connect_reason(code: u8) -> &'static str {
    reason(match code {
        code::V311_UNSUPPORTED_VERSION => code::UNSUPPORTED_VERSION,
        code::V311_CLIENT_ID_NOT_VALID => code::CLIENT_ID_NOT_VALID,
        code::V311_SERVER_UNAVAILABLE => code::SERVER_UNAVAILABLE,
        code::V311_BAD_LOGIN => code::BAD_LOGIN,
        code::V311_NOT_AUTHORISED => code::NOT_AUTHORISED,
        code => code,
    })
}

/// Whether a login was refused for the version of the protocol, by either version's code.
#[must_use]
pub fn refuses_version(code: u8) -> bool {
    matches!(code, code::V311_UNSUPPORTED_VERSION | code::UNSUPPORTED_VERSION)
}

/// Whether a server asks by this code for a longer pause before the next login.
#[must_use]
pub fn asks_for_pause(code: u8) -> bool {
    matches!(code, code::QUOTA_EXCEEDED | code::CONNECTION_RATE_EXCEEDED)
}

/// Whether a login that was refused by this code may be let in later, though nothing is changed.
#[must_use]
pub fn may_pass(code: u8) -> bool {
    asks_for_pause(code)
        || matches!(code, code::V311_SERVER_UNAVAILABLE | code::SERVER_UNAVAILABLE | code::SERVER_BUSY)
        || refuses_version(code)
}

/// Whether a text can be written: not too long, without the zero that no text may have, and without the control characters
/// that servers may hang up over (MQTT 5, 1.5.4).
fn is_text(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && !text.contains(char::is_control)
}

/// Whether a text is a topic that can be published to.
#[must_use]
pub fn is_topic(text: &str) -> bool {
    !text.is_empty() && is_text(text) && valid_topic(text)
}

/// Whether a text is a topic filter.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    is_text(text) && valid_filter(text)
}

/// Whether a topic or filter has more levels than a server of ours takes.
#[must_use]
pub fn is_too_deep(text: &str) -> bool {
    text.split('/').nth(MOST_LEVELS).is_some()
}

/// Whether every topic that `narrow` matches, or the topic `narrow` itself, is matched by `wide`, too.
///
/// The codec's `matches` is not used for topics: it slices a topic that begins with "ü" in the middle of the letter, and
/// lets no filter at all match one that begins with `$`.
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    // What begins with `$` is not meant by a wildcard in front (MQTT 5, 4.7.2).
    if narrow.starts_with('$') && wide.starts_with(['#', '+']) {
        return false;
    }
    let mut narrow = narrow.split('/');
    for wide in wide.split('/') {
        match (wide, narrow.next()) {
            ("#", _) => return true,
            (_, None) | ("+", Some("#")) => return false,
            ("+", Some(_)) => {}
            (level, Some(other)) if level == other => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

/// Check a text that may be shown.
///
/// # Errors
/// [`Error::Invalid`] with the text.
pub fn check_text(what: &'static str, text: &str) -> Result<()> {
    check(what, text, text)
}

/// Check a secret.
///
/// # Errors
/// [`Error::Invalid`] without the text.
pub fn check_secret(what: &'static str, secret: &str) -> Result<()> {
    check(what, secret, "***")
}

fn check(what: &'static str, text: &str, shown: &str) -> Result<()> {
    if text.len() > LONGEST_TEXT {
        return Err(Error::invalid(what, shown, "at most 65535 bytes"));
    }
    if !is_text(text) {
        return Err(Error::invalid(what, shown, "text without line ends and other control characters"));
    }
    Ok(())
}

/// Check a topic to publish to.
///
/// # Errors
/// [`Error::Invalid`] with the topic.
pub fn check_topic(topic: &str) -> Result<()> {
    if is_topic(topic) {
        Ok(())
    } else {
        Err(Error::invalid("topic", topic, "a topic without wildcards and control characters"))
    }
}

/// Whether the protocol can express this keep-alive: whole seconds, two bytes.
#[must_use]
pub fn is_keep_alive(keep_alive: Duration) -> bool {
    keep_alive.as_secs() <= LONGEST_KEEP_ALIVE && keep_alive.subsec_nanos() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_stand_where_they_may() {
        for (filter, expected) in [
            ("a/+/#", true),
            ("#", true),
            ("+", true),
            ("/", true),
            ("", false),
            ("a/#/b", false),
            ("a+/b", false),
            ("a/b+", false),
            ("a/b#", false),
            ("a/\0", false),
            ("a/\u{1b}", false),
        ] {
            assert_eq!(is_filter(filter), expected, "{filter}");
        }
    }

    #[test]
    fn a_topic_is_a_text_without_wildcards_that_fits_in_two_bytes() {
        for (topic, expected) in [
            ("a/b", true),
            ("/", true),
            ("ü", true),
            ("", false),
            ("a/+", false),
            ("#", false),
            ("a\0", false),
            ("a\n", false),
        ] {
            assert_eq!(is_topic(topic), expected, "{topic}");
        }
        for (length, expected) in [(LONGEST_TEXT, true), (LONGEST_TEXT + 1, false)] {
            let text = "x".repeat(length);
            assert_eq!(
                (is_topic(&text), is_filter(&text), check_text("x", &text).is_ok()),
                (expected, expected, expected)
            );
        }
    }

    #[test]
    fn levels_are_counted_as_they_stand() {
        for (levels, expected) in [(1, false), (MOST_LEVELS, false), (MOST_LEVELS + 1, true), (LONGEST_TEXT, true)] {
            assert_eq!(is_too_deep(&vec![""; levels].join("/")), expected, "{levels}");
        }
    }

    #[test]
    fn covering_follows_the_matching_rules() {
        for (wide, narrow, expected) in [
            ("a/#", "a/b/c", true),
            ("a/#", "a", true),
            ("a/+", "a/b", true),
            ("a/+", "a/#", false),
            ("a/+", "a/+", true),
            ("a/b", "a/+", false),
            ("a/+", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("#", "ü/b", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn a_secret_that_cannot_be_written_is_not_shown() {
        for secret in ["se\0cret", "secret\n"] {
            let error = check_secret("password", secret).unwrap_err().to_string();
            assert_eq!(
                error,
                r#"password "***" is not valid: expected text without line ends and other control characters"#
            );
        }
        let error = check_secret("password", &"s".repeat(LONGEST_TEXT + 1)).unwrap_err();
        assert_eq!(error.to_string(), r#"password "***" is not valid: expected at most 65535 bytes"#);
    }

    #[test]
    fn a_login_is_refused_in_the_same_words_by_either_version() {
        for (old, new) in [(1, 132), (2, 133), (3, 136), (4, 134), (5, 135)] {
            assert_eq!(connect_reason(old), connect_reason(new));
        }
        assert_eq!((connect_reason(5), reason(151)), ("Not authorized", "Quota exceeded"));
        assert_eq!((reason(128), reason(255)), ("Unspecified error", "Unspecified error"));
    }

    proptest! {
        /// The rules that are ours agree with the codec's where both have a say.
        #[test]
        fn covering_agrees_with_the_codec(
            topic in "[ab]{0,1}(/[ab]{0,1}){0,3}", filter in "[ab+]{0,1}(/[ab+]{0,1}){0,3}(/#)?",
        ) {
            prop_assert_eq!(covers(&filter, &topic), rumqttc::mqttbytes::matches(&topic, &filter));
        }
    }
}
