//! What is shown of objects: texts of one line, and HTML for notebooks, which keep it in their files. Nothing secret is in it.

use std::fmt::Write as _;

use pyo3::prelude::*;

use super::value::fields;
use crate::dialect::json::{Kind, Value};

/// Characters of the longest text that stands for an object in a line.
pub(super) const LINE: usize = 119;
/// Characters of the longest cell of a table.
const CELL: usize = 100;
/// Rows of the longest table.
pub(super) const ROWS: usize = 100;
/// In the place of what is secret.
pub(super) const HIDDEN: &str = "***";

/// Name and value.
pub(super) type Pair = (String, String);

/// A text, cut if it has more characters than this.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

fn cell(text: &str) -> String {
    cut(text, CELL).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Which of so many rows are not there.
fn rest(html: &mut String, rows: usize) {
    if rows > ROWS {
        write!(html, "<p>… and {} more</p>", rows - ROWS).unwrap_or_default();
    }
}

/// A table of names and values.
pub(super) fn pairs(title: &str, rows: &[Pair]) -> String {
    let mut html = format!("<table><caption>{}</caption><tbody>", cell(title));
    for (name, value) in rows.iter().take(ROWS) {
        write!(html, "<tr><th>{}</th><td>{}</td></tr>", cell(name), cell(value)).unwrap_or_default();
    }
    html.push_str("</tbody></table>");
    rest(&mut html, rows.len());
    html
}

/// A table with a row for each object, of `total` that there are; a column for each name that one of them has.
pub(super) fn grid(title: &str, objects: &[Vec<Pair>], total: usize) -> String {
    let mut heads: Vec<&str> = Vec::new();
    for (name, _) in objects.iter().flatten() {
        if !heads.contains(&name.as_str()) {
            heads.push(name);
        }
    }
    let mut html = format!("<table><caption>{}</caption><thead><tr>", cell(title));
    for head in &heads {
        write!(html, "<th>{}</th>", cell(head)).unwrap_or_default();
    }
    html.push_str("</tr></thead><tbody>");
    for object in objects {
        html.push_str("<tr>");
        for head in &heads {
            let value = object.iter().find(|(name, _)| name == head).map_or("", |(_, value)| value);
            write!(html, "<td>{}</td>", cell(value)).unwrap_or_default();
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    rest(&mut html, total);
    html
}

/// The values of a JSON object by their dotted names.
pub(super) fn flat(name: &str, value: Value<'_>, rows: &mut Vec<Pair>) {
    let dot = if name.is_empty() { "" } else { "." };
    match value.kind() {
        Kind::Object => {
            for (key, inner) in fields(value) {
                flat(&format!("{name}{dot}{}", key.as_str().unwrap_or_default()), inner, rows);
            }
        }
        Kind::Array if value.elements().any(|one| matches!(one.kind(), Kind::Array | Kind::Object)) => {
            for (place, inner) in value.elements().enumerate() {
                flat(&format!("{name}[{place}]"), inner, rows);
            }
        }
        _ => {
            let text = value.as_str().map_or_else(|| value.raw().to_owned(), std::borrow::Cow::into_owned);
            rows.push((name.to_owned(), text));
        }
    }
}

/// A table of names and values as HTML, for the library's Python part.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_html_table", signature = (title, rows, /))]
pub(super) fn html_table(title: &str, rows: Vec<Pair>) -> String {
    pairs(title, &rows)
}
