//! The rate limits of a client, shared with whoever looks at them or changes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dialect::thingsboard::{RateLimit, names};
use crate::session::Gate;
use crate::sync::{Mutex, MutexGuard};

/// One limit.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Mutex<RateLimit>>);

impl Meter {
    /// Share a limit.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self(Arc::new(Mutex::new(limit)))
    }

    /// No limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(RateLimit::none())
    }

    /// The limit, to look at or to change.
    #[must_use = "it is locked for as long as this is kept"]
    pub fn limit(&self) -> MutexGuard<'_, RateLimit> {
        self.0.lock()
    }

    fn deduct(&self, amount: usize, now: Instant) {
        self.limit().deduct(amount as f64, now);
    }

    fn time_to(&self, amount: usize, now: Instant) -> Duration {
        self.limit().time_to(amount as f64, now)
    }
}

/// How long the answer about the session's limits is waited for.
pub(super) const LEARNING: Duration = Duration::from_secs(2);

/// What a message is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Telemetry and attributes of the client itself.
    Telemetry,
    /// Everything else of the client itself.
    Messages,
    /// Telemetry and attributes of devices behind the gateway.
    DeviceTelemetry,
    /// Everything else of theirs.
    DeviceMessages,
}

impl Traffic {
    /// What a message with this topic is.
    #[must_use]
    pub fn of(topic: &str) -> Self {
        match topic {
            names::TELEMETRY | names::ATTRIBUTES => Self::Telemetry,
            names::GATEWAY_TELEMETRY | names::GATEWAY_ATTRIBUTES => Self::DeviceTelemetry,
            topic if topic.starts_with(names::GATEWAY) => Self::DeviceMessages,
            _ => Self::Messages,
        }
    }
}

/// The limits of one kind of sender.
#[derive(Clone, Debug)]
pub struct Meters {
    /// Messages that are no telemetry.
    pub messages: Meter,
    /// Telemetry and attributes.
    pub telemetry: Meter,
    /// Values in them.
    pub points: Meter,
}

impl Meters {
    /// No limits.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { messages: Meter::unlimited(), telemetry: Meter::unlimited(), points: Meter::unlimited() }
    }

    /// All three.
    #[must_use]
    pub fn all(&self) -> [&Meter; 3] {
        [&self.messages, &self.telemetry, &self.points]
    }

    /// The server may have ended a connection, or refused something, because of one of them; so long at most its limits
    /// are waited for.
    pub(super) fn strain(&self, learning: Duration) {
        let now = Instant::now();
        for meter in self.all() {
            meter.limit().strain(now, learning);
        }
    }

    /// The server has told its limits, or will not.
    pub(super) fn learned(&self) {
        for meter in self.all() {
            meter.limit().learned();
        }
    }

    /// A connection begins; so long at most its limits are waited for.
    pub(super) fn begin(&self, learning: Duration) {
        let now = Instant::now();
        for meter in self.all() {
            meter.limit().begin(now, learning);
        }
    }
}

/// The limits of a client, which everything is charged to that it sends.
#[derive(Debug)]
pub(super) struct ClientLimits {
    /// Of its own traffic.
    pub(super) own: Meters,
    /// Of that of devices behind the gateway.
    pub(super) devices: Meters,
}

impl ClientLimits {
    pub(super) fn of(&self, traffic: Traffic) -> MessageLimits {
        let meters = match traffic {
            Traffic::Telemetry | Traffic::Messages => &self.own,
            Traffic::DeviceTelemetry | Traffic::DeviceMessages => &self.devices,
        };
        match traffic {
            Traffic::Telemetry | Traffic::DeviceTelemetry => {
                MessageLimits { messages: meters.telemetry.clone(), points: Some(meters.points.clone()) }
            }
            Traffic::Messages | Traffic::DeviceMessages => {
                MessageLimits { messages: meters.messages.clone(), points: None }
            }
        }
    }

    /// Both kinds.
    pub(super) fn all(&self) -> [&Meters; 2] {
        [&self.own, &self.devices]
    }
}

impl Gate for ClientLimits {
    fn pay(&self, topic: &str, points: usize) -> Result<(), Duration> {
        let limits = self.of(Traffic::of(topic));
        let wait = limits.wait(points);
        if !wait.is_zero() {
            return Err(wait);
        }
        limits.pay_points(points);
        limits.pay_message();
        Ok(())
    }
}

/// The limits of one message.
#[derive(Clone, Debug)]
pub(super) struct MessageLimits {
    messages: Meter,
    points: Option<Meter>,
}

impl MessageLimits {
    /// Pay for a message if nothing is limited so far as is known; tells whether that is so. What is paid so is missing from
    /// the limits once the server tells them.
    pub(super) fn pay_freely(&self, points: usize) -> bool {
        let messages = self.messages.limit().take_freely(1.0);
        let points = self.points.as_ref().is_none_or(|meter| meter.limit().take_freely(points as f64));
        messages && points
    }

    /// The most values in a message; 0 for any number.
    pub(super) fn most_points(&self) -> usize {
        let least = self.points.as_ref().and_then(|points| points.limit().smallest()).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, never negative")]
        let least = least as usize;
        least
    }

    /// Values are paid before the wait, as in the original.
    pub(super) fn pay_points(&self, points: usize) {
        if let Some(meter) = &self.points {
            meter.deduct(points, Instant::now());
        }
    }

    /// How long until the message may go.
    pub(super) fn wait(&self, points: usize) -> Duration {
        let now = Instant::now();
        let values = self.points.as_ref().map_or(Duration::ZERO, |meter| meter.time_to(points, now));
        self.messages.time_to(1, now).max(values)
    }

    pub(super) fn pay_message(&self) {
        self.messages.deduct(1, Instant::now());
    }
}
