//! The server's limits: what uses them up, and how they change.

use std::time::Instant;

use super::{Client, Meter, Meters};
use crate::dialect::thingsboard::{LimitTexts, RateLimit, SessionLimits, Topic};
use crate::session::OutboxLimits;

impl Client {
    /// Charge what arrived to the limits, as the server does.
    pub fn charge(&self, topic: Topic<'_>) {
        let count = match topic {
            Topic::RpcRequest(_) | Topic::RpcResponse(_) => 1.0,
            Topic::Attributes | Topic::AttributesResponse(_) => 2.0,
            _ => 0.0,
        };
        let devices = match topic {
            Topic::GatewayAttributes | Topic::GatewayAttributesResponse | Topic::GatewayRpc => 1.0,
            _ => 0.0,
        };
        let now = Instant::now();
        for (meter, count) in
            [(&self.inner.platform.own.messages, count), (&self.inner.platform.devices.messages, devices)]
        {
            if count > 0.0 {
                meter.limit().deduct(count, now);
            }
        }
    }

    /// The server dropped devices because of their rate: wait for new tokens before the next message.
    pub fn device_limits_reached(&self) {
        let now = Instant::now();
        for meter in self.inner.platform.devices.all() {
            if let Some(seconds) = meter.limit().reach(now) {
                tracing::info!(seconds, "the server reports a rate limit: waiting for new tokens");
            }
        }
    }

    /// Keep to what the server says of the session; `percentage` is the part of it that is used. Gives the size that a
    /// message may have, if the server says one.
    pub fn apply(&self, limits: &SessionLimits, percentage: u64) -> Option<usize> {
        let set = |meters: &Meters, texts: &LimitTexts| {
            let texts = [&texts.messages, &texts.telemetry_messages, &texts.telemetry_points];
            for (meter, text) in meters.all().into_iter().zip(texts) {
                let now = Instant::now();
                let (limit, invalid) = RateLimit::parse(text, percentage, now);
                for part in invalid {
                    tracing::warn!(part, "the server's rate limit cannot be read");
                }
                meter.limit().replace(limit, now);
            }
        };
        if let Some(own) = &limits.own {
            set(&self.inner.platform.own, own);
        }
        if self.inner.platform.config.gateway {
            set(&self.inner.platform.devices, limits.devices.as_ref().unwrap_or(&LimitTexts::default()));
        }
        let (messages, telemetry) =
            (self.inner.platform.own.messages.limit().clone(), self.inner.platform.own.telemetry.limit().clone());
        if let Some(window) = limits.window(&[&messages, &telemetry], percentage) {
            let meters = self.inner.platform.own.all().into_iter().chain(self.inner.platform.devices.all());
            let limited = meters.into_iter().any(Meter::is_set);
            let known = self.inner.outbox.limits();
            let messages = if limited { window } else { 50_000 };
            self.inner.outbox.set_limits(OutboxLimits { messages, in_flight: window, ..known });
        }
        if let Some(packet_bytes) = usize::try_from(limits.payload_bytes).ok().filter(|bytes| *bytes > 0) {
            let known = self.inner.outbox.limits();
            self.inner.outbox.set_limits(OutboxLimits { packet_bytes, ..known });
        }
        limits.payload(percentage)
    }
}
