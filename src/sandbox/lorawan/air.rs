//! The air between devices and gateways: how a frame is heard, and how long it takes.

use std::collections::HashMap;

use jiff::Timestamp;

use super::downlinks::Queue;
use super::wire_v2::{Gateway, Location, Metadata};

/// Channels of the European band, in MHz.
const FREQUENCIES: [f64; 8] = [868.1, 868.3, 868.5, 867.1, 867.3, 867.5, 867.7, 867.9];
/// The gateways that hear everything.
pub(super) const GATEWAYS: [(&str, f64, f64); 2] =
    [("eui-b827ebfffe0a0b0c", 51.9812, 5.6623), ("barn-roof", 51.9801, 5.6611)];

/// IDs of the gateways.
pub(in crate::sandbox) fn gateway_ids() -> impl Iterator<Item = &'static str> {
    GATEWAYS.iter().map(|(id, _, _)| *id)
}

/// The air between devices and gateways.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Radio {
    random: fastrand::Rng,
    pub(super) queues: HashMap<(String, String), Queue>,
}

impl Radio {
    /// Make what follows repeatable.
    pub(in crate::sandbox) fn seed(&mut self, seed: u64) {
        self.random.seed(seed);
    }

    /// Forget all downlinks.
    pub(in crate::sandbox) fn forget(&mut self) {
        self.queues.clear();
    }

    /// How a frame with so many bytes is heard now.
    pub(super) fn metadata(&mut self, payload: usize, location: Option<Location>) -> Metadata {
        let now = Timestamp::now();
        let random = &mut self.random;
        let spreading = random.u8(7..=12);
        let channel = random.u8(0..8);
        let gateways = GATEWAYS.iter().map(|(gtw_id, latitude, longitude)| Gateway {
            gtw_id: (*gtw_id).to_owned(),
            gtw_trusted: gtw_id.starts_with("eui-"),
            timestamp: random.u32(1..),
            // Only the first gateway has a clock; the other's time is the empty text that the network sends then.
            time: if gtw_id.starts_with("eui-") { now.to_string() } else { String::new() },
            channel,
            rssi: random.i32(-120..-40),
            snr: f64::from(random.i32(-40..50)) / 4.0,
            rf_chain: 0,
            location: Some(Location { latitude: *latitude, longitude: *longitude, altitude: 31, source: "registry" }),
        });
        Metadata {
            time: now.to_string(),
            frequency: Some(FREQUENCIES[usize::from(channel)]),
            modulation: Some("LORA"),
            data_rate: Some(format!("SF{spreading}BW125")),
            airtime: Some(airtime_ns(spreading, payload + 13)),
            coding_rate: Some("4/5"),
            gateways: gateways.collect(),
            location,
        }
    }
}

/// Time on air in nanoseconds of a frame at 125 kHz, coding rate 4/5, explicit header (Semtech AN1200.13, section 4).
pub(super) fn airtime_ns(spreading: u8, bytes: usize) -> u64 {
    let symbol_us = (1_u64 << spreading) * 8;
    let spreading_bits = u64::from(spreading);
    // With low data rate optimisation at SF11 and SF12.
    let optimised = if spreading >= 11 { 2 } else { 0 };
    let numerator = (8 * bytes as u64 + 28 + 16).saturating_sub(4 * spreading_bits);
    let symbols = 8 + numerator.div_ceil(4 * (spreading_bits - optimised)) * 5;
    // The preamble has 12.25 symbols.
    (symbols * 4 + 49) * symbol_us * 250
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn airtime_is_the_known_one() {
        // 13 bytes of overhead and 10 of payload: the figures of the usual LoRaWAN calculators.
        assert_eq!(airtime_ns(7, 23), 61_696_000);
        assert_eq!(airtime_ns(12, 23), 1_482_752_000);
    }
}
