//! The server's limits: what uses them up, and how they change.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::meters::ClientLimits;
use super::{Client, Device, Meters};
use crate::dialect::json::Document;
use crate::dialect::thingsboard::{LimitTexts, RateLimit, SessionLimits, Topic};
use crate::session::{Outbox, OutboxLimits};

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
            [(&self.inner.platform.limits.own.messages, count), (&self.inner.platform.limits.devices.messages, devices)]
        {
            if count > 0.0 {
                meter.limit().deduct(count, now);
            }
        }
    }

    /// The server dropped devices because of their rate: wait for new tokens before the next message.
    pub fn device_limits_reached(&self) {
        tracing::info!("the server reports a rate limit: waiting for new tokens");
        self.inner.platform.limits.devices.strain(Duration::ZERO);
    }

    /// The question for the session's limits is answered, be it with none.
    pub fn limits_told(&self) {
        self.inner.platform.limits_told(&self.inner.outbox);
    }

    /// Whether the answer is kept to at once; else the program does what it likes with it.
    pub fn keep_limits(&self, keep: bool) {
        self.inner.platform.keeps_limits.store(keep, Ordering::Release);
    }

    /// Keep to what the server says of the session. Gives the size that a message may have, if the server says one.
    #[must_use]
    pub fn apply(&self, limits: &SessionLimits) -> Option<usize> {
        let percentage = self.inner.platform.apply(limits, &self.inner.outbox);
        limits.payload(percentage)
    }
}

impl Device {
    fn limits_told(&self, outbox: &Outbox) {
        for meters in self.limits.all() {
            meters.learned();
        }
        outbox.gate_opened();
    }

    /// The question for the session's limits is answered. Kept to at once, by the session's own task: a callback that
    /// sends may hold up all deliveries.
    pub(super) fn hear_limits(&self, answer: &[u8], outbox: &Outbox) {
        if !self.keeps_limits.load(Ordering::Acquire) {
            return;
        }
        if let Some(limits) = Document::parse(answer).ok().and_then(|document| SessionLimits::parse(&document)) {
            self.limits_known.store(true, Ordering::Release);
            self.apply(&limits, outbox);
        }
        self.limits_told(outbox);
    }

    /// Gives the part of the limits that is used, in percent.
    fn apply(&self, limits: &SessionLimits, outbox: &Outbox) -> u64 {
        let percentage = self.config.percentage;
        let ClientLimits { own, devices } = &*self.limits;
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
        if let Some(texts) = &limits.own {
            set(own, texts);
        }
        if self.config.gateway {
            set(devices, limits.devices.as_ref().unwrap_or(&LimitTexts::default()));
        }
        let (messages, telemetry) = (own.messages.limit().clone(), own.telemetry.limit().clone());
        if let Some(window) = limits.window(&[&messages, &telemetry], percentage) {
            let limited = own.all().into_iter().chain(devices.all()).any(|meter| !meter.limit().unlimited);
            let messages = if limited { window } else { 50_000 };
            outbox.set_limits(OutboxLimits { messages, in_flight: window, ..outbox.limits() });
        }
        if let Some(packet_bytes) = usize::try_from(limits.payload_bytes).ok().filter(|bytes| *bytes > 0) {
            outbox.set_limits(OutboxLimits { packet_bytes, ..outbox.limits() });
        }
        percentage
    }
}
