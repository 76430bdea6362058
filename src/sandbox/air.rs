//! The air between devices and gateways: how a frame is heard, and how long it takes.

/// Channels of the European band, in Hz.
const FREQUENCIES: [u32; 8] =
    [868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000];

/// A gateway that hears everything.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) id: &'static str,
    pub(super) eui: [u8; 8],
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// Whether it knows the time.
    pub(super) has_clock: bool,
}

/// All gateways.
pub(super) const GATEWAYS: [Gateway; 2] = [
    Gateway {
        id: "eui-b827ebfffe0a0b0c",
        eui: *b"\xB8\x27\xEB\xFF\xFE\x0A\x0B\x0C",
        latitude: 51.9812,
        longitude: 5.6623,
        has_clock: true,
    },
    Gateway {
        id: "barn-roof",
        eui: *b"\xB8\x27\xEB\xFF\xFE\x0D\x0E\x0F",
        latitude: 51.9801,
        longitude: 5.6611,
        has_clock: false,
    },
];
/// Where they stand, in metres above the sea.
pub(super) const ALTITUDE: i32 = 31;

/// How a frame is heard.
#[derive(Debug)]
pub(super) struct Reception {
    /// Spreading factor, 7 to 12.
    pub(super) spreading: u8,
    pub(super) channel: u8,
    pub(super) frequency_hz: u32,
    pub(super) gateways: [Heard; GATEWAYS.len()],
}

/// How one gateway hears it.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) gateway: &'static Gateway,
    /// Its counter of microseconds.
    pub(super) timestamp: u32,
    pub(super) rssi: i32,
    pub(super) snr: f64,
}

impl Reception {
    /// As the air is now.
    pub(super) fn now(random: &mut fastrand::Rng) -> Self {
        let spreading = random.u8(7..=12);
        let channel = random.u8(0..8);
        let gateways = GATEWAYS.each_ref().map(|gateway| Heard {
            gateway,
            timestamp: random.u32(1..),
            rssi: random.i32(-120..-40),
            snr: f64::from(random.i32(-40..50)) / 4.0,
        });
        Self { spreading, channel, frequency_hz: FREQUENCIES[usize::from(channel)], gateways }
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
