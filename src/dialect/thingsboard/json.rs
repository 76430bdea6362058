//! JSON as the original writes it: compact, unescaped UTF-8, floats with a fraction or an exponent.

use std::fmt::Write as _;
use std::io;

/// A text, as `serde_json` writes to it.
struct Appended<'a>(&'a mut String);

impl io::Write for Appended<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push_str(std::str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Append a string with its quotes.
pub fn write_text(text: &str, out: &mut String) {
    // Cannot fail: what comes is whole characters, and a String takes them all.
    let _always = serde_json::to_writer(Appended(out), text);
}

/// Append a number; `null` for what is not finite. `serde_json` writes other bytes: `1e16` where the original has `1e+16`,
/// and `1e-5` where it has `0.00001`.
pub fn write_float(value: f64, out: &mut String) {
    if !value.is_finite() {
        return out.push_str("null");
    }
    let magnitude = value.abs();
    let _always = if magnitude == 0.0 || (1e-5..1e16).contains(&magnitude) {
        let text = value.to_string();
        let fraction = if text.contains('.') { "" } else { ".0" };
        write!(out, "{text}{fraction}")
    } else {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => write!(out, "{digits}e+{exponent}"),
            _ => out.write_str(&text),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_the_original_writes_them() {
        for (value, expected) in [
            (42.0, "42.0"),
            (41.9, "41.9"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1e22, "1e+22"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "0.00001"),
            (1e-6, "1e-6"),
            (1e-7, "1e-7"),
            (5e-324, "5e-324"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            let mut text = String::new();
            write_float(value, &mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn text_is_escaped_where_json_asks_for_it() {
        let mut text = String::new();
        write_text("é\u{0}\u{1f}\"\\/\n\t\r\u{8}\u{c}\u{2028}", &mut text);
        assert_eq!(text, "\"é\\u0000\\u001f\\\"\\\\/\\n\\t\\r\\b\\f\u{2028}\"");
    }
}
