//! JSON as the original writes it: compact, unescaped UTF-8, floats with a fraction or an exponent.

use std::fmt::Write as _;

/// Append a string with its quotes.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0C => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            // Cannot fail: writing to a String does not.
            let _always = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Append a number; `null` for what is not finite.
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
