//! What sessions are told as their limits, and how they are held to them.

use std::time::Instant;

use serde_json::{Value, json};

use crate::dialect::thingsboard::{LimitTexts, RateLimit};

/// Limits of a session; empty texts for none.
#[derive(Clone, Debug)]
pub struct TransportLimits {
    /// Of a device itself.
    pub own: LimitTexts,
    /// Of all devices behind a gateway together; unless given, as its own.
    pub devices: Option<LimitTexts>,
    /// Unacknowledged messages; only told.
    pub in_flight: u64,
    /// Bytes of a message, its topic included; 0 for the server's default.
    pub payload_bytes: u64,
}

/// Bytes of a message unless another number is set: the server's default.
const PAYLOAD_BYTES: u64 = 65_536;

impl Default for TransportLimits {
    fn default() -> Self {
        Self { own: LimitTexts::default(), devices: None, in_flight: 100, payload_bytes: 0 }
    }
}

fn windows(limits: &LimitTexts) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    json!({
        "messages": text(&limits.messages),
        "telemetryMessages": text(&limits.telemetry_messages),
        "telemetryDataPoints": text(&limits.telemetry_points),
    })
}

impl TransportLimits {
    /// The answer to `getSessionLimits`.
    pub(super) fn answer(&self, gateway: bool) -> Value {
        let mut answer = json!({
            "maxPayloadSize": self.payload(), "maxInflightMessages": self.in_flight, "rateLimits": windows(&self.own),
        });
        if gateway {
            answer["gatewayRateLimits"] = windows(self.devices.as_ref().unwrap_or(&self.own));
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
    pub(super) fn new(limits: &LimitTexts) -> Self {
        let read = |text: &str| RateLimit::parse(text, 100, Instant::now()).0;
        Self {
            messages: read(&limits.messages),
            telemetry: read(&limits.telemetry_messages),
            points: read(&limits.telemetry_points),
        }
    }

    /// Charge a message; tells whether it is within the limits. What has no values is no telemetry.
    pub(super) fn charge(&mut self, points: usize) -> bool {
        let now = Instant::now();
        let meter = if points > 0 { &mut self.telemetry } else { &mut self.messages };
        let points = points as f64;
        if meter.exhausted(1.0, now).is_some() || self.points.exhausted(points, now).is_some() {
            return false;
        }
        meter.deduct(1.0, now);
        self.points.deduct(points, now);
        true
    }
}
