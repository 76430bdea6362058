//! Traffic of many devices at a given rate.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::Faults;
use super::frame::UplinkFrame;
use super::listener::turns;
use crate::error::{Error, Result};

/// What a stream sends.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// Number of devices, 1–100,000; they are called `sim-00001` and so on.
    pub devices: u32,
    /// Uplinks per second, all devices together.
    pub rate: f64,
    /// Uplinks in all; `None` for no end.
    pub count: Option<u64>,
    /// Makes payloads and the order of devices repeatable.
    pub seed: u64,
}

impl StreamOptions {
    /// Check the numbers.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn validate(&self) -> Result<()> {
        if !(1..=100_000).contains(&self.devices) {
            return Err(Error::invalid("devices", self.devices.to_string(), "1 to 100000"));
        }
        if !(self.rate > 0.0 && self.rate <= 1e6) {
            return Err(Error::invalid("rate", self.rate.to_string(), "uplinks per second, above 0 and up to 1000000"));
        }
        Ok(())
    }
}

/// How long an uplink waits for what clients have written to be read.
const TAKE_IN: Duration = Duration::from_secs(1);

/// Wait until what clients have written is taken in, unless nobody reads.
pub(super) async fn take_in(taken: impl Future<Output = ()>, faults: &Faults) {
    let mut silence = faults.silence();
    tokio::select! {
        () = taken => {}
        () = turns(&mut silence, true) => {}
        () = tokio::time::sleep(TAKE_IN) => tracing::warn!("a client does not let the sandbox read it"),
    }
}

/// The ID of the device with this number, counted from 1.
#[must_use]
pub fn device_id(number: u32) -> String {
    format!("sim-{number:05}")
}

/// A network with simulated devices.
pub(super) trait Field: Send + Sync {
    /// Register a device if it is new.
    fn register(&self, app_id: &str, dev_id: &str) -> Result<()>;
    /// Let a device send; returns the frame counter.
    fn uplink(&self, app_id: &str, dev_id: &str, frame: &UplinkFrame) -> Result<u32>;
}

/// Register the devices of a stream.
pub(super) fn register(network: &impl Field, app_id: &str, options: &StreamOptions) -> Result<()> {
    options.validate()?;
    (1..=options.devices).try_for_each(|number| network.register(app_id, &device_id(number)))
}

/// Send until the end; returns how many uplinks went out.
pub(super) async fn run(network: Arc<impl Field>, app_id: String, options: StreamOptions) -> Result<u64> {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let start = Instant::now();
    let mut sent = 0;
    while options.count.is_none_or(|count| sent < count) {
        // As many as are due by now, so that the rate holds whatever the timer's grain is.
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more precision")]
        let due = start + Duration::from_secs_f64(sent as f64 / options.rate);
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        } else if sent % 64 == 0 {
            tokio::task::yield_now().await;
        }
        let dev_id = device_id(random.u32(1..=options.devices));
        let temperature = i16::try_from(random.i32(-100..350)).unwrap_or(0);
        let humidity = random.u8(30..=95);
        // Cayenne LPP: channel 1 temperature in tenths, channel 2 humidity in halves.
        let [high, low] = temperature.to_be_bytes();
        let payload = vec![1, 0x67, high, low, 2, 0x68, humidity * 2];
        let fields =
            format!("{{\"relative_humidity_2\":{humidity},\"temperature_1\":{:?}}}", f64::from(temperature) / 10.0);
        let frame = UplinkFrame { payload: Some(payload), fields: Some(fields), port: 1, ..UplinkFrame::default() };
        network.uplink(&app_id, &dev_id, &frame)?;
        sent += 1;
    }
    Ok(sent)
}
