//! What a column is of, and how it settles when values of another kind come.

use arrow_schema::{DataType, TimeUnit};

use crate::dialect::json::{self, Value};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing has come but nulls.
    Null,
    /// `true` and `false`.
    Bool,
    /// Integers of 64 bits.
    Int,
    /// Numbers, some of which are no integers.
    Float,
    /// Texts.
    Text,
    /// Values of several kinds, or arrays: each as its JSON text.
    Json,
    /// Bytes.
    Bytes,
    /// Instants, to the microsecond.
    Time,
}

impl Kind {
    /// What a value in a payload is.
    pub(super) fn of(value: Value<'_>) -> Self {
        match value.kind() {
            json::Kind::Null => Self::Null,
            json::Kind::True | json::Kind::False => Self::Bool,
            json::Kind::Int if value.as_i64().is_some() => Self::Int,
            json::Kind::Float | json::Kind::NotFinite => Self::Float,
            json::Kind::Plain | json::Kind::Escaped => Self::Text,
            // An integer of more than 64 bits stays what it is, as text.
            json::Kind::Int | json::Kind::Array | json::Kind::Object => Self::Json,
        }
    }

    /// What a column is that has values of both.
    pub(super) fn settled(self, other: Self) -> Self {
        match (self, other) {
            (kind, Self::Null) | (Self::Null, kind) => kind,
            (one, other) if one == other => one,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::Json,
        }
    }

    /// Arrow's type.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// Its name, as programs are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::Time => "time",
        }
    }
}
