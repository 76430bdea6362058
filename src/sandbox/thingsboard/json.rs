//! JSON, read as leniently as the server reads it (TB 1.1): Gson's way, in which little is an error.
//!
//! Names and texts may stand in single quotes or in none, a comma in an array may have nothing before it, there may be
//! comments, and bytes that are no UTF-8 are replaced. Numbers keep their digits, and what only looks like a number, such
//! as `NaN` or `007`, is a text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

use super::decimal::Decimal;

/// How deep arrays and objects may stand in one another: Gson's limit.
const DEEPEST: usize = 255;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    /// A name that is given twice has its first place and its last value.
    Object(Vec<(String, Json)>),
}

/// A value is not of the kind that is asked for. Java tells two kinds of it apart, and so does what becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The server expects it, and says so.
    Told,
    /// The server fails over it.
    Unexpected,
}

impl Json {
    /// Read a text; `None` if not even the server can. Nothing at all is null.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
        let mut reader = Reader { rest: text.chars().peekable() };
        let value = match reader.next_mark()? {
            None => Self::Null,
            Some(_) => reader.value(0)?,
        };
        reader.next_mark()?.is_none().then_some(value)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// As a text. An array of one counts as what it holds, which is Gson's way, too.
    pub(super) fn text(&self) -> Result<String, Misfit> {
        match self.single()? {
            Self::Text(text) | Self::Number(text) => Ok(text.clone()),
            Self::Bool(value) => Ok(value.to_string()),
            _ => Err(Misfit::Unexpected),
        }
    }

    /// As a whole number of 64 bits: decimals are cut, larger ones wrap.
    pub(super) fn integer(&self) -> Result<i64, Misfit> {
        match self.single()? {
            Self::Number(text) => Decimal::parse(text).map(|number| number.wrapped()).ok_or(Misfit::Unexpected),
            Self::Text(text) => text.parse().map_err(|_| Misfit::Unexpected),
            _ => Err(Misfit::Unexpected),
        }
    }

    fn single(&self) -> Result<&Self, Misfit> {
        let mut value = self;
        while let Self::Array(items) = value {
            let [item] = items.as_slice() else { return Err(Misfit::Told) };
            value = item;
        }
        Ok(value)
    }

