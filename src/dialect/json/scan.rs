//! One pass over a text that checks it and notes where each value stands.

use std::fmt;

use super::marks::{self, Marks};
use super::{Kind, Node};

/// How deep arrays and objects may be nested. Python's own limit is about 1,000 and depends on the caller's stack.
pub const MAX_DEPTH: usize = 512;

/// Blocks whose marks find room on the stack: messages of up to 4 KiB.
const FEW: usize = 64;

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

/// Room for the nodes of a text of so many bytes. Sensor messages have about one value or name in ten bytes; one allocation
/// serves nearly all of them.
pub(super) fn room(bytes: usize) -> usize {
    bytes / 9 + 8
}

/// Check and index a text.
pub(super) fn read(bytes: &[u8]) -> Result<(&str, Vec<Node>), ScanError> {
    if bytes.len() > Node::MAX_POSITION {
        return Err(ScanError { reason: "text is 256 MiB or more", at: 0 });
    }
    let nodes = Vec::with_capacity(room(bytes.len()));
    let mut few = [0; FEW];
    let mut many = Vec::new();
    let blocks = bytes.len().div_ceil(marks::BLOCK);
    let places = if blocks <= FEW {
        &mut few[..blocks]
    } else {
        many.resize(blocks, 0);
        &mut many
    };
    let is_ascii = marks::find(bytes, places);
    let text = if is_ascii {
        #[expect(
            unsafe_code,
            reason = "a second look at each byte takes 3 % of what a message takes of the network's thread"
        )]
        // SAFETY: ASCII is UTF-8.
        unsafe {
            std::str::from_utf8_unchecked(bytes)
        }
    } else {
        std::str::from_utf8(bytes)
            .map_err(|error| ScanError { reason: "text is not UTF-8", at: error.valid_up_to() })?
    };
    let mut scanner = Scanner { bytes, marks: Marks::new(places), nodes, error: ScanError { reason: "", at: 0 } };
    match scanner.whole() {
        Some(()) => Ok((text, scanner.nodes)),
        None => Err(scanner.error),
    }
}

/// The functions take the position at which they begin and give the one at which they end, both in registers; what is
/// wrong is noted in `error`, which is cheaper than to hand it up through all of them.
struct Scanner<'a> {
    bytes: &'a [u8],
    marks: Marks<'a>,
    nodes: Vec<Node>,
    error: ScanError,
}

