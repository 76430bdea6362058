//! JSON text with an index over it.
//!
//! A message is checked and indexed once, where no interpreter lock is held; values are made only of the fields that
//! somebody reads. The rules are those of Python's `json.loads`, because that is what existing programs see.
//! Why it is our own: `docs/dev/message-decoding.md`.

mod scan;
mod text;

use std::borrow::Cow;

pub use scan::{MAX_DEPTH, ScanError};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number without fraction and exponent, of any size.
    Int,
    /// A number with fraction or exponent.
    Float,
    /// `NaN`, `Infinity` or `-Infinity`, which Python accepts and JSON does not.
    NotFinite,
    /// A string whose bytes stand in the text as they are.
    Plain,
    /// A string with escapes.
    Escaped,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One value of the index: where it stands, and where its sibling is.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// First byte of the value; of strings, behind the quote.
    start: u32,
    /// Behind the last byte; of strings, the closing quote.
    end: u32,
    /// Index of the node behind this one's last descendant.
    next: u32,
    kind: Kind,
}

/// A checked JSON text and its index. Members of an object are key node, value, key node, value …
#[derive(Debug)]
pub struct Document {
    text: Box<str>,
    /// Not shrunk to fit: that would copy it once more for a few bytes.
    nodes: Vec<Node>,
}

impl Document {
    /// Check and index a text.
    ///
    /// # Errors
    /// [`ScanError`] when it is not UTF-8, not JSON in Python's sense, nested deeper than [`MAX_DEPTH`] or of 4 GiB and more.
    pub fn parse(bytes: &[u8]) -> Result<Self, ScanError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| ScanError { reason: "text is not UTF-8", at: error.valid_up_to() })?;
        Ok(Self { nodes: scan::index(text)?, text: text.into() })
    }

    /// The text as received.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { document: self, index: 0 }
    }

    /// The value at an index that [`Value::index`] gave.
    #[must_use]
    pub fn value(&self, index: u32) -> Value<'_> {
        debug_assert!((index as usize) < self.nodes.len(), "index of another document");
        Value { document: self, index }
    }

    /// Bytes of memory that the document takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + self.nodes.capacity() * size_of::<Node>()
    }
}

/// A place in a [`Document`].
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    document: &'a Document,
    index: u32,
}

impl<'a> Value<'a> {
    fn node(self) -> Node {
        self.document.nodes[self.index as usize]
    }

    /// Index to find the value again with [`Document::value`].
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Its text; of a string, what stands between the quotes.
    #[must_use]
    pub fn raw(self) -> &'a str {
        let node = self.node();
        &self.document.text[node.start as usize..node.end as usize]
    }

    /// A string's characters; a lone surrogate becomes U+FFFD. `None` for anything but a string.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Plain => Some(Cow::Borrowed(self.raw())),
            Kind::Escaped => Some(Cow::Owned(String::from_utf8_lossy(&text::unescape(self.raw())).into_owned())),
            _ => None,
        }
    }

    /// A string's characters as UTF-8 in which lone surrogates stand as three bytes each, as Python's `surrogatepass` has it.
    #[must_use]
    pub fn unescaped(self) -> Cow<'a, [u8]> {
        if self.kind() == Kind::Escaped {
            Cow::Owned(text::unescape(self.raw()))
        } else {
            Cow::Borrowed(self.raw().as_bytes())
        }
    }

    /// A number as `i64`, if it is an integer in its range.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        (self.kind() == Kind::Int).then(|| self.raw().parse().ok()).flatten()
    }

    /// A number as `f64`; what is too large becomes infinite, as in Python.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Int | Kind::Float => self.raw().parse().ok(),
            Kind::NotFinite => Some(match self.raw() {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                _ => f64::NEG_INFINITY,
            }),
            _ => None,
        }
    }

    /// The member of that name, the last one if there are several. `None` if this is no object.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let nodes = &self.document.nodes;
        let mut key = self.index + 1;
        let end = self.node().next;
        let mut found = None;
        while key < end {
            let node = nodes[key as usize];
            let same = if node.kind == Kind::Plain {
                // Lengths differ mostly: compare them before touching the text.
                (node.end - node.start) as usize == name.len()
                    && &self.document.text.as_bytes()[node.start as usize..node.end as usize] == name.as_bytes()
            } else {
                self.document.value(key).unescaped() == name.as_bytes()
            };
            if same {
                found = Some(self.document.value(key + 1));
            }
            key = nodes[key as usize + 1].next;
        }
        found
    }

    /// The elements of an array; empty for anything else.
    #[must_use]
    pub fn elements(self) -> Children<'a> {
        let node = self.node();
        let array = node.kind == Kind::Array;
        Children { document: self.document, at: self.index + 1, end: if array { node.next } else { 0 } }
    }

    /// The members of an object as they stand, repeated names included; empty for anything else.
    pub fn members(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let node = self.node();
        let object = node.kind == Kind::Object;
        let mut children =
            Children { document: self.document, at: self.index + 1, end: if object { node.next } else { 0 } };
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }
}

/// Iterator over neighbouring values.
#[derive(Debug)]
pub struct Children<'a> {
    document: &'a Document,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.at >= self.end {
            return None;
        }
        let value = self.document.value(self.at);
        self.at = value.node().next;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn members_are_found_by_name() {
        let document = document(r#"{"a": 1, "b": {"c": [1, 2.5, "x"], "d": null}, "e": "é"}"#);
        let root = document.root();
        assert_eq!(root.get("a").unwrap().as_i64(), Some(1));
        let inner = root.get("b").unwrap();
        let elements: Vec<_> = inner.get("c").unwrap().elements().map(Value::raw).collect();
        assert_eq!(elements, ["1", "2.5", "x"]);
        assert_eq!(inner.get("d").unwrap().kind(), Kind::Null);
        assert_eq!(root.get("e").unwrap().as_str().unwrap(), "é");
        assert!(root.get("c").is_none() && root.get("").is_none());
        assert!(root.get("a").unwrap().get("a").is_none());
    }

    #[test]
    fn of_repeated_names_the_last_one_counts() {
        let document = document(r#"{"a":1,"b":2,"a":{"x":3}}"#);
        assert_eq!(document.root().get("a").unwrap().get("x").unwrap().as_i64(), Some(3));
        assert_eq!(document.root().members().count(), 3);
    }

    #[test]
    fn escaped_names_and_strings_are_read() {
        let document = document(r#"{"a\u0062\n": "\ud83d\ude00 \ud800 \"\\\/\b\f\r\t"}"#);
        let value = document.root().get("ab\n").unwrap();
        assert_eq!(value.as_str().unwrap(), "😀 \u{FFFD}\u{FFFD}\u{FFFD} \"\\/\u{8}\u{c}\r\t");
        assert!(value.unescaped().windows(3).any(|bytes| bytes == [0xED, 0xA0, 0x80]));
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        let document =
            document("[0, -12, 123456789012345678901234567890, 1e400, -0.5, NaN, Infinity, -Infinity, 1E+2]");
        let numbers: Vec<_> = document.root().elements().map(|value| value.as_f64().unwrap()).collect();
        assert!(numbers[3].is_infinite() && numbers[5].is_nan() && numbers[7] == f64::NEG_INFINITY);
        assert_eq!(numbers[8], 100.0);
        assert_eq!(document.root().elements().nth(2).unwrap().as_i64(), None);
    }
}
