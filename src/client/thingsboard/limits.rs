//! The server's limits: what uses them up, and how they change.

use std::time::{Duration, Instant};

use super::{Client, Meters};
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
            [(&self.inner.platform.tolls.own.messages, count), (&self.inner.platform.tolls.devices.messages, devices)]
        {
            if count > 0.0 {
                meter.limit().deduct(count, now);
            }
        }
    }

    /// The server dropped devices because of their rate: wait for new tokens before the next message.
    pub fn device_limits_reached(&self) {
        tracing::info!("the server reports a rate limit: waiting for new tokens");
        self.inner.platform.tolls.devices.strain(Duration::ZERO);
    }

    /// The question for the session's limits is answered, be it with none.
    pub fn limits_told(&self) {
        for meters in self.inner.platform.tolls.all() {
            meters.learned();
        }
        self.inner.outbox.gate_opened();
    }

    /// Keep to what the server says of the session; `percentage` is the part of it that is used. Gives the size that a
    /// message may have, if the server says one.
    #[must_use]
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
            set(&self.inner.platform.tolls.own, own);
        }
        if self.inner.platform.config.gateway {
            set(&self.inner.platform.tolls.devices, limits.devices.as_ref().unwrap_or(&LimitTexts::default()));
        }
        let (messages, telemetry) = (
            self.inner.platform.tolls.own.messages.limit().clone(),
            self.inner.platform.tolls.own.telemetry.limit().clone(),
        );
        if let Some(window) = limits.window(&[&messages, &telemetry], percentage) {
            let meters = self.inner.platform.tolls.own.all().into_iter().chain(self.inner.platform.tolls.devices.all());
            let limited = meters.into_iter().any(|meter| !meter.limit().unlimited);
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
