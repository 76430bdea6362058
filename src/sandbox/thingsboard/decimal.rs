//! Decimal numbers of any length, of which the server decides by their digits how they are kept.

/// Most places that the point is moved by an exponent: beyond it a number is no number, so that no short text becomes a
/// long one.
const FARTHEST: i64 = 10_000;

/// Digits and the place of the point: Java's `BigDecimal`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without leading zeros; "0" for zero.
    digits: String,
    /// How many of the digits stand after the point; below zero, how many zeros follow them.
    scale: i64,
}

impl Decimal {
    /// Read `-12.50e-3` and the like.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let scale = i64::try_from(part.len()).ok()?.checked_sub(exponent.parse().ok()?)?;
        let digits = match digits.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        (scale.abs() <= FARTHEST || part.len() as u64 > FARTHEST.unsigned_abs()).then(|| Self {
            negative,
            digits: digits.to_owned(),
            scale,
        })
    }

    /// Digits after the point as they were written.
    pub(super) fn scale(&self) -> i64 {
        self.scale
    }

    /// Whether nothing but zeros stands after the point.
    pub(super) fn is_whole(&self) -> bool {
        let zeros = self.digits.len() - self.digits.trim_end_matches('0').len();
        self.digits == "0" || i64::try_from(zeros).is_ok_and(|zeros| self.scale <= zeros)
    }

    /// The number without what stands after the point, as digits.
    fn whole(&self) -> String {
        if self.digits == "0" {
            return "0".to_owned();
        }
        match usize::try_from(self.scale) {
            Ok(after) => self.digits.get(..self.digits.len().saturating_sub(after)).unwrap_or_default().to_owned(),
            Err(_) => self.digits.clone() + &"0".repeat(usize::try_from(-self.scale).unwrap_or_default()),
        }
    }

    /// As an integer, if it is one of 64 bits.
    pub(super) fn exact(&self) -> Option<i64> {
        let sign = if self.negative { "-" } else { "" };
        if self.is_whole() { format!("{sign}{}", self.whole()).parse().ok() } else { None }
    }

    /// As an integer of 64 bits, cut at the point and above.
    pub(super) fn wrapped(&self) -> i64 {
        let digits = self.whole();
        let number =
            digits.bytes().fold(0_i64, |sum, digit| sum.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')));
        if self.negative { number.wrapping_neg() } else { number }
    }

    /// In digits alone, without an exponent.
    pub(super) fn plain(&self) -> String {
        let sign = if self.negative && self.digits != "0" { "-" } else { "" };
        match usize::try_from(self.scale) {
            Ok(0) | Err(_) => format!("{sign}{}", self.whole()),
            Ok(after) => {
                let padded = format!("{:0>width$}", self.digits, width = after + 1);
                let (whole, part) = padded.split_at(padded.len() - after);
                format!("{sign}{whole}.{part}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_out() {
        for (text, plain, exact, wrapped) in [
            ("0", "0", Some(0), 0),
            ("-5", "-5", Some(-5), -5),
            ("007", "7", Some(7), 7),
            ("1e3", "1000", Some(1000), 1000),
            ("1.50", "1.50", None, 1),
            ("100.00", "100.00", Some(100), 100),
            ("1.0E-16", "0.00000000000000010", None, 0),
            ("12.5e1", "125", Some(125), 125),
            ("9223372036854775808", "9223372036854775808", None, i64::MIN),
            ("0e99", "0", Some(0), 0),
        ] {
            let number = Decimal::parse(text).unwrap();
            assert_eq!((number.plain().as_str(), number.exact(), number.wrapped()), (plain, exact, wrapped), "{text}");
        }
        assert_eq!(Decimal::parse("1e400").unwrap().plain().len(), 401);
    }

    #[test]
    fn what_is_no_number_or_would_be_endless_is_none() {
        for text in ["", "-", ".", "1e", "x", "1e99999", "1e-99999", "1e99999999999999999999"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