#[expect(
    clippy::inline_always,
    reason = "most values are strings and numbers: calls for them take a quarter of the time"
)]
impl Scanner<'_> {
    #[cold]
    fn wrong<T>(&mut self, reason: &'static str, at: usize) -> Option<T> {
        self.error = ScanError { reason, at };
        None
    }

    /// The byte at a place; behind the end a zero, which may stand nowhere.
    #[inline]
    fn peek(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn whitespace(&self, mut at: usize) -> usize {
        while self.peek(at) <= b' ' && matches!(self.peek(at), b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
        }
        at
    }

    /// Eight bytes as a word, the first one lowest; `None` near the end.
    #[inline]
    fn word(&self, at: usize) -> Option<u64> {
        self.bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
    }

    fn whole(&mut self) -> Option<()> {
        let at = self.whitespace(0);
        let at = self.value(at, 0)?;
        let at = self.whitespace(at);
        if at < self.bytes.len() {
            return self.wrong("extra data", at);
        }
        Some(())
    }

    #[inline(always)]
    fn value(&mut self, at: usize, depth: usize) -> Option<usize> {
        match self.peek(at) {
            b'"' => self.string(at),
            b'-' | b'0'..=b'9' => self.number(at),
            _ => self.other(at, depth),
        }
    }

    /// Apart from strings and numbers, which are so many that calls would count.
    #[inline(never)]
    fn other(&mut self, at: usize, depth: usize) -> Option<usize> {
        match self.peek(at) {
            b'{' => self.object(at, depth),
            b'[' => self.array(at, depth),
            b't' => self.literal(at, "true", Kind::True),
            b'f' => self.literal(at, "false", Kind::False),
            b'n' => self.literal(at, "null", Kind::Null),
            b'N' => self.literal(at, "NaN", Kind::NotFinite),
            b'I' => self.literal(at, "Infinity", Kind::NotFinite),
            _ => self.wrong("expected a value", at),
        }
    }

    fn literal(&mut self, at: usize, word: &'static str, kind: Kind) -> Option<usize> {
        if !self.bytes[at..].starts_with(word.as_bytes()) {
            return self.wrong("expected a value", at);
        }
        self.nodes.push(Node::leaf(kind, at, at + word.len()));
        Some(at + word.len())
    }

    /// Behind the digits that begin at a place.
    #[inline(always)]
    fn digits(&self, mut at: usize) -> usize {
        while let Some(word) = self.word(at) {
            let other = not_digits(word);
            if other != 0 {
                return at + other.trailing_zeros() as usize / 8;
            }
            at += 8;
        }
        while self.peek(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn number(&mut self, start: usize) -> Option<usize> {
        let first = start + usize::from(self.peek(start) == b'-');
        let mut at = match self.peek(first) {
            b'0' => first + 1,
            b'1'..=b'9' => self.digits(first + 1),
            b'I' if first > start => return self.literal(start, "-Infinity", Kind::NotFinite),
            _ => return self.wrong("expected a digit", first),
        };
        let mut kind = Kind::Int;
        if self.peek(at) == b'.' {
            kind = Kind::Float;
            at = self.some_digits(at + 1)?;
        }
        if let b'e' | b'E' = self.peek(at) {
            kind = Kind::Float;
            let sign = usize::from(matches!(self.peek(at + 1), b'+' | b'-'));
            at = self.some_digits(at + 1 + sign)?;
        }
        self.nodes.push(Node::leaf(kind, start, at));
        Some(at)
    }

    #[inline]
    fn some_digits(&mut self, at: usize) -> Option<usize> {
        match self.digits(at) {
            end if end > at => Some(end),
            _ => self.wrong("expected a digit", at),
        }
    }

    /// The string whose opening quote is at `quote`.
    #[inline(always)]
    fn string(&mut self, quote: usize) -> Option<usize> {
        // Between strings there may be white space that is marked as well.
        while self.marks.next() < quote {}
        let end = self.marks.next();
        if self.peek(end) == b'"' {
            self.nodes.push(Node::leaf(Kind::Plain, quote + 1, end));
            return Some(end + 1);
        }
        self.string_slowly(quote + 1, end)
    }

    /// The same, where something else than the closing quote comes first.
    #[cold]
    #[inline(never)]
    fn string_slowly(&mut self, start: usize, mut at: usize) -> Option<usize> {
        let mut kind = Kind::Plain;
        loop {
            let after = match self.bytes.get(at) {
                Some(b'"') => {
                    self.nodes.push(Node::leaf(kind, start, at));
                    return Some(at + 1);
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape(at + 1)?
                }
                Some(_) => return self.wrong("control character in a string", at),
                None => return self.wrong("string without end", self.bytes.len()),
            };
            while at < after {
                at = self.marks.next();
            }
        }
    }

    fn escape(&mut self, at: usize) -> Option<usize> {
        match self.peek(at) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => {
                let digits = self.bytes.get(at + 1..at + 5);
                if digits.is_none_or(|digits| !digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.wrong("expected four hex digits", at);
                }
                Some(at + 5)
            }
            _ => self.wrong("unknown escape", at),
        }
    }

    /// Begin a container: its index, and the place of its first child.
    #[inline]
    fn open(&mut self, at: usize, depth: usize) -> Option<(usize, usize)> {
        if depth >= MAX_DEPTH {
            return self.wrong("nested too deeply", at);
        }
        let container = self.nodes.len();
        self.nodes.extend([Node::default(); 2]);
        Some((container, self.whitespace(at + 1)))
    }

    /// End a container whose last byte is at `at`.
    #[inline]
    fn close(&mut self, container: usize, kind: Kind, start: usize, at: usize) -> usize {
        let next = self.nodes.len();
        if let Some(place) = self.nodes.get_mut(container..container + 2) {
            place.copy_from_slice(&Node::container(kind, start, at + 1, next));
        }
        at + 1
    }

    fn array(&mut self, start: usize, depth: usize) -> Option<usize> {
        let (container, mut at) = self.open(start, depth)?;
        if self.peek(at) == b']' {
            return Some(self.close(container, Kind::Array, start, at));
        }
        loop {
            at = self.value(at, depth + 1)?;
            at = self.whitespace(at);
            match self.peek(at) {
                b',' => at = self.whitespace(at + 1),
                b']' => return Some(self.close(container, Kind::Array, start, at)),
                _ => return self.wrong("expected ',' or ']'", at),
            }
        }
    }

    fn object(&mut self, start: usize, depth: usize) -> Option<usize> {
        let (container, mut at) = self.open(start, depth)?;
        if self.peek(at) == b'}' {
            return Some(self.close(container, Kind::Object, start, at));
        }
        loop {
            if self.peek(at) != b'"' {
                return self.wrong("expected a name in double quotes", at);
            }
            at = self.string(at)?;
            at = self.whitespace(at);
            if self.peek(at) != b':' {
                return self.wrong("expected ':'", at);
            }
            at = self.whitespace(at + 1);
            at = self.value(at, depth + 1)?;
            at = self.whitespace(at);
            match self.peek(at) {
                b',' => at = self.whitespace(at + 1),
                b'}' => return Some(self.close(container, Kind::Object, start, at)),
                _ => return self.wrong("expected ',' or '}'", at),
            }
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is no digit; by a carry perhaps wrong above the lowest of them.
#[inline]
fn not_digits(word: u64) -> u64 {
    let value = word ^ (ONES * u64::from(b'0'));
    (value.wrapping_add(ONES * (0x80 - 10)) | value) & HIGHS
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
