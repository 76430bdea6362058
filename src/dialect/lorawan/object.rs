//! A JSON object that is being written.

use std::fmt::Write as _;

use crate::dialect::json::{Kind, Value};

/// A JSON object that is being written.
pub(super) struct Object {
    text: String,
    empty: bool,
}

impl Object {
    pub(super) fn new(mut text: String) -> Self {
        text.push('{');
        Self { text, empty: true }
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    /// A member as JSON text.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.text.push_str(json);
    }

    /// A member that is a value of another document.
    pub(super) fn value(&mut self, name: &str, value: Value<'_>) {
        self.name(name);
        if matches!(value.kind(), Kind::Plain | Kind::Escaped) {
            self.text.push('"');
            self.text.push_str(value.raw());
            self.text.push('"');
        } else {
            self.text.push_str(value.raw());
        }
    }

    /// A member, if there is one.
    pub(super) fn maybe(&mut self, name: &str, value: Option<Value<'_>>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// A member that is an object.
    pub(super) fn with(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.name(name);
        self.inner(fill);
    }

    /// A member that is a list of objects.
    pub(super) fn list<T>(&mut self, name: &str, each: impl Iterator<Item = T>, fill: impl Fn(T, &mut Self)) {
        self.name(name);
        self.text.push('[');
        for (place, element) in each.enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            self.inner(|out| fill(element, out));
        }
        self.text.push(']');
    }

    fn inner(&mut self, fill: impl FnOnce(&mut Self)) {
        self.text.push('{');
        self.empty = true;
        fill(self);
        self.text.push('}');
        self.empty = false;
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if (letter as u32) < 0x20 => {
                write!(out, "\\u{:04x}", letter as u32).expect("writing to a String cannot fail");
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
