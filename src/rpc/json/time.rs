//! Instants and durations as text.

use jiff::Timestamp;

/// So many digits after the point as there must be: 0, 3, 6 or 9.
fn digits(nanos: u32) -> usize {
    match nanos {
        0 => 0,
        _ if nanos.is_multiple_of(1_000_000) => 3,
        _ if nanos.is_multiple_of(1_000) => 6,
        _ => 9,
    }
}

/// An instant in UTC; empty for what is none.
pub(super) fn instant(seconds: i64, nanos: i32) -> String {
    let digits = digits(nanos.unsigned_abs());
    Timestamp::new(seconds, nanos).map(|at| format!("{at:.digits$}")).unwrap_or_default()
}

/// An instant, which must end with `Z`.
pub(super) fn read_instant(text: &str) -> Option<(i64, i32)> {
    let at: Timestamp = text.strip_suffix('Z').and(Some(text))?.parse().ok()?;
    // Counted from the second before, as the message counts.
    let nanos = at.as_nanosecond();
    let second = nanos.div_euclid(1_000_000_000);
    Some((i64::try_from(second).ok()?, i32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?))
}

/// A duration, such as `0.051456s`.
pub(super) fn duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
    let mut text = format!("{sign}{seconds}");
    let width = digits(nanos);
    if width > 0 {
        text += &format!(".{nanos:09}")[..=width];
    }
    text + "s"
}

/// A duration, as above or as Go writes it: `1h30m`, `12h`.
pub(super) fn read_duration(text: &str) -> Option<(i64, i32)> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, size) = UNITS.iter().find(|(known, _)| *known == unit)?;
        let amount: f64 = number.parse().ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "a conversion to a whole number stops at its ends")]
        let part = (amount * size).round() as i128;
        nanos = nanos.checked_add(part)?;
        rest = tail;
    }
    let sign = if negative { -1 } else { 1 };
    let seconds = i64::try_from(nanos / 1_000_000_000).ok()?;
    let nanos = i32::try_from(nanos % 1_000_000_000).ok()?;
    Some((sign * seconds, i32::try_from(sign).ok()? * nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_went() {
        for text in ["2030-01-01T00:00:00Z", "1969-12-31T23:59:59.500Z", "2030-01-01T00:00:00.000000001Z"] {
            let (seconds, nanos) = read_instant(text).unwrap();
            assert_eq!(instant(seconds, nanos), text);
            assert!(nanos >= 0);
        }
        for text in ["2030-01-01T00:00:00+01:00", "2030-01-01", "Z", ""] {
            assert_eq!(read_instant(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_in_both_forms() {
        for (text, expected) in [
            ("0.051456s", (0, 51_456_000)),
            ("12h", (43_200, 0)),
            ("1h30m", (5400, 0)),
            ("-1.5s", (-1, -500_000_000)),
            ("250ms", (0, 250_000_000)),
        ] {
            assert_eq!(read_duration(text), Some(expected), "{text}");
        }
        for text in ["", "-", "12", "h", "1x", "1e400s", "99999999999999999999h"] {
            assert_eq!(read_duration(text), None, "{text}");
        }
        assert_eq!([duration(0, 51_456_000), duration(1, 0), duration(-1, -1)], ["0.051456s", "1s", "-1.000000001s"]);
    }
}
