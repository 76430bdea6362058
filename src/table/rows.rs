//! What a table has at one moment, in Arrow's format.

use std::sync::Arc;

use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};

use super::chunk::Chunk;
use super::columns::Column;
use super::kind::Kind;

/// Rows, which later ones do not change.
#[derive(Clone, Debug)]
pub struct Rows {
    columns: Arc<[Column]>,
    chunks: Vec<Arc<Chunk>>,
    /// Rows of the first chunk that do not count any more.
    skip: usize,
}

impl Rows {
    pub(super) fn new(columns: &[Column], chunks: Vec<Arc<Chunk>>, skip: usize) -> Self {
        Self { columns: columns.into(), chunks, skip }
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.rows).sum::<usize>() - self.skip
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the columns, and what their values are.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.columns.iter().map(|column| (column.name.as_str(), column.kind))
    }

    /// The values of a column, in pieces that follow each other.
    pub fn column(&self, index: usize) -> impl Iterator<Item = ArrayRef> {
        let kind = self.columns.get(index).map_or(Kind::Null, |column| column.kind);
        (0..self.chunks.len()).map(move |place| self.piece(place, index, kind))
    }

    /// A column of a chunk, without the rows that do not count any more.
    fn piece(&self, place: usize, index: usize, kind: Kind) -> ArrayRef {
        let chunk = &self.chunks[place];
        let array = chunk.column(index, kind);
        if place == 0 && self.skip > 0 { array.slice(self.skip, chunk.rows - self.skip) } else { array }
    }

    fn schema(&self) -> SchemaRef {
        let field = |column: &Column| Field::new(&column.name, column.kind.data_type(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The columns for others, through Arrow's C interface.
    ///
    /// # Errors
    /// A name that cannot be told in C, having a zero byte.
    pub fn to_schema(&self) -> Result<FFI_ArrowSchema, ArrowError> {
        FFI_ArrowSchema::try_from(self.schema().as_ref())
    }

    /// The rows for others, through Arrow's C interface: batch by batch, and none is copied that is as it was gathered.
    #[must_use]
    pub fn to_stream(&self) -> FFI_ArrowArrayStream {
        FFI_ArrowArrayStream::new(Box::new(Reader { schema: self.schema(), rows: self.clone(), next: 0 }))
    }
}

/// Gives the chunks one after the other.
struct Reader {
    schema: SchemaRef,
    rows: Rows,
    next: usize,
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (place, rows) = (self.next, &self.rows);
        rows.chunks.get(place)?;
        self.next += 1;
        let arrays = rows.columns.iter().enumerate().map(|(index, column)| rows.piece(place, index, column.kind));
        Some(RecordBatch::try_new(self.schema.clone(), arrays.collect()))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
