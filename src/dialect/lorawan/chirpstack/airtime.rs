//! How long a `LoRa` frame is in the air, which `ChirpStack` does not say (CS 5.2).

/// Bytes of a frame beside its application payload: header, MIC and, where there is one, the port.
const FRAME: u64 = 12;

/// Nanoseconds of an uplink with this application payload; `None` for what is no data rate of `LoRa`. Short by the MAC
/// commands in the header, which nobody tells.
pub(super) fn uplink(payload: Option<usize>, factor: i64, bandwidth_hz: i64, coding: u64) -> Option<u64> {
    let bytes = FRAME + payload.map_or(0, |bytes| bytes as u64 + 1);
    let factor = u64::try_from(factor).ok().filter(|factor| (5..=12).contains(factor))?;
    let bandwidth = u64::try_from(bandwidth_hz).ok().filter(|bandwidth| (1..=10_000_000).contains(bandwidth))?;
    // From 16.384 ms a symbol the low data rate is optimized.
    let slow = if (1_000_000 << factor) >= 16_384 * bandwidth { 2 } else { 0 };
    let bits = (8 * bytes + 44).saturating_sub(4 * factor);
    let symbols = 8 + bits.div_ceil(4 * (factor - slow)) * coding;
    // The preamble is 12.25 symbols.
    let quarters = u128::from(4 * symbols + 49);
    u64::try_from(quarters * (1_000_000_000 << factor) / (4 * u128::from(bandwidth))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_take_as_long_as_the_formula_says() {
        assert_eq!(uplink(Some(4), 7, 125_000, 5), Some(51_456_000), "the vector of the contract");
        assert_eq!(uplink(Some(0), 12, 125_000, 5), Some(1_155_072_000));
        assert_eq!(uplink(None, 7, 125_000, 5), Some(41_216_000));
        assert_eq!(uplink(Some(0), 7, 250_000, 5), Some(23_168_000));
        for (factor, bandwidth) in [(4, 125_000), (13, 125_000), (7, 0), (-7, 125_000), (7, i64::MAX)] {
            assert_eq!(uplink(Some(4), factor, bandwidth, 5), None, "{factor} {bandwidth}");
        }
    }
}
