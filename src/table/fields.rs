//! Payload fields by their dotted names.

use crate::dialect::json::{Children, Kind, Value};

/// Call `each` with every value in the payload fields and its dotted name: `gps.lat`. Objects are gone into; arrays are
/// values. Fields that are no object have the name `whole`.
///
/// Not by recursion: how deep a message goes is for its sender to say.
pub(super) fn flatten<'a>(fields: Value<'a>, whole: &str, mut each: impl FnMut(&str, Value<'a>)) {
    if fields.kind() != Kind::Object {
        return each(whole, fields);
    }
    let mut name = String::new();
    let mut around: Vec<(Children<'a>, usize)> = Vec::new();
    let (mut members, mut length) = (fields.children(), 0);
    loop {
        let (Some(key), Some(value)) = (members.next(), members.next()) else {
            let Some(outer) = around.pop() else { return };
            (members, length) = outer;
            continue;
        };
        name.truncate(length);
        if length > 0 {
            name.push('.');
        }
        match key.kind() {
            Kind::Plain => name.push_str(key.raw()),
            _ => name.push_str(&key.as_str().unwrap_or_default()),
        }
        if value.kind() == Kind::Object {
            around.push((std::mem::replace(&mut members, value.children()), length));
            length = name.len();
        } else {
            each(&name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;

    fn flat(text: &str) -> Vec<(String, String)> {
        let document = Document::parse(text.as_bytes()).unwrap();
        let mut found = Vec::new();
        flatten(document.root(), "all", |name, value| found.push((name.to_owned(), value.raw().to_owned())));
        found
    }

    #[test]
    fn objects_are_gone_into_and_arrays_are_not() {
        let found =
            flat(r#"{"a":1,"gps":{"lat":52.5,"fix":{"kind":"3d"},"alt":null},"list":[1,{"b":2}],"\u00e9":{"":0}}"#);
        let expected = [
            ("a", "1"),
            ("gps.lat", "52.5"),
            ("gps.fix.kind", "3d"),
            ("gps.alt", "null"),
            ("list", "[1,{\"b\":2}]"),
            ("é.", "0"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_no_object_is_one_value() {
        assert_eq!(flat("[1]"), [("all".to_owned(), "[1]".to_owned())]);
        assert_eq!(flat("{}"), []);
    }

    #[test]
    fn the_deepest_message_that_is_read_is_flattened() {
        let text = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
        assert_eq!(flat(&text)[0].0.len(), 999);
    }
}
