//! The answer to `getSessionLimits` (TB 1.4, 6).

use super::RateLimit;
use super::rate_limit::part_of;
use crate::dialect::json::{Document, Kind, Value};

/// Limits of one kind of traffic, as texts; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitTexts {
    /// Messages that are no telemetry.
    pub messages: String,
    /// Telemetry and attributes.
    pub telemetry_messages: String,
    /// Values in them.
    pub telemetry_points: String,
}

/// What a session may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Of the client itself; `None` when the server names none.
    pub own: Option<LimitTexts>,
    /// Of the devices behind a gateway.
    pub devices: Option<LimitTexts>,
    /// Unacknowledged messages; 0 for the server's silence.
    pub in_flight: u64,
    /// Bytes of a message; 0 for the server's silence.
    pub payload_bytes: u64,
}

fn limits(value: Option<Value<'_>>) -> Option<LimitTexts> {
    let value = value.filter(|value| value.kind() == Kind::Object && value.members().next().is_some())?;
    let text = |name| value.get(name).and_then(|text| Some(text.as_str()?.into_owned())).unwrap_or_default();
    Some(LimitTexts {
        messages: text("messages"),
        telemetry_messages: text("telemetryMessages"),
        telemetry_points: text("telemetryDataPoints"),
    })
}

impl SessionLimits {
    /// Read an answer; `None` if it is none that tells limits.
    #[must_use]
    pub fn parse(document: &Document) -> Option<Self> {
        let root = document.root();
        root.get("rateLimits")?;
        let number = |name| root.get(name).and_then(Value::as_i64).and_then(|number| u64::try_from(number).ok());
        Some(Self {
            own: limits(root.get("rateLimits")),
            devices: limits(root.get("gatewayRateLimits")),
            in_flight: number("maxInflightMessages").unwrap_or(0),
            payload_bytes: number("maxPayloadSize").unwrap_or(0),
        })
    }

    /// How many messages to have in flight: a part of the least of the server's number and the limits' smallest windows.
    #[must_use]
    pub fn window(&self, limits: &[&RateLimit], percentage: u64) -> Option<usize> {
        let asked = (self.in_flight > 0).then_some(self.in_flight as f64)?;
        let least = limits.iter().filter_map(|limit| limit.smallest()).fold(asked, f64::min);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the server's number"
        )]
        Some(((least * percentage as f64 / 100.0) as usize).max(1))
    }

    /// How large a message may be: a part of what the server says.
    #[must_use]
    pub fn payload(&self, percentage: u64) -> Option<usize> {
        usize::try_from(part_of(self.payload_bytes, percentage)).ok().filter(|bytes| *bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// The example of TB 1.4 and what TB 6 saw it do.
    #[test]
    fn the_example_is_applied_as_observed() {
        let text = r#"{"maxPayloadSize":65536,"maxInflightMessages":100,"rateLimits":{"messages":"200:1,6000:60","telemetryMessages":"100:1,3000:60","telemetryDataPoints":"200:1,6000:60"}}"#;
        let limits = SessionLimits::parse(&Document::parse(text.as_bytes()).unwrap()).unwrap();
        let own = limits.own.as_ref().unwrap();
        let read = |text: &str| RateLimit::parse(text, 80, Instant::now()).0;
        let (messages, telemetry) = (read(&own.messages), read(&own.telemetry_messages));
        assert_eq!(limits.window(&[&messages, &telemetry], 80), Some(64));
        assert_eq!(limits.payload(80), Some(52_428));
        assert_eq!(messages.smallest(), Some(160.0));
        assert_eq!(limits.devices, None);
    }

    #[test]
    fn the_largest_number_has_a_part_as_any_other() {
        let limits = SessionLimits { payload_bytes: u64::MAX, ..SessionLimits::default() };
        assert_eq!(limits.payload(80), Some(14_757_395_258_967_641_292));
    }

    #[test]
    fn what_tells_no_limits_is_none() {
        for text in ["[]", "{}", "7", r#"{"error":"timeout"}"#, r#"{"maxInflightMessages":1}"#] {
            assert_eq!(SessionLimits::parse(&Document::parse(text.as_bytes()).unwrap()), None, "{text}");
        }
        let empty = SessionLimits::parse(&Document::parse(br#"{"rateLimits":{}}"#).unwrap()).unwrap();
        assert_eq!((empty.own.clone(), empty.window(&[], 80)), (None, None));
    }
}
