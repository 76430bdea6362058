//! Any text, beside what `serde_json` makes of it.

use serde_json::Value as Strict;

use super::{Document, Kind, MAX_DEPTH, Value};
use crate::fuzz::{BASE, JSON, JSON_WORDS, Shape, Target};

/// What `serde_json` makes of a value that it would take.
fn strict(value: Value<'_>) -> Option<Strict> {
    Some(match value.kind() {
        Kind::Null => Strict::Null,
        Kind::True => true.into(),
        Kind::False => false.into(),
        Kind::Int | Kind::Float => {
            value.as_f64().filter(|number| number.is_finite())?;
            serde_json::from_str(value.raw()).unwrap()
        }
        // It has no numbers that are none.
        Kind::NotFinite => return None,
        // And no halves of characters.
        Kind::Plain | Kind::Escaped => String::from_utf8(value.unescaped().into_owned()).ok()?.into(),
        Kind::Array => value.elements().map(strict).collect::<Option<Vec<_>>>()?.into(),
        Kind::Object => {
            let member =
                |(name, value)| Some((String::from_utf8(Value::unescaped(name).into_owned()).ok()?, strict(value)?));
            Strict::Object(value.members().map(member).collect::<Option<_>>()?)
        }
    })
}

/// How deep arrays and objects stand in one another.
fn depth(value: Value<'_>) -> usize {
    match value.kind() {
        Kind::Array | Kind::Object => 1 + value.children().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Every value stands within its container, and gives its own text.
fn stands(value: Value<'_>) {
    for child in value.children() {
        let (outer, inner) = (value.raw().as_bytes().as_ptr_range(), child.raw().as_bytes().as_ptr_range());
        assert!(outer.start < inner.start && inner.end < outer.end, "{} in {}", child.raw(), value.raw());
        assert_eq!(value.document.value(child.index()).raw(), child.raw());
        stands(child);
    }
}

#[test]
fn what_serde_json_takes_is_read_alike_and_nothing_else_but_what_python_takes() {
    // An index has eight bytes for a value, which may be one byte of text and a comma; what `serde_json` makes is larger.
    let target = Target {
        name: "JSON, client",
        corpus: JSON,
        shape: Shape::Bytes,
        words: JSON_WORDS,
        inputs: 4000,
        memory: (BASE, 512),
    };
    target.run(|bytes, _| {
        let read = Document::parse(bytes);
        let theirs = serde_json::from_slice::<Strict>(bytes);
        match (&read, &theirs) {
            (Ok(document), Ok(theirs)) => {
                stands(document.root());
                assert_eq!(strict(document.root()).as_ref(), Some(theirs));
            }
            (Ok(document), Err(error)) => {
                stands(document.root());
                // Its own bound is 128.
                assert!(depth(document.root()) > 127 || strict(document.root()).is_none(), "{error}");
            }
            (Err(error), Ok(_)) => panic!("{error}"),
            (Err(error), Err(_)) => assert!(error.at <= bytes.len(), "{error}"),
        }
        if let Ok(document) = read {
            assert!(depth(document.root()) <= MAX_DEPTH);
            if document.root().children().next().is_some() {
                let again = Document::parse(document.root().raw().as_bytes()).unwrap();
                assert_eq!(again.nodes.len(), document.nodes.len(), "read once more");
            }
        }
    });
}
