//! JSON text with an index over it.
//!
//! A message is checked and indexed once, as a rule where no interpreter lock is held; values are made only of the fields
//! that somebody reads. The rules are those of Python's `json.loads`, because that is what existing programs see.
//! Why it is our own: `docs/dev/message-decoding.md`.

#[cfg(test)]
mod fuzz;
mod marks;
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

impl Kind {
    /// In the order of their declaration.
    const ALL: [Self; 10] = [
        Self::Null,
        Self::True,
        Self::False,
        Self::Int,
        Self::Float,
        Self::NotFinite,
        Self::Plain,
        Self::Escaped,
        Self::Array,
        Self::Object,
    ];
}

/// One value of the index: what it is, where it stands, and where its sibling is. A container takes two nodes, so that all
/// others take eight bytes: an index is written by one processor and read by another.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The kind in the upper four bits; below it the first byte of the value; of strings, the one behind the quote. In a
    /// container's second node without meaning.
    head: u32,
    /// Behind the last byte of the value; of strings, the closing quote. In a container's first node the index behind its
    /// last descendant.
    tail: u32,
}

impl Node {
    /// The longest text: that of the largest MQTT packet.
    const MAX_POSITION: usize = (1 << 28) - 1;

    /// A value without children.
    #[expect(clippy::cast_possible_truncation, reason = "the length of the text is checked")]
    fn leaf(kind: Kind, start: usize, end: usize) -> Self {
        Self { head: (kind as u32) << 28 | start as u32, tail: end as u32 }
    }

    /// An array or object whose descendants end before the node `next`.
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer nodes than bytes, or hardly more")]
    fn container(kind: Kind, start: usize, end: usize, next: usize) -> [Self; 2] {
        [Self::leaf(kind, start, next), Self { head: 0, tail: end as u32 }]
    }

    fn kind(self) -> Kind {
        Kind::ALL[(self.head >> 28) as usize]
    }

    fn is(self, kind: Kind) -> bool {
        self.head >> 28 == kind as u32
    }

    fn is_container(self) -> bool {
        self.head >> 28 >= Kind::Array as u32
    }

    fn start(self) -> usize {
        (self.head & ((1 << 28) - 1)) as usize
    }
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
    /// [`ScanError`] when it is not UTF-8, not JSON in Python's sense, nested deeper than [`MAX_DEPTH`] or of 256 MiB and more.
    pub fn parse(bytes: &[u8]) -> Result<Self, ScanError> {
        let (text, nodes) = scan::read(bytes)?;
        Ok(Self { nodes, text: text.into() })
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

    /// Bytes of memory that the document of a text of so many bytes takes, as a rule.
    #[must_use]
    pub fn size_for(bytes: usize) -> usize {
        bytes + scan::room(bytes) * size_of::<Node>()
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

    /// Index behind this value and all that is in it.
    fn next(self) -> u32 {
        let node = self.node();
        if node.is_container() { node.tail } else { self.index + 1 }
    }

    /// Indexes of what is in it: from the first child to behind the last; nothing for anything but this kind of container.
    fn inside(self, kind: Kind) -> Children<'a> {
        let node = self.node();
        let end = if node.is(kind) { node.tail } else { 0 };
        Children { document: self.document, at: self.index + 2, end }
    }

    /// Index to find the value again with [`Document::value`].
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.node().kind()
    }

    /// Its text; of a string, what stands between the quotes.
    #[must_use]
    pub fn raw(self) -> &'a str {
        let node = self.node();
        let last = if node.is_container() { self.document.nodes[self.index as usize + 1] } else { node };
        &self.document.text[node.start()..last.tail as usize]
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
        let Document { text, nodes } = self.document;
        let mut found = None;
        let Children { mut at, end, .. } = self.inside(Kind::Object);
        while at < end {
            let key = nodes[at as usize];
            let same = if key.is(Kind::Plain) {
                // Lengths differ mostly, and first bytes: compare them before calling for a comparison of the rest.
                let key = &text.as_bytes()[key.start()..key.tail as usize];
                key.len() == name.len() && key.first() == name.as_bytes().first() && key == name.as_bytes()
            } else {
                self.document.value(at).reads(name)
            };
            let value = self.document.value(at + 1);
            if same {
                found = Some(value);
            }
            at = value.next();
        }
        found
    }

    /// Whether a string with escapes is this text. Apart from [`Value::get`], whose loop is shorter without it.
    #[cold]
    #[inline(never)]
    fn reads(self, text: &str) -> bool {
        self.unescaped() == text.as_bytes()
    }

    /// The elements of an array; empty for anything else.
    #[must_use]
    pub fn elements(self) -> Children<'a> {
        self.inside(Kind::Array)
    }

    /// What is in a container: the elements of an array, the names and values of an object in turn.
    #[must_use]
    pub fn children(self) -> Children<'a> {
        let node = self.node();
        Children { document: self.document, at: self.index + 2, end: if node.is_container() { node.tail } else { 0 } }
    }

    /// The members of an object as they stand, repeated names included; empty for anything else.
    pub fn members(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let mut children = self.inside(Kind::Object);
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
        self.at = value.next();
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
    fn every_value_gives_its_own_text() {
        let document = document(" {\"a\": [ ] , \"b\":{ \"c\": [1, {\"d\":\"\\n\"}] }\n, \"e\" : \"\", \"f\":{}} ");
        let root = document.root();
        assert_eq!(root.raw(), document.text().trim());
        assert_eq!(root.get("a").unwrap().raw(), "[ ]");
        assert_eq!(root.get("b").unwrap().raw(), "{ \"c\": [1, {\"d\":\"\\n\"}] }");
        let inner = root.get("b").unwrap().get("c").unwrap();
        assert_eq!(inner.elements().map(Value::raw).collect::<Vec<_>>(), ["1", "{\"d\":\"\\n\"}"]);
        assert_eq!((root.get("e").unwrap().raw(), root.get("f").unwrap().raw()), ("", "{}"));
        assert_eq!(root.members().map(|(name, _)| name.raw()).collect::<String>(), "abef");
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
