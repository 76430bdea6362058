//! One pass over a text that checks it and notes where each value stands.

use std::fmt;

use super::{Kind, Node};

/// How deep arrays and objects may be nested. Python's own limit is about 1,000 and depends on the caller's stack.
pub const MAX_DEPTH: usize = 512;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanError {
    /// What was expected or is wrong.
    pub reason: &'static str,
    /// Byte position.
    pub at: usize,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.at)
    }
}

impl std::error::Error for ScanError {}

/// Index a text.
pub(super) fn index(text: &str) -> Result<Vec<Node>, ScanError> {
    let bytes = text.as_bytes();
    if u32::try_from(bytes.len()).is_err() {
        return Err(ScanError { reason: "text is 4 GiB or more", at: 0 });
    }
    // Sensor messages have about one value or name in eleven bytes; one allocation serves nearly all of them.
    let mut scanner = Scanner { bytes, at: 0, nodes: Vec::with_capacity(bytes.len() / 10 + 8) };
    scanner.whitespace();
    scanner.value(0)?;
    scanner.whitespace();
    if scanner.at < bytes.len() {
        return Err(scanner.error("extra data"));
    }
    Ok(scanner.nodes)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Scanner<'_> {
    fn error(&self, reason: &'static str) -> ScanError {
        ScanError { reason, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Note a value without children. Positions fit: `index` has checked the length.
    #[expect(clippy::cast_possible_truncation, reason = "the length of the text is checked to fit u32")]
    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { start: start as u32, end: end as u32, next, kind });
    }

    fn value(&mut self, depth: usize) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Kind::True),
            Some(b'f') => self.literal("false", Kind::False),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(b'N') => self.literal("NaN", Kind::NotFinite),
            Some(b'I') => self.literal("Infinity", Kind::NotFinite),
            _ => Err(self.error("expected a value")),
        }
    }

    fn literal(&mut self, word: &'static str, kind: Kind) -> Result<(), ScanError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.push(kind, self.at, self.at + word.len());
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                self.at = start;
                return self.literal("-Infinity", Kind::NotFinite);
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return Err(self.error("expected a digit"));
        }
        let mut kind = Kind::Int;
        if self.peek() == Some(b'.') {
            self.at += 1;
            kind = Kind::Float;
            if self.digits() == 0 {
                return Err(self.error("expected a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            kind = Kind::Float;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("expected a digit"));
            }
        }
        self.push(kind, start, self.at);
        Ok(())
    }

    fn string(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        let start = self.at;
        let mut kind = Kind::Plain;
        loop {
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    self.push(kind, start, self.at);
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                Some(0..0x20) => return Err(self.error("control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.error("string without end")),
            }
        }
    }

    /// Skip bytes that need no look, eight at a time.
    fn skip_plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        // The high bit of each byte that is zero, or by the borrow perhaps of a byte behind one; never misses one.
        const fn zeros(word: u64) -> u64 {
            word.wrapping_sub(ONES) & !word & HIGHS
        }
        while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let quote = zeros(word ^ (ONES * u64::from(b'"')));
            let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            let special = quote | backslash | control;
            if special != 0 {
                // The lowest marked byte is always a true one.
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if digits.is_none_or(|digits| !digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.error("expected four hex digits"));
                }
                self.at += 5;
                Ok(())
            }
            _ => Err(self.error("unknown escape")),
        }
    }

    fn open(&mut self, kind: Kind, depth: usize) -> Result<usize, ScanError> {
        if depth >= MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.push(kind, self.at, self.at);
        self.at += 1;
        self.whitespace();
        Ok(self.nodes.len() - 1)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the length of the text is checked to fit u32")]
    fn close(&mut self, container: usize) {
        self.at += 1;
        self.nodes[container].end = self.at as u32;
        self.nodes[container].next = self.nodes.len() as u32;
    }

    fn array(&mut self, depth: usize) -> Result<(), ScanError> {
        let container = self.open(Kind::Array, depth)?;
        if self.peek() == Some(b']') {
            self.close(container);
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.whitespace();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.whitespace();
                }
                Some(b']') => {
                    self.close(container);
                    return Ok(());
                }
                _ => return Err(self.error("expected ',' or ']'")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), ScanError> {
        let container = self.open(Kind::Object, depth)?;
        if self.peek() == Some(b'}') {
            self.close(container);
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a name in double quotes"));
            }
            self.string()?;
            self.whitespace();
            if self.peek() != Some(b':') {
                return Err(self.error("expected ':'"));
            }
            self.at += 1;
            self.whitespace();
            self.value(depth + 1)?;
            self.whitespace();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.whitespace();
                }
                Some(b'}') => {
                    self.close(container);
                    return Ok(());
                }
                _ => return Err(self.error("expected ',' or '}'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;

    fn reason(text: &str) -> String {
        Document::parse(text.as_bytes()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("", "expected a value at byte 0"),
            ("{", "expected a name in double quotes at byte 1"),
            ("{\"a\" 1}", "expected ':' at byte 5"),
            ("{\"a\":1,}", "expected a name in double quotes at byte 7"),
            ("[1 2]", "expected ',' or ']' at byte 3"),
            ("\"abc", "string without end at byte 4"),
            ("\"a\nbcdefghij\"", "control character in a string at byte 2"),
            ("\"\\x\"", "unknown escape at byte 2"),
            ("\"\\u12g4\"", "expected four hex digits at byte 2"),
            ("01", "extra data at byte 1"),
            ("1.", "expected a digit at byte 2"),
            ("-", "expected a digit at byte 1"),
            ("tru", "expected a value at byte 0"),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
        assert_eq!(Document::parse(b"\"\xff\"").unwrap_err().reason, "text is not UTF-8");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(reason(&nested(MAX_DEPTH)), "");
        assert!(reason(&nested(MAX_DEPTH + 1)).starts_with("nested too deeply"));
        assert!(reason(&"[".repeat(1_000_000)).starts_with("nested too deeply"));
    }

    /// JSON-like text: close enough to the grammar that mistakes fall everywhere in it.
    fn nearly_json() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec![
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\"",
                "\"a\"",
                "\"bcdefghijklm\"",
                "\\",
                "\\u00e9",
                "é",
                "0",
                "1",
                "-",
                ".5",
                "e3",
                "true",
                "null",
                " ",
                "\n",
                "\u{1}",
            ]),
            0..24,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn serde_json_agrees_on_what_is_json(text in nearly_json()) {
            prop_assert_eq!(Document::parse(text.as_bytes()).is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes);
        }

        #[test]
        fn every_string_reads_as_serde_json_reads_it(text in "\\PC*") {
            let json = serde_json::to_string(&text).unwrap();
            let document = Document::parse(json.as_bytes()).unwrap();
            prop_assert_eq!(document.root().as_str().unwrap(), text);
        }
    }
}
