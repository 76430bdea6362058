//! Rows that are closed: nobody changes them any more, so that whoever asks shares them.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, StringArray, new_null_array};

use super::kind::Kind;

/// Some rows.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) rows: usize,
    /// By their columns; those without a value in these rows have none.
    arrays: Vec<Option<(Kind, ArrayRef)>>,
    /// Bytes of memory.
    pub(super) bytes: usize,
}

impl Chunk {
    pub(super) fn new(rows: usize, arrays: Vec<Option<(Kind, ArrayRef)>>) -> Self {
        let bytes = arrays.iter().flatten().map(|(_, array)| array.get_array_memory_size()).sum();
        Self { rows, arrays, bytes }
    }

    /// A column, of the kind that it has by now. It is copied only if it was of another.
    pub(super) fn column(&self, index: usize, kind: Kind) -> ArrayRef {
        match self.arrays.get(index).and_then(Option::as_ref) {
            None => new_null_array(&kind.data_type(), self.rows),
            Some((own, array)) if *own == kind => array.clone(),
            Some((own, array)) => widened(*own, array, kind),
        }
    }
}

/// A column as one of a wider kind.
fn widened(from: Kind, array: &ArrayRef, to: Kind) -> ArrayRef {
    match (from, to) {
        (Kind::Int, Kind::Float) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Float64Type>(|number| number as f64))
        }
        (Kind::Bool, _) => texts(array.as_boolean().iter(), |value| value.to_string()),
        (Kind::Int, _) => texts(array.as_primitive::<Int64Type>().iter(), |number| number.to_string()),
        (Kind::Float, _) => texts(array.as_primitive::<Float64Type>().iter(), number),
        // Strings are the one kind that is left which becomes wider.
        _ => texts(array.as_string::<i32>().iter(), |text| serde_json::Value::from(text).to_string()),
    }
}

fn texts<T>(values: impl Iterator<Item = Option<T>>, text: impl Fn(T) -> String) -> ArrayRef {
    Arc::new(values.map(|value| value.map(&text)).collect::<StringArray>())
}

/// A number as Python's `json` reads and writes it.
fn number(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{number:?}")
    }
}
