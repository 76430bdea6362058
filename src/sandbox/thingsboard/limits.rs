//! What sessions are told as their limits, and how they are held to them.

use std::time::Instant;

use serde_json::{Value, json};

use crate::dialect::thingsboard::RateLimit;

/// Limits of a session; empty texts and zeros for none.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Messages that are no telemetry, as `count:seconds,…`.
    pub messages: String,
    /// Telemetry and attributes.
    pub telemetry_messages: String,
    /// Values in them.
    pub telemetry_points: String,
    /// Unacknowledged messages; only told.
    pub in_flight: u64,
    /// Bytes of a message.
    pub payload_bytes: u64,
}

/// Bytes of a message unless another number is set: the server's default.
const PAYLOAD_BYTES: u64 = 65_536;

impl Limits {
    fn windows(&self) -> Value {
        let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
        json!({
            "messages": text(&self.messages),
            "telemetryMessages": text(&self.telemetry_messages),
            "telemetryDataPoints": text(&self.telemetry_points),
        })
    }

    /// The answer to `getSessionLimits`.
    pub(super) fn answer(&self, gateway: bool) -> Value {
        let mut answer = json!({
            "maxPayloadSize": self.payload(), "maxInflightMessages": self.in_flight, "rateLimits": self.windows(),
        });
        if gateway {
            answer["gatewayRateLimits"] = self.windows();
        }
        answer
    }

    /// Most bytes of a message.
    pub(super) fn payload(&self) -> u64 {
        if self.payload_bytes == 0 { PAYLOAD_BYTES } else { self.payload_bytes }
    }
}

/// What a session has left.
#[derive(Debug)]
pub(super) struct Allowance {
    messages: RateLimit,
    telemetry: RateLimit,
    points: RateLimit,
}

impl Allowance {
    pub(super) fn new(limits: &Limits) -> Self {
        let read = |text: &str| RateLimit::parse(text, 100, Instant::now()).0;
        Self {
            messages: read(&limits.messages),
            telemetry: read(&limits.telemetry_messages),
            points: read(&limits.telemetry_points),
        }
    }

    /// Charge a message; tells whether it is within the limits. `points` is none for what is no telemetry.
    pub(super) fn charge(&mut self, points: Option<usize>) -> bool {
        let now = Instant::now();
        let (meter, points) = match points {
            Some(points) => (&mut self.telemetry, points as f64),
            None => (&mut self.messages, 0.0),
        };
        if meter.exhausted(1.0, now).is_some() || self.points.exhausted(points, now).is_some() {
            return false;
        }
        meter.deduct(1.0, now);
        self.points.deduct(points, now);
        true
    }
}
