//! The rows that are being gathered.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder as _, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{Array as _, ArrayRef};
use jiff::Timestamp;

use super::chunk::Chunk;
use super::columns::Column;
use super::kind::Kind;
use crate::dialect::json::{self, Value};
use crate::dialect::lorawan::{base64, timestamp};

/// One value of a row.
#[derive(Clone, Debug)]
pub(super) enum Cell<'a> {
    /// As it stands in the message.
    Value(Value<'a>),
    Number(i64),
    Json(String),
}

/// JSON text of a value.
pub(super) fn json_of(value: Value<'_>, text: &mut String) {
    let quote = if matches!(value.kind(), json::Kind::Plain | json::Kind::Escaped) { "\"" } else { "" };
    text.extend([quote, value.raw(), quote]);
}

/// A column of the open chunk.
#[derive(Debug)]
enum Building {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Json(StringBuilder),
    Bytes(BinaryBuilder),
    Time(TimestampMicrosecondBuilder),
}

/// The same for whatever is being built.
macro_rules! each {
    ($building:expr, $builder:ident => $do:expr) => {
        match $building {
            Building::Bool($builder) => $do,
            Building::Int($builder) => $do,
            Building::Float($builder) => $do,
            Building::Text($builder) | Building::Json($builder) => $do,
            Building::Bytes($builder) => $do,
            Building::Time($builder) => $do,
        }
    };
}

impl Building {
    /// Without room for values that may not come: names are the senders' to choose.
    fn new(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Null => return None,
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(0)),
            Kind::Int => Self::Int(Int64Builder::with_capacity(0)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(0)),
            Kind::Text => Self::Text(StringBuilder::with_capacity(0, 0)),
            Kind::Json => Self::Json(StringBuilder::with_capacity(0, 0)),
            Kind::Bytes => Self::Bytes(BinaryBuilder::with_capacity(0, 0)),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::with_capacity(0).with_timezone("UTC")),
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Text(_) => Kind::Text,
            Self::Json(_) => Kind::Json,
            Self::Bytes(_) => Kind::Bytes,
            Self::Time(_) => Kind::Time,
        }
    }

    /// Append nulls up to this many rows.
    fn pad(&mut self, rows: usize) {
        each!(self, builder => builder.append_nulls(rows.saturating_sub(builder.len())));
    }

    /// Append a value. Gives the bytes that it takes beside its place; `None` for what is no such value.
    fn append(&mut self, cell: &Cell<'_>) -> Option<usize> {
        match (self, cell) {
            (Self::Bool(builder), Cell::Value(value)) => {
                let is_bool = matches!(value.kind(), json::Kind::True | json::Kind::False);
                is_bool.then(|| builder.append_value(value.kind() == json::Kind::True))?;
            }
            (Self::Int(builder), Cell::Value(value)) => builder.append_value(value.as_i64()?),
            (Self::Int(builder), Cell::Number(number)) => builder.append_value(*number),
            (Self::Float(builder), Cell::Value(value)) => builder.append_value(value.as_f64()?),
            (Self::Text(builder), Cell::Value(value)) => {
                let text = value.as_str()?;
                builder.append_value(&text);
                return Some(text.len());
            }
            (Self::Json(builder), Cell::Value(value)) => {
                let mut text = String::new();
                json_of(*value, &mut text);
                builder.append_value(&text);
                return Some(text.len());
            }
            (Self::Json(builder), Cell::Json(text)) => {
                builder.append_value(text);
                return Some(text.len());
            }
            (Self::Bytes(builder), Cell::Value(value)) => {
                let bytes = base64::decode(&value.as_str()?).ok()?;
                builder.append_value(&bytes);
                return Some(bytes.len());
            }
            // A time that is not known is an empty text, or Go's year 1.
            (Self::Time(builder), Cell::Value(value)) => {
                value.as_str()?;
                builder.append_option(timestamp(*value).map(Timestamp::as_microsecond));
            }
            _ => return None,
        }
        Some(0)
    }

    /// What was built, without the room for more.
    fn finish(&mut self) -> ArrayRef {
        each!(self, builder => {
            let mut array = builder.finish();
            array.shrink_to_fit();
            Arc::new(array)
        })
    }

    fn finish_cloned(&self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish_cloned()))
    }
}

/// Bytes of a place in a column: the widest value, and the bit that tells of nulls.
const PLACE: usize = 9;

/// Rows that are not closed yet.
#[derive(Debug, Default)]
pub(super) struct Open {
    columns: Vec<Option<Building>>,
    pub(super) rows: usize,
    /// Columns that have values.
    present: usize,
    /// Bytes of texts.
    texts: usize,
}

impl Open {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.texts + self.rows * self.present * PLACE
    }

    /// Whether a column has values of another kind than that which it has now.
    pub(super) fn is_outdated(&self, index: usize, kind: Kind) -> bool {
        self.columns.get(index).and_then(Option::as_ref).is_some_and(|building| building.kind() != kind)
    }

    /// Append a row; gives how many of its values could not be read, in whose places nulls are.
    pub(super) fn append(&mut self, columns: &[Column], row: &[(usize, Cell<'_>)]) -> u64 {
        let mut unreadable = 0;
        self.columns.resize_with(columns.len(), || None);
        for (index, cell) in row {
            let place = &mut self.columns[*index];
            if place.is_none() {
                *place = Building::new(columns[*index].kind);
                self.present += usize::from(place.is_some());
            }
            let Some(building) = place else { continue };
            building.pad(self.rows);
            match building.append(cell) {
                Some(bytes) => self.texts += bytes,
                None => unreadable += 1,
            }
        }
        self.rows += 1;
        unreadable
    }

    fn padded(&mut self) -> impl Iterator<Item = Option<&mut Building>> {
        let rows = self.rows;
        self.columns.iter_mut().map(move |place| {
            let building = place.as_mut()?;
            building.pad(rows);
            Some(building)
        })
    }

    /// Close it: what was gathered becomes a chunk, without a copy.
    pub(super) fn close(&mut self) -> Chunk {
        let arrays = self.padded().map(|column| column.map(|column| (column.kind(), column.finish()))).collect();
        let chunk = Chunk::new(self.rows, arrays);
        *self = Self::default();
        chunk
    }

    /// A copy of what was gathered.
    pub(super) fn copy(&mut self) -> Chunk {
        let arrays = self.padded().map(|column| column.map(|column| (column.kind(), column.finish_cloned()))).collect();
        Chunk::new(self.rows, arrays)
    }
}
