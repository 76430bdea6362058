//! Which columns there are. They only become more, and their kinds only wider.

use std::collections::HashMap;

use super::kind::Kind;
use super::{Per, envelope};

/// Most columns of payload fields: names are the senders' to choose.
const MOST: usize = 1000;
/// Longest name of a payload field that gets a column, in bytes.
const LONGEST: usize = 256;
/// The column of payload fields that get none, each by its name.
const REST: &str = "other_fields";
/// The column of payload fields that are no object, and what begins the name of a field whose own is taken.
pub(super) const WHOLE: &str = "payload_fields";

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) struct Columns {
    pub(super) all: Vec<Column>,
    /// Of payload fields, by their dotted names.
    by_field: HashMap<String, usize>,
    rest: Option<usize>,
}

impl Columns {
    pub(super) fn new(per: Per) -> Self {
        let all = envelope::columns(per).map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
        Self { all, by_field: HashMap::new(), rest: None }
    }

    fn add(&mut self, name: String, kind: Kind) -> usize {
        self.all.push(Column { name, kind });
        self.all.len() - 1
    }

    /// The column of a payload field; `None` if it gets none.
    pub(super) fn of_field(&mut self, field: &str) -> Option<usize> {
        if let Some(index) = self.by_field.get(field) {
            return Some(*index);
        }
        // In C a zero byte ends a name.
        if self.by_field.len() >= MOST || field.len() > LONGEST || field.contains('\0') {
            return None;
        }
        let is_ours = field.strip_prefix(WHOLE).is_some_and(|rest| rest.starts_with('.'));
        let name = if envelope::is_taken(field) || field == REST || is_ours {
            format!("{WHOLE}.{field}")
        } else {
            field.to_owned()
        };
        let index = self.add(name, Kind::Null);
        self.by_field.insert(field.to_owned(), index);
        Some(index)
    }

    /// The column of what gets none of its own.
    pub(super) fn rest(&mut self) -> usize {
        if let Some(index) = self.rest {
            return index;
        }
        let index = self.add(REST.to_owned(), Kind::Json);
        self.rest = Some(index);
        index
    }
}