    /// As strict JSON has it. A number that no float holds stays a text.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            Self::Text(text) => Value::String(text.clone()),
            Self::Array(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => Value::Object(
                members.iter().map(|(name, value)| (name.clone(), value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
}

/// What ends a word that stands in no quotes.
fn ends_word(mark: char) -> bool {
    mark.is_ascii_whitespace() || "{}[]:,;=#/\\".contains(mark)
}

impl Reader<'_> {
    /// What comes next but blanks and comments: `Some(None)` at the end, `None` if a comment has none.
    #[expect(clippy::option_option, reason = "the end of the text is no error")]
    fn next_mark(&mut self) -> Option<Option<char>> {
        loop {
            match self.rest.peek() {
                Some(' ' | '\t' | '\r' | '\n') => drop(self.rest.next()),
                Some('#') => self.skip_line(),
                Some('/') => {
                    self.rest.next();
                    match self.rest.next()? {
                        '/' => self.skip_line(),
                        '*' => self.skip_block()?,
                        _ => return None,
                    }
                }
                other => return Some(other.copied()),
            }
        }
    }

    fn skip_line(&mut self) {
        self.rest.by_ref().find(|mark| matches!(mark, '\n' | '\r'));
    }

    fn skip_block(&mut self) -> Option<()> {
        let mut last = ' ';
        for mark in self.rest.by_ref() {
            if (last, mark) == ('*', '/') {
                return Some(());
            }
            last = mark;
        }
        None
    }

    /// `depth` arrays and objects are open.
    fn value(&mut self, depth: usize) -> Option<Json> {
        match self.next_mark()?? {
            '{' | '[' if depth == DEEPEST => None,
            '{' => self.object(depth + 1),
            '[' => self.array(depth + 1),
            quote @ ('"' | '\'') => self.quoted(quote).map(Json::Text),
            _ => self.word().map(named),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.rest.next();
        let mut items = Vec::new();
        if self.next_mark()?? == ']' {
            self.rest.next();
            return Some(Json::Array(items));
        }
        loop {
            items.push(match self.next_mark()?? {
                ',' | ';' | ']' => Json::Null,
                _ => self.value(depth)?,
            });
            self.next_mark()??;
            match self.rest.next()? {
                ',' | ';' => {}
                ']' => return Some(Json::Array(items)),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.rest.next();
        let mut members: Vec<(String, Json)> = Vec::new();
        if self.next_mark()?? == '}' {
            self.rest.next();
            return Some(Json::Object(members));
        }
        // Where each name stands: a search would make many members slow.
        let mut places = HashMap::new();
        loop {
            let name = match self.next_mark()?? {
                quote @ ('"' | '\'') => self.quoted(quote)?,
                _ => self.word()?,
            };
            match (self.next_mark()??, self.rest.next()) {
                (':', _) => {}
                ('=', _) => drop(self.rest.next_if_eq(&'>')),
                _ => return None,
            }
            let value = self.value(depth)?;
            if let Some((_, known)) = places.get(&name).and_then(|place: &usize| members.get_mut(*place)) {
                *known = value;
            } else {
                places.insert(name.clone(), members.len());
                members.push((name, value));
            }
            self.next_mark()??;
            match self.rest.next()? {
                ',' | ';' => {}
                '}' => return Some(Json::Object(members)),
                _ => return None,
            }
        }
    }

    /// A word without quotes, of one letter at least.
    fn word(&mut self) -> Option<String> {
        let mut word = String::new();
        while let Some(mark) = self.rest.next_if(|mark| !ends_word(*mark)) {
            word.push(mark);
        }
        (!word.is_empty()).then_some(word)
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '\\' => text.push(self.escaped()?),
                mark if mark == quote => return Some(text),
                mark => text.push(mark),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.rest.next()? {
            'u' => {
                let first = self.unit()?;
                // Two halves are one character; a half by itself is none.
                let pair = (0xD800..0xDC00).contains(&first) && self.second_half_follows();
                let units = if pair { [first, self.second_half()?] } else { [first, 0] };
                char::decode_utf16(units).next()?.unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            't' => '\t',
            'b' => '\u{8}',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            mark @ ('"' | '\'' | '\\' | '/' | '\n') => mark,
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let digits: String = self.rest.by_ref().take(4).collect();
        (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok())?
    }

    fn second_half_follows(&self) -> bool {
        let mut ahead = self.rest.clone();
        let begins = ahead.next() == Some('\\') && ahead.next() == Some('u');
        begins && matches!(ahead.next(), Some('d' | 'D')) && matches!(ahead.next(), Some('c'..='f' | 'C'..='F'))
    }

    fn second_half(&mut self) -> Option<u16> {
        self.rest.nth(1)?;
        self.unit()
    }
}

/// What a word means.
fn named(word: String) -> Json {
    if word.eq_ignore_ascii_case("null") {
        Json::Null
    } else if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        Json::Bool(word.eq_ignore_ascii_case("true"))
    } else if is_number(&word) && Decimal::parse(&word).is_some() {
        Json::Number(word)
    } else {
        Json::Text(word)
    }
}

/// Whether a word is a number by JSON's grammar.
fn is_number(word: &str) -> bool {
    let word = word.strip_prefix('-').unwrap_or(word);
    let (number, exponent) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && digits(part) && digits(exponent)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        Json::read(text.as_bytes()).expect(text).to_value()
    }

    #[test]
    fn what_the_server_reads_is_read() {
        for (text, expected) in [
            (r#"{"a":1,"b":[true,null,"x"]}"#, json!({"a": 1, "b": [true, null, "x"]})),
            ("{'single':'q', bare:word}", json!({"single": "q", "bare": "word"})),
            ("{a:NaN}", json!({"a": "NaN"})),
            ("{\"a\":1,\"a\":2}", json!({"a": 2})),
            ("{a=1;b=>2}", json!({"a": 1, "b": 2})),
            ("[1,,2,]", json!([1, null, 2, null])),
            ("// said\n[1] /* that */ # all", json!([1])),
            ("[TRUE, Null, 007, -0, 1., .5, +1]", json!([true, null, "007", -0.0, "1.", ".5", "+1"])),
            (r#""\u00fc\ud83d\ude00\ud800""#, json!("\u{fc}\u{1f600}\u{fffd}")),
            ("", Value::Null),
            ("x", json!("x")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert_eq!(Json::read(b"\"\xff\xfe\"").map(|it| it.to_value()), Some(json!("\u{fffd}\u{fffd}")));
    }

    #[test]
    fn what_the_server_does_not_read_is_none() {
        for text in
            ["{nope", "{nope}", "[", "[1", "{\"a\":1,}", "{\"a\"", "\"x", "[1] 2", "/* x", "\"\\x\"", "{:1}", "]"]
        {
            assert_eq!(Json::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::read(nested(DEEPEST).as_bytes()).is_some());
        assert!(
            Json::read(nested(DEEPEST + 1).as_bytes()).is_none() && Json::read("[".repeat(60_000).as_bytes()).is_none()
        );
    }

    #[test]
    fn an_array_of_one_counts_as_what_it_holds() {
        let read = |text: &str| Json::read(text.as_bytes()).unwrap();
        assert_eq!(read("[[5]]").integer(), Ok(5));
        assert_eq!(read("[\"i\"]").text(), Ok("i".to_owned()));
        assert_eq!(read("[1,2]").text(), Err(Misfit::Told));
        assert_eq!(read("{}").integer(), Err(Misfit::Unexpected));
        assert_eq!(read("1700000000000.5").integer(), Ok(1_700_000_000_000));
        assert_eq!(read("\"12\"").integer(), Ok(12));
        assert_eq!(read("\"2023-01-01\"").integer(), Err(Misfit::Unexpected));
    }
}
